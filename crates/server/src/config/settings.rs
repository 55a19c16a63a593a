//! The settings as checked: real types, defaults filled in, every mistake reported at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{ConfigFile, SettingOrigin};
use super::mistake::{ConfigMistake, ConfigMistakes};
use super::reader::{SectionReader, SettingsReader};
use super::trail::TrailSettings;
use super::value;
use crate::pipeline::{OnFailure, ReadDurability};
use portcullis_authorization::{LoopbackTrust, MfaProfile};
use portcullis_base::bucket_pattern::BucketPattern;
use portcullis_base::network::IpNetwork;
use portcullis_http::{Endpoint, TlsFiles};
use portcullis_mfa::CodeDigits;
use portcullis_s3::UpstreamKind;
use portcullis_sigv4::UnsignedPayload;

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub account: AccountSettings,
    pub audit: AuditSettings,
    pub history: HistorySettings,
    pub limits: LimitSettings,
    pub listen: ListenSettings,
    pub mfa: MfaSettings,
    pub mfa_delete: MfaDeleteSettings,
    pub state: StateSettings,
    pub trail: TrailSettings,
    pub upstream: UpstreamSettings,
}

/// `[listen]`: the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    pub address: SocketAddr,
    /// The domain of virtual-hosted-style requests; without it every request is path-style.
    pub base_domain: Option<String>,
    /// Proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNetwork>,
    pub tls: Option<TlsFiles>,
    pub unsigned_payload: UnsignedPayload,
}

/// `[upstream]`: the protected S3 store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    pub endpoint: Endpoint,
    pub credentials_file: PathBuf,
    /// The certificate authorities of an https endpoint; without it, those of this machine.
    pub ca_file: Option<PathBuf>,
    /// The region the store's requests are signed for.
    pub region: String,
    pub profile: UpstreamKind,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
}

/// `[state]`: where everything is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSettings {
    pub directory: PathBuf,
}

/// `[account]`: what the account looks like to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// The region clients sign for.
    pub region: String,
    /// Root's `userName` in the trail.
    pub alias: Option<String>,
}

/// `[mfa]`: the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MfaSettings {
    pub require_tls: LoopbackTrust,
    pub digits: CodeDigits,
}

/// `[mfa_delete]`: what needs an MFA code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MfaDeleteSettings {
    pub profile: MfaProfile,
}

/// `[audit]`: the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    pub on_failure: OnFailure,
    pub reads: ReadDurability,
    pub strict_buckets: Vec<BucketPattern>,
    pub relaxed_buckets: Vec<BucketPattern>,
    pub segment_size: u64,
    /// How long a record is kept at least.
    pub keep: Duration,
}

/// `[history]`: the index for lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// How long events can be found; whole days are deleted.
    pub retention: Duration,
}

/// `[limits]`: limits of one client and of all clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    pub connections: u32,
    pub connections_per_address: u32,
    pub header_timeout: Duration,
    pub headers: u32,
    pub header_size: u64,
    pub keep_alive: Duration,
    pub body_idle: Duration,
    pub documents: u32,
    pub writes: u32,
    pub drain: Duration,
}

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

impl Settings {
    /// The default settings for a store and a state directory.
    pub fn standard(directory: PathBuf, endpoint: Endpoint, credentials_file: PathBuf) -> Self {
        Self {
            account: AccountSettings { region: "us-east-1".to_owned(), alias: None },
            audit: AuditSettings::standard(),
            history: HistorySettings { retention: Duration::from_secs(90 * DAY) },
            limits: LimitSettings::STANDARD,
            listen: ListenSettings {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
                base_domain: None,
                trusted_proxies: Vec::new(),
                tls: None,
                unsigned_payload: UnsignedPayload::Tls,
            },
            mfa: MfaSettings { require_tls: LoopbackTrust::Trusted, digits: CodeDigits::Six },
            mfa_delete: MfaDeleteSettings { profile: MfaProfile::Strict },
            state: StateSettings { directory },
            trail: TrailSettings::STANDARD,
            upstream: UpstreamSettings {
                endpoint,
                credentials_file,
                ca_file: None,
                region: "us-east-1".to_owned(),
                profile: UpstreamKind::Generic,
                connect_timeout: Duration::from_secs(5),
                response_timeout: Duration::from_secs(60),
            },
        }
    }

