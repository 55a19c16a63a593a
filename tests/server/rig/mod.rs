//! A proxy on a real socket, with a clock moved by hand, in front of a store that remembers what it was asked.

mod client;
mod device;
mod journal;
mod recorder;
mod signer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use portcullis_base::clock::{Clock, Timestamp};
use portcullis_http::Endpoint;
use portcullis_s3::UpstreamKind;
use portcullis_server::config::Settings;
use portcullis_server::serve::{self, RunningProxy};

pub(crate) use client::{Reply, exchange, open, read};
pub(crate) use device::Device;
pub(crate) use journal::{Entry, Event, events_in, outcomes_on_disk};
pub(crate) use recorder::{
    Content, KEY_ID as UPSTREAM_KEY_ID, Manner, Recorder, SECRET as UPSTREAM_SECRET, STALLED, UpstreamRequest,
    upload_id,
};
pub(crate) use signer::{Ask, Keys, Payload};

/// A proxy that serves.
pub(crate) struct Rig {
    pub address: SocketAddr,
    pub upstream: Recorder,
    pub root: Keys,
    pub device: Device,
    running: RunningProxy,
    clock: Arc<AtomicI64>,
    directory: tempfile::TempDir,
    settings: Settings,
}

/// 2027-01-15T08:00:00Z, a whole time step.
const START: i64 = 1_800_000_000_000;

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

impl Rig {
    /// A proxy in front of a store of this kind.
    pub(crate) async fn of(profile: UpstreamKind) -> Self {
        Self::with(|settings| settings.upstream.profile = profile).await
    }

    /// A proxy in front of a store of which nothing is known.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A proxy with settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let upstream = Recorder::start().await;
        let credentials = directory.path().join("upstream.env");
        let text = format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n", recorder::KEY_ID, recorder::SECRET);
        std::fs::write(&credentials, text).expect("written");
        let endpoint = Endpoint::parse(&format!("http://{}", upstream.address)).expect("an endpoint");
        let mut settings = Settings::standard(directory.path().join("state"), endpoint, credentials);
        settings.listen.address = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.audit.segment_size = 1 << 20;
        // A spoilt request may not say that its connection ends with it.
        settings.limits.keep_alive = std::time::Duration::from_millis(500);
        change(&mut settings);
        upstream.behave_as(settings.upstream.profile);
        let clock = Arc::new(AtomicI64::new(START));
        let running = serve::start(&settings, Clock::Set(clock.clone())).await.expect("a proxy");
        let (key_id, secret) = running.root_credentials().expect("root's key");
        let root = Keys { key_id: key_id.to_string(), secret: secret.expose().clone() };
        let socket = settings.state.directory.join("admin.sock");
        let device = Device::enrol(&socket, clock.load(Ordering::SeqCst)).await;
        Self { address: running.address(), upstream, root, device, running, clock, directory, settings }
    }

    /// The time at the proxy, and so in every signature.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    /// Lets time steps of the device pass.
    pub(crate) fn pass_steps(&self, count: i64) {
        self.clock.fetch_add(count * 30_000, Ordering::SeqCst);
    }

    /// A serial and a code that was never used: of the next time step, which begins now.
    pub(crate) fn fresh_offer(&self) -> String {
        self.pass_steps(1);
        self.device.offer(self.now(), &[0])
    }

    /// Sends a request signed by root.
    pub(crate) async fn send(&self, ask: &Ask) -> Reply {
        exchange(self.address, &ask.signed(&self.root, self.now())).await
    }

    /// Turns MFA Delete on in a bucket.
    pub(crate) async fn protect(&self, bucket: &str) {
        self.upstream.set_versioning(bucket, "Enabled");
        let offer = self.fresh_offer();
        let ask = Ask::new(&format!("PUT /{bucket}?versioning")).header("x-amz-mfa", &offer).document(
            "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
        );
        let reply = self.send(&ask).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.upstream.forget();
    }

    /// A user with the data plane's rights and nothing else.
    pub(crate) async fn user(&self, name: &str) -> Keys {
        device::user(&self.socket(), name).await
    }

    /// What an administrator has done at the proxy's own socket.
    pub(crate) async fn administer(&self, action: &str, parameters: &[(&str, &str)]) {
        device::ask(&self.socket(), action, parameters).await;
    }

    /// A user that may do what the statements of this policy say.
    pub(crate) async fn user_with(&self, name: &str, statements: &str) -> Keys {
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        device::user_with(&self.socket(), name, &document).await
    }

    /// `MfaDelete` as the proxy tells it.
    pub(crate) async fn mfa_delete(&self, bucket: &str) -> Option<String> {
        let reply = self.send(&Ask::new(&format!("GET /{bucket}?versioning"))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.element("MfaDelete")
    }

    /// The journal's records as they are now.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        journal::read(&self.journal_directory())
    }

    /// The events recorded so far, those of the rig's own preparations left out.
    pub(crate) fn events(&self) -> Vec<Event> {
        journal::events(&self.journal())
    }

    /// Waits until there are as many events.
    pub(crate) async fn events_when(&self, count: usize) -> Vec<Event> {
        wait_for("events", || {
            let events = self.events();
            (events.len() >= count).then_some(events)
        })
        .await
    }

    pub(crate) fn journal_directory(&self) -> PathBuf {
        serve::journal_of(&self.directory.path().join("state"))
    }

    /// Stops the proxy: whatever it had still to do is done.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.running.stop().await;
        self.directory
    }

    /// Stops the proxy, lets something happen to its directory, and starts it again.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(&Path)) -> Self {
        self.running.stop().await;
        meanwhile(&self.directory.path().join("state"));
        let running = serve::start(&self.settings, Clock::Set(self.clock.clone())).await.expect("a proxy");
        Self { address: running.address(), running, ..self }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("state").join("admin.sock")
    }
}

/// Waits for what must come.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{what} did not come in time"),
    }
}
