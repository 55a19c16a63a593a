//! Calls of the CloudTrail API with root's key, and with an MFA code where one is needed.

use http::Method;
use serde_json::{Value, json};

use crate::command::admin::AdminClient;
use crate::command::error::CommandError;
use crate::command::exchange::ExchangeError;
use crate::command::root_key;
use crate::command::s3::{ClientRequest, S3Client, S3ClientError};
use crate::command::second_factor::{MfaTokenSource, TokenTiming};
use crate::command::state_directory::StateDirectory;
use crate::command::terminal::Terminal;
use portcullis_base::clock::{Clock, Timestamp};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::TrailName;
use portcullis_http::DialError;
use portcullis_mfa::MfaDemand;

/// The CloudTrail API, called as root.
pub(super) struct TrailClient<'p> {
    s3: S3Client,
    place: &'p StateDirectory,
}

impl<'p> TrailClient<'p> {
    /// A client with the key from the environment, else from `root.env`.
    pub(super) fn new(
        place: &'p StateDirectory,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CommandError> {
        Ok(Self { s3: root_key::client(place, environment, Clock::System)?, place })
    }

    /// Calls an operation that needs no code.
    pub(super) async fn call(&self, operation: &str, body: &Value) -> Result<Value, CommandError> {
        self.s3.call(operation, body, None).await.map_err(|error| self.failed(operation, &error))
    }

    /// Calls an operation that may need a code.
    pub(super) async fn call_with_code(
        &self,
        operation: &str,
        body: &Value,
        mfa: Option<Secret<String>>,
        send: TokenTiming,
        terminal: &mut Terminal,
    ) -> Result<Value, CommandError> {
        let mut factor = MfaTokenSource::offered(mfa.clone())?;
        let first = match (mfa, send) {
            (Some(_), _) | (None, TokenTiming::AtOnce) => {
                Some(factor.value(&AdminClient::of(self.place), terminal).await?)
            }
            (None, TokenTiming::WhenWanted) => None,
        };
        match first {
            Some(code) => {
                let answered = self.s3.call(operation, body, Some(&code)).await;
                answered.map_err(|error| self.failed(operation, &error))
            }
            None => self.call_if_wanted(operation, body, &mut factor, terminal).await,
        }
    }

    /// Calls an operation that may need a code, which is sent only after a refusal asks for it.
    pub(super) async fn call_if_wanted(
        &self,
        operation: &str,
        body: &Value,
        factor: &mut MfaTokenSource,
        terminal: &mut Terminal,
    ) -> Result<Value, CommandError> {
        match self.s3.call(operation, body, None).await {
            Err(S3ClientError::Refused { mfa: MfaDemand::Required, message, .. }) => {
                // It says what the change would do, where that is more than the command line shows.
                terminal.note(&message)?;
                let code = factor.value(&AdminClient::of(self.place), terminal).await?;
                self.s3.call(operation, body, Some(&code)).await
            }
            answered => answered,
        }
        .map_err(|error| self.failed(operation, &error))
    }

    /// Enables MFA Delete of a bucket.
    pub(super) async fn protect(
        &self,
        bucket: &str,
        factor: &mut MfaTokenSource,
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let code = factor.value(&AdminClient::of(self.place), terminal).await?;
        let document = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                        <Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
        let ask = ClientRequest::new(Method::PUT, format!("/{bucket}?versioning")).body(document).mfa(Some(code));
        self.s3.send(ask).await.map(drop).map_err(|error| self.failed(&format!("MFA Delete of {bucket}"), &error))
    }

    /// All trails, as DescribeTrails shows them.
    pub(super) async fn trails(&self) -> Result<Vec<Value>, CommandError> {
        let answer = self.call("DescribeTrails", &json!({})).await?;
        Ok(answer.get("trailList").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// One trail, as GetTrail shows it.
    pub(super) async fn trail(&self, name: &TrailName) -> Result<Value, CommandError> {
        let answer = self.call("GetTrail", &named(name)).await?;
        Ok(answer.get("Trail").cloned().unwrap_or_default())
    }

    /// The S3 client, for the files of a trail.
    pub(super) fn s3(&self) -> &S3Client {
        &self.s3
    }

    /// The option that a suggested command line ends with.
    pub(super) fn flag(&self) -> String {
        self.place.flag()
    }

    fn failed(&self, about: &str, error: &S3ClientError) -> CommandError {
        match error {
            S3ClientError::Exchange(ExchangeError::Connect(DialError::Unreachable(_))) => {
                CommandError::not_running(format!("Portcullis does not answer at {}: {error}", self.s3.endpoint()))
                    .next(format!(
                        "Start it: portcullis dev{}   (or: portcullis serve --config FILE)\n\
                     If it runs elsewhere, set AWS_ENDPOINT_URL.",
                        self.flag()
                    ))
            }
            S3ClientError::Exchange(ExchangeError::Connect(DialError::Untrusted(_))) => {
                CommandError::failed(format!("{} is not trusted: {error}", self.s3.endpoint()))
                    .next(root_key::AUTHORITIES)
            }
            S3ClientError::Refused { code, .. } => {
                let shown = CommandError::failed(format!("{about}: refused: {error}"));
                match self.advice(code) {
                    Some(advice) => shown.next(advice),
                    None => shown,
                }
            }
            S3ClientError::Exchange(_)
            | S3ClientError::NotJson
            | S3ClientError::Unreadable(_)
            | S3ClientError::Unsigned(_) => CommandError::failed(format!("{about}: {error}")),
        }
    }

    fn advice(&self, code: &str) -> Option<String> {
        let list = format!("portcullis trail list{}", self.flag());
        Some(match code {
            "AccessDeniedException" | "AccessDenied" | "TokenCodeInvalidError" => {
                "Changing a trail requires root's access key; weakening one also requires an MFA code that was not used yet."
                    .to_owned()
            }
            "ConflictException" => "Check the trail, and run the command again.".to_owned(),
            "InvalidParameterCombinationException" => {
                "A trail with log file validation needs a bucket and prefix of its own: choose another --prefix."
                    .to_owned()
            }
            "InvalidSignatureException" | "UnrecognizedClientException" => {
                "AWS_* variables, if set, take precedence over the key in root.env; unset or correct them."
                    .to_owned()
            }
            "NoSuchBucket" => {
                "Trails are delivered to a folder, so there is no bucket to protect; protect the folder.".to_owned()
            }
            "TrailAlreadyExistsException" => format!("`{list}` shows it; change it with `portcullis trail update`."),
            "TrailNotFoundException" => format!("`{list}` shows the existing trails."),
            _ => return None,
        })
    }
}

/// The body of a call about one trail.
pub(super) fn named(name: &TrailName) -> Value {
    json!({ "Name": name.as_str() })
}

/// A text member of an answer; empty if it is missing.
pub(super) fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A Boolean of an answer.
pub(super) fn holds(answer: &Value, name: &str) -> Truth {
    match answer.get(name).and_then(Value::as_bool) {
        Some(true) => Truth::Yes,
        Some(false) | None => Truth::No,
    }
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    No,
    Yes,
}

impl Truth {
    pub(super) fn on_or_off(self) -> &'static str {
        match self {
            Self::No => "off",
            Self::Yes => "on",
        }
    }
}

/// A moment of an answer, which is in seconds, for people.
pub(super) fn moment(answer: &Value, name: &str) -> Option<String> {
    let seconds = answer.get(name)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest integer")]
    let millis = (seconds * 1000.0) as i64;
    Some(Timestamp::from_millis(millis).iso_extended())
}
