//! Serves with the journal on the disk or in memory, for `bench/journal`:
//! `journal_cost disk|memory STATE ADDRESS:PORT UPSTREAM CREDENTIALS`.
//!
//! In memory all records are framed and chained in the same way and then dropped. The product cannot be built so.

use std::error::Error;
use std::fs::File;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis::command::root_key::RootExports;
use portcullis::command::state_directory::StateDirectory;
use portcullis_base::clock::Clock;
use portcullis_http::Endpoint;
use portcullis_journal::{DiskCalls, JournalDisk};
use portcullis_server::config::Settings;
use portcullis_server::serve;

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A disk whose records go to memory that is written over and over, and whose syncs do nothing.
#[derive(Debug, Default)]
struct MemoryCalls(Mutex<Vec<u8>>);

impl DiskCalls for MemoryCalls {
    fn write_all_at(&self, _: &File, bytes: &[u8], _: u64) -> io::Result<()> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.clear();
        memory.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    // As `portcullis serve` chooses it, so that both are measured as the product runs.
    let mut runtime = match std::thread::available_parallelism().map_or(1, NonZero::get) {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [journal, state, address, upstream, credentials] = arguments.as_slice() else {
        return Err("usage: journal_cost disk|memory STATE ADDRESS:PORT UPSTREAM CREDENTIALS".into());
    };
    let disk = match journal.as_str() {
        "disk" => JournalDisk::default(),
        "memory" => JournalDisk::through(Arc::<MemoryCalls>::default()),
        other => return Err(format!("the journal is on `disk` or in `memory`: {other}").into()),
    };
    let mut settings = Settings::standard(PathBuf::from(state), Endpoint::parse(upstream)?, PathBuf::from(credentials));
    settings.listen.address = address.parse()?;
    let proxy = serve::start_on(disk, &settings, Clock::watched()).await?;
    let (access_key_id, secret_access_key) = proxy.root_credentials().ok_or("root has no active access key")?;
    let exports = RootExports {
        endpoint: format!("http://{}", proxy.address()),
        access_key_id: access_key_id.to_string(),
        secret_access_key,
        region: settings.account.region.clone(),
    };
    exports.write(&StateDirectory::find(Some(PathBuf::from(state)), None))?;
    eprintln!("portcullis listening on {} with its journal: {journal}", exports.endpoint);
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
    proxy.stop().await;
    Ok(())
}
