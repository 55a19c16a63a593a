//! A thief of root's key offers codes without end, and the owner's right ones are taken.

use std::net::IpAddr;
use std::time::Duration;

use super::super::testing::shown_by;
use super::*;

fn network(number: u32) -> CodeSource {
    CodeSource::of_address(IpAddr::V4(number.into()))
}

const OWNER: u32 = 1;
const THIEF: u32 = 2;

/// What the device shows at no time near this one.
fn wrong(device: &NewDevice, count: i64, now: Timestamp) -> TokenCodes {
    codes(device, count, Timestamp::from_seconds(now.seconds() + 100_000))
}

/// One code, or two or three, as long as the device wants or longer.
async fn offer(store: &StateStore, offer: &TokenCodes, source: CodeSource, now: Timestamp) -> Result<(), SpendError> {
    store.spend(offer, &Principal::Root, source, now).await.map(drop)
}

/// Lets a network try wrong codes, as many as the device wants, until it is throttled; how many were looked at.
async fn guess(store: &StateStore, device: &NewDevice, source: CodeSource, now: Timestamp) -> usize {
    for looked_at in 0..100 {
        let needed = store.codes_needed(&device.serial, now).expect("a device");
        if needed == 3 {
            return looked_at;
        }
        let count = i64::try_from(needed).expect("few");
        match offer(store, &wrong(device, count, now), source, now).await {
            Err(SpendError::Fault(MfaFault::WrongCode)) => {}
            Err(SpendError::Fault(MfaFault::NetworkThrottled { seconds: 120 })) => return looked_at,
            other => panic!("{other:?}"),
        }
    }
    panic!("no end of it")
}

#[tokio::test]
async fn a_thief_in_one_network_leaves_the_owner_codes_of_two() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    // The owner's own codes of two count too, one every two minutes.
    for minute in (2..120).step_by(2) {
        let now = at(60 * minute);
        let looked_at = guess(&store, &device, network(THIEF), now).await;
        assert!(looked_at <= 4, "{looked_at} in minute {minute}");
        assert_eq!(store.codes_needed(&device.serial, now), Some(2));
        offer(&store, &codes(&device, 2, now), network(OWNER), now).await.expect("right codes");
    }
}

#[tokio::test]
async fn three_right_codes_are_taken_whatever_any_network_did() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let now = at(300);
    assert_eq!(guess(&store, &device, network(THIEF), now).await, 4);
    let two = offer(&store, &codes(&device, 2, now), network(THIEF), now).await;
    assert_eq!(
        two,
        Err(SpendError::Fault(MfaFault::NetworkThrottled { seconds: 120 })),
        "right ones are not looked at"
    );
    offer(&store, &codes(&device, 3, now), network(THIEF), now).await.expect("from the thief's network");
    for number in 100..200 {
        guess(&store, &device, network(number), at(600)).await;
    }
    assert_eq!(store.codes_needed(&device.serial, at(600)), Some(3));
    offer(&store, &codes(&device, 3, at(600)), network(OWNER), at(600)).await.expect("from another");
}

#[tokio::test]
async fn one_network_has_four_places_and_others_have_theirs() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let writer = store.0.writer.lock().await;
    let (guess, right) = (wrong(&device, 1, at(90)), codes(&device, 2, at(90)));
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(offer(&store, &guess, network(THIEF), at(90)))).collect();
    let mut owner = Box::pin(offer(&store, &right, network(OWNER), at(90)));
    for spend in waiting.iter_mut().chain([&mut owner]) {
        let once = tokio::time::timeout(Duration::ZERO, spend).await;
        assert!(once.is_err(), "it has to wait");
    }
    let sixth = offer(&store, &guess, network(THIEF), at(90)).await;
    assert_eq!(sixth, Err(SpendError::Fault(MfaFault::NetworkThrottled { seconds: 1 })));
    drop(writer);
    let thief = async {
        let mut faults = Vec::new();
        for spend in waiting {
            faults.extend(spend.await.err());
        }
        faults
    };
    let (owner, faults) = tokio::join!(owner, thief);
    owner.expect("right codes");
    let counted = faults.iter().filter(|fault| **fault == SpendError::Fault(MfaFault::WrongCode)).count();
    assert_eq!((counted, faults.len()), (2, 5), "{faults:?}");
}

#[tokio::test]
async fn what_costs_the_device_nothing_takes_no_place_and_no_try() {
    let (store, _, journal) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let (now, offered) = (at(300), codes(&device, 1, at(300)));
    offer(&store, &offered, network(OWNER), now).await.expect("a right code");
    for _ in 0..2 {
        offer(&store, &wrong(&device, 1, now), network(THIEF), now).await.expect_err("wrong");
    }
    let written = journal.records().len();
    let letters = shown_by(&device, [portcullis_mfa::TokenCode::new("letter")]);
    let free = [
        (letters, MfaFault::NotDigits),
        (offered, MfaFault::MoreCodesNeeded),
        (wrong(&device, 3, now), MfaFault::WrongCode),
    ];
    let writer = store.0.writer.lock().await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        for (offered, fault) in &free {
            waiting.push((Box::pin(offer(&store, offered, network(THIEF), now)), *fault));
        }
    }
    for (spend, _) in &mut waiting {
        assert!(tokio::time::timeout(Duration::ZERO, spend).await.is_err(), "the clock is still to be looked at");
    }
    drop(writer);
    for (spend, fault) in waiting {
        assert_eq!(spend.await, Err(SpendError::Fault(fault)));
    }
    assert_eq!(journal.records().len(), written);
    offer(
        &store,
        &codes(&device, 2, now.plus(Duration::from_secs(60))),
        network(THIEF),
        now.plus(Duration::from_secs(60)),
    )
    .await
    .expect("two tries are left");
}

#[tokio::test]
async fn the_admin_socket_has_its_turn_before_every_network() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let writer = store.0.writer.lock().await;
    let (guess, right) = (wrong(&device, 1, at(90)), codes(&device, 1, at(90)));
    let thieves = (0..65).map(|number| offer(&store, &guess, network(100 + number), at(90)));
    let mut waiting: Vec<_> = thieves.map(Box::pin).collect();
    let mut admin = Box::pin(offer(&store, &right, CodeSource::AdminSocket, at(90)));
    for spend in waiting.iter_mut().chain([&mut admin]) {
        assert!(tokio::time::timeout(Duration::ZERO, spend).await.is_err(), "it has to wait");
    }
    let full = offer(&store, &guess, network(999), at(90)).await;
    assert_eq!(full, Err(SpendError::Fault(MfaFault::TooManyAtOnce)));
    drop(writer);
    admin.await.expect("after one wrong code, so that one is still enough");
    drop(waiting);
    let after = offer(&store, &guess, network(999), at(90)).await;
    assert_eq!(after, Err(SpendError::Fault(MfaFault::WrongCode)), "those that left have no places");
}

#[tokio::test]
async fn a_device_that_is_deleted_leaves_no_queue() {
    let (store, _, _) = in_memory(at(0)).await;
    let device = enrolled(&store, "phone", at(0)).await;
    let proof = proved(&store, &device, DeviceDeactivation { serial: device.serial.clone() }, at(90)).await;
    assert_eq!(store.0.queues.lock().expect("sound").len(), 1);
    store.deactivate_device(DeviceChange::Proved(proof), at(90)).await.expect("deactivated");
    store.delete_device(&device.serial, at(90)).await.expect("gone");
    assert_eq!(store.0.queues.lock().expect("sound").len(), 0);
}
