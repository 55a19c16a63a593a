//! `sts:GetCallerIdentity` and `sts:GetSessionToken`.

use portcullis_xml::escape_query;
use serde_json::{Map, Value, json};

use super::form::CallForm;
use super::refused;
use crate::cloudtrail::CloudTrailError;
use portcullis_base::names::{AccountId, DeviceSerial};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::record::user_id;
use portcullis_mfa::{TokenCode, TokenCodes};
use portcullis_sigv4::Principal;
use portcullis_state::IssuedSession;

/// What GetSessionToken is asked for.
#[derive(Debug)]
pub struct SessionQuery {
    seconds: Option<i64>,
    pub(super) codes: Option<TokenCodes>,
}

/// AWS's limits and defaults for a session, in seconds. Root's is an hour at most, whatever is asked for.
const SHORTEST: i64 = 900;
const LONGEST: i64 = 129_600;
const USUAL: i64 = 43_200;
const LONGEST_OF_ROOT: i64 = 3_600;

impl SessionQuery {
    /// Reads the parameters; one that is not understood is refused.
    pub(super) fn read(form: &CallForm) -> Result<Self, CloudTrailError> {
        let (mut seconds, mut serial, mut code) = (None, None, None);
        for (name, value) in form.pairs() {
            match name.as_str() {
                "DurationSeconds" => seconds = Some(duration(value)?),
                "SerialNumber" => serial = Some(DeviceSerial::parse(value).map_err(|_| refused::invalid_value(name))?),
                "TokenCode" => code = Some(TokenCode::new(value)),
                _ => return Err(refused::unknown_parameter(name)),
            }
        }
        let codes = match (serial, code) {
            (None, None) => None,
            (Some(serial), Some(code)) => Some(TokenCodes { serial, codes: vec![code] }),
            (Some(_), None) | (None, Some(_)) => return Err(refused::half_a_factor()),
        };
        Ok(Self { seconds, codes })
    }

    /// How long the session lasts, in seconds.
    pub(super) fn seconds(&self, principal: &Principal) -> i64 {
        match principal {
            Principal::Root => self.seconds.unwrap_or(LONGEST_OF_ROOT).min(LONGEST_OF_ROOT),
            Principal::User(_) => self.seconds.unwrap_or(USUAL),
        }
    }

    /// `requestParameters` of its event: no code is among them.
    pub(super) fn recorded(&self) -> Value {
        let mut members = Map::new();
        if let Some(seconds) = self.seconds {
            members.insert("durationSeconds".to_owned(), seconds.into());
        }
        if let Some(codes) = &self.codes {
            members.insert("serialNumber".to_owned(), codes.serial.as_str().into());
        }
        if members.is_empty() { Value::Null } else { Value::Object(members) }
    }
}

fn duration(text: &str) -> Result<i64, CloudTrailError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    seconds.filter(|seconds| (SHORTEST..=LONGEST).contains(seconds)).ok_or_else(refused::duration)
}

/// The content of the answer to GetSessionToken; hidden, since it is the one place where the session is shown.
pub(super) fn session_token(issued: &IssuedSession) -> Secret<String> {
    Secret::new(format!(
        "<Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>{}</Expiration></Credentials>",
        issued.id,
        escape_query(issued.secret.expose()),
        escape_query(issued.token.expose()),
        issued.expires.iso_extended(),
    ))
}

/// `responseElements` of its event: what names the session, and nothing that opens it.
pub(super) fn session_elements(issued: &IssuedSession) -> Value {
    json!({ "credentials": { "accessKeyId": issued.id.as_str(), "expiration": issued.expires.console() } })
}

/// Reads the parameters: it has none.
pub(super) fn read(form: &CallForm) -> Result<(), CloudTrailError> {
    match form.pairs().first() {
        Some((name, _)) => Err(refused::unknown_parameter(name)),
        None => Ok(()),
    }
}

/// The content of the result: who signed, as records name them.
pub(super) fn caller_identity(principal: &Principal, id: &AccountId) -> String {
    let account = id.as_str();
    let (arn, id) = match principal {
        Principal::Root => (format!("arn:aws:iam::{account}:root"), account.to_owned()),
        Principal::User(user) => (format!("arn:aws:iam::{account}:user/{user}"), user_id(id, user)),
    };
    format!("<Arn>{arn}</Arn><UserId>{id}</UserId><Account>{account}</Account>")
}
