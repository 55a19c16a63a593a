//! A recorded export: five users, three groups, six service accounts.

use super::*;
use crate::accounts::ImportFault;

fn recorded() -> MinioExport {
    MinioExport::read(include_bytes!("../fixtures/minio-export.zip")).expect("an export")
}

fn options(left_out: &[&str]) -> MinioImportOptions {
    MinioImportOptions {
        root: Some("minioadmin".to_owned()),
        left_out: left_out.iter().map(|&name| name.to_owned()).collect(),
        rights: ImportedRights::Translated,
    }
}

/// A user on one line.
fn shown(user: &PlannedUser) -> String {
    let keys: Vec<_> = user.keys.iter().map(|key| format!("{} {:?}", key.id, key.status)).collect();
    let names =
        |policies: &BTreeSet<AttachedPolicy>| policies.iter().map(|p| format!("{p:?}")).collect::<Vec<_>>().join(" ");
    format!(
        "{}: [{}] policies [{}] groups {:?} boundary {:?}",
        user.name,
        keys.join(", "),
        names(&user.policies),
        user.groups,
        user.boundary.as_ref().map(AttachedPolicy::name)
    )
}

fn faults(accounts: &StoreAccounts) -> Vec<String> {
    accounts.faults.iter().map(|ImportFault { place, reason, .. }| format!("{place}: {reason}")).collect()
}

#[test]
fn users_come_with_their_keys_policies_and_groups() {
    let accounts = accounts(&recorded(), &options(&["bob-trial"]));
    assert_eq!(faults(&accounts), [""; 0]);
    assert_eq!(
        accounts.users.iter().map(shown).collect::<Vec<_>>(),
        [
            r#"alice: [alice Active, alice-ci Active] policies [Managed("writeonly")] groups {"editors"} boundary None"#,
            r#"alice-alice-batch: [alice-batch Inactive] policies [Managed("writeonly")] groups {"editors"} boundary None"#,
            r#"alice-alice-limited: [alice-limited Active] policies [Managed("writeonly")] groups {"editors"} boundary Some("session-alice-limited")"#,
            r#"bob: [bob Active] policies [Own("home")] groups {"editors"} boundary None"#,
            r#"carol: [carol Active] policies [Own("consoleAdmin")] groups {"auditors"} boundary None"#,
            r#"dave: [dave Inactive] policies [Managed("readwrite")] groups {"former"} boundary None"#,
            r#"erin: [erin Inactive] policies [Own("office-hours") Own("ops")] groups {} boundary None"#,
            r#"minioadmin-root-app: [root-app Active] policies [Managed("readwrite")] groups {} boundary None"#,
            r#"minioadmin-root-limited: [root-limited Active] policies [Own("session-root-limited")] groups {} boundary None"#,
        ]
    );
    let groups: Vec<_> = accounts.groups.iter().map(|group| (group.name.as_str(), group.policies.len())).collect();
    assert_eq!(groups, [("auditors", 1), ("editors", 1), ("former", 0)]);
}

#[test]
fn policies_come_that_an_account_has_or_that_are_not_built_in() {
    let accounts = accounts(&recorded(), &options(&["bob-trial"]));
    let names: Vec<_> = accounts.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "consoleAdmin",
            "home",
            "minio-readonly",
            "nosid",
            "office-hours",
            "ops",
            "photos-editor",
            "session-alice-limited",
            "session-root-limited",
        ]
    );
}

#[test]
fn what_differs_from_minio_is_told() {
    let accounts = accounts(&recorded(), &options(&["bob-trial"]));
    let notes: Vec<_> = accounts.notes.iter().map(|note| format!("{} {}", note.about, note.text)).collect();
    for expected in [
        "`bob-trial` is left out, as you said",
        "group `former` is disabled: it comes without its policies, and its members' keys inactive",
        "policy `consoleAdmin` Statement[0] is left out: it is about admin:*, of which S3 has nothing",
        "policy `ops` Statement[0] is left out: it is about admin:ServerInfo, of which S3 has nothing",
        "policy `nosid` Statement[0].Resource[0]: `arn:aws:s3:::*-logs/*` names buckets too in MinIO, here fewer are allowed",
        "policy `readonly` becomes `minio-readonly`: `readonly` allows something else here",
        "service account `alice-batch` becomes the user `alice-alice-batch` with the rights of `alice`: a user has two keys at the most",
        "service account `alice-limited` becomes the user `alice-alice-limited` with the rights of `alice`: its session policy is the user's permissions boundary",
        "service account `root-app` becomes the user `minioadmin-root-app` with the policy `readwrite`: it is root's in MinIO",
        "the access key `minioadmin` stays behind: what signs with it needs a key of a user, such as `portcullis user add NAME`",
        "user `dave` is in the disabled group `former`, so MinIO refuses it: its keys are inactive",
    ] {
        assert!(notes.iter().any(|note| note == expected), "{expected}\n{notes:#?}");
    }
    assert!(!notes.iter().any(|note| note.contains("diagnostics")), "no account has it: {notes:#?}");
    let left: Vec<_> = notes.iter().filter(|note| note.contains("no imported account has it")).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].contains("policy `star` is left out") && left[0].contains("(Statement[0].Action: "), "{left:?}");
    assert!(left[1].contains("(Statement[0].Condition.StringEquals.s3:ExistingObjectTag/team: "), "{left:?}");
}

