//! Who is at the other end, when another proxy may stand in between.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::{ConnectionChannel, Peer, RemoteEnd, Transport};
use portcullis_base::network::IpNetwork;

/// The networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNetwork>);

impl TrustedProxies {
    /// Trusts these networks and no others.
    pub fn new(networks: Vec<IpNetwork>) -> Self {
        Self(networks)
    }

    /// The peer of a request that came from `remote`.
    pub fn peer(&self, remote: RemoteEnd, headers: &HeaderMap) -> Peer {
        let RemoteEnd { address, channel } = remote;
        if !self.trusts(address.ip()) {
            let transport = match channel {
                ConnectionChannel::Plain if address.ip().is_loopback() => Transport::Loopback,
                ConnectionChannel::Plain => Transport::Plain,
                ConnectionChannel::Tls { .. } => Transport::Tls,
            };
            return Peer { address, transport };
        }
        let mut protos = headers.get_all("x-forwarded-proto").iter();
        // With two headers it is unknown which one the proxy wrote.
        let https = protos.next().is_some_and(|proto| proto.as_bytes() == b"https") && protos.next().is_none();
        // A hop that does not say https passed on what came in the clear, even when it sits on this machine
        // or comes over TLS itself.
        let transport = if https { Transport::Tls } else { Transport::Plain };
        Peer { address: SocketAddr::new(self.client(address, headers), 0), transport }
    }

    /// Whether this address is one of the proxies.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The rightmost address that is not one of ours: what stands left of it is the client's own claim.
    fn client(&self, remote: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("unreadable").split(','))
            .collect();
        hops.iter().rev().map_while(|hop| hop_address(hop)).find(|hop| !self.trusts(*hop)).unwrap_or(remote.ip())
    }
}

/// The address of a hop: alone, with a port, or in brackets with or without one.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let address = text.parse::<IpAddr>().ok().or_else(bracketed);
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: ConnectionChannel =
        ConnectionChannel::Tls { version: "TLSv1.3", cipher_suite: "TLS_AES_128_GCM_SHA256" };

    fn peer(remote: [u8; 4], headers: &[(&'static str, &'static str)]) -> (String, Transport) {
        peer_over(ConnectionChannel::Plain, remote, headers)
    }

    fn peer_over(
        channel: ConnectionChannel,
        remote: [u8; 4],
        headers: &[(&'static str, &'static str)],
    ) -> (String, Transport) {
        let trusted = TrustedProxies::new(vec![IpNetwork::parse("10.0.0.1").expect("a network")]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        let remote = RemoteEnd { address: SocketAddr::from((remote, 5000)), channel };
        let peer = trusted.peer(remote, &map);
        (peer.address.ip().to_string(), peer.transport)
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_its_client() {
        let forwarded = [("x-forwarded-for", "6.6.6.6, 8.8.8.8"), ("x-forwarded-proto", "https")];
        assert_eq!(peer([10, 0, 0, 1], &forwarded), ("8.8.8.8".to_owned(), Transport::Tls));
        assert_eq!(peer([10, 0, 0, 2], &forwarded), ("10.0.0.2".to_owned(), Transport::Plain));
        assert_eq!(peer([127, 0, 0, 1], &forwarded), ("127.0.0.1".to_owned(), Transport::Loopback));
    }

    #[test]
    fn a_trusted_proxy_that_does_not_say_https_is_plain() {
        assert_eq!(peer([10, 0, 0, 1], &[]), ("10.0.0.1".to_owned(), Transport::Plain));
        assert_eq!(peer_over(TLS, [10, 0, 0, 1], &[]), ("10.0.0.1".to_owned(), Transport::Plain));
    }

    #[test]
    fn tls_that_ends_here_needs_nobodys_word() {
        assert_eq!(peer_over(TLS, [10, 0, 0, 2], &[]), ("10.0.0.2".to_owned(), Transport::Tls));
        assert_eq!(peer_over(TLS, [127, 0, 0, 1], &[]), ("127.0.0.1".to_owned(), Transport::Tls));
        let downgrade = [("x-forwarded-proto", "http")];
        assert_eq!(peer_over(TLS, [10, 0, 0, 2], &downgrade), ("10.0.0.2".to_owned(), Transport::Tls));
    }

    #[test]
    fn a_hop_may_have_a_port_and_brackets() {
        for (hops, client) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:51234", "192.0.2.7"),
            ("203.0.113.5, 192.0.2.7:1 ", "192.0.2.7"),
            ("192.0.2.7:51234, 10.0.0.1:443", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:9", "192.0.2.7"),
        ] {
            assert_eq!(peer([10, 0, 0, 1], &[("x-forwarded-for", hops)]).0, client, "{hops}");
        }
    }

    #[test]
    fn a_hop_that_cannot_be_read_hides_what_stands_left_of_it() {
        for hop in
            ["", "unknown", "192.0.2.7:", "192.0.2.7:65536", "192.0.2.7:-1", "[192.0.2.7]", "[::1", "::1]:5", "_x"]
        {
            let hops = format!("6.6.6.6, {hop}");
            let hops = Box::leak(hops.into_boxed_str());
            assert_eq!(peer([10, 0, 0, 1], &[("x-forwarded-for", hops)]).0, "10.0.0.1", "{hop}");
        }
    }

    #[test]
    fn a_proxy_that_says_two_things_of_its_client_is_plain() {
        for (first, second) in [("https", "https"), ("https", "http"), ("http", "https")] {
            let two = [("x-forwarded-proto", first), ("x-forwarded-proto", second)];
            assert_eq!(peer([10, 0, 0, 1], &two).1, Transport::Plain);
        }
        assert_eq!(peer([10, 0, 0, 1], &[("x-forwarded-proto", "https, https")]).1, Transport::Plain);
    }
}
