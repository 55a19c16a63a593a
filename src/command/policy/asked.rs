//! The principal and the values of condition keys, as they are typed.

use std::collections::BTreeMap;

use portcullis_base::clock::Clock;
use portcullis_base::names::{AccountId, UserName};
use portcullis_policy::{ConditionKey, RequestPrincipal, RequestValues};

/// A principal that was typed.
#[derive(Clone, Debug)]
pub(super) struct AskedPrincipal(pub RequestPrincipal);

/// A value of a condition key that was typed.
#[derive(Clone, Debug)]
pub(super) struct AskedValue {
    key: ConditionKey,
    name: String,
    value: String,
}

const FORMS: &str = "a principal is user/NAME, assumed-role/ROLE/SESSION, anonymous, or an ARN of a user or session";
/// The account of AWS's own examples.
const EXAMPLE_ACCOUNT: &str = "123456789012";

impl AskedPrincipal {
    /// Reads `user/alice`, `assumed-role/backup/nightly`, an ARN of either, or `anonymous`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "anonymous" => return Ok(Self(RequestPrincipal::anonymous())),
            "root" => return Err("policies do not apply to root, who may do everything".to_owned()),
            _ => {}
        }
        let (account, name) = match text.splitn(6, ':').collect::<Vec<_>>().as_slice() {
            ["arn", "aws", "iam" | "sts", "", account, name] => (*account, *name),
            [name] => (EXAMPLE_ACCOUNT, *name),
            _ => return Err(FORMS.to_owned()),
        };
        let account = AccountId::parse(account).map_err(|error| error.to_string())?;
        let principal = match name.split_once('/') {
            Some(("user", path)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                UserName::parse(name).map_err(|error| error.to_string())?;
                RequestPrincipal::user(account, path)
            }
            Some(("assumed-role", rest)) => {
                let (role, session) = rest.split_once('/').ok_or(FORMS)?;
                RequestPrincipal::assumed_role(account, role, session)
            }
            Some(_) | None => return Err(FORMS.to_owned()),
        };
        Ok(Self(principal))
    }
}

impl AskedValue {
    /// Reads `aws:SourceIp=10.0.0.9`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("a value is written KEY=VALUE")?;
        let key = ConditionKey::parse(name).map_err(|unknown| unknown.to_string())?;
        Ok(Self { key, name: name.to_lowercase(), value: value.to_owned() })
    }

    /// Sets what was typed, and the time unless that was.
    pub(super) fn set_all(typed: &[Self], clock: &Clock, values: &mut RequestValues) {
        let now = clock.now();
        for (name, value) in [("aws:CurrentTime", now.iso_extended()), ("aws:EpochTime", now.seconds().to_string())] {
            if let Ok(key) = ConditionKey::parse(name) {
                values.set(key, [value]);
            }
        }
        let mut by_key: BTreeMap<&str, (&ConditionKey, Vec<String>)> = BTreeMap::new();
        for value in typed {
            by_key.entry(&value.name).or_insert((&value.key, Vec::new())).1.push(value.value.clone());
        }
        for (key, all) in by_key.into_values() {
            values.set(key.clone(), all);
        }
    }
}
