//! Which trail is meant: its name, or its ARN in this account and region.

use super::refused::CloudTrailError;
use portcullis_base::names::AccountId;
use portcullis_cloudtrail::{DigestPeriod, Trail, TrailLayout, TrailName};

/// The account and the region whose trails these are, and what the operator chose for new ones.
#[derive(Clone, Copy, Debug)]
pub struct TrailScope<'a> {
    pub account: &'a AccountId,
    pub region: &'a str,
    pub digest_period: DigestPeriod,
}

impl TrailScope<'_> {
    /// The trail of this name or ARN.
    pub fn trail<'t>(&self, text: &str, trails: &'t [Trail]) -> Result<&'t Trail, CloudTrailError> {
        let (name, arn) = if text.starts_with("arn:") {
            (self.name_in(text)?, text.to_owned())
        } else if text.is_empty() {
            return Err(CloudTrailError::no_trail_named());
        } else {
            let name = TrailName::parse(text).map_err(CloudTrailError::invalid_name)?;
            let arn = format!("arn:aws:cloudtrail:{}:{}:trail/{name}", self.region, self.account);
            (Some(name), arn)
        };
        let found = name.and_then(|name| trails.iter().find(|trail| trail.name == name));
        found.ok_or_else(|| CloudTrailError::no_such_trail(&arn, self.account))
    }

    /// The trail of this ARN, as what may have tags.
    pub fn resource<'t>(&self, arn: &str, trails: &'t [Trail]) -> Result<&'t Trail, CloudTrailError> {
        let found = self.name_in(arn)?.and_then(|name| trails.iter().find(|trail| trail.name == name));
        found.ok_or_else(|| CloudTrailError::no_such_resource(arn))
    }

    /// Where a trail's files lie in its bucket.
    pub fn layout(&self, trail: &Trail) -> TrailLayout {
        TrailLayout { prefix: trail.prefix.clone(), account: self.account.clone(), region: self.region.to_owned() }
    }

    /// The ARN of a trail.
    pub fn arn(&self, trail: &Trail) -> String {
        trail.arn(self.account, self.region)
    }

    /// The name in an ARN; none where it is another account's or region's.
    fn name_in(&self, arn: &str) -> Result<Option<TrailName>, CloudTrailError> {
        let invalid = || CloudTrailError::invalid_arn(arn);
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [scheme, partition, service, region, account, resource] = parts.as_slice() else { return Err(invalid()) };
        let name = resource.strip_prefix("trail/").ok_or_else(invalid)?;
        let legal = *scheme == "arn" && partition.starts_with("aws") && *service == "cloudtrail" && !region.is_empty();
        if !legal || AccountId::parse(account).is_err() {
            return Err(invalid());
        }
        let name = TrailName::parse(name).map_err(|_| invalid())?;
        let ours = *partition == "aws" && *region == self.region && *account == self.account.as_str();
        Ok(ours.then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_base::clock::Timestamp;
    use portcullis_base::names::BucketName;

    #[test]
    fn a_trail_is_found_by_its_name_and_by_its_own_arn() {
        let account = AccountId::parse("123456789012").unwrap();
        let place = TrailScope { account: &account, region: "us-east-1", digest_period: DigestPeriod::HOUR };
        let bucket = BucketName::parse("logs").unwrap();
        let trails = [Trail::new(TrailName::parse("main").unwrap(), bucket, Timestamp::from_seconds(0))];
        let arn = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";
        assert!(place.trail("main", &trails).is_ok() && place.trail(arn, &trails).is_ok());
        assert!(place.resource(arn, &trails).is_ok());
        let refused = |text: &str| place.trail(text, &trails).expect_err("refused").exception;
        for (text, exception) in [
            ("", "InvalidTrailNameException"),
            ("a", "InvalidTrailNameException"),
            ("other", "TrailNotFoundException"),
            ("Main", "TrailNotFoundException"),
            ("arn:aws:cloudtrail:eu-west-1:123456789012:trail/main", "TrailNotFoundException"),
            ("arn:aws:cloudtrail:us-east-1:210987654321:trail/main", "TrailNotFoundException"),
            ("arn:aws:cloudtrail:us-east-1:123456789012:trail/other", "TrailNotFoundException"),
            ("arn:aws:cloudtrail:us-east-1:123456789012:main", "CloudTrailARNInvalidException"),
            ("arn:aws:s3:::main", "CloudTrailARNInvalidException"),
            ("arn:aws:cloudtrail:us-east-1:123456789012:trail/main/x", "CloudTrailARNInvalidException"),
        ] {
            assert_eq!(refused(text), exception, "{text}");
        }
        let resource = |text: &str| place.resource(text, &trails).expect_err("refused").exception;
        assert_eq!(resource("main"), "CloudTrailARNInvalidException");
        assert_eq!(resource("arn:aws:cloudtrail:us-east-1:123456789012:trail/other"), "ResourceNotFoundException");
    }
}
