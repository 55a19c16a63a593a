//! `portcullis dev`: the proxy in front of an embedded store, or of another one, without a configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::error::CommandError;
use super::root_key::RootExports;
use super::state_directory::{StateDirectory, quoted};
use portcullis_base::names::AccountId;
use portcullis_http::EndpointScheme;
use portcullis_http::{Endpoint, InvalidEndpoint};
use portcullis_s3::{StoreProcess, UpstreamKind};
use portcullis_server::config::{Credentials, CredentialsError, FileExposure, Settings};

/// Run Portcullis without a configuration, to try it out.
///
/// Without --upstream it also starts an embedded S3 store, which is meant for trying out and for tests.
/// Environment variables PORTCULLIS_SECTION__KEY override single settings, for example
/// PORTCULLIS_MFA_DELETE__PROFILE=aws.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct DevArgs {
    /// The address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// The S3 store to protect, instead of the embedded one
    #[arg(long, value_name = "http[s]://HOST:PORT", value_parser = endpoint, requires = "upstream_credentials")]
    pub upstream: Option<Endpoint>,
    /// A file with that store's access key: lines AWS_ACCESS_KEY_ID=... and AWS_SECRET_ACCESS_KEY=...
    #[arg(long, value_name = "FILE", requires = "upstream")]
    pub upstream_credentials: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  portcullis dev
  portcullis dev --data /tmp/portcullis --listen 127.0.0.1:9001
  portcullis dev --upstream http://127.0.0.1:9100 --upstream-credentials upstream.env";

/// The upstream store.
#[derive(Clone, Debug)]
pub enum ChosenStore {
    /// An existing store, with the region that its credentials file names.
    Elsewhere { endpoint: Endpoint, credentials_file: PathBuf, region: Option<String> },
    /// The embedded store, which has to be started first.
    Own,
}

/// What the banner shows.
#[derive(Clone, Debug)]
pub struct Banner<'b> {
    /// The name this program was called by.
    pub program: &'b str,
    pub place: &'b StateDirectory,
    pub account: &'b AccountId,
    pub upstream: &'b Endpoint,
    pub kind: UpstreamKind,
    pub exports: &'b RootExports,
}

impl DevArgs {
    /// The store to use; its credentials are read here to find mistakes early.
    pub fn store(&self) -> Result<ChosenStore, CommandError> {
        let (Some(endpoint), Some(file)) = (&self.upstream, &self.upstream_credentials) else {
            return Ok(ChosenStore::Own);
        };
        let (key, _) = read_credentials(file)?;
        Ok(ChosenStore::Elsewhere { endpoint: endpoint.clone(), credentials_file: file.clone(), region: key.region })
    }
}

