//! `portcullis state`: maintenance of the state directory.

use clap::Subcommand;
use serde_json::json;

use super::error::CommandError;
use super::state_directory::StateDirectory;
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_journal::{JournalReader, RecordKind};
use portcullis_state::{RebuildReport, rebuild};

/// The subcommands of `state`.
#[derive(Subcommand)]
pub(super) enum StateCommand {
    /// Rebuild the state from the journal, after it was lost or damaged
    ///
    /// Portcullis must not be running. The old state is moved aside, never deleted.
    #[command(after_help = "Example:\n  portcullis state rebuild --data /var/lib/portcullis")]
    Rebuild,
}

/// Runs the subcommand.
pub(super) async fn run(
    command: StateCommand,
    place: &StateDirectory,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    match command {
        StateCommand::Rebuild => {
            let rebuilt = rebuild(place.directory(), writes(place)?, Clock::System.now()).await;
            show(&rebuilt.map_err(CommandError::failed)?, place, terminal)
        }
    }
}

/// Every write of state, in order.
fn writes(place: &StateDirectory) -> Result<Vec<Vec<u8>>, CommandError> {
    let directory = place.journal();
    if !directory.exists() {
        // Without a journal the result would be an empty state, which protects nothing.
        return Err(CommandError::failed(format!("there is no journal in {}", directory.display()))
            .next("Restore the journal's files, or name their state directory: --data DIR"));
    }
    let mut writes = Vec::new();
    for record in JournalReader::open(&directory).map_err(CommandError::failed)? {
        let record = record.map_err(CommandError::failed)?;
        match record.kind {
            RecordKind::State => writes.push(record.payload),
            RecordKind::Closing | RecordKind::Event | RecordKind::Intent | RecordKind::Outcome(_) => {}
        }
    }
    Ok(writes)
}

fn show(rebuilt: &RebuildReport, place: &StateDirectory, terminal: &mut Terminal) -> Result<(), CommandError> {
    let aside = rebuilt.set_aside.as_ref().map(|path| path.display().to_string());
    match terminal.format() {
        OutputFormat::Json => terminal.print_json(&json!({ "revision": rebuilt.revision, "setAside": aside })),
        OutputFormat::People => {
            let aside = aside.map(|path| format!("\nThe old state was moved to {path}.")).unwrap_or_default();
            terminal.print(&format!("Rebuilt the state in {place}, up to change {}.{aside}", rebuilt.revision))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::command::terminal::kept::terminal;
    use portcullis_base::names::UserName;
    use portcullis_journal::{Journal, JournalOptions};
    use portcullis_state::{BoxedFuture, JournalUnavailable, StateJournal, StateStore};

    struct Kept(Journal);

    impl StateJournal for Kept {
        fn record<'a>(&'a self, _: u64, write: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
            Box::pin(async move {
                self.0.record(RecordKind::State, write).await.unwrap();
                Ok(())
            })
        }

        fn snapshot<'a>(&'a self, state: &'a [u8]) -> BoxedFuture<'a, Result<(), JournalUnavailable>> {
            Box::pin(async move {
                let sequence = self.0.append_snapshot(state).unwrap();
                self.0.durable(sequence).await.map_err(|_| JournalUnavailable)
            })
        }
    }

    async fn open(place: &StateDirectory) -> StateStore {
        let options = JournalOptions { segment_size: 1 << 16, ..JournalOptions::default() };
        let (journal, recovered) = Journal::open(&place.journal(), options).unwrap();
        let entries: Vec<_> = recovered.states.into_iter().map(|state| state.payload).collect();
        let now = Clock::System.now();
        StateStore::open(place.directory(), Arc::new(Kept(journal)), &entries, Clock::standing_at(now)).await.unwrap()
    }

    #[tokio::test]
    async fn a_lost_state_is_rebuilt_from_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let place = StateDirectory::find(Some(directory.path().join("data")), None);
        portcullis_state::prepare_dir(place.directory()).unwrap();
        let store = open(&place).await;
        store.create_user(&UserName::parse("alice").unwrap(), Clock::System.now()).await.unwrap();
        let account = store.account().clone();
        drop(store);
        std::fs::remove_dir_all(place.directory().join("state")).unwrap();

        let (mut terminal, kept) = terminal(OutputFormat::Json, &[]);
        run(StateCommand::Rebuild, &place, &mut terminal).await.unwrap();

        assert!(kept.text().ends_with("\"setAside\":null}\n"), "{}", kept.text());
        let store = open(&place).await;
        assert_eq!(store.account(), &account);
        assert!(store.user(&UserName::parse("alice").unwrap()).is_some());
    }

    #[tokio::test]
    async fn without_a_journal_no_empty_state_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let place = StateDirectory::find(Some(directory.path().to_owned()), None);
        let (mut terminal, _) = terminal(OutputFormat::People, &[]);
        assert!(run(StateCommand::Rebuild, &place, &mut terminal).await.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
