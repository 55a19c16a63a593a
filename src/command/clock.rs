//! `portcullis clock`: the clock that codes go by.

use clap::Subcommand;
use serde_json::json;

use super::admin::{AdminClient, AdminError, AdminRequest};
use super::error::CommandError;
use super::terminal::{OutputFormat, Terminal};

/// What to do about the clock.
#[derive(Subcommand)]
pub enum ClockCommand {
    /// Say whether the gate believes its clock
    Show,
    /// Believe the clock as it is now, after it was set right
    #[command(after_help = "The gate believes no clock that was set by more than half a minute back or an hour \
                            ahead: it takes no code and deletes nothing old until the clock is right again. Compare the \
                            clock with another one first. The trail records which time was accepted.")]
    Accept,
}

/// The clock as the gate tells of it.
struct ClockAnswer {
    time: String,
    /// What it should say, if that is something else.
    expected: Option<String>,
}

/// Runs one of them.
pub async fn run(command: ClockCommand, admin: &AdminClient, terminal: &mut Terminal) -> Result<(), CommandError> {
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
            "The gate believes its clock: it is {time}, where it should have been {expected}.\n\
             Codes are taken again."
        )),
        (OutputFormat::People, ClockCommand::Accept, None) => {
            terminal.print(&format!("There is nothing to accept: the gate believes its clock, which says {time}."))
        }
        (OutputFormat::People, ClockCommand::Show, Some(expected)) => terminal.print(&format!(
            "The clock says {time}, and by the time since the machine's boot it should be {expected}.\n\
             No code is taken and nothing old is deleted until it is right. If it is: portcullis clock accept{}",
            admin.place().flag()
        )),
        (OutputFormat::People, ClockCommand::Show, None) => {
            terminal.print(&format!("The gate believes its clock, which says {time}."))
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
    use crate::command::fake_gate::FakeGate;
    use crate::command::terminal::kept::terminal;

    const SET: &str =
        "<Clock><Time>2026-11-28T09:00:00Z</Time><ExpectedTime>2027-11-28T09:00:00Z</ExpectedTime></Clock>";
    const RIGHT: &str = "<Clock><Time>2026-11-28T09:00:00Z</Time></Clock>";

    async fn said(command: ClockCommand, format: OutputFormat, clock: &'static str) -> String {
        let gate = FakeGate::start(move |seen| {
            let action = if seen.asks("AcceptClock") { "AcceptClock" } else { "GetClock" };
            (200, format!("<{action}Response><{action}Result>{clock}</{action}Result></{action}Response>"))
        });
        let (mut terminal, kept) = terminal(format, &[]);
        run(command, &AdminClient::of(gate.place()), &mut terminal).await.unwrap();
        kept.text().replace(&gate.place().flag(), " --data DIR")
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