    /// Reads a file with the environment's overrides; relative paths start at the file's directory.
    pub fn read(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigMistakes> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let text = format!("cannot be read: {error}; write one with: portcullis init --config {name}");
            ConfigMistakes::of(&name, vec![ConfigMistake { origin: SettingOrigin::Absent, text }])
        })?;
        let mut settings = Self::parse(&name, &text, environment)?;
        if let Some(base) = path.parent() {
            settings.start_paths_at(base);
        }
        Ok(settings)
    }

    /// Reads a file's text with the environment's overrides.
    pub fn parse(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigMistakes> {
        let mut reader = SettingsReader::new(ConfigFile::read(text, environment));
        let settings = Self::ask(&mut reader);
        let mistakes = reader.finish();
        match settings {
            Some(settings) if mistakes.is_empty() => Ok(settings),
            Some(_) | None => Err(ConfigMistakes::of(name, mistakes)),
        }
    }

    /// Applies the environment's overrides to settings without a file.
    pub fn with_environment(
        self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigMistakes> {
        let mut reader = SettingsReader::new(ConfigFile::read("", environment));
        let settings = self.overridden(&mut reader);
        let mistakes = reader.finish();
        if mistakes.is_empty() { Ok(settings) } else { Err(ConfigMistakes::of("settings", mistakes)) }
    }

    fn ask(reader: &mut SettingsReader) -> Option<Self> {
        let mut upstream = reader.section("upstream");
        let endpoint = upstream.require("endpoint", "\"http://127.0.0.1:9100\"", value::endpoint);
        let credentials_file = upstream.require("credentials_file", "\"upstream.env\"", value::path);
        // Reading goes on without these two, so that all mistakes are reported.
        let known = endpoint.is_some() && credentials_file.is_some();
        let endpoint = endpoint.or_else(|| Endpoint::parse("http://localhost").ok())?;
        let standard = Self::standard("portcullis-data".into(), endpoint, credentials_file.unwrap_or_default());
        let settings = standard.overridden(reader);
        known.then_some(settings)
    }

    fn overridden(self, reader: &mut SettingsReader) -> Self {
        Self {
            account: AccountSettings::ask(reader.section("account"), self.account),
            audit: AuditSettings::ask(reader.section("audit"), self.audit),
            history: HistorySettings::ask(reader.section("history"), self.history),
            limits: LimitSettings::ask(reader.section("limits"), self.limits),
            listen: ListenSettings::ask(reader.section("listen"), self.listen),
            mfa: MfaSettings::ask(reader.section("mfa"), self.mfa),
            mfa_delete: MfaDeleteSettings::ask(reader.section("mfa_delete"), self.mfa_delete),
            state: StateSettings {
                directory: reader.section("state").take("directory", self.state.directory, value::path),
            },
            trail: TrailSettings::ask(reader.section("trail"), self.trail),
            upstream: UpstreamSettings::ask(reader.section("upstream"), self.upstream),
        }
    }

    fn start_paths_at(&mut self, base: &Path) {
        let tls = self.listen.tls.iter_mut().flat_map(|tls| [&mut tls.cert_file, &mut tls.key_file]);
        let ca_file = self.upstream.ca_file.iter_mut();
        for path in tls.chain(ca_file).chain([&mut self.state.directory, &mut self.upstream.credentials_file]) {
            *path = base.join(&*path);
        }
        self.trail.start_paths_at(base);
    }
}

impl AccountSettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        Self {
            region: section.take("region", standard.region, value::word("\"us-east-1\"")),
            alias: section.optional("alias", value::word("\"acme\"")).or(standard.alias),
        }
    }
}

const LONGEST_KEEP: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

