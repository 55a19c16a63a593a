//! The parameters of a call in one of the Query protocols, each of them known.

use super::refused;
use super::table::{QueryVersion, ServiceApi};
use crate::cloudtrail::CloudTrailError;
use crate::query::parse_form;
use portcullis_http::{HttpMethod, RequestHead};

/// The parameters of a call, without `Action` and `Version`.
#[derive(Debug)]
pub(super) struct CallForm(Vec<(String, String)>);

impl CallForm {
    /// Reads the form in the body, or in the query of a GET, of a call for this version of an API.
    pub(super) fn read(
        api: &ServiceApi,
        query: QueryVersion,
        head: &RequestHead,
        body: &[u8],
    ) -> Result<Self, CloudTrailError> {
        let mut parameters = match head.method {
            HttpMethod::Get => head.query.pairs().to_vec(),
            HttpMethod::Delete | HttpMethod::Head | HttpMethod::Options | HttpMethod::Post | HttpMethod::Put => {
                parse_form(body).map_err(|malformed| refused::unreadable_form(&malformed))?
            }
        };
        if !parameters.iter().any(|(name, value)| name == "Version" && value == query.version) {
            return Err(refused::wrong_version(api, query.version));
        }
        parameters.retain(|(name, _)| name != "Action" && name != "Version");
        Ok(Self(parameters))
    }

    /// All of them, in their order.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}
