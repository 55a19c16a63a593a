//! How many connections the open files of this process allow.

use std::io;
use std::num::NonZeroU64;

use rustix::process::{Resource, getrlimit};
use thiserror::Error;

use super::profile;
use crate::config::Settings;
use portcullis_s3::StoreProcess;

/// The open files of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// How many there may be; `None` without a limit.
    pub limit: Option<u64>,
    /// How many there are, or will be, without any connection.
    pub used: u64,
}

/// How many connections there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFit {
    /// As many as the settings say.
    All,
    /// Only this many.
    Lowered(u32),
}

/// The open file limit allows too few connections.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "{limit} descriptors (open files) are too few, at least {needed} are needed: raise the limit, as with `ulimit -n`, \
     LimitNOFILE= of systemd or --ulimit nofile= of docker"
)]
pub struct TooFewDescriptors {
    pub limit: u64,
    pub needed: u64,
}

/// Reserved for files opened while serving: segments of the journal, days of the history, files of trails,
/// certificates, the admin socket.
const RESERVE: u64 = 24;
/// The least number of connections that is useful.
const FEWEST: u64 = 4;
/// What a proxy has open before it accepts connections, including some days of the history.
const TYPICAL: u64 = 40;

impl OpenFiles {
    /// The open files of this process now.
    pub fn now() -> io::Result<Self> {
        // The directory handle of the listing is one of them.
        let used = std::fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
        Ok(Self { limit: getrlimit(Resource::Nofile).current, used: u64::try_from(used).unwrap_or(u64::MAX) })
    }

    /// Those of a proxy that is started with this process's limits.
    pub fn of_a_start() -> Self {
        Self { limit: getrlimit(Resource::Nofile).maximum, used: TYPICAL }
    }

    /// How many of the configured connections fit.
    pub fn fit(&self, settings: &Settings) -> Result<ConnectionFit, TooFewDescriptors> {
        let Some(limit) = self.limit else { return Ok(ConnectionFit::All) };
        let each = for_each_connection(settings);
        let fixed = self.used.saturating_add(RESERVE);
        let fitting = limit.saturating_sub(fixed) / each;
        if fitting < FEWEST {
            return Err(TooFewDescriptors { limit, needed: fixed.saturating_add(FEWEST * each.get()) });
        }
        let wanted = settings.limits.connections;
        Ok(match u32::try_from(fitting) {
            Ok(fitting) if fitting < wanted => ConnectionFit::Lowered(fitting),
            Ok(_) | Err(_) => ConnectionFit::All,
        })
    }

    /// How many descriptors all connections of the settings need.
    pub fn needed(&self, settings: &Settings) -> u64 {
        let connections = u64::from(settings.limits.connections).saturating_mul(for_each_connection(settings).get());
        self.used.saturating_add(RESERVE).saturating_add(connections)
    }
}

/// A client's connection and one to the upstream; the embedded store needs its end of that and a file.
fn for_each_connection(settings: &Settings) -> NonZeroU64 {
    const BOTH: NonZeroU64 = NonZeroU64::MIN.saturating_add(1);
    const WITH_OWN_STORE: NonZeroU64 = NonZeroU64::MIN.saturating_add(3);
    match profile(settings).process {
        StoreProcess::Own => WITH_OWN_STORE,
        StoreProcess::Separate => BOTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_http::Endpoint;
    use portcullis_s3::UpstreamKind;

    fn settings(profile: UpstreamKind, connections: u32) -> Settings {
        let endpoint = Endpoint::parse("http://127.0.0.1:9").expect("an endpoint");
        let mut settings = Settings::standard("state".into(), endpoint, "upstream.env".into());
        settings.upstream.profile = profile;
        settings.limits.connections = connections;
        settings
    }

    #[test]
    fn connections_leave_descriptors_for_what_the_gate_opens_itself() {
        let fit = |limit, profile, connections| OpenFiles { limit, used: 30 }.fit(&settings(profile, connections));
        for (limit, profile, connections, expected) in [
            (None, UpstreamKind::Minio, 1_000_000, Ok(ConnectionFit::All)),
            (Some(1024), UpstreamKind::Minio, 485, Ok(ConnectionFit::All)),
            (Some(1024), UpstreamKind::Minio, 486, Ok(ConnectionFit::Lowered(485))),
            (Some(1024), UpstreamKind::Embedded, 4096, Ok(ConnectionFit::Lowered(242))),
            (Some(62), UpstreamKind::Minio, 4096, Ok(ConnectionFit::Lowered(4))),
            (Some(61), UpstreamKind::Minio, 4096, Err(TooFewDescriptors { limit: 61, needed: 62 })),
            (Some(0), UpstreamKind::Embedded, 1, Err(TooFewDescriptors { limit: 0, needed: 70 })),
            (Some(u64::MAX), UpstreamKind::Aws, 4096, Ok(ConnectionFit::All)),
        ] {
            assert_eq!(fit(limit, profile, connections), expected, "{limit:?} {profile:?} {connections}");
        }
    }

    #[test]
    fn the_descriptors_of_this_process_are_counted() {
        let now = OpenFiles::now().expect("Linux");
        assert!(now.used >= 3, "stdin, stdout and stderr: {now:?}");
    }
}
