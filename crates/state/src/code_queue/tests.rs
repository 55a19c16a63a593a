//! Who is called when, and whose tries count.

use std::time::Duration;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_900_000_000 + seconds)
}

fn network(number: u32) -> QueueLane {
    QueueLane::Network(IpAddr::V4(number.into()))
}

/// Whether it is the place's turn now.
async fn is_called(place: &mut QueuePlace) -> bool {
    tokio::time::timeout(Duration::ZERO, place.turn(at(0))).await.is_ok()
}

#[tokio::test]
async fn one_is_called_at_a_time_and_the_next_when_it_is_done() {
    let queue = CodeQueue::default();
    let mut first = queue.enter(network(1), at(0)).expect("a place");
    let mut second = queue.enter(network(1), at(0)).expect("a place");
    let mut third = queue.enter(network(2), at(0)).expect("a place");
    assert!(is_called(&mut first).await);
    assert!(!is_called(&mut second).await && !is_called(&mut third).await);
    drop(first);
    assert!(!is_called(&mut second).await || !is_called(&mut third).await, "one at a time");
    drop(second);
    assert!(is_called(&mut third).await);
}

#[tokio::test]
async fn one_that_leaves_is_passed_over_before_and_after_its_call() {
    let queue = CodeQueue::default();
    let first = queue.enter(network(1), at(0)).expect("a place");
    let called = queue.enter(network(2), at(0)).expect("a place");
    let waiting = queue.enter(network(3), at(0)).expect("a place");
    let mut last = queue.enter(network(4), at(0)).expect("a place");
    drop(waiting);
    drop(first);
    drop(called);
    assert!(is_called(&mut last).await);
    drop(last);
    assert!(queue.lock().waiting.is_empty());
}

#[tokio::test]
async fn of_tries_that_wait_no_more_are_looked_at_than_the_network_has() {
    let queue = CodeQueue::default();
    let mut places: Vec<_> = (0..4).map(|_| queue.enter(network(1), at(0)).expect("a place")).collect();
    places[0].turn(at(0)).await.expect("its turn");
    (0..3).for_each(|_| places[0].charge(at(0)));
    drop(places.remove(0));
    places[0].turn(at(0)).await.expect("the last of four");
    places[0].charge(at(0));
    drop(places.remove(0));
    let throttled = MfaFault::NetworkThrottled { seconds: 120 };
    assert_eq!(places[0].turn(at(0)).await, Err(throttled));
    assert_eq!(queue.enter(network(1), at(0)).map(drop), Err(throttled));
    drop(places);
    for lane in [network(2), QueueLane::AdminSocket, QueueLane::RightThree] {
        queue.enter(lane, at(0)).expect("not its tries").turn(at(0)).await.expect("its turn");
    }
    queue.enter(network(1), at(120)).expect("a try came back").turn(at(120)).await.expect("its turn");
}

#[test]
fn the_admin_socket_and_three_right_codes_have_no_limit_of_tries() {
    let queue = CodeQueue::default();
    for lane in [QueueLane::AdminSocket, QueueLane::RightThree] {
        for _ in 0..20 {
            queue.enter(lane, at(0)).expect("a place").charge(at(0));
        }
    }
}

#[test]
fn a_network_is_told_what_it_has_too_much_of() {
    let queue = CodeQueue::default();
    let turn = queue.enter(network(0), at(0)).expect("a place");
    let own: Vec<_> = (0..4).map(|_| queue.enter(network(1), at(0)).expect("a place")).collect();
    let share = queue.enter(network(1), at(0)).map(drop);
    assert_eq!(share, Err(MfaFault::NetworkThrottled { seconds: 1 }));
    let others: Vec<_> = (2..62).map(|number| queue.enter(network(number), at(0)).expect("a place")).collect();
    assert_eq!(queue.enter(network(99), at(0)).map(drop), Err(MfaFault::TooManyAtOnce));
    drop((turn, own, others));
    queue.enter(network(99), at(0)).expect("a place");
}

#[test]
fn an_offer_waits_with_those_of_its_network_or_of_the_admin_socket() {
    let source = CodeSource::of_address("::ffff:192.0.2.7".parse().expect("an address"));
    assert_eq!(source, CodeSource::of_address("192.0.2.7".parse().expect("an address")));
    let wrong = Some(MfaFault::WrongCode);
    for codes in 1..=3 {
        assert_eq!(QueueLane::of(source, codes, wrong), QueueLane::Network("192.0.2.7".parse().expect("an address")));
        assert_eq!(QueueLane::of(CodeSource::AdminSocket, codes, wrong), QueueLane::AdminSocket);
    }
}
