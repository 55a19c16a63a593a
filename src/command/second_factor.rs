//! The MFA code of an active device, from `--mfa` or from a prompt.

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::devices::{RootDevice, list};
use super::error::CommandError;
use super::terminal::Terminal;
use portcullis_base::secret::Secret;
use portcullis_mfa::MfaToken;
use portcullis_xml::XmlElement;

/// `serial code`, once.
#[derive(Debug)]
pub(super) struct MfaTokenSource {
    offered: Option<Secret<String>>,
}

/// When a given code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenTiming {
    /// With the first attempt.
    AtOnce,
    /// Only after the proxy asks for one, so that no code is spent where none is needed.
    WhenWanted,
}

impl MfaTokenSource {
    /// Takes `--mfa "SERIAL CODE"`.
    pub(super) fn offered(value: Option<Secret<String>>) -> Result<Self, CommandError> {
        match MfaToken::parse(value.as_ref().map(|value| value.expose().as_str())) {
            MfaToken::Absent | MfaToken::Codes(_) => Ok(Self { offered: value }),
            MfaToken::Malformed(_) => {
                Err(CommandError::usage("--mfa must be a serial number and a code, separated by a space")
                    .next("Quote it: --mfa \"arn:aws:iam::ACCOUNT:mfa/NAME 123456\""))
            }
        }
    }

    /// Sends the request; a code is added when it is needed.
    pub(super) async fn ask(
        &mut self,
        admin: &AdminClient,
        question: &AdminRequest,
        send: TokenTiming,
        terminal: &mut Terminal,
    ) -> Result<XmlElement, CommandError> {
        let first = match (send, self.offered.is_some()) {
            (TokenTiming::AtOnce, true) => {
                let code = self.value(admin, terminal).await?;
                admin.ask_with_code(question, &code).await
            }
            (TokenTiming::AtOnce, false) | (TokenTiming::WhenWanted, _) => admin.ask(question).await,
        };
        match first {
            Err(error) if error.wants_code() => {
                let code = self.value(admin, terminal).await?;
                admin.ask_with_code(question, &code).await.map_err(|error| error.into_command_error(admin.place()))
            }
            first => first.map_err(|error| error.into_command_error(admin.place())),
        }
    }

    /// The value of `x-amz-mfa`: what was given, else what the person at the terminal types.
    pub(super) async fn value(
        &mut self,
        admin: &AdminClient,
        terminal: &mut Terminal,
    ) -> Result<Secret<String>, CommandError> {
        if let Some(offered) = self.offered.take() {
            return Ok(offered);
        }
        let devices = active(admin).await?;
        let question = question(&devices, admin)?;
        if !terminal.has_person() {
            return Err(CommandError::usage("an MFA code of an active device is required")
                .next("Add --mfa \"SERIAL CODE\", or run this at a terminal to be prompted."));
        }
        let answer = terminal.ask(&question)?.ok_or_else(no_code)?;
        completed(answer.expose(), &devices)
    }
}

/// The active devices; `None` where the admin socket cannot be reached.
async fn active(admin: &AdminClient) -> Result<Option<Vec<RootDevice>>, CommandError> {
    match list(admin).await {
        Ok(devices) => Ok(Some(devices.into_iter().filter(RootDevice::is_active).collect())),
        // The proxy runs on another machine: the user has to enter the serial number.
        Err(AdminError::NotRunning | AdminError::Forbidden) => Ok(None),
        Err(error) => Err(error.into_command_error(admin.place())),
    }
}

fn question(devices: &Option<Vec<RootDevice>>, admin: &AdminClient) -> Result<String, CommandError> {
    match devices.as_deref() {
        None => Ok("MFA serial number and code: ".to_owned()),
        Some([]) => Err(CommandError::failed("root has no active MFA device")
            .next(format!("Add one: portcullis mfa add --name phone{}", admin.place().flag()))),
        Some([only]) => Ok(format!("MFA code of {}: ", only.name())),
        Some(several) => {
            let names: Vec<&str> = several.iter().map(RootDevice::name).collect();
            Ok(format!("Name and MFA code of a device ({}): ", names.join(", ")))
        }
    }
}

/// Makes `serial code` of what was typed: codes alone, or a name or serial before them.
fn completed(answer: &str, devices: &Option<Vec<RootDevice>>) -> Result<Secret<String>, CommandError> {
    let devices = devices.as_deref().unwrap_or_default();
    let is_code = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    let (first, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    let named = devices.iter().find(|device| device.name() == first);
    let value = match (named, devices) {
        (Some(device), _) if !rest.is_empty() => format!("{} {rest}", device.serial),
        (_, [only]) if !answer.is_empty() && answer.split(' ').all(is_code) => format!("{} {answer}", only.serial),
        _ => answer.to_owned(),
    };
    match MfaToken::parse(Some(&value)) {
        MfaToken::Codes(_) => Ok(Secret::new(value)),
        MfaToken::Absent | MfaToken::Malformed(_) => Err(no_code()),
    }
}

fn no_code() -> CommandError {
    CommandError::usage("no MFA code was entered").next("Run it again, or add --mfa \"SERIAL CODE\".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(names: &[&str]) -> Option<Vec<RootDevice>> {
        let device = |name: &&str| RootDevice {
            serial: format!("arn:aws:iam::123456789012:mfa/{name}"),
            enabled: Some("2026-11-21T09:41:58Z".to_owned()),
        };
        Some(names.iter().map(device).collect())
    }

    fn value(answer: &str, names: &[&str]) -> Option<String> {
        completed(answer, &devices(names)).ok().map(|value| value.expose().clone())
    }

    #[test]
    fn the_code_alone_is_enough_where_there_is_one_device() {
        let whole = "arn:aws:iam::123456789012:mfa/phone 123456";
        assert_eq!(value("123456", &["phone"]).as_deref(), Some(whole));
        assert_eq!(value("phone 123456", &["phone", "key"]).as_deref(), Some(whole));
        assert_eq!(value(whole, &["phone", "key"]).as_deref(), Some(whole));
        assert_eq!(
            value("123456 654321", &["phone"]).as_deref(),
            Some("arn:aws:iam::123456789012:mfa/phone 123456 654321")
        );
        assert_eq!(value("123456", &["phone", "key"]), None);
        assert_eq!(value("", &["phone"]), None);
    }

    #[test]
    fn a_malformed_offer_is_a_mistake_of_usage() {
        let error = MfaTokenSource::offered(Some(Secret::new("123456".to_owned()))).unwrap_err();
        assert_eq!(error.blame, crate::command::error::ExitCause::Usage);
        assert!(!error.to_string().contains("123456"));
    }
}