/// The settings for this store, with the environment's overrides.
pub fn settings(
    args: &DevArgs,
    place: &StateDirectory,
    endpoint: Endpoint,
    credentials_file: PathBuf,
    store: &ChosenStore,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, CommandError> {
    let mut settings = Settings::standard(place.directory().to_owned(), endpoint, credentials_file);
    settings.listen.address = args.listen;
    match store {
        ChosenStore::Elsewhere { region, .. } => {
            if let Some(region) = region {
                settings.upstream.region.clone_from(region);
            }
        }
        ChosenStore::Own => settings.upstream.profile = UpstreamKind::Embedded,
    }
    settings.with_environment(environment).map_err(CommandError::usage)
}

/// Reads a store's access key, and reports what is wrong with its file.
pub fn read_credentials(file: &std::path::Path) -> Result<(Credentials, FileExposure), CommandError> {
    Credentials::read(file).map_err(|error| {
        let shown = CommandError::usage(format!("{}: {error}", file.display()));
        match error {
            CredentialsError::Line { .. } | CredentialsError::Missing(_) | CredentialsError::Twice(_) => shown.next(
                "The file holds lines KEY=VALUE: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if it is not \
                 us-east-1, AWS_DEFAULT_REGION.",
            ),
            CredentialsError::Unreadable(_) | CredentialsError::WritableByOthers => shown,
        }
    })
}

/// Addresses, exports for a shell, and commands to try.
pub fn banner(banner: &Banner<'_>) -> String {
    let Banner { program, place, account, upstream, kind, exports } = banner;
    let store = match kind.profile().process {
        StoreProcess::Own => "  (embedded, for trying out and for tests)",
        StoreProcess::Separate => "",
    };
    let lines = exports.lines();
    let exported: String = lines.expose().lines().map(|line| format!("  {line}\n")).collect();
    let program = format!("{}{}", quoted(program), place.flag());
    format!(
        "\
portcullis: MFA Delete and CloudTrail in front of an S3 store

  proxy    {endpoint}
  store    {upstream}{store}
  state    {place}
  account  {account}

In another terminal, as root of this account (or: . {root_env}):

{exported}
Then try:

  {program} mfa add --name phone
  aws s3api create-bucket --bucket vault
  aws s3api put-bucket-versioning --bucket vault --versioning-configuration Status=Enabled,MFADelete=Enabled \\
      --mfa \"arn:aws:iam::{account}:mfa/phone 123456\"
  aws s3api put-object --bucket vault --key k --body /etc/hostname
  aws s3api delete-object --bucket vault --key k --version-id VERSION
  aws s3api delete-object --bucket vault --key k --version-id VERSION --mfa \"arn:aws:iam::{account}:mfa/phone 123456\"
  {program} events
",
        endpoint = exports.endpoint,
        root_env = quoted(&place.root_env().display().to_string()),
    )
}

/// The line that says that requests are served now.
pub fn listening(scheme: EndpointScheme, address: SocketAddr) -> String {
    format!("portcullis listening on {}://{address}", scheme.as_str())
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, InvalidEndpoint> {
    Endpoint::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use portcullis_base::secret::Secret;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DevArgs,
    }

    fn parse(line: &str) -> Result<DevArgs, clap::Error> {
        Line::try_parse_from(std::iter::once("dev").chain(line.split_whitespace())).map(|line| line.args)
    }

    fn banner_in(directory: Option<&str>, kind: UpstreamKind) -> String {
        banner(&Banner {
            program: "portcullis",
            place: &StateDirectory::find(directory.map(PathBuf::from), None),
            account: &AccountId::parse("123456789012").unwrap(),
            upstream: &Endpoint::parse("http://127.0.0.1:41234").unwrap(),
            kind,
            exports: &RootExports {
                endpoint: "http://127.0.0.1:9000".to_owned(),
                access_key_id: "AKIAROOT000000000001".to_owned(),
                secret_access_key: Secret::new("s3cr3t/key+".to_owned()),
                region: "us-east-1".to_owned(),
            },
        })
    }

    #[test]
    fn the_banner_says_what_listens_what_to_export_and_what_to_try() {
        insta::assert_snapshot!(banner_in(None, UpstreamKind::Embedded), @r#"
        portcullis: MFA Delete and CloudTrail in front of an S3 store

          proxy    http://127.0.0.1:9000
          store    http://127.0.0.1:41234  (embedded, for trying out and for tests)
          state    ./portcullis-data
          account  123456789012

        In another terminal, as root of this account (or: . ./portcullis-data/root.env):

          export AWS_ENDPOINT_URL=http://127.0.0.1:9000
          export AWS_ACCESS_KEY_ID=AKIAROOT000000000001
          export AWS_SECRET_ACCESS_KEY=s3cr3t/key+
          export AWS_DEFAULT_REGION=us-east-1

        Then try:

          portcullis mfa add --name phone
          aws s3api create-bucket --bucket vault
          aws s3api put-bucket-versioning --bucket vault --versioning-configuration Status=Enabled,MFADelete=Enabled \
              --mfa "arn:aws:iam::123456789012:mfa/phone 123456"
          aws s3api put-object --bucket vault --key k --body /etc/hostname
          aws s3api delete-object --bucket vault --key k --version-id VERSION
          aws s3api delete-object --bucket vault --key k --version-id VERSION --mfa "arn:aws:iam::123456789012:mfa/phone 123456"
          portcullis events
        "#);
    }

    #[test]
    fn commands_for_a_proxy_elsewhere_say_where_it_is() {
        let text = banner_in(Some("/var/lib/my proxy"), UpstreamKind::Generic);
        assert!(text.contains("  portcullis --data '/var/lib/my proxy' mfa add --name phone\n"), "{text}");
        assert!(text.contains("(or: . '/var/lib/my proxy/root.env')"), "{text}");
        assert!(text.contains("  store    http://127.0.0.1:41234\n"), "{text}");
    }

    #[test]
    fn the_proxy_listens_on_loopback_unless_told_otherwise() {
        assert_eq!(parse("").unwrap().listen.to_string(), "127.0.0.1:9000");
        assert_eq!(parse("--listen 127.0.0.1:0").unwrap().listen.port(), 0);
        let address = "127.0.0.1:4321".parse().unwrap();
        assert_eq!(listening(EndpointScheme::Http, address), "portcullis listening on http://127.0.0.1:4321");
        assert_eq!(listening(EndpointScheme::Https, address), "portcullis listening on https://127.0.0.1:4321");
    }

    #[test]
    fn another_store_comes_with_its_credentials() {
        assert!(parse("--upstream http://store:9000").is_err());
        assert!(parse("--upstream-credentials f").is_err());
        let secured = parse("--upstream https://store --upstream-credentials f").unwrap();
        assert_eq!(secured.upstream.unwrap().to_string(), "https://store");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=B\nAWS_DEFAULT_REGION=default\n")
            .unwrap();
        let path = file.path().display();
        let args = parse(&format!("--upstream http://store:9000 --upstream-credentials {path}")).unwrap();
        let store = args.store().unwrap();
        let ChosenStore::Elsewhere { endpoint, credentials_file, .. } = store.clone() else { panic!("{store:?}") };
        let settings =
            settings(&args, &StateDirectory::find(None, None), endpoint, credentials_file, &store, []).unwrap();
        assert_eq!(settings.upstream.endpoint.to_string(), "http://store:9000");
        assert_eq!(settings.upstream.region, "default");
        assert_eq!(settings.upstream.profile, UpstreamKind::Generic);
    }

    #[test]
    fn the_environment_overrides_what_dev_would_choose() {
        let args = parse("").unwrap();
        let endpoint = Endpoint::parse("http://127.0.0.1:1").unwrap();
        let variable = |name: &str| [(name.to_owned(), "aws".to_owned())];
        let with = |name| {
            let place = StateDirectory::find(None, None);
            settings(&args, &place, endpoint.clone(), "f".into(), &args.store().unwrap(), variable(name))
        };
        let changed = with("PORTCULLIS_MFA_DELETE__PROFILE").unwrap();
        assert_eq!(changed.mfa_delete.profile, portcullis_authorization::MfaProfile::Aws);
        assert_eq!(changed.upstream.profile, UpstreamKind::Embedded);
        let error = with("PORTCULLIS_MFA_DELETE__PROFIL").unwrap_err();
        assert_eq!(error.blame, crate::command::error::ExitCause::Usage);
        assert!(error.message.contains("did you mean mfa_delete.profile?"));
    }

    #[test]
    fn credentials_that_are_none_say_what_the_file_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "user=minio\n").unwrap();
        let error = read_credentials(file.path()).unwrap_err();
        assert!(error.message.contains("AWS_ACCESS_KEY_ID is missing"));
        assert!(error.next.unwrap().contains("AWS_SECRET_ACCESS_KEY"));
    }
}
