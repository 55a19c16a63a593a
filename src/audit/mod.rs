//! What happened: every request becomes a record in the journal, whatever became of the request.

pub mod journal;
