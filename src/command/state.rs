//! `portcullis state`: what the gate remembers.

use clap::Subcommand;
use serde_json::json;

use super::error::CommandError;
use super::place::StateDirectory;
use super::terminal::{OutputFormat, Terminal};
use portcullis_base::clock::Clock;
use portcullis_journal::{JournalReader, RecordKind};
use portcullis_state::{RebuildReport, rebuild};

/// What to do with what the gate remembers.
#[derive(Subcommand)]
pub enum StateCommand {
    /// Make the state anew from the journal, after it was lost or damaged
    ///
    /// The gate must not be running. The old state is put aside, never deleted.
    Rebuild,
}

/// Runs one of them.
pub async fn run(command: StateCommand, place: &StateDirectory, terminal: &mut Terminal) -> Result<(), CommandError> {
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
        // Rebuilding out of nothing would make an empty state, which protects nothing.
        return Err(CommandError::failed(format!("there is no journal in {}", directory.display()))
            .next("Put the journal's files back, or say where they are: --data DIR"));
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
            let aside = aside.map(|path| format!("\nThe old state is in {path}.")).unwrap_or_default();
            terminal.print(&format!("The state in {place} is rebuilt, up to change {}.{aside}", rebuilt.revision))
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
        let recorded = recovered.last_state.map(|state| state.payload);
        let now = Clock::System.now();
        StateStore::open(place.directory(), Arc::new(Kept(journal)), recorded.as_deref(), Clock::standing_at(now))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_lost_state_is_made_anew_from_the_journal() {
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
