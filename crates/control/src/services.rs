//! Calls for AWS services beside S3, CloudTrail and IAM, so that programs which ask several services need one endpoint.
//!
//! Few are answered: who the caller is, a session of the caller's, which region this is, and that there is no
//! organization. Any other is refused in the words of its service's protocol. Each is an event of its service, by its own name.

mod action;
mod decide;
mod document;
mod ec2;
mod form;
mod perform;
mod refused;
mod sts;
mod table;

use super::cloudtrail::{CallInput, CloudTrailError, UNKNOWN};
use ec2::RegionsQuery;
use form::CallForm;
use portcullis_base::names::RequestId;
use portcullis_http::{HttpMethod, RequestHead};
use portcullis_sigv4::AwsService;
use sts::SessionQuery;

pub use action::{ActionName, TARGET, UnnamedAction};
pub use decide::{ServiceAction, ServiceAnswer, ServiceDenial, ServiceFacts, decide};
pub use perform::{ServiceContent, perform};
pub(crate) use refused::status_and_code;
pub use refused::{code_in_record, unrecorded};
pub use table::{GLOBAL_REGION, IAM_API, SERVICE_APIS, ServiceApi, ServiceProtocol, ServiceReach};

/// A call as far as it has come.
#[derive(Debug)]
pub struct ServiceCall<'a> {
    api: &'static ServiceApi,
    head: &'a RequestHead,
    body: &'a [u8],
    action: Result<ActionName, UnnamedAction>,
}

/// How the parameters of a call come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPlace {
    Body,
    Query,
}

impl CallPlace {
    /// Where the parameters are, if this can be a call of this API at all.
    pub fn of(api: &ServiceApi, head: &RequestHead) -> Result<Self, CloudTrailError> {
        let has_body = head.content_length().is_some_and(|length| length > 0) || head.headers.has("transfer-encoding");
        let has_query = !head.query.pairs().is_empty();
        match (api.protocol, head.method) {
            _ if head.path != "/" => Err(refused::misplaced(api)),
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Json { .. } | ServiceProtocol::Query(_), HttpMethod::Post)
                if !has_query =>
            {
                Ok(Self::Body)
            }
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Query(_), HttpMethod::Get) if !has_body => Ok(Self::Query),
            (ServiceProtocol::Ec2(_) | ServiceProtocol::Json { .. } | ServiceProtocol::Query(_), _) => {
                Err(refused::misplaced(api))
            }
        }
    }
}

impl<'a> ServiceCall<'a> {
    /// What is known of a call before its body is there.
    pub fn begun(api: &'static ServiceApi, head: &'a RequestHead) -> Self {
        Self { api, head, body: &[], action: ActionName::of_head(api, head) }
    }

    /// Reads a call; what cannot be read is refused when it is answered.
    pub fn read(api: &'static ServiceApi, head: &'a RequestHead, body: &'a [u8]) -> Self {
        Self { api, head, body, action: ActionName::of_call(api, head, body) }
    }

    /// The name of its event.
    pub fn event_name(&self) -> &str {
        self.action.as_ref().map_or(UNKNOWN, ActionName::as_str)
    }

    /// Whether it changes nothing, by its name; what is not understood is recorded as if it did.
    pub fn only_reads(&self) -> bool {
        self.action.as_ref().is_ok_and(ActionName::only_reads)
    }

    /// Reads the action with its parameters, if it is one that is answered here.
    pub fn action(&self) -> Result<ServiceAction, CloudTrailError> {
        let action = self.action.as_ref().map_err(|why| refused::unnamed(self.api, *why))?;
        match (self.api.service, self.api.protocol, action.as_str()) {
            (AwsService::Ec2, ServiceProtocol::Ec2(version), "DescribeRegions") => {
                let form = CallForm::read(self.api, version, self.head, self.body)?;
                RegionsQuery::read(&form).map(ServiceAction::DescribeRegions)
            }
            (AwsService::Organizations, _, name) if name.starts_with("Describe") && action.only_reads() => {
                CallInput::read(self.body).map(|_| ServiceAction::DescribeOrganization)
            }
            (AwsService::Sts, ServiceProtocol::Query(version), "GetCallerIdentity") => {
                let form = CallForm::read(self.api, version, self.head, self.body)?;
                sts::read(&form).map(|()| ServiceAction::GetCallerIdentity)
            }
            (AwsService::Sts, ServiceProtocol::Query(version), "GetSessionToken") => {
                let form = CallForm::read(self.api, version, self.head, self.body)?;
                SessionQuery::read(&form).map(ServiceAction::GetSessionToken)
            }
            // For operations that are not served it is unknown which parameters are secret, so none are recorded.
            _ => Err(refused::not_offered(self.api, action)),
        }
    }

    /// Status and body of an answer.
    pub fn document(&self, content: &Result<ServiceContent, CloudTrailError>, request_id: RequestId) -> (u16, String) {
        match (content, &self.action) {
            (Ok(content), Ok(action)) => (200, self.api.success(action, content.text(), request_id)),
            (Err(refused), _) => self.api.failure(refused, request_id),
            (Ok(_), Err(why)) => self.api.failure(&refused::unnamed(self.api, *why), request_id),
        }
    }
}

#[cfg(test)]
mod tests;
