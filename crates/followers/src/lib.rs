//! What reads the journal while it grows: delivery writes trails from it, history answers LookupEvents.

pub mod delivery;
pub mod history;
