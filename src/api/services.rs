//! Calls for AWS services beside S3 and CloudTrail, so that programs which ask several services need one endpoint.
//!
//! Each is refused in the words of its service's protocol, and is an event of its service, by its own name.

mod action;
mod document;
mod refused;
mod table;

use super::cloudtrail::{Refused, UNKNOWN};
use crate::wire::{Head, Method};

pub use action::{ActionName, TARGET, UnnamedAction};
pub use refused::code_in_record;
pub use table::{GLOBAL_REGION, Protocol, Reach, SERVICE_APIS, ServiceApi};

/// A call whose body is read.
#[derive(Debug)]
pub struct ServiceCall {
    api: &'static ServiceApi,
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
    pub fn of(api: &ServiceApi, head: &Head) -> Result<Self, Refused> {
        let has_body = head.content_length().is_some_and(|length| length > 0) || head.headers.has("transfer-encoding");
        let has_query = !head.query.pairs().is_empty();
        match (api.protocol, head.method) {
            _ if head.path != "/" => Err(refused::misplaced(api)),
            (Protocol::Ec2(_) | Protocol::Json { .. } | Protocol::Query(_), Method::Post) if !has_query => {
                Ok(Self::Body)
            }
            (Protocol::Ec2(_) | Protocol::Query(_), Method::Get) if !has_body => Ok(Self::Query),
            (Protocol::Ec2(_) | Protocol::Json { .. } | Protocol::Query(_), _) => Err(refused::misplaced(api)),
        }
    }
}

impl ServiceCall {
    /// What is known of a call before its body is there.
    pub fn begun(api: &'static ServiceApi, head: &Head) -> Self {
        Self { api, action: ActionName::of_head(api, head) }
    }

    /// Reads a call; what cannot be read is refused when it is answered.
    pub fn read(api: &'static ServiceApi, head: &Head, body: &[u8]) -> Self {
        Self { api, action: ActionName::of_call(api, head, body) }
    }

    /// The name of its event.
    pub fn event_name(&self) -> &str {
        self.action.as_ref().map_or(UNKNOWN, ActionName::as_str)
    }

    /// Whether it changes nothing, by its name; what is not understood is recorded as if it did.
    pub fn only_reads(&self) -> bool {
        self.action.as_ref().is_ok_and(ActionName::only_reads)
    }

    /// Why it is not answered.
    pub fn refusal(&self) -> Refused {
        match &self.action {
            Ok(action) => refused::not_offered(self.api, action),
            Err(why) => refused::unnamed(self.api, *why),
        }
    }
}

#[cfg(test)]
mod tests;
