//! Policies, groups and who has which, over a restart and a rebuild.

use super::*;
use portcullis_base::names::{GroupName, PolicyName};
use portcullis_policy::{IdentityPolicies, PolicyDecision, PolicyKind, RequestValues};

fn text(action: &str, kind: PolicyKind) -> PolicyText {
    let document =
        format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#);
    PolicyText::parse(&document, kind).expect("a policy")
}

fn policy(name: &str) -> PolicyName {
    PolicyName::parse(name).expect("a name")
}

/// A store with a user that has policies in each of the four ways.
async fn with_policies(dir: &Path, journal: &Arc<MemoryJournal>) -> StateStore {
    let store = opened(dir, journal, at(0)).await;
    let (alice, staff) = (user("alice"), GroupName::parse("staff").expect("a name"));
    store.create_user(&alice, at(1)).await.expect("made");
    store.create_policy(&policy("p"), None, text("s3:Get*", PolicyKind::Managed), at(1)).await.expect("made");
    store.create_policy(&policy("limit"), None, text("s3:*", PolicyKind::Managed), at(1)).await.expect("made");
    let second = VersionChange::Add { content: text("s3:List*", PolicyKind::Managed), is_default: true };
    store.change_policy(&policy("p"), second, at(2)).await.expect("added");
    store.create_group(&staff, at(2)).await.expect("made");
    store.change_membership(&staff, &alice, MembershipChange::Join, at(2)).await.expect("joined");
    let holder = PolicyHolder::User(alice.clone());
    let attach = GrantChange::Attach(PolicyReference::Account(policy("p")));
    store.change_grants(&holder, attach, at(3)).await.expect("attached");
    let inline = GrantChange::PutInline(policy("own"), text("s3:PutObject", PolicyKind::UserInline));
    store.change_grants(&holder, inline, at(3)).await.expect("put");
    let inline = GrantChange::PutInline(policy("theirs"), text("s3:DeleteObject", PolicyKind::GroupInline));
    store.change_grants(&PolicyHolder::Group(staff), inline, at(3)).await.expect("put");
    store.set_boundary(&alice, Some(PolicyReference::Account(policy("limit"))), at(4)).await.expect("set");
    store
}

fn permissions(store: &StateStore) -> Arc<IdentityPolicies> {
    store.permissions(&user("alice")).expect("a user")
}

#[tokio::test]
async fn policies_groups_and_who_has_which_are_found_again() {
    let (dir, journal) = (tempfile::tempdir().expect("a directory"), Arc::<MemoryJournal>::default());
    let store = with_policies(dir.path(), &journal).await;
    let before = (store.users(), store.groups(), store.policies(), permissions(&store));
    drop(store);
    let store = opened(dir.path(), &journal, at(10)).await;
    assert_eq!((store.users(), store.groups(), store.policies(), permissions(&store)), before);
}

#[tokio::test]
async fn a_policy_that_is_used_stays_and_what_a_user_has_goes_before_it() {
    let (dir, journal) = (tempfile::tempdir().expect("a directory"), Arc::<MemoryJournal>::default());
    let store = with_policies(dir.path(), &journal).await;
    let remains = |part| Err(StoreError::Remains(part));
    for name in ["p", "limit"] {
        assert_eq!(store.delete_policy(&policy(name), at(5)).await, remains(RemainingPart::Attachments), "{name}");
    }
    let (alice, staff) = (user("alice"), GroupName::parse("staff").expect("a name"));
    assert_eq!(store.delete_group(&staff, at(5)).await, remains(RemainingPart::Members));
    assert_eq!(store.delete_user(&alice, at(5)).await, remains(RemainingPart::Groups));
    store.change_membership(&staff, &alice, MembershipChange::Leave, at(5)).await.expect("left");
    assert_eq!(store.delete_user(&alice, at(5)).await, remains(RemainingPart::AttachedPolicies));
    let holder = PolicyHolder::User(alice.clone());
    let detach = GrantChange::Detach(PolicyReference::Account(policy("p")));
    store.change_grants(&holder, detach, at(5)).await.expect("detached");
    assert_eq!(store.delete_user(&alice, at(5)).await, remains(RemainingPart::InlinePolicies));
    assert_eq!(store.delete_policy(&policy("p"), at(5)).await, remains(RemainingPart::Versions));
    store.change_grants(&holder, GrantChange::DeleteInline(policy("own")), at(5)).await.expect("deleted");
    store.delete_user(&alice, at(5)).await.expect("nothing remains");
    assert!(store.permissions(&alice).is_none());
    // A user of the same name is another one.
    store.create_user(&alice, at(6)).await.expect("made");
    assert_eq!(permissions(&store).condition_keys().len(), 0);
    assert_eq!(store.user(&alice).expect("a user").grants, PolicyGrants::default());
}

#[tokio::test]
async fn a_change_of_a_policy_or_a_group_counts_for_each_user_of_it_and_is_the_work_of_no_other() {
    let (dir, journal) = (tempfile::tempdir().expect("a directory"), Arc::<MemoryJournal>::default());
    let store = with_policies(dir.path(), &journal).await;
    let (alice, bob, staff) = (user("alice"), user("bob"), GroupName::parse("staff").expect("a name"));
    store.create_user(&bob, at(5)).await.expect("made");
    let of_bob = store.permissions(&bob).expect("a user");
    let may = |action: &str| {
        let (held, values) = (permissions(&store), RequestValues::default());
        matches!(held.decide(action, "arn:aws:s3:::b/k", &values), PolicyDecision::Allow(_))
    };
    assert!(may("s3:ListBucket") && !may("s3:GetObject"), "the second version of the policy counts");
    store.change_policy(&policy("p"), VersionChange::SetDefault(1), at(5)).await.expect("set");
    assert!(may("s3:GetObject") && !may("s3:ListBucket"));
    assert!(may("s3:DeleteObject"));
    let none = GrantChange::DeleteInline(policy("theirs"));
    store.change_grants(&PolicyHolder::Group(staff.clone()), none, at(5)).await.expect("deleted");
    assert!(!may("s3:DeleteObject"));
    let narrow = VersionChange::Add { content: text("s3:GetObjectAcl", PolicyKind::Managed), is_default: true };
    store.change_policy(&policy("limit"), narrow, at(5)).await.expect("added");
    assert!(!may("s3:GetObject"), "the boundary counts");
    let attach = GrantChange::Attach(PolicyReference::Account(policy("limit")));
    store.change_grants(&PolicyHolder::Group(staff.clone()), attach, at(5)).await.expect("attached");
    assert!(may("s3:GetObjectAcl"));
    store.change_policy(&policy("limit"), VersionChange::SetDefault(1), at(5)).await.expect("set");
    assert!(may("s3:DeleteBucket"), "the group's policy counts for its members");
    store.change_membership(&staff, &alice, MembershipChange::Leave, at(5)).await.expect("left");
    assert!(!may("s3:DeleteBucket"));
    assert!(Arc::ptr_eq(&of_bob, &store.permissions(&bob).expect("a user")), "what bob may do was not touched");
}
