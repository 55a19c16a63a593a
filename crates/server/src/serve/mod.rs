//! Puts the parts together: state, journal, upstream, pipeline; serves until it is stopped.

mod admin;
mod ballast;
mod descriptors;
mod retention;
mod state_log;
#[cfg(test)]
mod tests;
mod trails;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::descriptors::{ConnectionFit, OpenFiles, TooFewDescriptors};
use self::state_log::{MOST_SINCE_SNAPSHOT, StateLog};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::config::{Credentials, CredentialsError, Settings};
use crate::pipeline::{self, BucketProtection, Pipeline, RecordingRules, SharedPlaces};
use portcullis_audit::Recorder;
use portcullis_authorization::Rules;
use portcullis_base::clock::Clock;
use portcullis_base::names::{AccessKeyId, AccountId};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::DigestPeriod;
use portcullis_cloudtrail::record::AccountScope;
use portcullis_control::cloudtrail::CloudTrail;
use portcullis_followers::delivery::{self, Delivery};
use portcullis_followers::history::History;
use portcullis_http::Endpoint;
use portcullis_http::{
    CertificateError, CertificateReload, Dialler, ListenerSecurity, TrustError, TrustedAuthorities, TrustedProxies,
};
use portcullis_journal::{ClosureNote, Journal, JournalDisk, JournalError, JournalOptions, JournalRecovery};
use portcullis_s3::{RoutingRules, StoreProfile};
use portcullis_sigv4::{AcceptedScope, AwsService};
use portcullis_state::{StartError, StateStore};
use portcullis_upstream::{Upstream, UpstreamSigner, UpstreamTimeouts};

/// A proxy that serves.
#[derive(Debug)]
pub struct RunningProxy {
    address: SocketAddr,
    state: StateStore,
    delivery: Delivery,
    clock: Clock,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<io::Result<()>>>,
    history: Arc<History>,
    recorder: Arc<Recorder>,
    socket: PathBuf,
    security: ListenerSecurity,
}

/// Why Portcullis does not start; each message says what to do.
#[derive(Debug, Error)]
pub enum StartFailure {
    #[error("cannot listen on {address}: {error}")]
    Address { address: SocketAddr, error: io::Error },
    #[error("listen.cert_file and listen.key_file: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the upstream's credentials in `{}`: {error}", path.display())]
    Credentials { path: PathBuf, error: CredentialsError },
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    #[error("the history in `{}` cannot be kept: {error}", path.display())]
    History { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the disk of `{}` is full, and a start needs a megabyte of it: make space and start again; nothing is damaged \
         ({error})", directory.display()
    )]
    Full { directory: PathBuf, error: Box<StartFailure> },
    #[error("the journal closed during the start")]
    JournalClosed,
    #[error("the admin socket `{}` cannot be created: {error}", path.display())]
    Socket { path: PathBuf, error: io::Error },
    #[error(transparent)]
    State(#[from] StartError),
    #[error("{endpoint} cannot be verified: {error}")]
    Trust { endpoint: Endpoint, error: TrustError },
}

/// The state and the journal of one directory, opened together.
struct OpenedState {
    state: StateStore,
    log: Arc<StateLog>,
    journal: Arc<Journal>,
    recovered: JournalRecovery,
}

impl RunningProxy {
    /// The address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account that is served.
    pub fn account(&self) -> &AccountId {
        self.state.account()
    }

    /// An active key of root, for `root.env`.
    pub fn root_credentials(&self) -> Option<(AccessKeyId, Secret<String>)> {
        self.state.root_credentials()
    }

    /// Reloads the certificate and its key, both or neither.
    pub fn reload(&self) -> Result<CertificateReload, CertificateError> {
        self.security.reload()
    }

    /// Stops accepting requests, finishes those in progress, and closes the state cleanly.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for serving in self.serving {
            match serving.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a listener ended"),
                Err(error) => tracing::error!(%error, "a listener failed"),
            }
        }
        self.recorder.tell_the_rest();
        // The upstream may still carry out requests that were cut off or abandoned.
        self.state.note_under_way(self.clock.now()).await;
        self.delivery.stop().await;
        if let Err(error) = self.state.watch_clock(self.clock.now()).await {
            tracing::error!(%error, "the time of the stop cannot be recorded");
        }
        let history = self.history;
        if let Err(error) = tokio::task::spawn_blocking(move || history.stop()).await {
            tracing::error!(%error, "the history was not closed cleanly");
        }
        drop(std::fs::remove_file(&self.socket));
    }
}

