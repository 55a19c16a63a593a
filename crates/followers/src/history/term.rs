//! What stands for an attribute's value in the index.

use portcullis_cloudtrail::record::LookupAttribute;
use sha2::{Digest, Sha256};

/// What stands for a value in the index. Two values may share one: the records themselves decide.
pub(super) fn index_term(attribute: LookupAttribute, normal: &str) -> i64 {
    let digest = Sha256::new().chain_update([tag(attribute)]).chain_update(normal).finalize();
    digest.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

/// Written to disk: a tag never changes its meaning.
fn tag(attribute: LookupAttribute) -> u8 {
    match attribute {
        LookupAttribute::AccessKeyId => 1,
        LookupAttribute::BucketName => 2,
        LookupAttribute::ErrorCode => 3,
        LookupAttribute::EventId => 4,
        LookupAttribute::EventName => 5,
        LookupAttribute::EventNameAnyCase => 6,
        LookupAttribute::EventSource => 7,
        LookupAttribute::MfaResult => 8,
        LookupAttribute::Principal => 9,
        LookupAttribute::ReadOnly => 10,
        LookupAttribute::ResourceName => 11,
        LookupAttribute::ResourceType => 12,
        LookupAttribute::SourceIpAddress => 13,
        LookupAttribute::Username => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_of_two_attributes_is_two_terms() {
        let root = |attribute| index_term(attribute, "root");
        assert_ne!(root(LookupAttribute::Username), root(LookupAttribute::Principal));
        assert_eq!(root(LookupAttribute::Username), root(LookupAttribute::Username));
    }
}