#[test]
fn a_service_account_that_expires_may_do_nothing_after_that() {
    let accounts = accounts(&recorded(), &options(&[]));
    assert_eq!(faults(&accounts), [""; 0]);
    let trial = accounts.users.iter().find(|user| user.name.as_str() == "bob-bob-trial").unwrap();
    assert_eq!(
        shown(trial),
        r#"bob-bob-trial: [bob-trial Active] policies [Own("home-bob") Own("photos-editor")] groups {} boundary Some("session-bob-trial")"#
    );
    let boundary = accounts.policies.iter().find(|policy| policy.name == "session-bob-trial").unwrap();
    let end = r#""Condition":{"DateLessThan":{"aws:CurrentTime":"2027-06-01T00:00:00Z"}}"#;
    assert!(boundary.document.to_string().contains(end), "{}", boundary.document);
    let note = "becomes the user `bob-bob-trial` with the rights of `bob`: the user's permissions boundary allows nothing from \
                2027-06-01T00:00:00Z on";
    assert!(accounts.notes.iter().any(|told| told.text == note), "{:?}", accounts.notes);
}

#[test]
fn what_cannot_be_the_same_refuses_the_import() {
    let mut options = options(&["bob-trial", "zoe"]);
    options.root = None;
    let told = faults(&accounts(&recorded(), &options));
    assert_eq!(
        told,
        [
            "--leave-out zoe: no user and no service account has this name",
            "service account `root-app`: its parent `minioadmin` is no user of this MinIO",
            "service account `root-limited`: its parent `minioadmin` is no user of this MinIO",
        ]
    );
}

#[test]
fn a_policy_that_is_not_the_same_here_refuses_the_import_if_an_account_has_it() {
    let mut export = recorded();
    let mapping = |name: &str| serde_json::from_value(serde_json::json!({ "version": 0, "policy": name })).unwrap();
    export.user_policies.insert("alice".to_owned(), mapping("tagged,gone"));
    export.group_policies.insert("auditors".to_owned(), mapping("star"));
    let accounts = accounts(&export, &options(&["bob-trial"]));
    let told = faults(&accounts);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("policy `star`: Statement[0].Action: "), "{told:?}");
    assert!(told[1].starts_with("policy `tagged`: Statement[0].Condition.StringEquals.s3:Exis"), "{told:?}");
    let missing = "has the policy `gone`, which MinIO does not have";
    assert!(accounts.notes.iter().any(|note| note.about == "user `alice`" && note.text == missing));
}

/// An export in which bob, whose policy names its user, has two service accounts.
fn with_two_of_bob() -> MinioExport {
    let mut export = recorded();
    for key in ["bob-1", "bob-2"] {
        let mut account = recorded().service_accounts.remove("bob-trial").unwrap();
        account.expiration = None;
        account.key = key.to_owned();
        export.service_accounts.insert(key.to_owned(), account);
    }
    export
}

