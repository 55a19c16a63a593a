//! What is planned against an empty account, one that is there in part, and one that is in the way.

use super::*;
use crate::ceph;
use crate::minio::{self, MinioExport, MinioImportOptions};

fn recorded() -> StoreAccounts {
    let export = MinioExport::read(include_bytes!("../fixtures/minio-export.zip")).expect("an export");
    let left_out = ["bob-trial"].map(str::to_owned).into();
    minio::accounts(
        &export,
        &MinioImportOptions { root: Some("minioadmin".to_owned()), left_out, ..MinioImportOptions::default() },
    )
}

/// What IAM does with a call.
fn make(call: &ImportCall, account: &mut AccountContents) {
    match call {
        ImportCall::AddUserToGroup { user, group } => {
            assert!(account.groups.contains_key(group));
            account.users.get_mut(user.as_str()).expect("the user").groups.insert(group.clone());
        }
        ImportCall::AttachGroupPolicy { group, policy } => {
            account.groups.get_mut(group).expect("the group").policies.insert(policy.name().to_owned());
        }
        ImportCall::AttachUserPolicy { user, policy } => {
            account.users.get_mut(user.as_str()).expect("the user").policies.insert(policy.name().to_owned());
        }
        ImportCall::CreateAccessKey { user, id, .. } => {
            let keys = &mut account.users.get_mut(user.as_str()).expect("the user").keys;
            assert_eq!(keys.insert(id.as_str().to_owned(), PlannedKeyStatus::Active), None);
            assert!(keys.len() <= MOST_KEYS);
        }
        ImportCall::CreateGroup { group } => {
            account.groups.insert(group.clone(), ExistingGroup::default());
        }
        ImportCall::CreatePolicy { name, document } => {
            assert_eq!(account.policies.insert(name.clone(), document.clone()), None);
        }
        ImportCall::CreateUser { user } => {
            account.users.insert(user.as_str().to_owned(), ExistingUser::default());
        }
        ImportCall::DeactivateAccessKey { user, id } => {
            let keys = &mut account.users.get_mut(user.as_str()).expect("the user").keys;
            keys.insert(id.as_str().to_owned(), PlannedKeyStatus::Inactive);
        }
        ImportCall::PutUserUpstreamCredentials { user, id, .. } => {
            account.users.get_mut(user.as_str()).expect("the user").upstream = Some(id.as_str().to_owned());
        }
        ImportCall::PutUserPermissionsBoundary { user, policy } => {
            account.users.get_mut(user.as_str()).expect("the user").boundary = Some(policy.name().to_owned());
        }
    }
}

fn left(plan: &ImportPlan) -> Vec<&ImportCall> {
    plan.calls.iter().filter(|planned| planned.standing == StepStanding::ToMake).map(|planned| &planned.call).collect()
}

fn faults(plan: &ImportPlan) -> Vec<String> {
    plan.faults.iter().map(|fault| format!("{}: {}", fault.place, fault.reason)).collect()
}

fn recorded_ceph() -> StoreAccounts {
    ceph::accounts(&ceph::CephUsers::read(include_str!("../fixtures/ceph-users.json")).expect("users"))
}

#[test]
fn an_import_that_was_interrupted_anywhere_goes_on_where_it_was() {
    for recorded in [recorded, recorded_ceph] {
        interrupt_everywhere(recorded);
    }
}

fn interrupt_everywhere(recorded: fn() -> StoreAccounts) {
    let whole = ImportPlan::of(recorded(), &AccountContents::default());
    assert_eq!(faults(&whole), [""; 0]);
    let calls = left(&whole);
    assert!(calls.len() > 15, "{calls:?}");
    for done in 0..=calls.len() {
        let mut account = AccountContents::default();
        calls.iter().take(done).for_each(|call| make(call, &mut account));
        let plan = ImportPlan::of(recorded(), &account);
        assert_eq!(faults(&plan), [""; 0], "after {done} calls");
        assert_eq!(
            left(&plan).iter().map(|call| format!("{call:?}")).collect::<Vec<_>>(),
            calls.iter().skip(done).map(|call| format!("{call:?}")).collect::<Vec<_>>()
        );
        assert_eq!(plan.is_made(), done == calls.len());
    }
}

#[test]
fn no_key_can_do_anything_before_its_user_has_all_rights_and_limits() {
    let of_user = |name: &str| {
        let mut arns = PolicyArns::default();
        let plan = ImportPlan::of(recorded(), &AccountContents::default());
        let calls: Vec<_> = left(&plan).into_iter().cloned().collect();
        for call in &calls {
            if let ImportCall::CreatePolicy { name, .. } = call {
                arns.insert(name.clone(), format!("arn:aws:iam::123456789012:policy/{name}"));
            }
        }
        let is_of = |call: &&ImportCall| {
            let parameters = call.parameters(&arns).expect("known");
            parameters.iter().any(|(parameter, value)| *parameter == "UserName" && value.expose() == name)
        };
        calls.iter().filter(is_of).map(ImportCall::action).collect::<Vec<_>>()
    };
    let inactive = ["CreateUser", "CreateAccessKey", "UpdateAccessKey", "AttachUserPolicy", "AttachUserPolicy"];
    assert_eq!(of_user("erin"), inactive);
    assert_eq!(of_user("bob"), ["CreateUser", "AddUserToGroup", "AttachUserPolicy", "CreateAccessKey"]);
    let limited = ["CreateUser", "PutUserPermissionsBoundary", "AddUserToGroup", "AttachUserPolicy", "CreateAccessKey"];
    assert_eq!(of_user("alice-alice-limited"), limited);
}