/// Starts the proxy with these settings; it serves on return.
pub async fn start(settings: &Settings, clock: Clock) -> Result<RunningProxy, StartFailure> {
    start_on(JournalDisk::default(), settings, clock).await
}

/// Starts the proxy with its journal on this disk, which a benchmark chooses.
pub async fn start_on(disk: JournalDisk, settings: &Settings, clock: Clock) -> Result<RunningProxy, StartFailure> {
    let directory = &settings.state.directory;
    let security = security(settings)?;
    let upstream = Arc::new(upstream(settings)?);
    let OpenedState { state, log, journal, recovered } = open(disk, settings, &clock).await?;
    settle(&recovered, &journal, &upstream, &state, &clock).await?;
    let address = settings.listen.address;
    let listener = TcpListener::bind(address).await.map_err(|error| StartFailure::Address { address, error })?;
    let address = listener.local_addr().map_err(|error| StartFailure::Address { address, error })?;
    let scope = AccountScope {
        account: state.account().clone(),
        region: settings.account.region.clone(),
        alias: settings.account.alias.clone(),
    };
    let recorder = Arc::new(Recorder::new(journal.clone(), scope, clock.clone()));
    let delivery = Delivery::start(delivery_dependencies(settings, &clock.steady(), &state, &journal, &upstream));
    let (stop, stopped) = watch::channel(false);
    let socket = admin::path(directory);
    let admin = admin::AdminSocket {
        clock: clock.clone(),
        state: state.clone(),
        recorder: recorder.clone(),
        journal: journal.clone(),
        digits: settings.mfa.digits,
        rules: rules(settings),
    };
    let admin_serving = admin::serve(&socket, admin, stopped.clone())
        .map_err(|error| StartFailure::Socket { path: socket.clone(), error })?;
    let history = Arc::new(history(settings, &journal, &clock)?);
    let keep = settings.audit.keep;
    let trimming = tokio::spawn(retention::trim(journal.clone(), state.clone(), clock.clone(), keep, stopped.clone()));
    let segment_size = settings.audit.segment_size;
    let watching =
        tokio::spawn(retention::watch_space(recorder.clone(), directory.clone(), segment_size, stopped.clone()));
    let snapshots = tokio::spawn(state_log::take_snapshots(log, state.clone(), MOST_SINCE_SNAPSHOT, stopped.clone()));
    let watching_clock = tokio::spawn(retention::watch_clock(state.clone(), clock.clone(), stopped.clone()));
    let (looked_up, delivered) = (Arc::clone(&history), delivery.clone());
    let limits = limits(settings)?;
    let pipeline = Arc::new(build_pipeline(
        settings,
        clock.clone(),
        state.clone(),
        upstream,
        journal,
        recorder.clone(),
        looked_up,
        delivered,
    ));
    let serving = tokio::spawn(portcullis_http::serve(listener, security.clone(), pipeline, limits, stopped));
    let serving = vec![serving, admin_serving, trimming, snapshots, watching, watching_clock];
    Ok(RunningProxy { address, state, delivery, clock, stop, serving, history, recorder, socket, security })
}

/// Creates the state, and closes it again.
pub async fn create_state(settings: &Settings, clock: &Clock) -> Result<AccountId, StartFailure> {
    Ok(open(JournalDisk::default(), settings, clock).await?.state.account().clone())
}

/// Where a state directory keeps its journal.
pub fn journal_of(directory: &Path) -> PathBuf {
    directory.join("journal")
}

/// Where a state directory keeps the history.
pub fn history_of(directory: &Path) -> PathBuf {
    directory.join("history")
}

fn history(settings: &Settings, journal: &Arc<Journal>, clock: &Clock) -> Result<History, StartFailure> {
    let path = history_of(&settings.state.directory);
    History::start(&path, Arc::clone(journal), settings.history.retention, clock.clone())
        .map_err(|error| StartFailure::History { path, error })
}

async fn open(disk: JournalDisk, settings: &Settings, clock: &Clock) -> Result<OpenedState, StartFailure> {
    let directory = &settings.state.directory;
    portcullis_state::prepare_dir(directory)?;
    ballast::Ballast::of(directory).give_way();
    open_state(disk, settings, clock).await.map_err(|error| {
        let directory = directory.clone();
        if ballast::is_full(&directory) { StartFailure::Full { directory, error: Box::new(error) } } else { error }
    })
}

