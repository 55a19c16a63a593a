//! What becomes of the intents that a crash left open.

use super::journal::{Journal, JournalClosed, Kind, OpenIntent, Recovered, Sequence};

/// Records each open intent's outcome as unknown, and so closes it; the answer is the last such record.
///
/// The records have the event ids of the intents, so that they stand for the same requests.
pub fn recover(journal: &Journal, recovered: &Recovered) -> Result<Sequence, JournalClosed> {
    let mut last = Sequence::NONE;
    for intent in &recovered.open_intents {
        last = journal.append(Kind::Outcome(intent.sequence), outcome_unknown(intent))?;
    }
    Ok(last)
}

/// The events of an intent whose outcome nobody knows, one a line.
// An intent is written as these events, so that no reader is needed to make them.
pub fn outcome_unknown(intent: &OpenIntent) -> &[u8] {
    &intent.payload
}

/// The single events of a record's payload; none in what is no event.
pub fn events(kind: Kind, payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let payload = match kind {
        Kind::Event | Kind::Outcome(_) => payload,
        Kind::Closing | Kind::Intent | Kind::State => &[],
    };
    payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}
