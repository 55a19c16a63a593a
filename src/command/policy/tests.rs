use std::fs;

use super::*;
use crate::command::admin::AdminClient;
use crate::command::error::ExitCause;
use crate::command::fake_proxy::{FakeProxy, Seen};
use crate::command::state_directory::StateDirectory;
use crate::command::terminal::kept::terminal;
use portcullis_base::clock::Timestamp;
use tempfile::TempDir;

const LIMITED: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "Home", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::vault/${aws:username}/*"},
    {"Sid": "NeedsMfa", "Effect": "Deny", "Action": "s3:DeleteObject*", "Resource": "*",
     "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}
  ]
}"#;

/// Files with these texts, in a directory of their own.
fn files(texts: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in texts {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn at(seconds: i64) -> Clock {
    Clock::standing_at(Timestamp::from_seconds(seconds))
}

/// Runs `policy LINE`, with `@` for the directory; what was printed, and how it ended.
fn ran(line: &str, directory: &TempDir, format: OutputFormat) -> (String, Result<(), CommandError>) {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: PolicyCommand,
    }
    let place = directory.path().display().to_string();
    let words = line.split(' ').map(|word| word.replace('@', &place));
    let line = <Line as clap::Parser>::try_parse_from(std::iter::once("policy".to_owned()).chain(words));
    let (mut terminal, kept) = terminal(format, &[]);
    let command = line.map_err(|error| error.to_string()).unwrap().command;
    // None of these asks a proxy, and none runs here.
    let admin = AdminClient::of(&StateDirectory::find(Some(directory.path().to_owned()), None));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = runtime.block_on(run(command, &admin, &at(1_795_254_118), &mut terminal));
    (kept.text().replace(&place, "@"), outcome)
}

fn printed(line: &str, directory: &TempDir) -> String {
    let (text, outcome) = ran(line, directory, OutputFormat::People);
    let ended = outcome.map_or_else(|error| format!("error: {}\n", error.message), |()| String::new());
    format!("{text}{}", ended.replace(&directory.path().display().to_string(), "@"))
}

const OBJECT: &str = "--resource arn:aws:s3:::vault/alice/k";

#[test]
fn a_decision_is_explained_by_the_statement_that_made_it() {
    let open = r#"{"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}}"#;
    let directory = files(&[("limited.json", LIMITED), ("open.json", open)]);
    let lines = [
        format!("test --policy @/limited.json --principal user/alice --action s3:GetObject {OBJECT}"),
        format!("test --policy @/limited.json --principal user/bob --action s3:GetObject {OBJECT}"),
        format!("test --policy readonly @/limited.json --principal user/alice --action s3:GetObject s3:DeleteObject {OBJECT}"),
        format!("test --policy @/limited.json --principal user/alice --action s3:DeleteObject {OBJECT} --context AWS:MultiFactorAuthPresent=true"),
        format!("test --policy readwrite --boundary @/open.json --principal user/alice --action s3:PutObject {OBJECT}"),
        format!("test --policy readwrite --session-policy @/open.json --principal user/alice --action s3:PutObject {OBJECT}"),
        format!("test --principal anonymous --action s3:GetObject {OBJECT}"),
        "test --policy readwrite --principal assumed-role/backup/n --action s3:ListAllMyBuckets --resource arn:aws:s3:::* *".to_owned(),
    ];
    let table: Vec<_> = lines.iter().map(|line| format!("{line}\n{}", printed(line, &directory))).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn policies_of_resources_and_roles_are_tested_as_such() {
    let bucket = r#"{"Statement": {"Sid": "public", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}}"#;
    let trust = r#"{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/alice"}, "Action": "sts:AssumeRole"}}"#;
    let directory = files(&[("bucket.json", bucket), ("trust.json", trust)]);
    let role = "--action sts:AssumeRole --resource arn:aws:iam::123456789012:role/backup";
    let lines = [
        format!("test --resource-policy @/bucket.json --principal anonymous --action s3:GetObject {OBJECT}"),
        format!("test --trust-policy @/trust.json --principal arn:aws:iam::123456789012:user/alice {role}"),
        format!("test --policy AdministratorAccess --trust-policy @/trust.json --principal user/bob {role}"),
    ];
    let table: Vec<_> = lines.iter().map(|line| format!("{line}\n{}", printed(line, &directory))).collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn programs_get_the_words_of_the_simulator() {
    let directory = files(&[("limited.json", LIMITED)]);
    let line = format!(
        "test --policy @/limited.json --principal user/alice --action s3:GetObject s3:DeleteObject iam:GetUser {OBJECT}"
    );
    let (text, outcome) = ran(&line, &directory, OutputFormat::Json);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        told,
        json!([
            { "action": "s3:GetObject", "resource": "arn:aws:s3:::vault/alice/k", "decision": "allowed",
              "policy": "@/limited.json", "policyType": "identity", "statement": 0, "sid": "Home" },
            { "action": "s3:DeleteObject", "resource": "arn:aws:s3:::vault/alice/k", "decision": "explicitDeny",
              "policy": "@/limited.json", "policyType": "identity", "statement": 1, "sid": "NeedsMfa" },
            { "action": "iam:GetUser", "resource": "arn:aws:s3:::vault/alice/k", "decision": "implicitDeny",
              "missingAllow": "identity" },
        ])
    );
    let error = outcome.unwrap_err();
    assert_eq!((error.blame, error.message.as_str()), (ExitCause::Failed, "the policies do not allow 2 of 3"));
}

#[test]
fn a_document_is_checked_for_what_it_is() {
    let trust = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}"#;
    let wrong = "{\n  \"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:*\", \"Resource\": \"vault\"}\n}";
    let misspelt =
        r#"{"Statement": {"Effect": "Allow", "Action": ["s3:GetObjekt", "s3:Get*", "iam:Gett"], "Resource": "*"}}"#;
    let directory =
        files(&[("limited", LIMITED), ("trust", trust), ("wrong", wrong), ("misspelt", misspelt), ("latin", "\u{0}")]);
    let lines = [
        "check @/limited",
        "check @/trust",
        "check @/trust --kind trust",
        "check @/wrong",
        "check @/misspelt",
        "check @/missing",
    ];
    let table: Vec<_> = lines.iter().map(|line| format!("{line}\n{}", printed(line, &directory))).collect();
    insta::assert_snapshot!(table.join("\n"));
    let (text, outcome) = ran("check @/limited", &directory, OutputFormat::Json);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((outcome, &told["statements"], &told["document"]["Version"]), (Ok(()), &json!(2), &json!("2012-10-17")));
    let (_, outcome) = ran("check @/missing", &directory, OutputFormat::People);
    assert_eq!(outcome.unwrap_err().blame, ExitCause::Unreadable);
}

#[test]
fn the_managed_policies_are_listed_with_their_documents() {
    let directory = files(&[]);
    assert!(printed("list", &directory).contains("AmazonS3ReadOnlyAccess"));
    let told: Value = serde_json::from_str(&ran("list", &directory, OutputFormat::Json).0).unwrap();
    let names: Vec<_> = told.as_array().unwrap().iter().map(|policy| policy["policyName"].as_str().unwrap()).collect();
    assert!(names.contains(&"readwrite") && told[0]["document"]["Statement"].is_array(), "{told}");
}

#[test]
fn the_time_is_now_unless_it_is_said() {
    let until = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-11-22"}, "NumericLessThan": {"aws:EpochTime": "1795300000"}}}}"#;
    let directory = files(&[("until", until)]);
    let line = format!("test --policy @/until --principal user/alice --action s3:GetObject {OBJECT}");
    assert_eq!(ran(&line, &directory, OutputFormat::People).1, Ok(()));
    let later = format!("{line} --context aws:currenttime=2026-11-22T00:00:00Z");
    assert!(ran(&later, &directory, OutputFormat::People).1.is_err());
}

#[test]
fn a_key_that_is_repeated_has_several_values() {
    let tags = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}}}}"#;
    let directory = files(&[("tags", tags)]);
    let line = format!("test --policy @/tags --principal user/alice --action s3:PutObject {OBJECT} --context");
    let both = format!("{line} s3:RequestObjectTagKeys=a s3:requestobjecttagkeys=b");
    assert_eq!(ran(&both, &directory, OutputFormat::People).1, Ok(()));
    assert!(ran(&format!("{both} s3:RequestObjectTagKeys=c"), &directory, OutputFormat::People).1.is_err());
}

#[test]
fn principals_are_named_as_iam_does() {
    let arn = |text: &str| AskedPrincipal::parse(text).map(|principal| principal.0.arn().to_owned());
    assert_eq!(arn("user/alice"), Ok("arn:aws:iam::123456789012:user/alice".to_owned()));
    assert_eq!(arn("arn:aws:iam::111122223333:user/a/b"), Ok("arn:aws:iam::111122223333:user/a/b".to_owned()));
    let session = "arn:aws:sts::111122223333:assumed-role/r/s";
    assert_eq!(arn(session).as_deref(), Ok(session));
    for wrong in
        ["alice", "root", "user/", "user/a b", "group/g", "assumed-role/r", "arn:aws:iam::1:user/a", "arn:aws:s3:::b"]
    {
        assert!(arn(wrong).is_err(), "{wrong}");
    }
    assert!(AskedValue::parse("aws:SourceIp").is_err() && AskedValue::parse("aws:SourceIpp=1").is_err());
}

/// Elsewhere a Deny did not hold for each action: here it holds for each that an operation needs.
#[test]
fn a_deny_holds_for_every_action_of_every_operation() {
    let deny = r#"{"Statement": {"Sid": "Never", "Effect": "Deny", "Action": "s3*:*", "Resource": "*"}}"#;
    assert!(portcullis_policy::PolicyDocument::parse(deny, PolicyKind::Managed).is_err(), "no wildcard in a service");
    let deny = r#"{"Statement": {"Effect": "Deny", "Action": ["s3:*", "s3express:*", "s3-object-lambda:*"], "Resource": "*"}}"#;
    let directory = files(&[("deny", deny)]);
    let needs = S3Operation::ALL.iter().flat_map(|operation| operation.row().needs);
    let actions: BTreeSet<_> = needs.flat_map(PermissionRule::actions).collect();
    assert!(actions.len() > 80);
    let actions = actions.into_iter().collect::<Vec<_>>().join(" ");
    for place in ["--policy AdministratorAccess @/deny", "--policy AdministratorAccess --boundary @/deny"] {
        let line = format!("test {place} --principal user/alice --action {actions} {OBJECT}");
        let (text, _) = ran(&line, &directory, OutputFormat::Json);
        let told: Value = serde_json::from_str(&text).unwrap();
        let decisions: Vec<_> = told.as_array().unwrap().iter().map(|one| one["decision"].as_str().unwrap()).collect();
        assert!(decisions.iter().all(|decision| *decision == "explicitDeny"), "{decisions:?}");
    }
}

/// A proxy at which alice has a policy of the account, one of her own and one of her group's, within a boundary.
fn with_alice(seen: &Seen) -> (u16, String) {
    let document = |action: &str, effect: &str| {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Action":"{action}","Resource":"*"}}}}"#
        );
        portcullis_base::percent::percent_encode(&text)
    };
    let list = |name: &str, member: &str| format!("<{name}><member>{member}</member></{name}>");
    let asks_of = |action: &str, text: &str| seen.asks(action) && seen.form.contains(text);
    let result = if seen.asks("GetUser") {
        "<User><Arn>arn:aws:iam::210987654321:user/alice</Arn><PermissionsBoundary><PermissionsBoundaryArn>\
         arn:aws:iam::210987654321:policy/limit</PermissionsBoundaryArn></PermissionsBoundary></User>"
            .to_owned()
    } else if seen.asks("ListAttachedUserPolicies") {
        list("AttachedPolicies", "<PolicyArn>arn:aws:iam::210987654321:policy/gets</PolicyArn>")
    } else if seen.asks("ListUserPolicies") {
        list("PolicyNames", "own")
    } else if seen.asks("ListGroupsForUser") {
        list("Groups", "<GroupName>staff</GroupName>")
    } else if seen.asks("ListGroupPolicies") {
        list("PolicyNames", "no")
    } else if seen.asks("GetPolicy") {
        "<Policy><DefaultVersionId>v2</DefaultVersionId></Policy>".to_owned()
    } else if asks_of("GetPolicyVersion", "limit") {
        format!("<PolicyVersion><Document>{}</Document></PolicyVersion>", document("s3:*Object", "Allow"))
    } else if seen.asks("GetPolicyVersion") {
        format!("<PolicyVersion><Document>{}</Document></PolicyVersion>", document("s3:Get*", "Allow"))
    } else if seen.asks("GetUserPolicy") {
        format!("<PolicyDocument>{}</PolicyDocument>", document("s3:PutObject", "Allow"))
    } else if seen.asks("GetGroupPolicy") {
        format!("<PolicyDocument>{}</PolicyDocument>", document("s3:PutObject", "Deny"))
    } else {
        String::new()
    };
    let action = seen.form.split(['=', '&']).nth(1).unwrap_or_default();
    (200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

#[tokio::test]
async fn a_user_of_the_running_proxy_is_tested_with_all_its_policies_there() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: PolicyCommand,
    }
    let proxy = FakeProxy::start(with_alice);
    let words =
        "policy test --user alice --action s3:GetObject s3:PutObject s3:GetObjectAcl s3:ListBucket --resource *";
    let line = <Line as clap::Parser>::try_parse_from(words.split(' ')).map_err(|error| error.to_string()).unwrap();
    let (mut terminal, kept) = terminal(OutputFormat::People, &[]);
    let admin = AdminClient::of(proxy.place());
    let outcome = run(line.command, &admin, &at(1_795_254_118), &mut terminal).await;
    assert!(outcome.unwrap_err().message.contains("3 of 4"));
    insta::assert_snapshot!(kept.text());
}
