//! The CloudTrail record.

mod json;

pub use json::{
    ForeignName, JsonObject, MemberName, TextFrame, is_deceptive, one_line, write_object, write_string, write_value,
};
