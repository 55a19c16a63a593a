//! What a user may do: what its policies allow, and nothing else.

use std::collections::BTreeSet;

use portcullis_s3::{
    OperationBody, OperationMark, PermissionRule, RequestHandling, S3Operation, TargetLevel, UpstreamKind,
};

use crate::rig::{Ask, Content, Keys, Reply, Rig, exchange};

async fn send(rig: &Rig, keys: &Keys, ask: &Ask) -> Reply {
    exchange(rig.address, &ask.signed(keys, rig.now())).await
}

/// The request lines that reached the store, the proxy's own reads left out.
fn sent(rig: &Rig) -> Vec<String> {
    rig.upstream.mutations().iter().map(|seen| seen.line()).collect()
}

#[tokio::test]
async fn a_user_without_a_policy_may_do_nothing_and_nothing_reaches_the_store() {
    let rig = Rig::start().await;
    let nothing = rig.user_with("alice", r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#).await;
    for line in ["GET /vault/k", "HEAD /vault/k", "PUT /vault/k", "DELETE /vault/k", "GET /", "GET /vault?acl"] {
        let ask = if line.starts_with("PUT") { Ask::new(line).body("data") } else { Ask::new(line) };
        let reply = send(&rig, &nothing, &ask).await;
        assert_eq!(reply.status, 403, "{line}: {reply:?}");
    }
    assert!(rig.upstream.seen().is_empty(), "{:?}", rig.upstream.seen());
}

#[tokio::test]
async fn the_record_tells_the_statement_that_denies_and_the_client_hears_awss_sentence() {
    let rig = Rig::start().await;
    let statements = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},
        {"Sid":"NotThese","Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::vault/secret/*"}"#;
    let alice = rig.user_with("alice", statements).await;
    let reply = send(&rig, &alice, &Ask::new("GET /vault/secret/k")).await;
    assert_eq!(reply.said(), (403, "AccessDenied".to_owned()));
    let message = reply.element("Message").expect("a message");
    assert!(message.ends_with("with an explicit deny in an identity-based policy"), "{message}");
    assert!(message.contains("user/alice is not authorized to perform: s3:GetObject on resource"), "{message}");
    let events = rig.events_when(1).await;
    let policy = &events.last().expect("an event").0["additionalEventData"]["Policy"];
    let expected = serde_json::json!({
        "decision": "ExplicitDeny", "policyType": "identity-based", "policy": "user/alice/own", "statementIndex": 1,
        "sid": "NotThese",
    });
    assert_eq!(*policy, expected);
    assert_eq!(send(&rig, &alice, &Ask::new("GET /vault/open/k")).await.status, 200);
}

#[tokio::test]
async fn no_policy_opens_a_version_of_a_protected_bucket() {
    let rig = Rig::start().await;
    rig.protect("vault").await;
    let everything = rig.user_with("alice", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).await;
    for line in ["DELETE /vault/k?versionId=v1", "PUT /vault?versioning", "DELETE /vault"] {
        let ask = match line {
            "PUT /vault?versioning" => {
                Ask::new(line).document("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")
            }
            line => Ask::new(line),
        };
        let reply = send(&rig, &everything, &ask).await;
        assert_eq!(reply.said(), (403, "AccessDenied".to_owned()), "{line}");
    }
    assert_eq!(sent(&rig), [""; 0]);
}