#[test]
fn a_key_of_its_own_has_what_its_parent_has_by_name() {
    let accounts = accounts(&with_two_of_bob(), &options(&["bob-trial"]));
    assert_eq!(faults(&accounts), [""; 0]);
    let users: Vec<_> = accounts.users.iter().map(shown).filter(|user| user.starts_with("bob")).collect();
    assert_eq!(
        users,
        [
            r#"bob: [bob Active, bob-1 Active] policies [Own("home")] groups {"editors"} boundary None"#,
            // The policy of its group comes with it; the group could name the user in another policy.
            r#"bob-bob-2: [bob-2 Active] policies [Own("home-bob") Own("photos-editor")] groups {} boundary None"#,
        ]
    );
    let copy = accounts.policies.iter().find(|policy| policy.name == "home-bob").unwrap().document.to_string();
    assert!(
        copy.contains(r#""Resource":"arn:aws:s3:::home/bob/*""#) && copy.contains(r#""s3:prefix":"bob/*""#),
        "{copy}"
    );
    assert!(!copy.contains("${"), "{copy}");
}

#[test]
fn a_key_of_its_own_is_refused_where_a_condition_is_about_the_user() {
    let mut export = with_two_of_bob();
    let condition = serde_json::json!({ "StringEquals": { "aws:username": ["bob"] } });
    export.policies.get_mut("home").unwrap()["Statement"][1]["Condition"] = condition;
    let accounts = accounts(&export, &options(&["bob-trial"]));
    assert_eq!(
        faults(&accounts),
        ["service account `bob-2`: policy `home` has a condition on its user, which is another one here"]
    );
}

#[test]
fn a_session_policy_names_the_parent() {
    let mut export = recorded();
    let policy = &mut export.service_accounts.get_mut("alice-limited").unwrap().policy;
    policy["Statement"][0]["Resource"][0] = "arn:aws:s3:::photos/${aws:username}/*".into();
    let accounts = accounts(&export, &options(&["bob-trial"]));
    assert_eq!(faults(&accounts), [""; 0]);
    let session = accounts.policies.iter().find(|policy| policy.name == "session-alice-limited").unwrap();
    assert!(session.document.to_string().contains("photos/alice/*"));
}

#[test]
fn a_user_that_an_identity_provider_knows_too_refuses_the_import() {
    let mut export = recorded();
    let mapping = serde_json::from_value(serde_json::json!({ "version": 0, "policy": "readwrite" })).unwrap();
    export.provider_policies.insert("carol".to_owned(), mapping);
    let told = faults(&accounts(&export, &options(&["bob-trial"])));
    assert_eq!(told, ["user `carol`: it has policies as a user of an identity provider too"]);
}

#[test]
fn a_service_account_has_no_more_than_its_parent_has() {
    let mut export = recorded();
    export.users.get_mut("alice").unwrap().status = AccountStatus::Disabled;
    let accounts = accounts(&export, &options(&["bob-trial"]));
    let of_alice = accounts.users.iter().filter(|user| user.name.as_str().starts_with("alice"));
    assert!(of_alice.flat_map(|user| &user.keys).all(|key| key.status == PlannedKeyStatus::Inactive));
    let mut export = recorded();
    export.service_accounts.get_mut("alice-ci").unwrap().groups = Some(vec!["auditors".to_owned()]);
    let told = faults(&super::accounts(&export, &options(&["bob-trial"])));
    assert_eq!(told, ["service account `alice-ci`: it is in the group `auditors`, and `alice` is not"]);
}

#[test]
fn a_user_that_is_left_out_takes_its_service_accounts_with_it() {
    let accounts = accounts(&recorded(), &options(&["alice", "bob"]));
    assert!(!accounts.users.iter().any(|user| user.name.as_str().starts_with("alice")));
    assert!(
        accounts.notes.iter().any(
            |note| note.about == "service account `alice-ci`" && note.text == "is left out with its parent `alice`"
        )
    );
    assert_eq!(faults(&accounts), [""; 0]);
}

#[test]
fn users_that_act_in_minio_by_their_own_keys_need_no_policies_of_their_own() {
    let mut export = recorded();
    export.policies.get_mut("home").unwrap()["Statement"] = serde_json::json!("nothing that is read here");
    let options = MinioImportOptions { rights: ImportedRights::InStore, ..options(&["carol", "root-app"]) };
    let accounts = accounts(&export, &options);
    assert_eq!(faults(&accounts), [""; 0]);
    let upstream = |user: &PlannedUser| user.upstream.as_ref().map(|key| key.id.to_string());
    assert_eq!(
        accounts.users.iter().map(|user| (user.name.as_str().to_owned(), upstream(user))).collect::<Vec<_>>(),
        [
            ("alice", "alice"),
            ("alice-alice-batch", "alice-batch"),
            ("alice-alice-ci", "alice-ci"),
            ("alice-alice-limited", "alice-limited"),
            ("bob", "bob"),
            ("bob-bob-trial", "bob-trial"),
            ("dave", "dave"),
            ("erin", "erin"),
            ("minioadmin-root-limited", "root-limited"),
        ]
        .map(|(user, key)| (user.to_owned(), Some(key.to_owned())))
    );
    let inactive = |user: &&PlannedUser| user.keys.iter().all(|key| key.status == PlannedKeyStatus::Inactive);
    let inactive: Vec<_> = accounts.users.iter().filter(inactive).map(|user| user.name.as_str()).collect();
    assert_eq!(inactive, ["alice-alice-batch", "erin"]);
    assert!(accounts.policies.is_empty() && accounts.groups.is_empty());
    let readwrite = BTreeSet::from([AttachedPolicy::Managed("readwrite")]);
    assert!(accounts.users.iter().all(|user| user.policies == readwrite && user.keys.len() == 1));
}
