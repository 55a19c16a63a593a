//! Where an S3 store listens.

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Where an S3 store listens: a host and a port, reached over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Box<str>,
    port: u16,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidEndpoint {
    #[error("`https` is not spoken yet: write http://HOST:PORT and keep the way there private")]
    Https,
    #[error("an endpoint is http://HOST:PORT and nothing after it")]
    Malformed,
}

impl Endpoint {
    /// Reads `http://HOST:PORT`; a trailing slash is allowed, and port 80 may be left out.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.starts_with("https://") {
            return Err(InvalidEndpoint::Https);
        }
        let rest = text.strip_prefix("http://").ok_or(InvalidEndpoint::Malformed)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let port = match port {
            None => 80,
            Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                port.parse().ok().filter(|&port| port != 0).ok_or(InvalidEndpoint::Malformed)?
            }
            Some(_) => return Err(InvalidEndpoint::Malformed),
        };
        if is_host(host) { Ok(Self { host: host.into(), port }) } else { Err(InvalidEndpoint::Malformed) }
    }

    /// The host alone, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `Host` says: the port only where it is not HTTP's own.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}", self.authority())
    }
}

/// Whether this is a host name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    (1..=253).contains(&host.len())
        && host.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        let endpoint = Endpoint::parse("http://minio.internal:9000/").unwrap();
        assert_eq!((endpoint.host(), endpoint.port()), ("minio.internal", 9000));
        assert_eq!(endpoint.to_string(), "http://minio.internal:9000");
        let endpoint = Endpoint::parse("http://[::1]:7480").unwrap();
        assert_eq!((endpoint.host(), endpoint.authority().as_str()), ("::1", "[::1]:7480"));
        assert_eq!(Endpoint::parse("http://store").unwrap().authority(), "store");
    }

    #[test]
    fn whatever_could_name_more_than_a_host_is_refused() {
        for bad in [
            "",
            "store:9000",
            "http://",
            "http://a:b",
            "http://a:0",
            "http://a:70000",
            "http://a:1/x",
            "http://u@a:1",
            "http://a:1?x",
            "http://a b:1",
            "http://::1:80",
            "ftp://a:1",
        ] {
            assert_eq!(Endpoint::parse(bad), Err(InvalidEndpoint::Malformed), "{bad}");
        }
        assert_eq!(Endpoint::parse("https://store"), Err(InvalidEndpoint::Https));
    }
}