#[tokio::test]
async fn each_entry_of_a_batch_is_judged_and_told_by_itself() {
    let rig = Rig::start().await;
    let statements = r#"{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::vault/own/*"}"#;
    let alice = rig.user_with("alice", statements).await;
    let batch = "<Delete><Object><Key>own/a</Key></Object><Object><Key>other/b</Key></Object></Delete>";
    let reply = send(&rig, &alice, &Ask::new("POST /vault?delete").document(batch)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains("<Deleted><Key>own/a</Key>"), "{}", reply.body);
    assert!(reply.body.contains("<Error><Key>other/b</Key><Code>AccessDenied</Code>"), "{}", reply.body);
    let [asked] = &rig.upstream.mutations()[..] else { panic!("{:?}", rig.upstream.seen()) };
    let Content::Whole(document) = &asked.content else { panic!("{asked:?}") };
    assert!(!String::from_utf8_lossy(document).contains("other/b"));
    let events = rig.events_when(3).await;
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.said().0 == "DeleteObject")
        .map(|event| {
            let decision = event.0["additionalEventData"]["Policy"]["decision"].as_str().unwrap_or("");
            (event.text(&["requestParameters", "key"]), event.said().1, decision)
        })
        .collect();
    assert_eq!(told, [("own/a", "", ""), ("other/b", "AccessDenied", "ImplicitDeny")]);

    rig.upstream.forget();
    let denied = "<Delete><Quiet>true</Quiet><Object><Key>other/b</Key></Object></Delete>";
    let reply = send(&rig, &alice, &Ask::new("POST /vault?delete").document(denied)).await;
    assert!(reply.status == 200 && reply.body.contains("<Code>AccessDenied</Code>"), "{reply:?}");
    assert!(rig.upstream.mutations().is_empty());
}

