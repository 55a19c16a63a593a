//! In which order the offers for one device have their turns, and how many may wait.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::QueueLane;

/// A place in the order, never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TurnTicket(u64);

/// The offers that wait, and the one whose turn it is.
///
/// The admin socket comes first, then three codes that are right, since only the owner can send either. Then each network
/// has one turn before any has a second one. Within each, the first to come is the first to be served.
#[derive(Debug, Default)]
pub(super) struct TurnOrder {
    admin_socket: VecDeque<TurnTicket>,
    right_three: VecDeque<TurnTicket>,
    /// The network that is to be served next first, each with at least one ticket.
    networks: VecDeque<(IpAddr, VecDeque<TurnTicket>)>,
    turn: Option<TurnTicket>,
    last: TurnTicket,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueFull {
    /// The network has as many as it may.
    Network,
    Queue,
}

/// How many of the admin socket, and of three right codes, may wait; places that no network takes from them.
const RESERVED: usize = 8;
/// Of several codes that one device shows at the same time a single one is accepted, so that few have to wait.
pub(super) const OF_A_NETWORK: usize = 4;
/// What all networks together may have waiting: a second of work for a slow disk.
pub(super) const OF_ALL_NETWORKS: usize = 64;

impl TurnOrder {
    /// Takes a place at the end of a lane.
    pub(super) fn enter(&mut self, lane: QueueLane) -> Result<TurnTicket, QueueFull> {
        let all: usize = self.networks.iter().map(|(_, tickets)| tickets.len()).sum();
        let ticket = TurnTicket(self.last.0 + 1);
        match lane {
            QueueLane::AdminSocket => push(&mut self.admin_socket, ticket, RESERVED, QueueFull::Queue)?,
            QueueLane::RightThree => push(&mut self.right_three, ticket, RESERVED, QueueFull::Queue)?,
            QueueLane::Network(network) => {
                let own = self.networks.iter_mut().find(|(of, _)| *of == network);
                if own.as_ref().is_some_and(|(_, tickets)| tickets.len() >= OF_A_NETWORK) {
                    return Err(QueueFull::Network);
                }
                if all >= OF_ALL_NETWORKS {
                    return Err(QueueFull::Queue);
                }
                match own {
                    Some((_, tickets)) => tickets.push_back(ticket),
                    None => self.networks.push_back((network, VecDeque::from([ticket]))),
                }
            }
        }
        self.last = ticket;
        Ok(ticket)
    }

    /// Whose turn it is; if there is none, the next one's.
    pub(super) fn call(&mut self) -> Option<TurnTicket> {
        if self.turn.is_none() {
            self.turn = self.next();
        }
        self.turn
    }

    /// Gives up a place or a turn.
    pub(super) fn leave(&mut self, ticket: TurnTicket) {
        if self.turn == Some(ticket) {
            self.turn = None;
            return;
        }
        self.admin_socket.retain(|other| *other != ticket);
        self.right_three.retain(|other| *other != ticket);
        for (_, tickets) in &mut self.networks {
            tickets.retain(|other| *other != ticket);
        }
        self.networks.retain(|(_, tickets)| !tickets.is_empty());
    }

    /// Whether an offer of this network waits for its turn.
    pub(super) fn is_waiting(&self, network: IpAddr) -> bool {
        self.networks.iter().any(|(of, _)| *of == network)
    }

