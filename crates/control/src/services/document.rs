//! The documents of answers, in each protocol's envelope.

use portcullis_xml::escape_query;
use serde_json::json;

use super::action::ActionName;
use super::refused::status_and_code;
use super::table::{ServiceApi, ServiceProtocol};
use crate::cloudtrail::{self, CloudTrailError};
use portcullis_base::names::RequestId;

impl ServiceApi {
    /// The type of every answer's body.
    pub fn content_type(&self) -> &'static str {
        match self.protocol {
            ServiceProtocol::Ec2(_) => "text/xml;charset=UTF-8",
            ServiceProtocol::Json { .. } => cloudtrail::CONTENT_TYPE,
            ServiceProtocol::Query(_) => "text/xml",
        }
    }

    /// The body of an answer to an action, whose content is written already.
    pub fn success(&self, action: &ActionName, content: &str, request_id: RequestId) -> String {
        match self.protocol {
            ServiceProtocol::Ec2(query) => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{action}Response xmlns=\"{}\"><requestId>{request_id}\
                 </requestId>{content}</{action}Response>",
                query.namespace
            ),
            ServiceProtocol::Json { .. } => content.to_owned(),
            ServiceProtocol::Query(query) => format!(
                "<{action}Response xmlns=\"{}\"><{action}Result>{content}</{action}Result><ResponseMetadata>\
                 <RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>",
                query.namespace
            ),
        }
    }

    /// Status and body of a refusal.
    pub fn failure(&self, refused: &CloudTrailError, request_id: RequestId) -> (u16, String) {
        let (status, code) = status_and_code(self.protocol, refused);
        let message = escape_query(refused.message.as_str());
        let document = match self.protocol {
            ServiceProtocol::Ec2(_) => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>\
                 {message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
            ),
            ServiceProtocol::Json { .. } => json!({ "__type": code, "message": refused.message }).to_string(),
            ServiceProtocol::Query(query) => {
                let blame = if status < 500 { "Sender" } else { "Receiver" };
                format!(
                    "<ErrorResponse xmlns=\"{}\"><Error><Type>{blame}</Type><Code>{code}</Code><Message>{message}\
                     </Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                    query.namespace
                )
            }
        };
        (status, document)
    }
}
