//! What an action is answered, and what its event says of that.

use serde_json::{Value, json};

use super::refused::IamError;
use super::xml::{self, ElementWriter};
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;

/// What an action that was carried out is answered.
#[derive(Debug)]
pub struct IamAnswer {
    name: &'static str,
    content: AnswerContent,
}

/// The content of an answer, and of its event.
#[derive(Debug, Default)]
pub(super) struct AnswerContent {
    result: Option<ElementWriter>,
    elements: Value,
}

/// The type of every answer's body.
pub const CONTENT_TYPE: &str = "text/xml";

impl AnswerContent {
    /// A result that no event repeats.
    pub(super) fn shown(result: ElementWriter) -> Self {
        Self { result: Some(result), elements: Value::Null }
    }

    /// A result whose public part is an element of the event.
    pub(super) fn recorded(result: ElementWriter, name: &str, element: Value) -> Self {
        Self { result: Some(result), elements: json!({ name: element }) }
    }
}

impl IamAnswer {
    pub(super) fn new(name: &'static str, content: AnswerContent) -> Self {
        Self { name, content }
    }

    /// XML; hidden, since a seed or a secret key may be in it, which are shown this once.
    pub fn body(&self, request_id: RequestId) -> Secret<String> {
        xml::success(self.name, self.content.result.as_ref(), request_id)
    }

    /// `responseElements` of the event, or null.
    pub fn elements(&self) -> &Value {
        &self.content.elements
    }
}

impl IamError {
    /// The body of the answer.
    pub fn body(&self, request_id: RequestId) -> Secret<String> {
        xml::failure(self, request_id)
    }

    /// The code in the event: CloudTrail has the exception's name where the wire has its code; what is not IAM's own stays
    /// as it is.
    pub fn code_in_record(&self) -> String {
        match self.code {
            code @ ("AccessDenied"
            | "ExpiredToken"
            | "IncompleteSignature"
            | "InvalidAction"
            | "InvalidArgument"
            | "InvalidClientTokenId"
            | "MalformedInput"
            | "MissingAction"
            | "MissingAuthenticationToken"
            | "NotDeviceOwnerError"
            | "RequestTimeout"
            | "SignatureDoesNotMatch"
            | "TokenCodeInvalidError") => code.to_owned(),
            "ValidationError" => "ValidationException".to_owned(),
            code => format!("{code}Exception"),
        }
    }
}