#[test]
fn what_is_there_in_another_form_refuses_the_plan() {
    let mut made = AccountContents::default();
    left(&ImportPlan::of(recorded(), &made)).into_iter().for_each(|call| make(call, &mut made));
    type Change = fn(&mut AccountContents);
    let cases: &[(Change, &str)] = &[
        (
            |account| _ = account.users.get_mut("alice").unwrap().policies.insert("readwrite".to_owned()),
            "user `alice`: it is there with the policy `readwrite`, which it does not have in the store",
        ),
        (
            |account| _ = account.users.get_mut("alice").unwrap().inline.insert("more".to_owned()),
            "user `alice`: it is there with the policy `more`, which it does not have in the store",
        ),
        (
            |account| _ = account.users.get_mut("alice").unwrap().groups.insert("auditors".to_owned()),
            "user `alice`: it is there with the group `auditors`, which it does not have in the store",
        ),
        (
            |account| account.users.get_mut("alice").unwrap().boundary = Some("readonly".to_owned()),
            "user `alice`: it is there with the permissions boundary `readonly`, which it does not have in the store",
        ),
        (
            |account| _ = account.groups.get_mut("editors").unwrap().policies.insert("readwrite".to_owned()),
            "group `editors`: it is there with the policy `readwrite`, which it does not have in the store",
        ),
        (
            |account| {
                let zoe = ExistingUser { groups: ["editors".to_owned()].into(), ..ExistingUser::default() };
                account.users.insert("zoe".to_owned(), zoe);
            },
            "group `editors`: it is there with the member `zoe`, which it does not have in the store",
        ),
        (
            |account| {
                let other = account.policies["home"].clone();
                account.policies.insert("photos-editor".to_owned(), other);
            },
            "policy `photos-editor`: there is a policy of this name, which says something else",
        ),
        (
            |account| {
                let carol = account.users.remove("carol").unwrap();
                account.users.insert("Carol".to_owned(), carol);
            },
            "user `carol`: there is a user `Carol`, and case does not count",
        ),
        (
            |account| {
                account.users.get_mut("carol").unwrap().keys.clear();
                account.root_keys.insert("carol".to_owned());
            },
            "access key `carol` of `carol`: it is a key of `root` here",
        ),
        (
            |account| {
                account.users.get_mut("carol").unwrap().keys.insert("carol".to_owned(), PlannedKeyStatus::Inactive);
            },
            "access key `carol` of `carol`: it is inactive here and active in the store",
        ),
        (
            |account| {
                account.users.get_mut("alice").unwrap().keys =
                    [("x1".to_owned(), PlannedKeyStatus::Active), ("alice".to_owned(), PlannedKeyStatus::Active)]
                        .into();
            },
            "user `alice`: it would have 3 access keys; a user has 2 at most",
        ),
    ];
    for (change, fault) in cases {
        let mut account = made.clone();
        change(&mut account);
        let plan = ImportPlan::of(recorded(), &account);
        assert!(faults(&plan).iter().any(|told| told == fault), "{fault}\n{:?}", faults(&plan));
    }
}

#[test]
fn names_that_differ_in_case_alone_are_refused() {
    let mut accounts = recorded();
    let mut again = accounts.users[0].clone();
    again.name = UserName::parse("ALICE").unwrap();
    accounts.users.push(again);
    let told = faults(&ImportPlan::of(accounts, &AccountContents::default()));
    assert!(told.iter().any(|fault| fault.starts_with("user `ALICE`: comes twice")), "{told:?}");
    assert!(told.iter().any(|fault| fault.starts_with("access key `alice`: comes twice")), "{told:?}");
}

#[test]
fn no_secret_is_shown_by_a_plan() {
    let plan = ImportPlan::of(recorded(), &AccountContents::default());
    let shown = format!("{plan:?}");
    assert!(shown.contains("alice-ci") && !shown.contains("-secret"), "{shown}");
}

#[test]
fn a_user_of_ceph_has_its_key_of_the_store_before_one_to_sign_with() {
    let plan = ImportPlan::of(recorded_ceph(), &AccountContents::default());
    let actions: Vec<_> = left(&plan).into_iter().take(5).map(ImportCall::action).collect();
    let expected =
        ["CreateUser", "PutUserUpstreamCredentials", "AttachUserPolicy", "CreateAccessKey", "CreateAccessKey"];
    assert_eq!(actions, expected);
    let mut account = AccountContents::default();
    left(&plan).into_iter().for_each(|call| make(call, &mut account));
    account.users.get_mut("bob").unwrap().upstream = Some("another".to_owned());
    let told = faults(&ImportPlan::of(recorded_ceph(), &account));
    assert_eq!(told, ["user `bob`: it is there and acts in the store by the key `another`"]);
}

#[test]
fn a_policy_of_the_account_is_attached_by_the_arn_that_was_told() {
    let call = ImportCall::AttachUserPolicy {
        user: UserName::parse("alice").unwrap(),
        policy: AttachedPolicy::Own("home".to_owned()),
    };
    assert_eq!(call.parameters(&PolicyArns::default()).err(), Some(UnknownPolicyArn("home".to_owned())));
}
