//! A network, as `trusted_proxies` and the conditions of policies name them.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

/// An address with how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    bits: u8,
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a network is an address, or an address and a prefix length, for example \"10.0.0.7\" or \"10.0.0.0/8\"")]
pub struct InvalidNetwork;

impl IpNetwork {
    /// Reads `10.0.0.7`, `10.0.0.0/8` or `fd00::/8`.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width = width(address);
        let bits = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| InvalidNetwork)?,
            Some(_) => return Err(InvalidNetwork),
        };
        if bits > width { Err(InvalidNetwork) } else { Ok(Self { address, bits }) }
    }

    /// Whether the address is in this network; an IPv4 address mapped into IPv6 counts as itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address.to_canonical(), address.to_canonical());
        let mask = |bits: u8, width: u8| u128::MAX.checked_shl(u32::from(width.saturating_sub(bits))).unwrap_or(0);
        match (own, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = mask(self.bits, width(self.address));
                (u128::from(own.to_bits()) ^ u128::from(other.to_bits())) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()) & mask(self.bits, 128) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        IpNetwork::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        assert!(holds("10.0.0.7", "10.0.0.7"));
        assert!(!holds("10.0.0.7", "10.0.0.6"));
    }

    #[test]
    fn only_the_leading_bits_count() {
        assert!(holds("10.0.0.0/8", "10.255.1.2"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(holds("0.0.0.0/0", "192.0.2.1"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn a_mapped_address_counts_as_the_address_it_maps() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::/129", "proxy.local"] {
            assert_eq!(IpNetwork::parse(bad), Err(InvalidNetwork), "{bad}");
        }
    }
}
