//! Runs the proxy, from its start to the signal that ends it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::dev::{self, Banner, DevArgs};
use super::error::CommandError;
use super::exposure::{ExposedFile, exposed_files};
use super::log;
use super::process;
use super::root_key::RootExports;
use super::serve::{self as configured, ServeArgs};
use super::state_directory::StateDirectory;
use super::terminal::Terminal;
use portcullis_base::clock::Clock;
use portcullis_http::CertificateReload;
use portcullis_http::Endpoint;
use portcullis_http::EndpointScheme;
use portcullis_server::config::Settings;
use portcullis_server::serve::{self, RunningProxy, StartFailure};
use portcullis_state::StartError;

/// `portcullis dev`: the proxy without a configuration.
pub(super) async fn dev(
    args: DevArgs,
    place: &StateDirectory,
    environment: impl IntoIterator<Item = (String, String)>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let hangup = begin()?;
    alone(place)?;
    let chosen = args.store()?;
    let (own, endpoint, credentials_file) = match &chosen {
        dev::ChosenStore::Elsewhere { endpoint, credentials_file, .. } => {
            (None, endpoint.clone(), credentials_file.clone())
        }
        dev::ChosenStore::Own => {
            let own = own_store::start(place).await?;
            let endpoint = endpoint_of(own.address())?;
            let credentials_file = own.credentials_file();
            (Some(own), endpoint, credentials_file)
        }
    };
    let settings = dev::settings(&args, place, endpoint.clone(), credentials_file, &chosen, environment)?;
    tell_exposed(&settings, None);
    let proxy = start(&settings, place).await?;
    let exports = exports(&proxy, &settings)?;
    let unwritten = |error: io::Error| CommandError::failed(format!("{}: {error}", place.root_env().display()));
    exports.write(place).map_err(unwritten)?;
    let program = std::env::args().next().unwrap_or_else(|| "portcullis".to_owned());
    let banner = Banner {
        program: &program,
        place,
        account: proxy.account(),
        upstream: &endpoint,
        kind: settings.upstream.profile,
        exports: &exports,
    };
    terminal.print(&dev::banner(&banner))?;
    until_told_to_stop(proxy, scheme(&settings), hangup, terminal).await?;
    if let Some(own) = own {
        own.stop().await;
    }
    Ok(())
}

/// `portcullis serve`: the proxy with a configuration.
pub(super) async fn serve(
    args: ServeArgs,
    environment: impl IntoIterator<Item = (String, String)>,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let hangup = begin()?;
    let settings = configured::settings(&args.config, environment)?;
    tell_exposed(&settings, Some(&args.config));
    let place = StateDirectory::find(Some(settings.state.directory.clone()), None);
    let proxy = start(&settings, &place).await?;
    let exports = exports(&proxy, &settings)?;
    let unwritten = |error: io::Error| CommandError::failed(format!("{}: {error}", place.root_env().display()));
    exports.write(&place).map_err(unwritten)?;
    until_told_to_stop(proxy, scheme(&settings), hangup, terminal).await
}

/// Prepares the process; from here on SIGHUP, which log rotation and closed terminals send, does not end it.
fn begin() -> Result<Signal, CommandError> {
    log::begin();
    harden()?;
    if let Err(error) = process::raise_open_files() {
        tracing::warn!(%error, "the limit of open files is not raised");
    }
    signal(SignalKind::hangup()).map_err(unheard)
}

fn unheard(error: io::Error) -> CommandError {
    CommandError::failed(format!("signals cannot be received: {error}"))
}

fn harden() -> Result<(), CommandError> {
    process::harden().map_err(|error| CommandError::failed(format!("the process cannot be hardened: {error}")))
}

/// Warns at each start about files that others can read or change.
fn tell_exposed(settings: &Settings, config: Option<&Path>) {
    for ExposedFile { about, text } in exposed_files(settings, config) {
        tracing::warn!(%about, "{text}");
    }
}

async fn start(settings: &Settings, place: &StateDirectory) -> Result<RunningProxy, CommandError> {
    serve::start(settings, Clock::watched()).await.map_err(|failure| failed(failure, place))
}

/// Creates the state that a configuration names.
pub(super) async fn create_state(settings: &Settings) -> Result<(), CommandError> {
    harden()?;
    let place = StateDirectory::find(Some(settings.state.directory.clone()), None);
    serve::create_state(settings, &Clock::watched()).await.map(drop).map_err(|failure| failed(failure, &place))
}

async fn until_told_to_stop(
    proxy: RunningProxy,
    scheme: EndpointScheme,
    mut hangup: Signal,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    terminal.print(&dev::listening(scheme, proxy.address()))?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            Some(()) = hangup.recv() => reload(&proxy),
        }
    }
    proxy.stop().await;
    Ok(())
}

/// Reloads the certificate on SIGHUP, and logs the result.
fn reload(proxy: &RunningProxy) {
    match proxy.reload() {
        Ok(CertificateReload::Done) => {
            tracing::warn!("SIGHUP: the certificate was reloaded; other settings need a restart")
        }
        Ok(CertificateReload::Nothing) => {
            tracing::warn!("SIGHUP: there is no certificate to reload; settings need a restart")
        }
        Err(error) => tracing::error!(%error, "SIGHUP: the new certificate cannot be used; the old one stays"),
    }
}

