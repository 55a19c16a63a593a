//! One day's file: its tables, how it is opened, and how events get in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use thiserror::Error;

use super::block::{self, BlockBuilder, BlockEntry, BlockPlaces, BlockSpan};
use super::term::index_term;
use portcullis_cloudtrail::record::EventView;

/// Why a day's file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// What is in the file is not what was written, or was written by another version.
    #[error("it is damaged or of another version: {0}")]
    Damaged(String),
    /// The machine does not let us: no space, no permission.
    #[error("{0}")]
    Io(String),
}

/// The one that writes a day's file.
#[derive(Debug)]
pub(super) struct DayWriter {
    connection: Connection,
    journal: JournalId,
    /// The journal's last record that is in here, or has nothing for here.
    through: u64,
    open: BlockBuilder,
}

/// The random id of a journal.
pub type JournalId = [u8; 16];

/// Postings of this many blocks lie together: what is written now goes into a few pages, and what was written
/// before is never touched again, however random the terms are.
pub(super) const BLOCKS_IN_RUN: i64 = 256;

const PATIENCE: Duration = Duration::from_secs(5);
const WRITING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
const APPLICATION: i64 = 0x5043_4849;
const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE block (
        id INTEGER PRIMARY KEY,
        open INTEGER NOT NULL,
        min_time INTEGER NOT NULL, min_sequence INTEGER NOT NULL,
        max_time INTEGER NOT NULL, max_sequence INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX block_newest ON block (max_time, max_sequence, min_time, min_sequence);
    CREATE INDEX block_oldest ON block (min_time, min_sequence, max_time, max_sequence);
    CREATE INDEX block_open ON block (open) WHERE open;
    CREATE TABLE posting (
        run INTEGER NOT NULL, term INTEGER NOT NULL, block INTEGER NOT NULL, places NOT NULL,
        PRIMARY KEY (run, term, block)
    ) WITHOUT ROWID;
    CREATE TABLE through (journal BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
";

/// Opens a day's file for searching; nothing if there is none.
pub(super) fn open(path: &Path) -> Result<Option<Connection>, FileError> {
    if !path.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    check(&connection)?;
    Ok(Some(connection))
}

impl DayWriter {
    /// Opens or begins a day's file.
    pub(super) fn open(path: &Path, journal: JournalId) -> Result<Self, FileError> {
        if !path.exists() {
            create(path)?;
        }
        let connection = Connection::open_with_flags(path, WRITING)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
        connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
        connection.pragma_update(None, "cache_size", -16384)?;
        check(&connection)?;
        let through = through(&connection, &journal)?;
        let open = restored(&connection)?;
        Ok(Self { connection, journal, through, open })
    }

    /// Writes events, all of them or none, and that nothing up to this record is left to come.
    ///
    /// After an error this writer holds what the file does not, and must be dropped.
    pub(super) fn write(
        &mut self,
        entries: impl IntoIterator<Item = BlockEntry>,
        through: u64,
    ) -> Result<(), FileError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for entry in entries.into_iter().filter(|entry| entry.key.sequence > self.through) {
            if !self.open.takes(&entry) {
                let next = BlockBuilder::new(self.open.id() + 1);
                close(&transaction, &std::mem::replace(&mut self.open, next))?;
            }
            self.open.push(entry);
        }
        // Its postings are written when it is full: until then a search scans all of it.
        put(&transaction, &self.open, true)?;
        let through = through.max(self.through);
        transaction.execute(
            "INSERT OR REPLACE INTO through VALUES (?1, ?2)",
            params![self.journal.as_slice(), signed(through)],
        )?;
        transaction.commit()?;
        self.through = through;
        Ok(())
    }
}

/// Creates an empty file; under another name, so that it is not found before it is complete.
fn create(path: &Path) -> Result<(), FileError> {
    let partial = path.with_extension("partial");
    for left in ["partial", "partial-journal", "partial-wal", "partial-shm"] {
        drop(std::fs::remove_file(path.with_extension(left)));
    }
    // What sqlite makes beside the file takes over who may read it.
    drop(OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?);
    let mut connection = Connection::open_with_flags(&partial, WRITING)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    // With this log sqlite's file is always as of some commit, also after power loss: its end may be missing,
    // nothing else, and what is missing is indexed again.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(&partial)?.sync_all()?;
    std::fs::rename(partial, path)?;
    Ok(())
}

/// A journal's last record that is in a file, or has nothing for it.
pub(super) fn through(connection: &Connection, journal: &JournalId) -> Result<u64, FileError> {
    let query = "SELECT coalesce(max(sequence), 0) FROM through WHERE journal = ?1";
    Ok(u64::try_from(number(connection, query, [journal.as_slice()])?).unwrap_or(0))
}

fn close(transaction: &Transaction<'_>, block: &BlockBuilder) -> Result<(), FileError> {
    put(transaction, block, false)?;
    let mut insert = transaction.prepare("INSERT INTO posting VALUES (?1, ?2, ?3, ?4)")?;
    let run = block.id() / BLOCKS_IN_RUN;
    for (term, places) in block.postings() {
        if places.is_power_of_two() {
            insert.execute(params![run, term, block.id(), places.trailing_zeros()])?;
        } else {
            insert.execute(params![run, term, block.id(), places.to_le_bytes().as_slice()])?;
        }
    }
    Ok(())
}

fn put(transaction: &Transaction<'_>, block: &BlockBuilder, open: bool) -> Result<(), FileError> {
    let Some(BlockSpan { first, last }) = block.span() else { return Ok(()) };
    transaction.execute(
        "INSERT OR REPLACE INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![block.id(), open, first.time, signed(first.sequence), last.time, signed(last.sequence), block.body()?],
    )?;
    Ok(())
}

/// The block that was open when the file was left, or a new one.
fn restored(connection: &Connection) -> Result<BlockBuilder, FileError> {
    let mut statement = connection.prepare("SELECT id, body FROM block WHERE open")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        let last = number(connection, "SELECT coalesce(max(id), 0) FROM block", [])?;
        return Ok(BlockBuilder::new(last + 1));
    };
    let mut open = BlockBuilder::new(row.get(0)?);
    for (key, record) in block::open(&row.get::<_, Vec<u8>>(1)?).map_err(damaged)? {
        let terms = terms(&EventView::read(&record).unwrap_or_default());
        open.push(BlockEntry { key, terms, record });
    }
    if rows.next()?.is_some() {
        return Err(damaged("two blocks are open"));
    }
    Ok(open)
}

