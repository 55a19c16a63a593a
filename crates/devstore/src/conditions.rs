//! Conditional requests, in the order of RFC 9110 section 13.2.2.

use s3s::dto::{ETagCondition, Timestamp as Moment};
use s3s::{S3Result, s3_error};

use super::faults::{no_such_key, precondition_failed};
use super::record::VersionRecord;
use portcullis_base::clock::Timestamp;

/// The conditions of a read, or of a copy's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Moment>,
    pub if_unmodified_since: Option<Moment>,
}

/// The conditions of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
}

/// Why a read is not answered with the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnmetCondition {
    NotModified,
    PreconditionFailed,
}

impl ReadConditions {
    /// Whether an object of this ETag and age is to be sent.
    pub(crate) fn meets(&self, etag: &str, modified: Timestamp) -> Result<(), UnmetCondition> {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(wanted), _) if !matches(wanted, etag) => return Err(UnmetCondition::PreconditionFailed),
            (None, Some(limit)) if modified.seconds() > seconds(limit) => {
                return Err(UnmetCondition::PreconditionFailed);
            }
            (Some(_) | None, _) => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(known), _) if matches(known, etag) => Err(UnmetCondition::NotModified),
            (None, Some(limit)) if modified.seconds() <= seconds(limit) => Err(UnmetCondition::NotModified),
            (Some(_) | None, _) => Ok(()),
        }
    }
}

impl WriteConditions {
    /// Refuses a write that does not suit the version that is current now.
    pub(crate) fn allows(&self, current: Option<&VersionRecord>) -> S3Result<()> {
        let etag = current.and_then(VersionRecord::object).map(|object| object.etag.as_str());
        match (&self.if_match, etag) {
            (Some(_), None) => return Err(no_such_key()),
            (Some(wanted), Some(etag)) if !matches(wanted, etag) => return Err(precondition_failed()),
            (Some(_), Some(_)) | (None, _) => {}
        }
        match (&self.if_none_match, etag) {
            (Some(ETagCondition::ETag(_)), _) => Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: If-None-Match other than `*`."
            )),
            (Some(ETagCondition::Any), Some(_)) => Err(precondition_failed()),
            (Some(ETagCondition::Any), None) | (None, _) => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// HTTP dates have seconds, so that moments are compared in seconds.
fn seconds(moment: &Moment) -> i64 {
    time::OffsetDateTime::from(moment.clone()).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use s3s::dto::{ETag, TimestampFormat};

    use super::super::record::{ObjectRecord, VersionContent};
    use super::super::versions::tests::marker;
    use super::*;

    const MODIFIED: Timestamp = Timestamp::from_millis(1_440_938_160_500);

    fn etag(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(ETag::Strong(value.into())))
    }

    fn at(text: &str) -> Option<Moment> {
        Some(Moment::parse(TimestampFormat::HttpDate, text).unwrap())
    }

    #[test]
    fn a_read_meets_its_conditions_in_the_order_of_http() {
        let (then, before) = (at("Sun, 30 Aug 2015 12:36:00 GMT"), at("Sun, 30 Aug 2015 12:35:59 GMT"));
        let none = ReadConditions::default();
        let cases = [
            (none.clone(), Ok(())),
            (ReadConditions { if_match: etag("e"), ..none.clone() }, Ok(())),
            (ReadConditions { if_match: etag("x"), ..none.clone() }, Err(UnmetCondition::PreconditionFailed)),
            (ReadConditions { if_match: Some(ETagCondition::Any), ..none.clone() }, Ok(())),
            (ReadConditions { if_none_match: etag("e"), ..none.clone() }, Err(UnmetCondition::NotModified)),
            (ReadConditions { if_none_match: etag("x"), ..none.clone() }, Ok(())),
            (ReadConditions { if_modified_since: then.clone(), ..none.clone() }, Err(UnmetCondition::NotModified)),
            (ReadConditions { if_modified_since: before.clone(), ..none.clone() }, Ok(())),
            (ReadConditions { if_unmodified_since: then.clone(), ..none.clone() }, Ok(())),
            (
                ReadConditions { if_unmodified_since: before.clone(), ..none.clone() },
                Err(UnmetCondition::PreconditionFailed),
            ),
            // A matching ETag says more than a date.
            (ReadConditions { if_match: etag("e"), if_unmodified_since: before, ..none.clone() }, Ok(())),
            (ReadConditions { if_none_match: etag("x"), if_modified_since: then, ..none }, Ok(())),
        ];
        for (conditions, expected) in cases {
            assert_eq!(conditions.meets("e", MODIFIED), expected, "{conditions:?}");
        }
    }

    #[test]
    fn a_write_meets_its_conditions_against_the_current_object() {
        let content = VersionContent::Object(Box::new(ObjectRecord { etag: "e".into(), ..ObjectRecord::default() }));
        let (marker, object) = (marker("k", 2), VersionRecord { content, ..(*marker("k", 1)).clone() });
        let fails = |conditions: WriteConditions, current| {
            conditions.allows(current).err().map(|error| error.code().as_str().to_owned())
        };
        let new = WriteConditions { if_match: None, if_none_match: Some(ETagCondition::Any) };
        assert_eq!(fails(new.clone(), None), None);
        assert_eq!(fails(new.clone(), Some(&marker)), None);
        assert_eq!(fails(new, Some(&object)).as_deref(), Some("PreconditionFailed"));
        let same = |value| WriteConditions { if_match: etag(value), if_none_match: None };
        assert_eq!(fails(same("e"), Some(&object)), None);
        assert_eq!(fails(same("x"), Some(&object)).as_deref(), Some("PreconditionFailed"));
        assert_eq!(fails(same("e"), Some(&marker)).as_deref(), Some("NoSuchKey"));
        let other = WriteConditions { if_match: None, if_none_match: etag("e") };
        assert_eq!(fails(other, None).as_deref(), Some("NotImplemented"));
    }
}
