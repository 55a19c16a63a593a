//! Answers as the Query protocol writes them.

use portcullis_xml::escape_query;

use super::refused::IamError;
use portcullis_base::names::RequestId;
use portcullis_base::secret::Secret;

/// An element that is being filled.
#[derive(Debug)]
pub(super) struct ElementWriter {
    name: &'static str,
    inside: Secret<String>,
}

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

impl ElementWriter {
    /// An empty element.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, inside: Secret::new(String::new()) }
    }

    /// With a child that holds a text.
    pub(super) fn text(self, name: &str, text: &str) -> Self {
        let child = Secret::new(format!("<{name}>{}</{name}>", escape_query(text)));
        self.raw(&child)
    }

    /// With this text and nothing else.
    pub(super) fn value(self, text: &str) -> Self {
        Self { name: self.name, inside: Secret::new(escape_query(text).into_owned()) }
    }

    /// With a child.
    pub(super) fn child(self, child: Self) -> Self {
        let written = child.written();
        self.raw(&written)
    }

    /// With a list; each of its members is named so.
    pub(super) fn list(self, name: &'static str, members: impl IntoIterator<Item = Self>) -> Self {
        let list = members.into_iter().fold(Self::new(name), |list, member| {
            let member = Self { name: "member", ..member };
            list.child(member)
        });
        self.child(list)
    }

    fn raw(self, more: &Secret<String>) -> Self {
        let inside = Secret::new([self.inside.expose().as_str(), more.expose()].concat());
        Self { name: self.name, inside }
    }

    fn written(&self) -> Secret<String> {
        Secret::new(format!("<{0}>{1}</{0}>", self.name, self.inside.expose()))
    }
}

/// The body of an answer to an action.
pub(super) fn success(action: &str, result: Option<&ElementWriter>, request_id: RequestId) -> Secret<String> {
    let result =
        result.map(|result| Secret::new(format!("<{action}Result>{}</{action}Result>", result.inside.expose())));
    let result = result.as_ref().map_or("", |result| result.expose());
    Secret::new(format!(
        "<{action}Response xmlns=\"{NAMESPACE}\">{result}<ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></{action}Response>"
    ))
}

/// The body of a refusal.
pub(super) fn failure(refused: &IamError, request_id: RequestId) -> Secret<String> {
    let blame = if refused.status < 500 { "Sender" } else { "Receiver" };
    Secret::new(format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{blame}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        refused.code,
        escape_query(&refused.message)
    ))
}