async fn open_state(disk: JournalDisk, settings: &Settings, clock: &Clock) -> Result<OpenedState, StartFailure> {
    let directory = &settings.state.directory;
    let options = JournalOptions { segment_size: settings.audit.segment_size, disk, ..JournalOptions::default() };
    let (journal, mut recovered) = Journal::open(&journal_of(directory), options)?;
    let journal = Arc::new(journal);
    let (log, entries) = StateLog::new(journal.clone(), directory.clone(), &mut recovered);
    let log = Arc::new(log);
    let state = StateStore::open(directory, log.clone(), &entries, clock.clone()).await?;
    Ok(OpenedState { state, log, journal, recovered })
}

/// Resolves the intents that a crash left open, so that each has an outcome on record.
async fn settle(
    recovered: &JournalRecovery,
    journal: &Journal,
    upstream: &Arc<Upstream>,
    state: &StateStore,
    clock: &Clock,
) -> Result<(), StartFailure> {
    if let Some(segment) = &recovered.cut {
        tracing::warn!(segment = %segment.display(), "an incomplete write at the journal's end was removed; nothing in it had been acknowledged");
    }
    if let Some(ClosureNote { reason, lost }) = &recovered.closed_because {
        tracing::warn!(%reason, lost, "the journal had closed");
    }
    if recovered.open_intents.is_empty() {
        return Ok(());
    }
    let requests = recovered.open_intents.len();
    tracing::warn!(
        requests,
        "requests were in progress when Portcullis stopped; the upstream is asked for their outcome"
    );
    let recovered = pipeline::recover(&recovered.open_intents, journal, upstream, state, clock).await;
    let pipeline::RecoveredRequests { done, not_done, unknown } = match recovered {
        Ok(recovered) => recovered,
        Err(_) if journal.is_sound() => {
            tracing::error!("no space to record their outcome; the next start asks again");
            return Ok(());
        }
        Err(_) => return Err(StartFailure::JournalClosed),
    };
    tracing::warn!(done, not_done, unknown, "their outcome is recorded");
    Ok(())
}

fn security(settings: &Settings) -> Result<ListenerSecurity, CertificateError> {
    settings.listen.tls.as_ref().map_or(Ok(ListenerSecurity::Plain), ListenerSecurity::tls)
}

/// The certificate authorities of the upstream.
pub fn authorities(settings: &Settings) -> TrustedAuthorities {
    settings.upstream.ca_file.clone().map_or(TrustedAuthorities::System, TrustedAuthorities::File)
}

fn upstream(settings: &Settings) -> Result<Upstream, StartFailure> {
    let path = settings.upstream.credentials_file.clone();
    let (credentials, _) =
        Credentials::read(&path).map_err(|error| StartFailure::Credentials { path: path.clone(), error })?;
    let signer =
        UpstreamSigner::new(credentials.access_key_id, credentials.secret_access_key, settings.upstream.region.clone());
    let timeouts = UpstreamTimeouts {
        connect: settings.upstream.connect_timeout,
        response: settings.upstream.response_timeout,
        idle: IDLE_UPSTREAM,
    };
    let endpoint = settings.upstream.endpoint.clone();
    let dialler = Dialler::new(endpoint.clone(), &authorities(settings))
        .map_err(|error| StartFailure::Trust { endpoint, error })?;
    Ok(Upstream::new(dialler, signer, timeouts, profile(settings).trailers)
        .telling(&settings.account.region, profile(settings).bucket_placement))
}

/// Shorter than the idle timeout of any known store.
const IDLE_UPSTREAM: std::time::Duration = std::time::Duration::from_secs(20);

