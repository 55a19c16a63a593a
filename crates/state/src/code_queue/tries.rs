//! How many failed tries each network has left at one device.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use portcullis_base::clock::Timestamp;

/// When the tries of each network that failed lately are all there again.
///
/// A network has fewer tries than the device's allowance, and they come back at half its pace: so one network, whatever it
/// does, leaves some of the allowance to the others.
#[derive(Debug, Default)]
pub(super) struct NetworkTries(HashMap<IpAddr, Timestamp>);

/// The tries of a network that did not fail lately. The device's allowance is one more.
pub(super) const BURST: u32 = 4;
/// How long one takes to come back. The device's allowance grows twice as fast.
pub(super) const REFILL: Duration = Duration::from_secs(120);
/// A failed try costs the device a guess at a single code or a token of its allowance, so that a few networks a minute are
/// the most that can come in here. This holds whatever else becomes of that.
const MOST_NETWORKS: usize = 1024;

impl NetworkTries {
    /// The seconds until the network has a try; none if it has one now.
    pub(super) fn wait(&mut self, network: IpAddr, now: Timestamp) -> Option<u32> {
        let full_at = self.0.get_mut(&network)?;
        // After a clock that went back it would be far away.
        *full_at = (*full_at).min(now.plus(REFILL * BURST));
        let one_left = now.plus(REFILL * (BURST - 1));
        let missing = u64::try_from(full_at.millis().saturating_sub(one_left.millis())).unwrap_or(0);
        (missing > 0).then(|| u32::try_from(missing.div_ceil(1000)).unwrap_or(u32::MAX))
    }

    /// Takes a try from the network.
    pub(super) fn charge(&mut self, network: IpAddr, now: Timestamp, is_waiting: impl Fn(IpAddr) -> bool) {
        if !self.0.contains_key(&network) && self.0.len() >= MOST_NETWORKS {
            self.make_room(now, is_waiting);
        }
        if self.0.len() >= MOST_NETWORKS && !self.0.contains_key(&network) {
            return;
        }
        let full_at = self.0.entry(network).or_insert(now);
        *full_at = (*full_at).max(now).plus(REFILL).min(now.plus(REFILL * BURST));
    }

    /// Forgets the networks that have all their tries again or, if there are none, the one that lacks the least: that gives
    /// a thief with many networks the least back. One that waits for a turn is never forgotten.
    fn make_room(&mut self, now: Timestamp, is_waiting: impl Fn(IpAddr) -> bool) {
        self.0.retain(|network, full_at| *full_at > now || is_waiting(*network));
        if self.0.len() >= MOST_NETWORKS {
            let idle = self.0.iter().filter(|(network, _)| !is_waiting(**network));
            let least = idle.min_by_key(|(network, full_at)| (**full_at, **network)).map(|(network, _)| *network);
            least.and_then(|network| self.0.remove(&network));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_900_000_000 + seconds)
    }

    /// How many tries the network takes at this moment.
    fn taken(tries: &mut NetworkTries, number: u32, now: Timestamp) -> usize {
        (0..100)
            .take_while(|_| {
                let has_one = tries.wait(network(number), now).is_none();
                if has_one {
                    tries.charge(network(number), now, |_| false);
                }
                has_one
            })
            .count()
    }

    #[test]
    fn four_are_there_at_once_and_then_one_in_two_minutes() {
        let mut tries = NetworkTries::default();
        for (seconds, expected) in [(0, 4), (0, 0), (119, 0), (120, 1), (121, 0), (600, 4), (601, 0), (100_000, 4)] {
            assert_eq!(taken(&mut tries, 1, at(seconds)), expected, "{seconds}");
        }
        assert_eq!(taken(&mut tries, 2, at(0)), 4, "another network has its own");
    }

    #[test]
    fn a_network_is_told_when_it_has_a_try_again() {
        let mut tries = NetworkTries::default();
        taken(&mut tries, 1, at(0));
        assert_eq!(tries.wait(network(1), at(0)), Some(120));
        assert_eq!(tries.wait(network(1), at(50).plus(Duration::from_millis(1))), Some(70));
        assert_eq!(tries.wait(network(1), at(120)), None);
    }

    #[test]
    fn a_clock_that_went_back_makes_no_wait_longer() {
        let mut tries = NetworkTries::default();
        taken(&mut tries, 1, at(0));
        assert_eq!(tries.wait(network(1), at(-100_000)), Some(120));
        assert_eq!(tries.wait(network(1), at(-100_000 + 120)), None);
    }

    #[test]
    fn one_network_never_empties_the_allowance_of_a_device() {
        let mut tries = NetworkTries::default();
        let (burst, refill) = (5, 60);
        let mut allowance: usize = burst;
        for second in 0..100_000 {
            if second % refill == 0 {
                allowance = burst.min(allowance + 1);
            }
            allowance = allowance.saturating_sub(taken(&mut tries, 1, at(i64::from(second))));
            assert!(allowance > 0, "after {second} seconds");
        }
    }

    #[test]
    fn ten_thousand_networks_are_bounded_and_one_that_waits_is_not_forgotten() {
        let mut tries = NetworkTries::default();
        for number in 0..10_000 {
            tries.charge(network(number), at(i64::from(number) / 100), |waiting| waiting == network(0));
            assert!(tries.0.len() <= MOST_NETWORKS);
        }
        assert!(tries.0.contains_key(&network(0)));
    }

    #[test]
    fn a_network_without_tries_gets_none_back_by_bringing_others() {
        let mut tries = NetworkTries::default();
        taken(&mut tries, 0, at(0));
        for number in 1..10_000 {
            tries.charge(network(number), at(1), |_| false);
        }
        assert!(tries.wait(network(0), at(1)).is_some());
        tries.charge(network(1), at(1000), |_| false);
        assert_eq!(tries.0.len(), 1, "those that have all their tries again are forgotten");
    }

    #[test]
    fn where_every_network_waits_none_is_forgotten() {
        let mut tries = NetworkTries::default();
        (0..2000).for_each(|number| tries.charge(network(number), at(0), |_| true));
        assert_eq!(tries.0.len(), MOST_NETWORKS);
    }
}
