//! `portcullis mfa-delete`: MFA Delete of buckets, set over S3 with root's key.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::admin::AdminClient;
use super::error::CommandError;
use super::exchange::ExchangeError;
use super::mfa_value;
use super::root_key;
use super::s3::{ClientRequest, S3Client, S3ClientError};
use super::second_factor::MfaTokenSource;
use super::state_directory::StateDirectory;
use super::table::{RowTone, TableHead, TextTable};
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_base::names::BucketName;
use portcullis_base::secret::Secret;
use portcullis_http::DialError;

/// The subcommands of `mfa-delete`.
#[derive(Subcommand)]
pub(super) enum MfaDeleteCommand {
    /// Disable MFA Delete of a bucket
    Disable(ChangeArgs),
    /// Require MFA to delete object versions; also enables versioning
    #[command(after_help = ENABLE_EXAMPLES)]
    Enable(ChangeArgs),
    /// Show versioning and MFA Delete of one bucket or of all
    Status(BucketStatusArgs),
}

#[derive(Args)]
pub(super) struct ChangeArgs {
    /// The bucket
    #[arg(value_parser = bucket_name)]
    bucket: BucketName,
    /// An MFA code of root's device; prompted for if left out
    #[arg(long, value_name = "SERIAL CODE", value_parser = mfa_value)]
    mfa: Option<Secret<String>>,
}

#[derive(Args)]
pub(super) struct BucketStatusArgs {
    /// The bucket
    #[arg(value_parser = bucket_name)]
    bucket: Option<BucketName>,
}

/// A bucket's versioning as `GET ?versioning` returns it; an element that was never set is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BucketStatus {
    bucket: String,
    versioning: Option<String>,
    mfa_delete: Option<String>,
}

const ENABLE_EXAMPLES: &str = "\
Examples:
  portcullis mfa-delete enable vault
  portcullis mfa-delete enable vault --mfa \"arn:aws:iam::ACCOUNT:mfa/phone 123456\"";

/// Runs the subcommand.
pub(super) async fn run(
    command: MfaDeleteCommand,
    place: &StateDirectory,
    environment: impl Fn(&str) -> Option<String>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let client = MfaDeleteClient { s3: root_key::client(place, environment, Clock::System)?, place };
    match command {
        MfaDeleteCommand::Disable(args) => client.disable(args, terminal).await,
        MfaDeleteCommand::Enable(args) => client.enable(args, terminal).await,
        MfaDeleteCommand::Status(args) => client.status(args.bucket, terminal).await,
    }
}

struct MfaDeleteClient<'p> {
    s3: S3Client,
    place: &'p StateDirectory,
}

