//! Sends what was permitted, and nothing else, to the upstream.

mod answer;
mod chunks;
mod pool;
mod render;
mod send;
mod sign;
mod upload;
mod xml;

use std::net::{IpAddr, ToSocketAddrs};

use thiserror::Error;

pub use answer::{Answer, AnswerBody, DeletedObject, Done, UpstreamRefusal};
pub use pool::{Download, Pool};
pub use render::{Content, Rendered, Unwritable, render};
pub use send::{Patience, Payload, Upstream};
pub use sign::Signer;
pub use upload::{Interrupted, Source, Upload};
pub use xml::{Node, escape};

/// Where the upstream listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Why the upstream gave no answer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UpstreamError {
    /// The connection broke after the request went out: whether it was carried out is unknown.
    #[error("the upstream broke off")]
    BrokenOff,
    /// Its answer is not what S3 answers here.
    #[error("the upstream's answer cannot be read")]
    Unreadable,
    /// It does not take the credentials it was configured with.
    #[error("the upstream refuses the gate's own credentials")]
    RefusesUs,
    /// Nothing was sent.
    #[error("the upstream cannot be reached")]
    Unreachable,
    /// A permitted request cannot be written: a mistake of ours, and nothing was sent.
    #[error("the request cannot be written")]
    Unwritable,
    /// No answer in time: whether the request was carried out is unknown.
    #[error("the upstream does not answer")]
    Silent,
}

/// What is wrong with an upstream's address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidEndpoint {
    #[error("not `http://HOST:PORT`")]
    Form,
    #[error("https is not supported yet: put the upstream behind a local TLS client")]
    Https,
}

impl Endpoint {
    /// Takes `http://HOST:PORT`, without a path.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.starts_with("https://") {
            return Err(InvalidEndpoint::Https);
        }
        let authority = text.strip_prefix("http://").ok_or(InvalidEndpoint::Form)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: http::uri::Authority = authority.parse().map_err(|_| InvalidEndpoint::Form)?;
        if authority.contains('@') || parsed.host().is_empty() {
            return Err(InvalidEndpoint::Form);
        }
        Ok(Self { host: parsed.host().to_owned(), port: parsed.port_u16().unwrap_or(80) })
    }

    /// `HOST:PORT`, as `Host` carries it and as it is connected to.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether every address of the host is this machine's own, so that nobody listens in between.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => (host, self.port)
                .to_socket_addrs()
                .is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback())),
        }
    }
}

impl UpstreamError {
    /// Whether it is certain that the upstream did not carry the request out.
    pub fn nothing_was_done(self) -> bool {
        match self {
            Self::RefusesUs | Self::Unreachable | Self::Unwritable => true,
            Self::BrokenOff | Self::Silent | Self::Unreadable => false,
        }
    }

    fn of(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Unreadable } else { Self::BrokenOff }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        let authority = |text| Endpoint::parse(text).map(|endpoint| endpoint.authority());
        assert_eq!(authority("http://127.0.0.1:9100"), Ok("127.0.0.1:9100".to_owned()));
        assert_eq!(authority("http://store/"), Ok("store:80".to_owned()));
        assert_eq!(authority("https://store"), Err(InvalidEndpoint::Https));
        for bad in ["", "store:80", "http://", "http://user@store", "http://store/path", "ftp://store"] {
            assert_eq!(authority(bad), Err(InvalidEndpoint::Form), "{bad}");
        }
    }
}
