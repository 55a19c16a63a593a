//! `--access-key ID --secret-stdin`: an access key that clients hold already.

use clap::Args;

use super::error::CommandError;
use super::terminal::Terminal;
use portcullis_base::names::AccessKeyId;
use portcullis_base::secret::Secret;
use portcullis_state::GivenKey;

/// The options that bring in a key. The secret is never an argument: other users of the machine can read those.
#[derive(Args, Default)]
pub(super) struct GivenKeyArgs {
    /// Use this access key id, which clients hold already, instead of a new one
    #[arg(long, value_name = "ID", requires = "secret_stdin")]
    pub access_key: Option<String>,
    /// Read the secret of --access-key from standard input, one line
    #[arg(long, requires = "access_key")]
    pub secret_stdin: bool,
}

impl GivenKeyArgs {
    /// The key, if one is given; its secret is read.
    pub(super) fn read(self, terminal: &mut Terminal) -> Result<Option<GivenKey>, CommandError> {
        let Some(id) = self.access_key else { return Ok(None) };
        let id = AccessKeyId::parse(&id).map_err(|error| CommandError::usage(format!("--access-key: {error}")))?;
        let secret = terminal.ask("Secret access key: ")?.unwrap_or_else(|| Secret::new(String::new()));
        let given = GivenKey::new(id, secret);
        given.map(Some).map_err(|error| {
            CommandError::usage(format!("standard input: {error}"))
                .next("Pipe the secret in: ... --secret-stdin < FILE, where FILE has one line")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::terminal::OutputFormat;
    use crate::command::terminal::kept::terminal;

    fn read(id: &str, lines: &[&str]) -> Result<Option<GivenKey>, String> {
        let (mut terminal, _) = terminal(OutputFormat::People, lines);
        let args = GivenKeyArgs { access_key: Some(id.to_owned()), secret_stdin: true };
        args.read(&mut terminal).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_taken_in_the_forms_that_minio_ceph_and_aws_give_out() {
        for (id, secret) in [
            ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("0555b35654ad1656d804", "h7GhxuBLTrlhVUyxSPUKUV8r/2EI4ngqJxD7iBdBYLhwluN30JaT3Q=="),
            ("minioadmin", "minioadmin"),
            ("svc-backup@example.com", "12345678"),
            ("app", "two words, é"),
            ("app", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
        ] {
            let given = read(id, &[secret]).expect("taken").expect("a key");
            assert_eq!(given.id().as_str(), id);
            assert!(id == secret || !format!("{given:?}").contains(secret));
        }
    }

    #[test]
    fn a_key_that_is_wrong_is_refused_and_its_secret_not_shown() {
        let long = "s".repeat(129);
        for (id, lines) in [
            ("ab", &["long-enough-secret"][..]),
            ("a/b/c", &["long-enough-secret"]),
            ("a=b", &["long-enough-secret"]),
            ("AKIAIOSFODNN7EXAMPLE", &[]),
            ("AKIAIOSFODNN7EXAMPLE", &[""]),
            ("AKIAIOSFODNN7EXAMPLE", &["1234567"]),
            ("AKIAIOSFODNN7EXAMPLE", &["a secret\u{7}with a bell"]),
            ("AKIAIOSFODNN7EXAMPLE", &[&long]),
        ] {
            let error = read(id, lines).expect_err("refused");
            assert!(lines.iter().all(|line| line.is_empty() || !error.contains(line)), "{error}");
        }
    }
}
