//! Leave for the proxy's own writes.

use super::BucketUse;
use portcullis_base::names::BucketName;

/// A bucket into which the proxy may write of its own: a trail's. It lasts no longer than the register is borrowed that
/// said so.
// INVARIANT (trail bucket): only `of` makes one, for a bucket that a register says is a trail's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrailBucket<'a>(&'a BucketName);

/// What says which buckets are trails'.
// INVARIANT (trail bucket): outside tests the state implements it, for trails that are recorded or being recorded, and
// delivery's progress, for what it still owes to one that was; `tests/architecture.rs` holds it to that.
pub trait TrailRegister {
    /// What the bucket is used for.
    fn use_of(&self, bucket: &BucketName) -> BucketUse;
}

impl<'a> TrailBucket<'a> {
    /// The bucket, if this register says that it is a trail's.
    pub fn of(bucket: &'a BucketName, register: &'a dyn TrailRegister) -> Option<Self> {
        match register.use_of(bucket) {
            BucketUse::Data => None,
            BucketUse::Trail => Some(Self(bucket)),
        }
    }

    /// Its name.
    pub fn name(self) -> &'a BucketName {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trails(&'static str);

    impl TrailRegister for Trails {
        fn use_of(&self, bucket: &BucketName) -> BucketUse {
            if bucket.as_str() == self.0 { BucketUse::Trail } else { BucketUse::Data }
        }
    }

    #[test]
    fn only_a_bucket_of_a_trail_may_be_written_to() {
        let bucket = |name| BucketName::parse(name).expect("a name");
        let logs = bucket("logs");
        assert_eq!(TrailBucket::of(&logs, &Trails("logs")).map(TrailBucket::name), Some(&logs));
        assert_eq!(TrailBucket::of(&bucket("photos"), &Trails("logs")), None);
    }
}
