//! How many connections one client may have at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections that are open, by who opened them.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    each: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place among its client's; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    client: IpAddr,
    seats: Seats,
}

impl Seats {
    /// Seats of which each client may take this many.
    pub fn new(each: usize) -> Self {
        Self { each, taken: Arc::default() }
    }

    /// A place for one more connection of this address, if its client has not taken all of its own.
    pub fn take(&self, address: IpAddr) -> Option<Seat> {
        let client = client_network(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(client).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Seat { client, seats: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

/// The first address of a client's network: an IPv4 address is its own, and of IPv6 one client has the 2^64 addresses of a
/// /64 network.
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_takes_no_more_seats_than_its_own_and_gives_them_back() {
        let seats = Seats::new(2);
        let first = seats.take(address("192.0.2.1")).expect("a seat");
        let _second = seats.take(address("192.0.2.1")).expect("a seat");
        assert!(seats.take(address("192.0.2.1")).is_none());
        assert!(seats.take(address("192.0.2.2")).is_some());
        drop(first);
        assert!(seats.take(address("192.0.2.1")).is_some());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let seats = Seats::new(1);
        let _seat = seats.take(address("2001:db8:0:1::1")).expect("a seat");
        assert!(seats.take(address("2001:db8:0:1:ffff::9")).is_none());
        assert!(seats.take(address("2001:db8:0:2::1")).is_some());
        let _mapped = seats.take(address("::ffff:192.0.2.1")).expect("a seat");
        assert!(seats.take(address("192.0.2.1")).is_none());
    }

    #[test]
    fn nothing_is_remembered_of_who_has_left() {
        let seats = Seats::new(1);
        drop(seats.take(address("192.0.2.1")));
        assert!(seats.taken.lock().expect("sound").is_empty());
    }
}
