//! The CloudTrail record.

mod additional;
mod identity;
mod json;
mod writer;

pub use additional::{
    AdditionalData, AuthenticationMethod, BatchCount, MfaDeleteData, MfaDeleteStatus, MfaResult, RequestAggregate,
    write_truncated,
};
pub use identity::{ROOT_USER, UserIdentity, user_id};
pub use json::{
    ForeignName, JsonObject, MemberName, TextFrame, is_deceptive, one_line, write_object, write_string, write_value,
};
pub use writer::{
    AccountScope, AddendumReason, EventCategory, EventError, EventRecord, EventResources, EventSource, EventType,
    TlsDetails,
};
