//! Root's access key: from the environment as aws-cli reads it, else from `root.env` in the state directory.

use std::io;

use super::error::CommandError;
use super::private_file;
use super::s3::S3Client;
use super::state_directory::{StateDirectory, quoted};
use portcullis_base::clock::Clock;
use portcullis_base::secret::Secret;
use portcullis_http::Endpoint;
use portcullis_http::{Dialler, TrustedAuthorities};
use portcullis_server::config::{Credentials, CredentialsError};

/// The exports with which aws-cli, and `portcullis mfa-delete`, act as root.
#[derive(Clone, Debug)]
pub struct RootExports {
    pub endpoint: String,
    pub access_key_id: String,
    pub secret_access_key: Secret<String>,
    pub region: String,
}

impl RootExports {
    /// The four lines, as a shell reads them.
    pub fn lines(&self) -> Secret<String> {
        let values = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.expose().as_str()),
            ("AWS_DEFAULT_REGION", self.region.as_str()),
        ];
        let line = |(name, value): (&str, &str)| format!("export {name}={}\n", quoted(value));
        Secret::new(values.into_iter().map(line).collect())
    }

    /// Writes them to the place's `root.env`, mode 0600, as a whole.
    pub fn write(&self, place: &StateDirectory) -> io::Result<()> {
        private_file::replace(&place.root_env(), self.lines().expose().as_bytes())
    }
}

/// A client with root's key.
pub fn client(
    place: &StateDirectory,
    environment: impl Fn(&str) -> Option<String>,
    clock: Clock,
) -> Result<S3Client, CommandError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let in_environment = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let (key, session_token) = match in_environment {
        (Some(access_key_id), Some(secret)) => {
            let region = variable("AWS_DEFAULT_REGION").or_else(|| variable("AWS_REGION"));
            // A key without an endpoint is meant for this proxy, not for AWS.
            let endpoint = variable("AWS_ENDPOINT_URL").or_else(|| read(place).ok().and_then(|key| key.endpoint));
            let key = Credentials { access_key_id, secret_access_key: Secret::new(secret), region, endpoint };
            (key, variable("AWS_SESSION_TOKEN").map(Secret::new))
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => (read(place)?, None),
    };
    let endpoint = key.endpoint.ok_or_else(|| {
        CommandError::usage("AWS_ENDPOINT_URL is not set")
            .next("Set it to the address of Portcullis: export AWS_ENDPOINT_URL=http://HOST:PORT")
    })?;
    let endpoint = Endpoint::parse(&endpoint)
        .map_err(|invalid| CommandError::usage(format!("AWS_ENDPOINT_URL is `{endpoint}`: {invalid}")))?;
    // The variable that names aws-cli's certificate authorities.
    let authorities =
        variable("AWS_CA_BUNDLE").map_or(TrustedAuthorities::System, |path| TrustedAuthorities::File(path.into()));
    let dialler = Dialler::new(endpoint, &authorities).map_err(|error| {
        CommandError::usage(format!("the certificate cannot be verified: {error}")).next(AUTHORITIES)
    })?;
    Ok(S3Client {
        dialler,
        access_key_id: key.access_key_id,
        secret_access_key: key.secret_access_key,
        session_token,
        region: key.region.unwrap_or_else(|| "us-east-1".to_owned()),
        clock,
    })
}

/// What to do if the certificate is not trusted.
pub const AUTHORITIES: &str =
    "Name the authority that issued the certificate, as for aws-cli: export AWS_CA_BUNDLE=FILE";

fn read(place: &StateDirectory) -> Result<Credentials, CommandError> {
    let path = place.root_env();
    match Credentials::read(&path) {
        Ok((key, _)) => Ok(key),
        Err(CredentialsError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(CommandError::not_running(format!("no root key in {}", path.display())).next(format!(
                "Start Portcullis: portcullis dev{}\n\
                 Or name its state directory: --data DIR; or export AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
                place.flag()
            )))
        }
        Err(error) => Err(CommandError::failed(format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn exports() -> RootExports {
        RootExports {
            endpoint: "http://127.0.0.1:9000".to_owned(),
            access_key_id: "AKIAROOT000000000001".to_owned(),
            secret_access_key: Secret::new("a/b+c'd".to_owned()),
            region: "us-east-1".to_owned(),
        }
    }

    fn place() -> (StateDirectory, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (StateDirectory::find(Some(directory.path().to_owned()), None), directory)
    }

    #[test]
    fn what_is_written_is_read_back_and_is_its_owners_alone() {
        let (place, _directory) = place();
        RootExports { secret_access_key: Secret::new("a/b+c".to_owned()), ..exports() }.write(&place).unwrap();
        let s3 = client(&place, |_| None, Clock::System).unwrap();
        assert_eq!(s3.endpoint().to_string(), "http://127.0.0.1:9000");
        assert_eq!(s3.access_key_id, "AKIAROOT000000000001");
        assert_eq!(s3.secret_access_key.expose(), "a/b+c");
        assert_eq!(std::fs::metadata(place.root_env()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_lines_are_what_a_shell_reads() {
        assert_eq!(
            exports().lines().expose(),
            "export AWS_ENDPOINT_URL=http://127.0.0.1:9000\nexport AWS_ACCESS_KEY_ID=AKIAROOT000000000001\n\
             export AWS_SECRET_ACCESS_KEY='a/b+c'\\''d'\nexport AWS_DEFAULT_REGION=us-east-1\n"
        );
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let (place, _directory) = place();
        exports().write(&place).unwrap();
        let environment = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIAOTHER00000000001".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("other".to_owned()),
            "AWS_DEFAULT_REGION" => Some("eu-west-1".to_owned()),
            _ => None,
        };
        let s3 = client(&place, environment, Clock::System).unwrap();
        assert_eq!((s3.access_key_id.as_str(), s3.region.as_str()), ("AKIAOTHER00000000001", "eu-west-1"));
        assert_eq!(s3.endpoint().to_string(), "http://127.0.0.1:9000");
    }

    #[test]
    fn where_there_is_no_key_the_command_says_how_to_get_one() {
        let (place, _directory) = place();
        let error = client(&place, |_| None, Clock::System).unwrap_err();
        assert_eq!(error.blame, crate::command::error::ExitCause::NotRunning);
        assert!(error.next.unwrap().starts_with("Start Portcullis: portcullis dev --data "));
    }
}
