//! Places that callers share: how many each may take, and how many are reserved for root.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use portcullis_http::client_network;
use portcullis_sigv4::Principal;

/// A number of places, each taken until its [`ReservedPlace`] is dropped.
///
/// One caller gets a quarter of them at most, and users together leave an eighth for root: neither one user whose requests
/// wait for a slow store nor all users together can keep root from getting one.
#[derive(Clone, Debug)]
pub struct SharedPlaces(Arc<PlacesState>);

#[derive(Debug)]
struct PlacesState {
    all: usize,
    taken: Mutex<PlacesInUse>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct PlacesInUse {
    all: usize,
    by_caller: HashMap<PlaceOwner, usize>,
}

/// Who takes a place: a principal at a network, since a stolen key must not take the places of its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlaceOwner {
    principal: Principal,
    network: IpAddr,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct ReservedPlace {
    places: SharedPlaces,
    holder: PlaceOwner,
}

impl PlaceOwner {
    /// A principal that sends from this address.
    pub fn new(principal: Principal, address: IpAddr) -> Self {
        Self { principal, network: client_network(address) }
    }
}

impl SharedPlaces {
    /// This many places.
    pub fn new(all: usize) -> Self {
        Self(Arc::new(PlacesState { all, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Takes a place once one is free for this holder; none if that takes longer than `timeout`.
    pub async fn take(&self, holder: &PlaceOwner, timeout: Duration) -> Option<ReservedPlace> {
        if let Some(place) = self.try_take(holder) {
            return Some(place);
        }
        let freed = async {
            loop {
                // Registered before the check, so that a place that is freed in between is noticed.
                let mut notified = std::pin::pin!(self.0.freed.notified());
                notified.as_mut().enable();
                if let Some(place) = self.try_take(holder) {
                    return place;
                }
                notified.await;
            }
        };
        tokio::time::timeout(timeout, freed).await.ok()
    }

    fn try_take(&self, holder: &PlaceOwner) -> Option<ReservedPlace> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_caller.get(holder).copied().unwrap_or(0);
        if !self.0.allows(holder, taken.all, own) {
            return None;
        }
        taken.all += 1;
        *taken.by_caller.entry(holder.clone()).or_default() += 1;
        Some(ReservedPlace { places: self.clone(), holder: holder.clone() })
    }
}

impl PlacesState {
    /// Whether a holder of `own` places may take another, when `taken` are taken in all.
    fn allows(&self, holder: &PlaceOwner, taken: usize, own: usize) -> bool {
        let reserve = match holder.principal {
            Principal::Root => 0,
            Principal::User(_) => self.all / 8,
        };
        taken < self.all - reserve && own < (self.all / 4).max(1)
    }
}

impl Drop for ReservedPlace {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_caller.get_mut(&self.holder) {
            *own = own.saturating_sub(1);
            // Keeps the map no larger than the number of places.
            if *own == 0 {
                taken.by_caller.remove(&self.holder);
            }
        }
        drop(taken);
        self.places.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_base::names::UserName;
    use proptest::prelude::*;

    fn user(name: &str) -> PlaceOwner {
        let name = UserName::parse(name).expect("a name");
        PlaceOwner::new(Principal::User(name), IpAddr::from([192, 0, 2, 7]))
    }

    fn root(last: u8) -> PlaceOwner {
        PlaceOwner::new(Principal::Root, IpAddr::from([192, 0, 2, last]))
    }

    fn take_all(places: &SharedPlaces, holder: &PlaceOwner) -> Vec<ReservedPlace> {
        std::iter::from_fn(|| places.try_take(holder)).collect()
    }

    #[tokio::test]
    async fn one_caller_gets_a_quarter_and_users_together_leave_some_for_root() {
        let places = SharedPlaces::new(32);
        let mallory = take_all(&places, &user("mallory"));
        assert_eq!(mallory.len(), 8);
        let others: Vec<ReservedPlace> =
            ["a", "b", "c", "d"].iter().flat_map(|name| take_all(&places, &user(name))).collect();
        assert_eq!(mallory.len() + others.len(), 28);
        assert!(places.take(&user("alice"), Duration::from_millis(1)).await.is_none());
        assert_eq!(take_all(&places, &root(1)).len(), 4);
    }

    #[tokio::test]
    async fn a_stolen_root_key_leaves_places_for_its_owner() {
        let places = SharedPlaces::new(32);
        let thief = take_all(&places, &root(66));
        assert_eq!((thief.len(), take_all(&places, &root(1)).len()), (8, 8));
    }

    #[tokio::test]
    async fn a_place_that_is_freed_goes_to_who_waits() {
        let places = SharedPlaces::new(1);
        let taken = places.take(&user("alice"), Duration::ZERO).await.expect("free");
        assert!(places.take(&root(1), Duration::ZERO).await.is_none());
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.take(&root(1), Duration::from_secs(10)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(taken);
        assert!(waiting.await.expect("done"));
    }

    proptest! {
        #[test]
        fn no_more_are_taken_than_there_are_and_none_is_lost(
            all in 1_usize..40,
            steps in prop::collection::vec((0_usize..4, any::<bool>()), 0..200),
        ) {
            let places = SharedPlaces::new(all);
            let holders = [root(1), root(2), user("a"), user("b")];
            let mut held: Vec<ReservedPlace> = Vec::new();
            for (holder, takes) in steps {
                if takes {
                    held.extend(places.try_take(&holders[holder]));
                } else {
                    held.pop();
                }
                prop_assert!(held.len() <= all);
            }
            drop(held);
            let taken = places.0.taken.lock().expect("sound");
            prop_assert_eq!((taken.all, taken.by_caller.len()), (0, 0));
        }
    }
}
