//! `portcullis import minio`: users, groups, policies and service accounts from MinIO's admin API.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use http::Method;

use super::super::admin::AdminClient;
use super::super::dev::{endpoint, read_credentials};
use super::super::error::CommandError;
use super::super::s3::{ClientRequest, S3Client, S3ClientError};
use super::super::terminal::Terminal;
use super::{PlanUse, import};
use portcullis_base::clock::Clock;
use portcullis_base::secret::Secret;
use portcullis_http::{Dialler, Endpoint, EndpointScheme, TrustedAuthorities};
use portcullis_import::ImportNote;
use portcullis_import::minio::{ImportedRights, MinioExport, MinioImportOptions, accounts};

/// Take the users of a MinIO, with their keys, groups, policies and service accounts
///
/// MinIO's root, or a user whose policy has admin:ExportIAM, may ask for them; the secrets of all keys are told with
/// them. The policies are translated so that no user may do more here than in MinIO. What differs is shown with the plan.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::command) struct MinioArgs {
    /// Where MinIO listens
    #[arg(long, value_name = "http[s]://HOST:PORT", value_parser = endpoint, requires = "credentials")]
    endpoint: Option<Endpoint>,
    /// A file with AWS_ACCESS_KEY_ID=... and AWS_SECRET_ACCESS_KEY=... of MinIO's root
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    credentials: Option<PathBuf>,
    /// Certificate authorities to trust for --endpoint [default: those of this machine]
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    ca: Option<PathBuf>,
    /// Read what `mc admin cluster iam export` wrote, instead of asking MinIO
    #[arg(long, value_name = "FILE", conflicts_with = "endpoint", required_unless_present = "endpoint")]
    from: Option<PathBuf>,
    /// The access key of MinIO's root, if it is not that of --credentials
    #[arg(long, value_name = "KEY")]
    root: Option<String>,
    /// Access keys of users and service accounts that stay behind
    #[arg(long, value_name = "KEY", num_args = 1..)]
    leave_out: Vec<String>,
    /// Let each user act in MinIO by its own key, so that MinIO's own policies hold, instead of translating them
    #[arg(long)]
    upstream_keys: bool,
    /// Carry the plan out; without it the plan is only shown
    #[arg(long)]
    apply: bool,
}

const EXAMPLES: &str = "\
Examples:
  portcullis import minio --endpoint https://minio:9000 --credentials root.env
  portcullis import minio --endpoint https://minio:9000 --credentials root.env --apply
  portcullis import minio --endpoint https://minio:9000 --credentials root.env --upstream-keys
  portcullis import minio --from minio-iam-info.zip --root minioadmin";

const PATH: &str = "/minio/admin/v3/export-iam";

/// As much as is read of an answer.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

pub(super) async fn run(args: MinioArgs, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
    let (archive, source, own) = match (&args.from, &args.endpoint, &args.credentials) {
        (Some(path), ..) => (read(path)?, path.display().to_string(), None),
        (None, Some(endpoint), Some(credentials)) => {
            let (archive, key) = ask(endpoint, credentials, args.ca.as_deref()).await?;
            (archive, endpoint.to_string(), Some(key))
        }
        (None, ..) => return Err(CommandError::usage("neither --endpoint with --credentials nor --from is given")),
    };
    let export = MinioExport::read(archive.expose()).map_err(|error| {
        CommandError::failed(format!("{source} gave no export of MinIO's users: {error}")).next("Nothing was imported.")
    })?;
    let root = args.root.or(own.filter(|key| !export.has_user(key)));
    let rights = if args.upstream_keys { ImportedRights::InStore } else { ImportedRights::Translated };
    let options = MinioImportOptions { root, left_out: args.leave_out.into_iter().collect(), rights };
    let plan_use = if args.apply { PlanUse::Apply } else { PlanUse::Show };
    let mut accounts = accounts(&export, &options);
    if args.endpoint.as_ref().is_some_and(is_readable_on_the_way) {
        let text =
            "was not encrypted on its way, with the secrets of all keys: use https://, or --from on MinIO's machine";
        accounts.notes.push(ImportNote { about: format!("the reply of {source}"), text: text.to_owned() });
    }
    import(accounts, plan_use, admin, terminal).await
}

/// Whether an answer crosses a network without TLS.
fn is_readable_on_the_way(endpoint: &Endpoint) -> bool {
    let is_here = |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    endpoint.scheme() == EndpointScheme::Http && !is_here(endpoint.host())
}

fn read(path: &Path) -> Result<Secret<Vec<u8>>, CommandError> {
    let mut archive = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut archive));
    read.map_err(|error| CommandError::usage(format!("{} cannot be read: {error}", path.display())))?;
    Ok(Secret::new(archive))
}

/// The export, and the access key that asked for it.
async fn ask(
    endpoint: &Endpoint,
    credentials: &Path,
    ca: Option<&Path>,
) -> Result<(Secret<Vec<u8>>, String), CommandError> {
    let (key, _) = read_credentials(credentials)?;
    let authorities = ca.map_or(TrustedAuthorities::System, |path| TrustedAuthorities::File(path.to_owned()));
    let dialler = Dialler::new(endpoint.clone(), &authorities).map_err(|error| {
        CommandError::usage(format!("{endpoint} cannot be verified: {error}")).next("Set --ca FILE.")
    })?;
    let client = S3Client {
        dialler,
        access_key_id: key.access_key_id,
        secret_access_key: key.secret_access_key,
        session_token: None,
        region: key.region.unwrap_or_else(|| "us-east-1".to_owned()),
        clock: Clock::System,
    };
    let answer = client.send(ClientRequest::new(Method::GET, PATH)).await;
    let answer = answer.map_err(|error| refused(endpoint, &error))?;
    Ok((Secret::new(answer.bytes().to_vec()), client.access_key_id))
}

fn refused(endpoint: &Endpoint, error: &S3ClientError) -> CommandError {
    let next = match error.code() {
        Some("AccessDenied") => "Use the key of MinIO's root, or of a user whose policy has admin:ExportIAM.",
        Some("InvalidAccessKeyId" | "SignatureDoesNotMatch") => "Correct the access key in the file of --credentials.",
        Some("404" | "NoSuchBucket" | "NoSuchKey" | "XMinioInvalidAPIVersion") => {
            "It is no MinIO, or one of before June 2022, which has no export."
        }
        Some(_) => "MinIO could not export its users. Its own reason is above.",
        None => "Nothing was imported.",
    };
    CommandError::failed(format!("{endpoint}: {error}")).next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_over_a_network_without_tls_is_said_to_be_readable() {
        for (text, expected) in [
            ("http://minio:9000", true),
            ("http://10.0.0.7:9000", true),
            ("https://minio:9000", false),
            ("http://127.0.0.1:9000", false),
            ("http://localhost:9000", false),
        ] {
            assert_eq!(is_readable_on_the_way(&Endpoint::parse(text).unwrap()), expected, "{text}");
        }
    }
}
