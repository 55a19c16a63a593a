//! Access keys at the upstream, with which requests to it are signed.

use std::sync::{Arc, PoisonError, RwLock};

use super::canonical::{CredentialScope, SigningKey};
use portcullis_base::secret::Secret;

/// An access key at the upstream, whose ids follow the upstream's rules.
#[derive(Debug)]
pub struct UpstreamKey {
    id: String,
    secret: Secret<String>,
    /// Kept, since deriving a signing key costs as much as the rest of a signature.
    today: RwLock<Option<Arc<DailyKey>>>,
}

/// The signing key of one day and region.
#[derive(Debug)]
pub struct DailyKey {
    date: String,
    region: String,
    key: SigningKey,
}

/// The service that upstreams are.
const SERVICE: &str = "s3";

impl UpstreamKey {
    /// A key of these two halves.
    pub fn new(id: String, secret: Secret<String>) -> Self {
        Self { id, secret, today: RwLock::default() }
    }

    /// Its public half.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its private half.
    pub fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// What signs on this day in this region.
    pub fn on(&self, date: &str, region: &str) -> Arc<DailyKey> {
        let kept = self.today.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.date == date && kept.region == region) {
            return kept;
        }
        let scope = CredentialScope { date, region, service: SERVICE };
        let key = SigningKey::derive(&self.secret, &scope);
        let fresh = Arc::new(DailyKey { date: date.to_owned(), region: region.to_owned(), key });
        *self.today.write().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        fresh
    }
}

impl DailyKey {
    /// What it signs for.
    pub fn scope(&self) -> CredentialScope<'_> {
        CredentialScope { date: &self.date, region: &self.region, service: SERVICE }
    }

    /// The key itself.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_day_and_region_signs_for_no_other() {
        let key = UpstreamKey::new("KEY".to_owned(), Secret::new("hunter2".to_owned()));
        for (date, region) in
            [("20130524", "us-east-1"), ("20130525", "us-east-1"), ("20130525", "eu-west-1"), ("20130524", "eu-west-1")]
        {
            let scope = CredentialScope { date, region, service: "s3" };
            let expected = SigningKey::derive(key.secret(), &scope).sign(b"text").hex();
            let first = key.on(date, region);
            assert_eq!(first.signing_key().sign(b"text").hex(), expected, "{date} {region}");
            assert_eq!(first.scope().to_string(), scope.to_string());
            assert!(Arc::ptr_eq(&first, &key.on(date, region)), "derived once");
        }
        assert!(!format!("{key:?}").contains("hunter2"));
    }
}
