//! Makes the answer that is permitted.

use serde_json::Value;

use super::decide::{PlannedAnswer, ServiceAnswer};
use super::sts;
use crate::cloudtrail::CloudTrailError;
use portcullis_authorization::Permit;
use portcullis_base::clock::Timestamp;
use portcullis_base::secret::Secret;
use portcullis_state::StateStore;

/// The content of an answer's document, and what its event tells of it.
#[derive(Debug)]
pub struct ServiceContent {
    text: Secret<String>,
    /// `responseElements`, or null.
    elements: Value,
}

/// Makes the answer.
pub fn perform(
    permit: Permit<ServiceAnswer>,
    state: &StateStore,
    now: Timestamp,
) -> Result<ServiceContent, CloudTrailError> {
    match permit.into_action().0 {
        PlannedAnswer::Content(text) => Ok(ServiceContent::shown(text)),
        PlannedAnswer::Session(session) => {
            let issued = state.issue_session(&session, now).map_err(|_| CloudTrailError::internal())?;
            Ok(ServiceContent { text: sts::session_token(&issued), elements: sts::session_elements(&issued) })
        }
    }
}

impl ServiceContent {
    /// Content that no event repeats.
    pub(super) fn shown(text: String) -> Self {
        Self { text: Secret::new(text), elements: Value::Null }
    }

    /// The content of the answer's document.
    pub(super) fn text(&self) -> &str {
        self.text.expose()
    }

    /// `responseElements` of its event, or null.
    pub fn elements(&self) -> &Value {
        &self.elements
    }
}
