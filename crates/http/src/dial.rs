//! Connections to a store, verified where they are TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error as TlsError, RootCertStore};
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::certificate::{CertificateError, certificates};
use super::stream::TcpOrTlsStream;
use crate::{Endpoint, EndpointScheme};

/// Opens connections to one endpoint.
// INVARIANT (verified): a connection to an https endpoint exists only after its certificate was verified.
#[derive(Clone)]
pub struct Dialler {
    endpoint: Endpoint,
    way: DialTransport,
    addresses: EndpointAddresses,
}

/// The addresses to which the endpoint's name led last, and how often it came to lead to others.
#[derive(Clone, Debug, Default)]
pub struct EndpointAddresses(Arc<Mutex<ResolvedAddresses>>);

#[derive(Debug, Default)]
struct ResolvedAddresses {
    last: Vec<SocketAddr>,
    moves: u64,
    moved: Option<Instant>,
}

/// A name with many addresses may give others each time. Its connections are not all given up for that.
const BETWEEN_MOVES: Duration = Duration::from_secs(20);

impl EndpointAddresses {
    /// How often the name came to lead to other addresses, none of which it led to before.
    pub fn moves(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).moves
    }

    fn resolved(&self, found: &[SocketAddr], now: Instant) {
        let mut resolved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = !resolved.last.is_empty() && !found.iter().any(|address| resolved.last.contains(address));
        let settled = resolved.moved.is_none_or(|moved| now.saturating_duration_since(moved) >= BETWEEN_MOVES);
        if elsewhere && settled {
            resolved.moves += 1;
            resolved.moved = Some(now);
        }
        resolved.last = found.to_vec();
    }
}

/// Who says that a store is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedAuthorities {
    /// Those in this file, and no others.
    File(PathBuf),
    /// Those that this machine trusts.
    System,
}

/// Why an endpoint cannot be dialled at all.
#[derive(Debug, Error)]
pub enum TrustError {
    #[error("the file of certificate authorities {0}")]
    Authorities(#[from] CertificateError),
    #[error("this machine trusts no certificate authority; install its ca-certificates, or name a file of them")]
    NoAuthority,
    #[error("`{0}` is not a name that a certificate can hold")]
    Name(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsError),
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum DialError {
    #[error("no TLS connection: {0}")]
    Handshake(io::Error),
    #[error("{0}")]
    Unreachable(io::Error),
    #[error("its certificate is not trusted: {0}")]
    Untrusted(TlsError),
}

#[derive(Clone)]
enum DialTransport {
    Plain,
    Tls { connector: TlsConnector, name: ServerName<'static> },
}

impl Dialler {
    /// A dialler for this endpoint; the authorities are read where it is https.
    pub fn new(endpoint: Endpoint, authorities: &TrustedAuthorities) -> Result<Self, TrustError> {
        let way = match endpoint.scheme() {
            EndpointScheme::Http => DialTransport::Plain,
            EndpointScheme::Https => DialTransport::Tls {
                connector: connector(authorities)?,
                name: ServerName::try_from(endpoint.host().to_owned())
                    .map_err(|_| TrustError::Name(endpoint.host().to_owned()))?,
            },
        };
        Ok(Self { endpoint, way, addresses: EndpointAddresses::default() })
    }

    /// Where the endpoint's name leads.
    pub fn addresses(&self) -> &EndpointAddresses {
        &self.addresses
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a connection; how long that may take is for the caller to say.
    pub async fn connect(&self) -> Result<TcpOrTlsStream<TcpStream>, DialError> {
        let address = (self.endpoint.host(), self.endpoint.port());
        let found: Vec<SocketAddr> = lookup_host(address).await.map_err(DialError::Unreachable)?.collect();
        self.addresses.resolved(&found, Instant::now());
        let stream = TcpStream::connect(found.as_slice()).await.map_err(DialError::Unreachable)?;
        stream.set_nodelay(true).map_err(DialError::Unreachable)?;
        match &self.way {
            DialTransport::Plain => Ok(TcpOrTlsStream::Plain(stream)),
            DialTransport::Tls { connector, name } => match connector.connect(name.clone(), stream).await {
                Ok(stream) => Ok(TcpOrTlsStream::Tls(Box::new(stream.into()))),
                Err(error) => Err(DialError::of(error)),
            },
        }
    }
}

impl DialError {
    fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) {
            Some(refused @ TlsError::InvalidCertificate(_)) => Self::Untrusted(refused.clone()),
            Some(_) | None => Self::Handshake(error),
        }
    }
}

impl fmt::Debug for Dialler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Dialler({})", self.endpoint)
    }
}

fn connector(authorities: &TrustedAuthorities) -> Result<TlsConnector, TrustError> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authorities)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(authorities: &TrustedAuthorities) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        TrustedAuthorities::File(path) => {
            for certificate in certificates(path)? {
                let unusable =
                    |error: TlsError| CertificateError::Unusable { path: path.clone(), reason: error.to_string() };
                roots.add(certificate).map_err(unusable)?;
            }
        }
        TrustedAuthorities::System => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "some of this machine's certificate authorities cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() { Err(TrustError::NoAuthority) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_when_none_of_its_addresses_stays_and_not_again_at_once() {
        let at = |last: u8| SocketAddr::from(([192, 0, 2, last], 9000));
        let (addresses, start) = (EndpointAddresses::default(), Instant::now());
        let moves = |found: &[SocketAddr], seconds| {
            addresses.resolved(found, start + Duration::from_secs(seconds));
            addresses.moves()
        };
        assert_eq!(moves(&[at(1), at(2)], 0), 0);
        assert_eq!(moves(&[at(2), at(3)], 1), 0, "one of them stays");
        assert_eq!(moves(&[at(4)], 2), 1);
        assert_eq!(moves(&[at(5)], 3), 1, "a name with many addresses");
        assert_eq!(moves(&[at(6)], 30), 2);
    }
}
