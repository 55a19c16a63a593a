//! How many connections one client may have at once, and which gives way where there are too many in all.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::connection::{ConnectionProgress, moment};

/// The connections that are open, by who opened them.
#[derive(Clone, Debug)]
pub(super) struct ClientLimit {
    each: usize,
    taken: Arc<Mutex<OpenConnections>>,
}

/// One connection's place among its client's; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    number: u64,
    client_limit: ClientLimit,
    leave: Arc<Notify>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    by_client: HashMap<IpAddr, usize>,
    connections: HashMap<u64, OpenConnection>,
    last: u64,
}

#[derive(Debug)]
struct OpenConnection {
    /// None for a trusted proxy, whose connections are those of many clients.
    client: Option<IpAddr>,
    progress: Arc<ConnectionProgress>,
    opened: Duration,
    /// None once it was told to leave.
    leave: Option<Arc<Notify>>,
}

impl ClientLimit {
    /// Seats of which each client may take this many.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, taken: Arc::default() }
    }

    /// A place for one more connection of this address, if its client has not taken all of its own.
    pub(crate) fn take(&self, address: IpAddr, progress: Arc<ConnectionProgress>) -> Option<ConnectionSlot> {
        let client = client_network(address);
        let mut taken = self.lock();
        let count = taken.by_client.entry(client).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(self.slot(&mut taken, Some(client), progress))
    }

    /// A place for one more connection of a trusted proxy.
    pub(crate) fn take_for_proxy(&self, progress: Arc<ConnectionProgress>) -> ConnectionSlot {
        self.slot(&mut self.lock(), None, progress)
    }

    /// Tells a connection to leave: of those that carry no request, the one of the client that has the most whose last
    /// request is the longest ago.
    pub(crate) fn free_one(&self) {
        let mut taken = self.lock();
        let OpenConnections { by_client, connections, .. } = &mut *taken;
        let idle =
            connections.iter_mut().filter(|(_, open)| open.leave.is_some() && open.progress.is_between_requests());
        let of = |open: &OpenConnection| open.client.and_then(|client| by_client.get(&client)).copied().unwrap_or(0);
        let chosen = idle.min_by_key(|(_, open)| (Reverse(of(open)), open.last_active()));
        if let Some(leave) = chosen.and_then(|(_, open)| open.leave.take()) {
            leave.notify_one();
        }
    }

    fn slot(
        &self,
        taken: &mut OpenConnections,
        client: Option<IpAddr>,
        progress: Arc<ConnectionProgress>,
    ) -> ConnectionSlot {
        taken.last += 1;
        let (number, leave) = (taken.last, Arc::new(Notify::new()));
        let open = OpenConnection { client, progress, opened: moment(), leave: Some(leave.clone()) };
        taken.connections.insert(number, open);
        ConnectionSlot { number, client_limit: self.clone(), leave }
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    fn last_active(&self) -> Duration {
        self.opened.max(self.progress.last_active())
    }
}

impl ConnectionSlot {
    /// Ends when the connection is told to leave, since others need its place.
    pub(crate) async fn given_up(&self) {
        self.leave.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.client_limit.lock();
        let Some(client) = taken.connections.remove(&self.number).and_then(|open| open.client) else { return };
        if let Some(count) = taken.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&client);
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

    fn take(client_limit: &ClientLimit, text: &str) -> Option<ConnectionSlot> {
        client_limit.take(address(text), Arc::default())
    }

    async fn is_told(slot: &ConnectionSlot) -> bool {
        tokio::select! { biased; () = slot.given_up() => true, () = std::future::ready(()) => false }
    }

    #[test]
    fn a_client_takes_no_more_seats_than_its_own_and_gives_them_back() {
        let client_limit = ClientLimit::new(2);
        let first = take(&client_limit, "192.0.2.1").expect("a slot");
        let _second = take(&client_limit, "192.0.2.1").expect("a slot");
        assert!(take(&client_limit, "192.0.2.1").is_none());
        assert!(take(&client_limit, "192.0.2.2").is_some());
        drop(first);
        assert!(take(&client_limit, "192.0.2.1").is_some());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_client() {
        let client_limit = ClientLimit::new(1);
        let _seat = take(&client_limit, "2001:db8:0:1::1").expect("a slot");
        assert!(take(&client_limit, "2001:db8:0:1:ffff::9").is_none());
        assert!(take(&client_limit, "2001:db8:0:2::1").is_some());
        let _mapped = take(&client_limit, "::ffff:192.0.2.1").expect("a slot");
        assert!(take(&client_limit, "192.0.2.1").is_none());
    }

    #[test]
    fn nothing_is_remembered_of_who_has_left() {
        let client_limit = ClientLimit::new(1);
        drop((take(&client_limit, "192.0.2.1"), client_limit.take_for_proxy(Arc::default())));
        let taken = client_limit.lock();
        assert!(taken.by_client.is_empty() && taken.connections.is_empty());
    }

    #[tokio::test]
    async fn the_idlest_connection_of_the_client_with_the_most_is_told_to_leave_and_told_once() {
        let client_limit = ClientLimit::new(9);
        let busy = Arc::new(ConnectionProgress::default());
        busy.begin();
        let proxy = client_limit.take_for_proxy(Arc::default());
        let small = take(&client_limit, "192.0.2.1").expect("a slot");
        let at_work = client_limit.take(address("192.0.2.2"), busy.clone()).expect("a slot");
        let used = Arc::new(ConnectionProgress::default());
        let in_use = client_limit.take(address("192.0.2.2"), used.clone()).expect("a slot");
        let idle = [(); 2].map(|()| take(&client_limit, "192.0.2.2").expect("a slot"));
        used.begin();
        used.end();
        let all = [&at_work, &idle[0], &idle[1], &in_use, &small, &proxy];
        for expected in [1, 2, 3, 4, 5] {
            client_limit.free_one();
            for (place, slot) in all.iter().enumerate() {
                assert_eq!(is_told(slot).await, place == expected, "{place} when {expected} has to go");
            }
        }
        client_limit.free_one();
        assert!(!is_told(&at_work).await, "it carries a request");
        busy.end();
        client_limit.free_one();
        assert!(is_told(&at_work).await);
    }
}
