//! Where an S3 store listens.

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Where an S3 store listens: a host and a port, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: EndpointScheme,
    host: Box<str>,
    port: u16,
}

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointScheme {
    Http,
    Https,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidEndpoint {
    #[error("an endpoint is http://HOST:PORT or https://HOST:PORT and nothing after it")]
    Malformed,
}

impl Endpoint {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`; a trailing slash is allowed, and the scheme's own port may be
    /// left out.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let (scheme, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (EndpointScheme::Http, rest),
            (None, Some(rest)) => (EndpointScheme::Https, rest),
            (None, None) => return Err(InvalidEndpoint::Malformed),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let port = match port {
            None => scheme.port(),
            Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                port.parse().ok().filter(|&port| port != 0).ok_or(InvalidEndpoint::Malformed)?
            }
            Some(_) => return Err(InvalidEndpoint::Malformed),
        };
        if is_host(host) { Ok(Self { scheme, host: host.into(), port }) } else { Err(InvalidEndpoint::Malformed) }
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> EndpointScheme {
        self.scheme
    }

    /// The host alone, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `Host` says: the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl EndpointScheme {
    /// The word before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
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
    fn the_host_header_leaves_out_the_schemes_own_port_alone() {
        let authority = |text| Endpoint::parse(text).unwrap().authority();
        assert_eq!(authority("https://s3.example.org"), "s3.example.org");
        assert_eq!(authority("https://s3.example.org:443"), "s3.example.org");
        assert_eq!(authority("https://s3.example.org:80"), "s3.example.org:80");
        assert_eq!(authority("http://s3.example.org:443"), "s3.example.org:443");
        assert_eq!(Endpoint::parse("https://s3.example.org").unwrap().to_string(), "https://s3.example.org");
        assert_eq!(Endpoint::parse("https://[::1]:9000").unwrap().to_string(), "https://[::1]:9000");
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
            "https://",
            "https://a/x",
            "HTTPS://a:1",
            "ftp://a:1",
        ] {
            assert_eq!(Endpoint::parse(bad), Err(InvalidEndpoint::Malformed), "{bad}");
        }
    }
}