impl MfaDeleteClient<'_> {
    async fn enable(&self, args: ChangeArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
        let before = self.read(args.bucket.as_str()).await?;
        if before.mfa_delete.as_deref() == Some("Enabled") && before.versioning.as_deref() == Some("Enabled") {
            return said(&before, "MFA Delete is already enabled", terminal);
        }
        let after =
            BucketStatus { versioning: Some("Enabled".to_owned()), mfa_delete: Some("Enabled".to_owned()), ..before };
        self.write(&after, args.mfa, terminal).await?;
        said(&after, "MFA Delete is enabled: deleting a version requires an MFA code of root's device", terminal)
    }

    async fn disable(&self, args: ChangeArgs, terminal: &mut Terminal) -> Result<(), CommandError> {
        let before = self.read(args.bucket.as_str()).await?;
        if before.mfa_delete.as_deref() != Some("Enabled") {
            return said(&before, "MFA Delete is already disabled", terminal);
        }
        let after = BucketStatus { mfa_delete: Some("Disabled".to_owned()), ..before };
        self.write(&after, args.mfa, terminal).await?;
        said(&after, "MFA Delete is disabled: versions can be deleted without an MFA code", terminal)
    }

    async fn status(&self, bucket: Option<BucketName>, terminal: &mut Terminal) -> Result<(), CommandError> {
        let one = bucket.is_some();
        let mut statuses = Vec::new();
        for bucket in self.buckets(bucket).await? {
            statuses.push(self.read(&bucket).await?);
        }
        match (terminal.format(), statuses.as_slice()) {
            (OutputFormat::Json, [only]) if one => terminal.print_json(&only.as_json()),
            (OutputFormat::Json, all) => {
                terminal.print_json(&Value::Array(all.iter().map(BucketStatus::as_json).collect()))
            }
            (OutputFormat::People, []) => {
                terminal.print("no buckets yet; create one: aws s3api create-bucket --bucket vault")
            }
            (OutputFormat::People, all) => terminal.print(&table(all).render(TableHead::Shown, terminal.colour())),
        }
    }

    async fn buckets(&self, bucket: Option<BucketName>) -> Result<Vec<String>, CommandError> {
        if let Some(bucket) = bucket {
            return Ok(vec![bucket.to_string()]);
        }
        let failed = |error| self.failed("the list of buckets", error);
        let answer = self.s3.send(ClientRequest::new(Method::GET, "/")).await.map_err(failed)?;
        let document = answer.document().map_err(failed)?;
        let buckets = document.child("Buckets").map(|buckets| buckets.children.as_slice()).unwrap_or_default();
        Ok(buckets.iter().filter_map(|bucket| bucket.filled_text_of("Name")).map(str::to_owned).collect())
    }

    async fn read(&self, bucket: &str) -> Result<BucketStatus, CommandError> {
        let ask = ClientRequest::new(Method::GET, format!("/{bucket}?versioning"));
        let answer = self.s3.send(ask).await.map_err(|error| self.failed(bucket, error))?;
        let document = answer.document().map_err(|error| self.failed(bucket, error))?;
        let text = |name: &str| document.filled_text_of(name).map(str::to_owned);
        Ok(BucketStatus { bucket: bucket.to_owned(), versioning: text("Status"), mfa_delete: text("MfaDelete") })
    }

    async fn write(
        &self,
        status: &BucketStatus,
        mfa: Option<Secret<String>>,
        terminal: &mut Terminal,
    ) -> Result<(), CommandError> {
        let mut factor = MfaTokenSource::offered(mfa)?;
        let mfa = factor.value(&AdminClient::of(self.place), terminal).await?;
        let ask = ClientRequest::new(Method::PUT, format!("/{}?versioning", status.bucket))
            .body(status.document())
            .mfa(Some(mfa));
        self.s3.send(ask).await.map(drop).map_err(|error| self.failed(&status.bucket, error))
    }

    fn failed(&self, about: &str, error: S3ClientError) -> CommandError {
        match &error {
            S3ClientError::Exchange(ExchangeError::Connect(DialError::Unreachable(_))) => {
                CommandError::not_running(format!("Portcullis does not answer at {}: {error}", self.s3.endpoint()))
                    .next(format!(
                        "Start it: portcullis dev{}   (or: portcullis serve --config FILE)\n\
                     If it runs elsewhere, set AWS_ENDPOINT_URL.",
                        self.place.flag()
                    ))
            }
            S3ClientError::Exchange(ExchangeError::Connect(DialError::Untrusted(_))) => {
                CommandError::failed(format!("{} is not trusted: {error}", self.s3.endpoint()))
                    .next(root_key::AUTHORITIES)
            }
            S3ClientError::Refused { .. } => {
                let shown = CommandError::failed(format!("{about}: refused: {error}"));
                match next(&error) {
                    Some(next) => shown.next(next),
                    None => shown,
                }
            }
            S3ClientError::Exchange(_)
            | S3ClientError::NotJson
            | S3ClientError::Unreadable(_)
            | S3ClientError::Unsigned(_) => CommandError::failed(format!("{about}: {error}")),
        }
    }
}

fn next(error: &S3ClientError) -> Option<&'static str> {
    match error.code()? {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            Some("AWS_* variables, if set, take precedence over the key in root.env; unset or correct them.")
        }
        "NotDeviceOwnerError" => Some("`portcullis mfa list` shows the serial numbers."),
        "TokenCodeInvalidError" => Some(
            "Wait for the next code: each code is accepted once. After two wrong codes enter two consecutive ones: \
             --mfa \"SERIAL CODE1 CODE2\"",
        ),
        "AccessDenied" => Some("Changing MFA Delete requires root's access key and an MFA code of root's device."),
        _ => None,
    }
}

fn said(status: &BucketStatus, text: &str, terminal: &mut Terminal) -> Result<(), CommandError> {
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&status.as_json()),
        OutputFormat::People => terminal.print(&format!("{}: {text}.", status.bucket)),
    }
}

fn table(statuses: &[BucketStatus]) -> TextTable {
    let mut table = TextTable::new(&["BUCKET", "VERSIONING", "MFA DELETE"]);
    let shown = |state: &Option<String>| state.clone().unwrap_or_else(|| "never set".to_owned());
    for status in statuses {
        let tone = if status.mfa_delete.as_deref() == Some("Enabled") { RowTone::Good } else { RowTone::Plain };
        table.row(tone, [status.bucket.clone(), shown(&status.versioning), shown(&status.mfa_delete)]);
    }
    table
}

impl BucketStatus {
    fn as_json(&self) -> Value {
        json!({ "bucket": self.bucket, "versioning": self.versioning, "mfaDelete": self.mfa_delete })
    }

    fn document(&self) -> String {
        let element = |name: &str, state: &Option<String>| match state {
            Some(state) => format!("<{name}>{state}</{name}>"),
            None => String::new(),
        };
        format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}{}</VersioningConfiguration>",
            element("Status", &self.versioning),
            element("MfaDelete", &self.mfa_delete)
        )
    }
}

fn bucket_name(text: &str) -> Result<BucketName, portcullis_base::names::InvalidName> {
    BucketName::parse(text)
}

#[cfg(test)]
mod tests;