fn exports(proxy: &RunningProxy, settings: &Settings) -> Result<RootExports, CommandError> {
    let (access_key_id, secret_access_key) = proxy.root_credentials().ok_or_else(|| {
        CommandError::failed("root has no active access key").next("Create one: portcullis key create root")
    })?;
    Ok(RootExports {
        endpoint: reachable(settings, proxy.address()),
        access_key_id: access_key_id.to_string(),
        secret_access_key,
        region: settings.account.region.clone(),
    })
}

fn scheme(settings: &Settings) -> EndpointScheme {
    if settings.listen.tls.is_some() { EndpointScheme::Https } else { EndpointScheme::Http }
}

/// The endpoint for clients on this machine.
fn reachable(settings: &Settings, mut address: SocketAddr) -> String {
    let scheme = scheme(settings);
    match (scheme, &settings.listen.base_domain) {
        // A certificate usually names a host and not an address.
        (EndpointScheme::Https, Some(domain)) => format!("{}://{domain}:{}", scheme.as_str(), address.port()),
        (EndpointScheme::Http, _) | (EndpointScheme::Https, None) => {
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            format!("{}://{address}", scheme.as_str())
        }
    }
}

/// Two proxies with one state would check codes against counters that the other one changes.
fn alone(place: &StateDirectory) -> Result<(), CommandError> {
    match UnixStream::connect(place.socket()) {
        Ok(_) => Err(CommandError::failed(format!("Portcullis is already running with state directory {place}"))
            .next("Use that one, or choose another state directory: --data DIR")),
        Err(_) => Ok(()),
    }
}

fn failed(failure: StartFailure, place: &StateDirectory) -> CommandError {
    let next = match &failure {
        StartFailure::Address { .. } => {
            "Choose another address: --listen ADDRESS:PORT (dev), or listen.address".to_owned()
        }
        StartFailure::State(
            StartError::Behind { .. } | StartError::Incomplete(_) | StartError::Missing | StartError::Unreadable(_),
        ) => {
            format!("portcullis state rebuild{}", place.flag())
        }
        StartFailure::Trust { .. } => {
            "upstream.ca_file names a file of the certificate authorities to trust, in PEM".to_owned()
        }
        StartFailure::Certificate(_)
        | StartFailure::Credentials { .. }
        | StartFailure::Descriptors(_)
        | StartFailure::Full { .. }
        | StartFailure::History { .. }
        | StartFailure::Journal(_)
        | StartFailure::JournalClosed
        | StartFailure::Socket { .. }
        | StartFailure::State(_) => return CommandError::failed(failure),
    };
    CommandError::failed(failure).next(next)
}

fn endpoint_of(address: SocketAddr) -> Result<Endpoint, CommandError> {
    Endpoint::parse(&format!("http://{address}")).map_err(CommandError::failed)
}

/// The embedded store that `portcullis dev` starts.
#[cfg(feature = "embedded")]
mod own_store {
    use super::{CommandError, Path, PathBuf, SocketAddr, StateDirectory};
    use crate::command::private_file;
    use portcullis_base::secret::Secret;
    use portcullis_server::config::Credentials;

    pub(super) struct OwnStore {
        running: portcullis_devstore::RunningStore,
        credentials_file: PathBuf,
    }

    impl OwnStore {
        pub(super) fn address(&self) -> SocketAddr {
            self.running.address
        }

        pub(super) fn credentials_file(&self) -> PathBuf {
            self.credentials_file.clone()
        }

        pub(super) async fn stop(self) {
            self.running.shutdown().await;
        }
    }

    pub(super) async fn start(place: &StateDirectory) -> Result<OwnStore, CommandError> {
        portcullis_state::prepare_dir(place.directory()).map_err(CommandError::failed)?;
        let credentials_file = place.directory().join("store.env");
        let key = credentials(&credentials_file)?;
        let directory = place.directory().join("store");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let running =
            portcullis_devstore::start(&directory, listen, &key.access_key_id, &key.secret_access_key, "us-east-1")
                .await;
        Ok(OwnStore { running: running.map_err(CommandError::failed)?, credentials_file })
    }

    /// The key pair between proxy and embedded store, created at the first start.
    fn credentials(file: &Path) -> Result<Credentials, CommandError> {
        if !file.exists() {
            let (id, secret) = (random_hex()?, random_hex()?);
            let lines =
                Secret::new(format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n", id.expose(), secret.expose()));
            let unwritten = |error| CommandError::failed(format!("{}: {error}", file.display()));
            private_file::create(file, lines.expose().as_bytes()).map_err(unwritten)?;
        }
        super::dev::read_credentials(file).map(|(key, _)| key)
    }

    fn random_hex() -> Result<Secret<String>, CommandError> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|error| CommandError::failed(format!("no random bytes: {error}")))?;
        Ok(Secret::new(hex::encode(bytes)))
    }
}

#[cfg(not(feature = "embedded"))]
mod own_store {
    use super::{CommandError, PathBuf, SocketAddr, StateDirectory};

    pub enum OwnStore {}

    impl OwnStore {
        pub fn address(&self) -> SocketAddr {
            match *self {}
        }

        pub fn credentials_file(&self) -> PathBuf {
            match *self {}
        }

        pub async fn stop(self) {
            match self {}
        }
    }

    pub async fn start(_: &StateDirectory) -> Result<OwnStore, CommandError> {
        Err(CommandError::usage("this portcullis was built without the embedded store")
            .next("Name a store: --upstream http[s]://HOST:PORT --upstream-credentials FILE"))
    }
}