#[tokio::test]
async fn who_may_not_list_a_bucket_is_not_told_that_a_key_is_missing() {
    let rig = Rig::start().await;
    let missing = "<Error><Code>NoSuchKey</Code><Message>There is no such key.</Message></Error>";
    rig.upstream.answer_read_with("GET /vault/k", 404, missing);
    let reads = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#;
    let reader = rig.user_with("reader", reads).await;
    let lister =
        rig.user_with("lister", r#"{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}"#).await;
    assert_eq!(send(&rig, &reader, &Ask::new("GET /vault/k")).await.said(), (403, "AccessDenied".to_owned()));
    assert_eq!(send(&rig, &lister, &Ask::new("GET /vault/k")).await.said(), (404, "NoSuchKey".to_owned()));
    assert_eq!(rig.send(&Ask::new("GET /vault/k")).await.said(), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn a_copy_takes_no_tags_along_that_its_caller_may_not_read() {
    let rig = Rig::start().await;
    let objects = r#"{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}"#;
    let alice = rig.user_with("alice", objects).await;
    let copy = Ask::new("PUT /vault/new").header("x-amz-copy-source", "/vault/old");
    assert_eq!(send(&rig, &alice, &copy).await.status, 200);
    let [seen] = &rig.upstream.mutations()[..] else { panic!("{:?}", rig.upstream.seen()) };
    assert_eq!(seen.header("x-amz-tagging-directive").as_deref(), Some("REPLACE"));

    rig.upstream.forget();
    rig.upstream.answer_read("HEAD /vault/old", 200, &[("x-amz-tagging-count", "2")]);
    let reply = send(&rig, &alice, &copy).await;
    assert_eq!(reply.said(), (403, "AccessDenied".to_owned()));
    assert!(reply.element("Message").expect("a message").contains("s3:GetObjectTagging"), "{reply:?}");
    assert_eq!(sent(&rig), [""; 0]);
    assert_eq!(rig.send(&copy).await.status, 200, "root copies tags as well");
}

/// Every action that a row can ask for.
fn actions(operation: S3Operation) -> BTreeSet<&'static str> {
    operation.row().needs.iter().flat_map(PermissionRule::actions).collect()
}

/// The actions that the plainest request of an operation needs: those that do not depend on more than that.
fn plain_actions(operation: S3Operation) -> BTreeSet<&'static str> {
    let plain = |rule: &PermissionRule| match *rule {
        PermissionRule::OnBucket(action)
        | PermissionRule::OnEachObject(action, _)
        | PermissionRule::OnEveryObject(action)
        | PermissionRule::OnEverything(action)
        | PermissionRule::OnObject(action)
        | PermissionRule::OnObjectOrVersion(action, _)
        | PermissionRule::OnSource(action, _) => Some(action),
        PermissionRule::CopiesTags
        | PermissionRule::IfETag(_)
        | PermissionRule::IfElement(..)
        | PermissionRule::IfHeader(..)
        | PermissionRule::IfQuery(..) => None,
    };
    operation.row().needs.iter().filter_map(plain).collect()
}

/// The request of an operation that says no more than it must.
fn plainest(operation: S3Operation) -> Ask {
    let row = operation.row();
    let path = match row.level {
        TargetLevel::Any | TargetLevel::Service => "/",
        TargetLevel::Bucket => "/vault",
        TargetLevel::Object => "/vault/k",
    };
    let pairs = row.marks.iter().filter_map(|mark| match mark {
        OperationMark::Exactly(key, value) => Some(format!("{key}={value}")),
        OperationMark::Flag(key) => Some(format!("{key}=")),
        OperationMark::Value(key) => Some(format!("{key}=1")),
        OperationMark::Header(_) | OperationMark::Path(_) => None,
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let ask = Ask::new(&format!("{} {target}", row.method.as_str()));
    let is_copy = row.marks.iter().any(|mark| matches!(mark, OperationMark::Header("x-amz-copy-source")));
    let ask = if is_copy { ask.header("x-amz-copy-source", "/vault/other") } else { ask };
    match (operation, row.body) {
        (S3Operation::DeleteObjects, _) => ask.document("<Delete><Object><Key>k</Key></Object></Delete>"),
        (S3Operation::PutBucketVersioning, _) => {
            ask.document("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        }
        (S3Operation::CompleteMultipartUpload, _) => ask.document(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        ),
        (S3Operation::PutObjectLegalHold, _) => ask.document("<LegalHold><Status>ON</Status></LegalHold>"),
        (_, OperationBody::Policy) => ask.document(r#"{"Version":"2012-10-17","Statement":[]}"#),
        (_, OperationBody::Document(grammar)) => ask.document(&format!("<{0}></{0}>", grammar.root)),
        (_, OperationBody::Payload) => ask.body("data"),
        (_, OperationBody::Nothing | OperationBody::OptionalDocument(_)) => ask,
    }
}

/// Whether policies deny it, in whole or in its one entry.
fn is_denied(reply: &Reply) -> bool {
    let is_refused = reply.status == 403 || reply.status == 200 && reply.body.contains("<Error>");
    is_refused && (reply.body.contains("no identity-based policy allows") || reply.body.is_empty())
}

/// For each row of the operation table a user with exactly its actions: it can do that, and of all other operations those
/// alone that need no more.
#[tokio::test]
async fn a_user_with_the_actions_of_one_operation_can_do_it_and_nothing_else() {
    let rig = Rig::of(UpstreamKind::Aws).await;
    // A preflight has no signature, and a form has no door yet.
    let told = |action: &S3Operation| {
        let has_door = !matches!(action, S3Operation::PreflightRequest | S3Operation::PostObject);
        // What no store behind here takes is refused to every caller.
        has_door && UpstreamKind::Aws.handling(*action) != RequestHandling::Refused
    };
    let operations: Vec<S3Operation> = S3Operation::ALL.iter().copied().filter(told).collect();
    let mut wrong = Vec::new();
    let mut allowed_pairs = 0;
    for (number, own) in operations.iter().enumerate() {
        let list: Vec<String> = actions(*own).iter().map(|action| format!("\"{action}\"")).collect();
        let statement = format!(r#"{{"Effect":"Allow","Action":[{}],"Resource":"*"}}"#, list.join(","));
        let keys = rig.user_with(&format!("user-{number}"), &statement).await;
        for other in &operations {
            let may = plain_actions(*other).is_subset(&actions(*own));
            let reply = send(&rig, &keys, &plainest(*other)).await;
            allowed_pairs += usize::from(may);
            if is_denied(&reply) == may || reply.status == 400 {
                wrong.push(format!("with {own:?}: {other:?} {} {}", reply.status, reply.body));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        operations.len().pow(2),
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert!(allowed_pairs >= operations.len(), "{allowed_pairs}");
}
