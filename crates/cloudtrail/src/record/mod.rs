//! The CloudTrail record: one writer, one view, and the rules of its text.

mod additional;
mod amendment;
mod attribute;
mod identity;
mod json;
mod member;
mod parameters;
#[cfg(test)]
mod tests;
mod view;
mod writer;

pub use additional::{
    AdditionalData, AuthenticationMethod, BatchCount, DenyingStatementData, MfaDeleteData, MfaDeleteStatus, MfaResult,
    PolicyDenialData, RequestAggregate, write_truncated,
};
pub use amendment::{AmendedOutcome, Amendment};
pub use attribute::{EventSummary, LookupAttribute, NamedResource, boolean_text};
pub use identity::{IdentityView, ROOT_USER, SessionAttributes, UserIdentity, user_id};
pub use json::{
    ForeignName, JsonObject, MemberName, TextFrame, is_deceptive, one_line, write_object, write_string, write_value,
};
pub use member::MemberValue;
pub use parameters::{ParametersView, VersioningView};
#[cfg(test)]
pub(crate) use view::tests::event;
pub use view::{AdditionalView, EventView, MfaDeleteView, OBJECT_TYPE, ResourceView, UnreadableEvent};
pub use writer::{
    AccountScope, AddendumReason, EventCategory, EventError, EventRecord, EventResources, EventSource, EventType,
    TlsDetails,
};

/// The members of a record in the order in which AWS writes them, for the tests of what writes records.
#[cfg(any(test, feature = "test-support"))]
pub const MEMBERS_IN_ORDER: [&str; 23] = [
    "eventVersion",
    "userIdentity",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "requestID",
    "eventID",
    "readOnly",
    "resources",
    "eventType",
    "managementEvent",
    "recipientAccountId",
    "addendum",
    "eventCategory",
    "tlsDetails",
];