#[expect(clippy::too_many_arguments, reason = "the parts of the pipeline, each of its own type")]
fn build_pipeline(
    settings: &Settings,
    clock: Clock,
    state: StateStore,
    upstream: Arc<Upstream>,
    journal: Arc<Journal>,
    recorder: Arc<Recorder>,
    history: Arc<History>,
    delivery: Delivery,
) -> Pipeline {
    let rules = rules(settings);
    let region = settings.account.region.clone();
    let deliveries = Arc::new(trails::DeliveryAdapter {
        delivery,
        upstream: Arc::clone(&upstream),
        folder: settings.trail.folder.as_ref().and_then(|folder| std::path::absolute(folder).ok()),
    });
    // The settings accept no other.
    let digest_period = DigestPeriod::parse(settings.trail.digest_period).unwrap_or(DigestPeriod::HOUR);
    Pipeline {
        accepted_scope: AcceptedScope {
            region: settings.account.region.clone(),
            services: &[AwsService::S3],
            unsigned_payload: settings.listen.unsigned_payload,
        },
        routing: RoutingRules { base_domain: settings.listen.base_domain.clone(), upstream: settings.upstream.profile },
        rules,
        proxies: TrustedProxies::new(settings.listen.trusted_proxies.clone()),
        keyring: state.keyring(),
        protection: BucketProtection::new(
            state.clone(),
            upstream.clone(),
            clock.clone(),
            rules.profile,
            profile(settings).upload_versions,
        ),
        recording: recording(settings),
        body_idle: settings.limits.body_idle,
        documents: SharedPlaces::new(usize::try_from(settings.limits.documents).unwrap_or(usize::MAX)),
        writes: SharedPlaces::new(usize::try_from(settings.limits.writes).unwrap_or(usize::MAX)),
        trails: CloudTrail::new(
            region,
            state.clone(),
            deliveries,
            Arc::new(trails::HistoryAdapter(history)),
            digest_period,
        ),
        digits: settings.mfa.digits,
        calls: Semaphore::new(UNPROVED_CALLS),
        pace: pipeline::RefusalPace::default(),
        clock,
        state,
        upstream,
        journal,
        recorder,
    }
}

/// What trails are delivered with.
fn delivery_dependencies(
    settings: &Settings,
    clock: &Clock,
    state: &StateStore,
    journal: &Arc<Journal>,
    upstream: &Arc<Upstream>,
) -> delivery::DeliveryDependencies {
    let chosen = &settings.trail;
    let destination: Arc<dyn delivery::TrailDestination> = match &chosen.folder {
        Some(folder) => Arc::new(delivery::FolderDestination::new(folder.clone())),
        None => Arc::new(delivery::UpstreamDestination::new(Arc::clone(upstream), clock.clone())),
    };
    delivery::DeliveryDependencies {
        state: state.clone(),
        journal: Arc::clone(journal),
        spool: Arc::new(delivery::SpoolFolder::new(settings.state.directory.join("trails"))),
        destination,
        keys: delivery::DigestKeys::new(state.clone(), clock.clone(), chosen.key_lifetime),
        checkpoints: chosen.witness.clone(),
        clock: clock.clone(),
        account: state.account().clone(),
        region: settings.account.region.clone(),
        log_period: chosen.log_period,
    }
}

fn recording(settings: &Settings) -> RecordingRules {
    let audit = &settings.audit;
    RecordingRules {
        reads: audit.reads,
        strict: audit.strict_buckets.clone(),
        relaxed: audit.relaxed_buckets.clone(),
        on_failure: audit.on_failure,
    }
}

/// How many bodies of unverified calls are in memory at once: 4 MiB in all.
const UNPROVED_CALLS: usize = 16;

fn rules(settings: &Settings) -> Rules {
    Rules {
        profile: settings.mfa_delete.profile,
        replication: profile(settings).replication,
        loopback_is_secure: settings.mfa.require_tls,
    }
}

/// What the upstream does beyond AWS.
fn profile(settings: &Settings) -> &'static StoreProfile {
    settings.upstream.profile.profile()
}

fn limits(settings: &Settings) -> Result<portcullis_http::ConnectionLimits, TooFewDescriptors> {
    let mut limits = settings.limits;
    // Where nothing tells how many descriptors are in use, the settings are taken at their word.
    if let Ok(descriptors) = OpenFiles::now()
        && let ConnectionFit::Lowered(connections) = descriptors.fit(settings)?
    {
        let (wanted, needed) = (limits.connections, descriptors.needed(settings));
        tracing::warn!(
            wanted,
            connections,
            "limits.connections is lowered to what the limit of open files allows; for all of them it has to be {needed}"
        );
        limits.connections = connections;
        // One client must not use all of them.
        limits.connections_per_address = limits.connections_per_address.min((connections / 2).max(1));
    }
    Ok(portcullis_http::ConnectionLimits {
        header_timeout: limits.header_timeout,
        headers: usize::try_from(limits.headers).unwrap_or(usize::MAX),
        head_bytes: usize::try_from(limits.header_size).unwrap_or(usize::MAX),
        connections: usize::try_from(limits.connections).unwrap_or(usize::MAX),
        connections_per_address: usize::try_from(limits.connections_per_address).unwrap_or(usize::MAX),
        proxies: TrustedProxies::new(settings.listen.trusted_proxies.clone()),
        keep_alive: limits.keep_alive,
        write_idle: limits.body_idle,
        drain: limits.drain,
    })
}
