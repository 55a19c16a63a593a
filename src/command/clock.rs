//! `portcullis clock`: the clock that MFA codes are checked against.

use clap::Subcommand;
use serde_json::json;

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::error::CommandError;
use super::terminal::{OutputFormat, Terminal};

/// The subcommands of `clock`.
#[derive(Subcommand)]
pub(super) enum ClockCommand {
    /// Show the clock, and whether Portcullis trusts it
    Show,
    /// Trust the clock as it is now, after it was corrected
    #[command(after_help = "Portcullis does not trust a clock that was set back by more than half a minute or \
                            ahead by more than an hour: it accepts no MFA codes and deletes no old data until the \
                            clock is right again. Compare the clock with another one first. The trail records which \
                            time was accepted.")]
    Accept,
}

/// The clock as the proxy reports it.
struct ClockAnswer {
    time: String,
    /// The expected time, if it differs.
    expected: Option<String>,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: ClockCommand,
    admin: &AdminClient,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let action = match command {
        ClockCommand::Accept => "AcceptClock",
        ClockCommand::Show => "GetClock",
    };
    let told = ask(action, admin).await.map_err(|error| error.into_command_error(admin.place()))?;
    let ClockAnswer { time, expected } = &told;
    match (terminal.format(), &command, expected) {
        (OutputFormat::Json, ClockCommand::Accept, _) => {
            terminal.print_json(&json!({ "time": time, "expectedTime": expected, "accepted": expected.is_some() }))
        }
        (OutputFormat::Json, ClockCommand::Show, _) => {
            terminal.print_json(&json!({ "time": time, "expectedTime": expected, "believed": expected.is_none() }))
        }
        (OutputFormat::People, ClockCommand::Accept, Some(expected)) => terminal.print(&format!(
            "Portcullis trusts its clock again: it is {time}, and {expected} was expected.\n\
             MFA codes are accepted again."
        )),
        (OutputFormat::People, ClockCommand::Accept, None) => {
            terminal.print(&format!("Nothing to accept: Portcullis trusts its clock, which says {time}."))
        }
        (OutputFormat::People, ClockCommand::Show, Some(expected)) => terminal.print(&format!(
            "The clock says {time}; by the time since boot it should be {expected}.\n\
             No MFA code is accepted and no old data is deleted until it is right. If it is right: portcullis clock accept{}",
            admin.place().flag()
        )),
        (OutputFormat::People, ClockCommand::Show, None) => {
            terminal.print(&format!("Portcullis trusts its clock, which says {time}."))
        }
    }
}

async fn ask(action: &'static str, admin: &AdminClient) -> Result<ClockAnswer, AdminError> {
    let result = admin.ask(&AdminRequest::new(action)).await?;
    let clock = result.child("Clock").ok_or(AdminError::Wanting("Clock"))?;
    let time = clock.filled_text_of("Time").ok_or(AdminError::Wanting("Time"))?.to_owned();
    Ok(ClockAnswer { time, expected: clock.filled_text_of("ExpectedTime").map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake_proxy::FakeProxy;
    use crate::command::terminal::kept::terminal;

    const SET: &str =
        "<Clock><Time>2026-11-28T09:00:00Z</Time><ExpectedTime>2027-11-28T09:00:00Z</ExpectedTime></Clock>";
    const RIGHT: &str = "<Clock><Time>2026-11-28T09:00:00Z</Time></Clock>";

    async fn said(command: ClockCommand, format: OutputFormat, clock: &'static str) -> String {
        let proxy = FakeProxy::start(move |seen| {
            let action = if seen.asks("AcceptClock") { "AcceptClock" } else { "GetClock" };
            (200, format!("<{action}Response><{action}Result>{clock}</{action}Result></{action}Response>"))
        });
        let (mut terminal, kept) = terminal(format, &[]);
        run(command, &AdminClient::of(proxy.place()), &mut terminal).await.unwrap();
        kept.text().replace(&proxy.place().flag(), " --data DIR")
    }

    #[tokio::test]
    async fn the_clock_is_shown_and_accepted_in_words_and_as_json() {
        let mut told = String::new();
        for clock in [RIGHT, SET] {
            for format in [OutputFormat::People, OutputFormat::Json] {
                told.push_str(&said(ClockCommand::Show, format, clock).await);
                told.push_str(&said(ClockCommand::Accept, format, clock).await);
            }
        }
        insta::assert_snapshot!(told);
    }
}