impl AuditSettings {
    fn standard() -> Self {
        Self {
            on_failure: OnFailure::DenyMutations,
            reads: ReadDurability::Relaxed,
            strict_buckets: Vec::new(),
            relaxed_buckets: Vec::new(),
            segment_size: 64 << 20,
            keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }

    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        Self {
            on_failure: section.take("on_failure", standard.on_failure, value::choice),
            reads: section.take("reads", standard.reads, value::choice),
            strict_buckets: section.take("strict_buckets", standard.strict_buckets, value::buckets),
            relaxed_buckets: section.take("relaxed_buckets", standard.relaxed_buckets, value::buckets),
            keep: section.take("keep", standard.keep, value::duration(Duration::from_secs(60 * 60)..=LONGEST_KEEP)),
            segment_size: section.take("segment_size", standard.segment_size, value::size(1 << 20..=1 << 30)),
        }
    }
}

impl HistorySettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let range = Duration::from_secs(DAY)..=Duration::from_secs(36_600 * DAY);
        Self { retention: section.take("retention", standard.retention, value::duration(range)) }
    }
}

impl LimitSettings {
    const STANDARD: Self = Self {
        connections: 4096,
        connections_per_address: 1024,
        header_timeout: Duration::from_secs(10),
        headers: 100,
        header_size: 32 << 10,
        keep_alive: Duration::from_secs(75),
        body_idle: Duration::from_secs(30),
        documents: 32,
        writes: 2048,
        drain: Duration::from_secs(30),
    };

    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let hour = Duration::from_secs(60 * 60);
        let span = || value::duration(Duration::from_millis(100)..=hour);
        Self {
            connections: section.take("connections", standard.connections, value::count(1..=1_000_000)),
            connections_per_address: section.take(
                "connections_per_address",
                standard.connections_per_address,
                value::count(1..=1_000_000),
            ),
            header_timeout: section.take("header_timeout", standard.header_timeout, span()),
            headers: section.take("headers", standard.headers, value::count(16..=1024)),
            header_size: section.take("header_size", standard.header_size, value::size(8 << 10..=1 << 20)),
            keep_alive: section.take("keep_alive", standard.keep_alive, span()),
            body_idle: section.take("body_idle", standard.body_idle, span()),
            documents: section.take("documents", standard.documents, value::count(1..=4096)),
            writes: section.take("writes", standard.writes, value::count(8..=1_000_000)),
            drain: section.take("drain", standard.drain, value::duration(Duration::ZERO..=hour)),
        }
    }
}

impl ListenSettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let address = section.take("address", standard.address, value::address);
        let base_domain = section.optional("base_domain", value::domain).or(standard.base_domain);
        let trusted_proxies = section.take("trusted_proxies", standard.trusted_proxies, value::networks);
        let cert_file = section.optional("cert_file", value::path);
        let key_file = section.optional("key_file", value::path);
        let tls = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(TlsFiles { cert_file, key_file }),
            (None, None) => standard.tls,
            (Some(_), None) => section.incomplete("cert_file", "key_file"),
            (None, Some(_)) => section.incomplete("key_file", "cert_file"),
        };
        let unsigned_payload = section.take("unsigned_payload", standard.unsigned_payload, value::choice);
        Self { address, base_domain, trusted_proxies, tls, unsigned_payload }
    }
}

impl MfaSettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        Self {
            require_tls: section.take("require_tls", standard.require_tls, value::choice),
            digits: section.take("digits", standard.digits, value::digits),
        }
    }
}

impl MfaDeleteSettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        Self { profile: section.take("profile", standard.profile, value::choice) }
    }
}

impl UpstreamSettings {
    fn ask(mut section: SectionReader<'_>, standard: Self) -> Self {
        let span = || value::duration(Duration::from_millis(100)..=Duration::from_secs(60 * 60));
        Self {
            endpoint: section.take("endpoint", standard.endpoint, value::endpoint),
            credentials_file: section.take("credentials_file", standard.credentials_file, value::path),
            ca_file: section.optional("ca_file", value::path).or(standard.ca_file),
            region: section.take("region", standard.region, value::word("\"us-east-1\"")),
            profile: section.take("profile", standard.profile, value::choice),
            connect_timeout: section.take("connect_timeout", standard.connect_timeout, span()),
            response_timeout: section.take("response_timeout", standard.response_timeout, span()),
        }
    }
}

#[cfg(test)]
mod tests;
