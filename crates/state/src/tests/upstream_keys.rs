//! As whom users act at the upstream.

use super::*;
use portcullis_authorization::UpstreamIdentity;

fn alice() -> Principal {
    Principal::User(user("alice"))
}

/// The id and the secret that sign for a principal; none for Portcullis's own.
fn acts_with(store: &StateStore, principal: &Principal) -> Option<(String, String)> {
    match store.upstream_identity(principal).expect("known") {
        UpstreamIdentity::Own => None,
        UpstreamIdentity::User(key) => Some((key.id().to_owned(), key.secret().expose().clone())),
    }
}

fn of(id: &str) -> Option<(String, String)> {
    Some((id.to_owned(), format!("secret of {id}")))
}

#[tokio::test]
async fn a_users_key_is_given_replaced_and_taken_away_and_no_other_principal_has_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Arc::new(MemoryJournal::default());
    let store = opened(dir.path(), &journal, at(0)).await;
    for name in ["alice", "bob"] {
        store.create_user(&user(name), at(0)).await.expect("made");
    }
    assert_eq!(acts_with(&store, &alice()), None);
    store.put_upstream_key(&user("alice"), given("FIRST"), at(1)).await.expect("given");
    assert_eq!(acts_with(&store, &alice()), of("FIRST"));
    let replaced = store.put_upstream_key(&user("alice"), given("SECOND"), at(2)).await.expect("given");
    assert_eq!((replaced.key.id(), replaced.created), ("SECOND", at(2)));
    for other in [Principal::Root, Principal::User(user("bob"))] {
        assert_eq!(acts_with(&store, &other), None, "{other:?}");
    }
    drop(store);
    let store = opened(dir.path(), &journal, at(3)).await;
    assert_eq!(acts_with(&store, &alice()), of("SECOND"), "it outlives a restart");
    store.delete_upstream_key(&user("alice"), at(4)).await.expect("deleted");
    assert_eq!(acts_with(&store, &alice()), None);
    assert_eq!(store.delete_upstream_key(&user("alice"), at(4)).await, Err(StoreError::NoSuchEntity));
    let strangers = store.put_upstream_key(&user("carol"), given("THIRD"), at(4)).await;
    assert_eq!(strangers.err(), Some(StoreError::NoSuchEntity));
}

#[tokio::test]
async fn a_removed_user_takes_the_key_along_in_one_write_and_acts_as_nobody() {
    let (store, _, journal) = in_memory(at(0)).await;
    store.create_user(&user("alice"), at(0)).await.expect("made");
    store.put_upstream_key(&user("alice"), given("FIRST"), at(0)).await.expect("given");
    let before = journal.records().len();
    store.delete_user(&user("alice"), at(1)).await.expect("deleted");
    assert_eq!(journal.records().len(), before + 1);
    assert!(store.upstream_identity(&alice()).is_none(), "not even as Portcullis");
    store.create_user(&user("alice"), at(2)).await.expect("made");
    assert_eq!(acts_with(&store, &alice()), None, "a new user of the name has nothing of the old one");
}

#[tokio::test]
async fn neither_disk_nor_journal_nor_debug_output_holds_the_secret() {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Arc::new(MemoryJournal::default());
    let store = opened(dir.path(), &journal, at(0)).await;
    store.create_user(&user("alice"), at(0)).await.expect("made");
    let stored = store.put_upstream_key(&user("alice"), given("FIRST"), at(0)).await.expect("given");
    store.snapshot().await.expect("taken");
    let shown = format!("{stored:?} {:?} {:?}", store.0.memory, store.upstream_identity(&alice()));
    assert!(shown.contains("FIRST") && !shown.contains("secret of"), "{shown}");
    drop(store);
    let engine = lost::records(&lost::engine(dir.path()).await).await.into_iter().map(|(_, value)| value);
    let kept: Vec<Vec<u8>> = engine.chain(journal.all()).collect();
    assert!(kept.iter().any(|bytes| String::from_utf8_lossy(bytes).contains("FIRST")));
    assert!(!kept.iter().any(|bytes| String::from_utf8_lossy(bytes).contains("secret of")));
}