    fn next(&mut self) -> Option<TurnTicket> {
        if let Some(ticket) = self.admin_socket.pop_front().or_else(|| self.right_three.pop_front()) {
            return Some(ticket);
        }
        let (network, mut tickets) = self.networks.pop_front()?;
        let ticket = tickets.pop_front();
        if !tickets.is_empty() {
            self.networks.push_back((network, tickets));
        }
        ticket
    }
}

fn push(lane: &mut VecDeque<TurnTicket>, ticket: TurnTicket, most: usize, full: QueueFull) -> Result<(), QueueFull> {
    if lane.len() >= most {
        return Err(full);
    }
    lane.push_back(ticket);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn network(number: u32) -> QueueLane {
        QueueLane::Network(IpAddr::V4(number.into()))
    }

    fn name(lane: QueueLane) -> String {
        match lane {
            QueueLane::AdminSocket => "admin".to_owned(),
            QueueLane::Network(IpAddr::V4(address)) => u32::from(address).to_string(),
            QueueLane::Network(IpAddr::V6(address)) => address.to_string(),
            QueueLane::RightThree => "three".to_owned(),
        }
    }

    /// Lets all of these come while another has its turn, and tells in which order theirs come.
    fn served(lanes: &[QueueLane]) -> String {
        let mut order = TurnOrder::default();
        let mut turn = order.enter(network(0)).ok();
        order.call();
        let names: HashMap<TurnTicket, String> =
            lanes.iter().filter_map(|lane| Some((order.enter(*lane).ok()?, name(*lane)))).collect();
        let mut served = Vec::new();
        while let Some(ticket) = turn {
            order.leave(ticket);
            turn = order.call();
            served.extend(turn.and_then(|ticket| names.get(&ticket)).cloned());
        }
        served.join(" ")
    }

    #[test]
    fn networks_take_turns_and_the_admin_socket_and_three_right_codes_come_first() {
        let (one, two, three) = (network(1), network(2), network(3));
        let (admin, right) = (QueueLane::AdminSocket, QueueLane::RightThree);
        let table = [
            (vec![], ""),
            (vec![one], "1"),
            (vec![one, one, one, two], "1 2 1 1"),
            (vec![one, one, two, two, three], "1 2 3 1 2"),
            (vec![one, two, admin, right, admin], "admin admin three 1 2"),
            (vec![right, one, one, right, two, admin], "admin three three 1 2 1"),
            (vec![one, one, one, one, one, one, two], "1 2 1 1 1"),
        ];
        for (lanes, expected) in table {
            assert_eq!(served(&lanes), expected, "{lanes:?}");
        }
    }

    #[test]
    fn one_that_left_while_it_waited_keeps_no_turn() {
        let mut order = TurnOrder::default();
        let [first, second, third] = [1, 2, 1].map(|number| order.enter(network(number)).expect("a place"));
        assert_eq!(order.call(), Some(first));
        order.leave(second);
        assert_eq!(order.call(), Some(first));
        order.leave(first);
        assert_eq!(order.call(), Some(third));
        order.leave(third);
        assert_eq!(order.call(), None);
    }

    #[test]
    fn a_network_has_its_share_and_all_of_them_leave_the_reserved_places() {
        let mut order = TurnOrder::default();
        for number in 0..16 {
            (0..OF_A_NETWORK).for_each(|_| _ = order.enter(network(number)).expect("a place of its own"));
            assert_eq!(order.enter(network(number)), Err(QueueFull::Network));
        }
        assert_eq!(order.enter(network(99)), Err(QueueFull::Queue));
        for lane in [QueueLane::AdminSocket, QueueLane::RightThree] {
            (0..RESERVED).for_each(|_| _ = order.enter(lane).expect("a reserved place"));
            assert_eq!(order.enter(lane), Err(QueueFull::Queue));
        }
    }

    #[test]
    fn ten_thousand_networks_fill_the_queue_and_remove_no_offer_that_waits() {
        let mut order = TurnOrder::default();
        let owner = order.enter(network(0)).expect("a place");
        let taken = (1..=10_000).filter(|number| order.enter(network(*number)).is_ok()).count();
        assert_eq!((taken, order.networks.len()), (OF_ALL_NETWORKS - 1, OF_ALL_NETWORKS));
        assert_eq!(order.call(), Some(owner));
    }

    /// What a thief with several networks does between two turns.
    fn thief() -> impl Strategy<Value = Vec<Vec<u32>>> {
        prop::collection::vec(prop::collection::vec(1_u32..40, 0..20), 1..60)
    }

    proptest! {
        #[test]
        fn the_owners_network_has_its_turn_within_as_many_turns_as_networks_waited(
            before in prop::collection::vec(1_u32..40, 0..60),
            rounds in thief(),
        ) {
            let mut order = TurnOrder::default();
            before.iter().for_each(|number| _ = order.enter(network(*number)));
            let mut turn = order.call();
            let ahead = order.networks.len();
            prop_assume!(order.networks.iter().map(|(_, tickets)| tickets.len()).sum::<usize>() < OF_ALL_NETWORKS);
            let owner = order.enter(network(0)).expect("a place");
            let mut turns = 0;
            let mut rounds = rounds.into_iter().cycle();
            while turn.is_some() && turn != Some(owner) {
                rounds.next().unwrap_or_default().iter().for_each(|number| _ = order.enter(network(*number)));
                turn.into_iter().for_each(|ticket| order.leave(ticket));
                turn = order.call();
                turns += 1;
            }
            prop_assert!(turns <= ahead + 1, "{turns} turns, and {ahead} networks waited");
        }

        #[test]
        fn the_admin_socket_always_has_a_place_and_the_next_turn(rounds in thief()) {
            let mut order = TurnOrder::default();
            for round in rounds {
                for number in round {
                    order.enter(if number == 39 { QueueLane::RightThree } else { network(number) }).ok();
                }
                let turn = order.call();
                let admin = order.enter(QueueLane::AdminSocket).expect("a place");
                turn.into_iter().for_each(|ticket| order.leave(ticket));
                prop_assert_eq!(order.call(), Some(admin));
                order.leave(admin);
            }
        }

        #[test]
        fn each_place_has_exactly_one_turn_and_nothing_is_left(steps in prop::collection::vec((0_u32..8, any::<bool>()), 0..200)) {
            let mut order = TurnOrder::default();
            let (mut waiting, mut turn) = (Vec::new(), None);
            for (number, enters) in steps {
                let lane = match number {
                    0 => QueueLane::AdminSocket,
                    1 => QueueLane::RightThree,
                    number => network(number),
                };
                if enters {
                    waiting.extend(order.enter(lane));
                } else if let Some(ticket) = turn.take() {
                    order.leave(ticket);
                }
                let called = order.call();
                if called != turn {
                    prop_assert_eq!(turn, None);
                    prop_assert!(waiting.contains(&called.expect("a turn")));
                    waiting.retain(|ticket| Some(*ticket) != called);
                    turn = called;
                }
                prop_assert!(turn.is_some() || waiting.is_empty());
            }
            turn.into_iter().chain(waiting).for_each(|ticket| order.leave(ticket));
            prop_assert_eq!(order.call(), None);
            prop_assert!(order.networks.is_empty() && order.admin_socket.is_empty() && order.right_three.is_empty());
        }
    }
}
