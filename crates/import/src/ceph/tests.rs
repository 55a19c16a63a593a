//! Users of a Ceph 16.2: one with three keys, one with subusers, quota and capabilities, one suspended, one of a tenant.

use super::*;

fn read(text: &str) -> StoreAccounts {
    accounts(&CephUsers::read(text).expect("users"))
}

fn recorded() -> StoreAccounts {
    read(include_str!("../fixtures/ceph-users.json"))
}

fn shown(user: &PlannedUser) -> String {
    let keys: Vec<_> = user.keys.iter().map(|key| format!("{} {:?}", key.id, key.status)).collect();
    let upstream = user.upstream.as_ref().map(|key| key.id.as_str());
    format!("{}: [{}] as {upstream:?}", user.name, keys.join(", "))
}

#[test]
fn users_and_subusers_come_with_their_keys_and_act_in_the_store_by_one_of_them() {
    let accounts = recorded();
    assert_eq!(accounts.faults, []);
    assert_eq!(
        accounts.users.iter().map(shown).collect::<Vec<_>>(),
        [
            r#"alice: [ALICEKEY000000000001 Active, ALICEKEY000000000002 Active] as Some("ALICEKEY000000000001")"#,
            r#"alice-ALICEKEY000000000003: [ALICEKEY000000000003 Active] as Some("ALICEKEY000000000003")"#,
            r#"bob: [bobkey Active] as Some("bobkey")"#,
            r#"bob-backup: [bobbackup Active] as Some("bobbackup")"#,
            r#"carol: [carolkey Inactive] as Some("carolkey")"#,
        ]
    );
    assert!(accounts.users.iter().all(|user| user.policies == BTreeSet::from([AttachedPolicy::Managed("readwrite")])));
    assert!(!format!("{accounts:?}").contains("secret-"));
}

#[test]
fn what_has_no_counterpart_is_named() {
    let notes: Vec<_> = recorded().notes.iter().map(|note| format!("{} {}", note.about, note.text)).collect();
    for expected in [
        "user `alice` has more than two keys: `ALICEKEY000000000003` becomes the user `alice-ALICEKEY000000000003`",
        "user `bob` has a quota, which stays in the store and holds there",
        "user `bob` has Swift keys, which stay in the store: Portcullis speaks S3 alone",
        "user `bob` has capabilities of RGW's admin API, which Portcullis does not have",
        "user `bob` has subusers without an S3 key, which stay in the store",
        "user `bob` subuser `bob:backup` becomes the user `bob-backup`",
        "user `carol` has keys for Swift's temporary URLs, which stay in the store",
        "user `carol` is suspended: its keys come in inactive",
    ] {
        assert!(notes.iter().any(|note| note == expected), "{expected}\n{notes:#?}");
    }
    assert!(!notes.iter().any(|note| note.contains("has the member")), "all of 16.2 is known: {notes:#?}");
}

#[test]
fn a_member_that_is_not_known_is_named_with_its_value() {
    let accounts = read(
        r#"{"user_id": "zoe", "suspended": 0, "keys": [{"user": "zoe", "access_key": "zoekey", "secret_key": "zoe-secret"}], "system": "true"}"#,
    );
    let note = r#"has the member `system`: "true", which stays in the store and has no counterpart here"#;
    assert!(accounts.notes.iter().any(|told| told.text == note), "{:?}", accounts.notes);
}

#[test]
fn users_that_cannot_be_the_same_refuse_the_import() {
    let user = |id: &str, holder: &str, key: &str| {
        format!(
            r#"{{"user_id": "{id}", "suspended": 0, "keys": [{{"user": "{holder}", "access_key": "{key}", "secret_key": "12345678"}}]}}"#
        )
    };
    for (text, reason) in [
        (include_str!("../fixtures/ceph-tenant-user.json").to_owned(), "it is of a tenant"),
        (user("t$a", "t$a", "key1"), "it is of a tenant"),
        (user("root", "root", "key1"), "`root` cannot be a user's name"),
        (user("a b", "a b", "key1"), "`a b`: user name is not"),
        (user("a", "b", "key1"), "a key of it is `b`'s"),
        (user("a", "ab:c", "key1"), "a key of it is `ab:c`'s"),
        (user("a", "a", "k=1"), "`k=1`: access key id is not"),
    ] {
        let accounts = read(&text);
        assert!(
            accounts.faults.iter().any(|fault| fault.reason.starts_with(reason)),
            "{reason}: {:?}",
            accounts.faults
        );
        assert!(accounts.users.is_empty(), "{reason}");
    }
}

#[test]
fn another_text_is_refused_with_its_line_and_member() {
    for (text, part) in [
        ("", "EOF while parsing"),
        ("{}", "missing field `user_id`"),
        ("[{\"user_id\": \"a\",\n \"suspended\": 0}]", "missing field `keys` at line 2"),
        ("{\"user_id\": \"a\", \"suspended\": \"no\", \"keys\": []}", "invalid type"),
    ] {
        let error = CephUsers::read(text).expect_err(text).to_string();
        assert!(error.contains(part), "{error}");
    }
}