/// What stands for the event's values in the index.
pub(super) fn terms(event: &EventView<'_>) -> Vec<i64> {
    let mut terms = Vec::with_capacity(24);
    event.each_value(|attribute, value| terms.push(index_term(attribute, value)));
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The places as a posting has them: the number of the only one, or all as bits.
pub(super) fn places(row: &rusqlite::Row<'_>, column: usize) -> Result<BlockPlaces, FileError> {
    use rusqlite::types::ValueRef;
    match row.get_ref(column)? {
        ValueRef::Integer(place) => Ok(usize::try_from(place).map_or(0, block::bit)),
        ValueRef::Blob(bytes) => bytes.try_into().map(BlockPlaces::from_le_bytes).map_err(damaged),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) => Err(damaged("a posting has no places")),
    }
}

/// A sequence as sqlite counts.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An error of what was read.
pub(super) fn damaged(error: impl ToString) -> FileError {
    FileError::Damaged(error.to_string())
}

fn check(connection: &Connection) -> Result<(), FileError> {
    let application = number(connection, "PRAGMA application_id", [])?;
    let version = number(connection, "PRAGMA user_version", [])?;
    if (application, version) == (APPLICATION, VERSION) {
        return Ok(());
    }
    Err(damaged(format!("version {version} of application {application:#x}, and this program reads {VERSION}")))
}

fn number(connection: &Connection, query: &str, parameters: impl rusqlite::Params) -> Result<i64, FileError> {
    Ok(connection.query_row(query, parameters, |row| row.get(0))?)
}

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = error.to_string();
        match error.sqlite_error_code() {
            // What the machine refuses may succeed later; all else will not get better by itself.
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
                | ErrorCode::OperationAborted
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Io(text),
            Some(_) | None => Self::Damaged(text),
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}
