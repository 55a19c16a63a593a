//! Calls of CloudTrail's API: which door a request comes to, what needs a code, and what is written down.

use std::sync::Arc;

use portcullis_journal::RecordKind;
use portcullis_s3::UpstreamKind;
use serde_json::{Value, json};

use crate::rig::{Ask, Keys, Payload, Reply, Rig, exchange, open, read};

/// A proxy whose trails go to a folder of their own.
async fn rig() -> (Rig, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().to_owned();
    let rig = Rig::with(move |settings| settings.trail.folder = Some(path)).await;
    (rig, folder)
}

pub(crate) async fn call(rig: &Rig, operation: &str, body: Value) -> Reply {
    rig.send(&Ask::call(operation, &body.to_string())).await
}

async fn with_code(rig: &Rig, operation: &str, body: &Value, offer: &str) -> Reply {
    rig.send(&Ask::call(operation, &body.to_string()).header("x-amz-mfa", offer)).await
}

async fn make(rig: &Rig) {
    let made = call(rig, "CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(call(rig, "StartLogging", json!({"Name": "main"})).await.status, 200);
}

async fn is_logging(rig: &Rig) -> bool {
    let status = call(rig, "GetTrailStatus", json!({"Name": "main"})).await;
    serde_json::from_str::<Value>(&status.body).expect("JSON")["IsLogging"].as_bool().expect("told")
}

#[tokio::test]
async fn a_call_is_answered_in_json_and_recorded_as_cloudtrails() {
    let (rig, _folder) = rig().await;
    let made = call(&rig, "CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    assert_eq!(made.status, 200, "{made:?}");
    let header = |name: &str| made.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("application/x-amz-json-1.1"));
    let events = rig.events();
    let event = &events[0];
    assert_eq!(events.len(), 1);
    assert_eq!(event.text(&["requestID"]), header("x-amzn-requestid").expect("an id"));
    assert_eq!(event.text(&["eventSource"]), "cloudtrail.amazonaws.com");
    assert_eq!(event.said(), ("CreateTrail", ""));
    assert_eq!(event.text(&["requestParameters", "s3BucketName"]), "logs");
    assert!(event.text(&["responseElements", "trailARN"]).ends_with(":trail/main"));
    assert_eq!((&event.0["readOnly"], &event.0["managementEvent"]), (&json!(false), &json!(true)));
    assert_eq!(event.text(&["userIdentity", "type"]), "Root");
    let kinds: Vec<&str> = rig
        .journal()
        .iter()
        .filter(|entry| String::from_utf8_lossy(&entry.payload).contains("\"CreateTrail\""))
        .map(|entry| match entry.kind {
            RecordKind::Intent => "intent",
            RecordKind::Outcome(_) => "outcome",
            RecordKind::Closing | RecordKind::Event | RecordKind::State => "other",
        })
        .collect();
    assert_eq!(kinds, ["intent", "outcome"], "what changes something is written down before it is done, and after");
}

#[tokio::test]
async fn a_read_is_one_record_without_an_answer_in_it() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    assert_eq!(call(&rig, "DescribeTrails", json!({"trailNameList": ["main"]})).await.status, 200);
    let events = rig.events();
    let event = events.last().expect("recorded");
    assert_eq!((event.said(), &event.0["readOnly"]), (("DescribeTrails", ""), &json!(true)));
    assert_eq!(event.0["requestParameters"], json!({"trailNameList": ["main"]}));
    assert_eq!(event.0["responseElements"], Value::Null);
}

#[tokio::test]
async fn each_door_takes_the_signatures_of_its_own_service_alone() {
    let (rig, _folder) = rig().await;
    let target = "CloudTrail_20131101.DescribeTrails";
    for (ask, status, said) in [
        // Signed for S3, and it looks like a call.
        (Ask::new("POST /").header("x-amz-target", target).body("{}"), 405, "MethodNotAllowed"),
        (Ask::new("GET /").header("x-amz-target", target), 501, "NotImplemented"),
        (Ask::new("PUT /vault/k").header("x-amz-target", target).body("x"), 501, "NotImplemented"),
        // Signed for CloudTrail, and it asks something of S3.
        (Ask::new("GET /").for_service("cloudtrail"), 400, "AuthorizationHeaderMalformed"),
        (Ask::new("DELETE /vault/k").for_service("cloudtrail"), 400, "AuthorizationHeaderMalformed"),
        (
            Ask::new("POST /vault?delete").body("<Delete/>").for_service("cloudtrail"),
            400,
            "AuthorizationHeaderMalformed",
        ),
        // Signed for neither.
        (Ask::call("DescribeTrails", "{}").for_service("sts"), 400, "InvalidAction"),
        (Ask::call("DescribeTrails", "{}").for_service("dynamodb"), 400, "AuthorizationHeaderMalformed"),
    ] {
        let reply = rig.send(&ask).await;
        assert_eq!(reply.said(), (status, said.to_owned()), "{ask:?}: {reply:?}");
    }
    for line in ["GET /", "PUT /", "DELETE /vault/k", "POST /vault?delete", "POST /?x", "POST //"] {
        let ask = Ask::new(line).header("x-amz-target", target).body("{}").for_service("cloudtrail");
        let reply = rig.send(&ask).await;
        assert_eq!((reply.status, reply.exception().as_str()), (404, "UnknownOperationException"), "{line}: {reply:?}");
    }
    assert!(rig.upstream.seen().is_empty(), "nothing of it is S3's");
}

#[tokio::test]
async fn a_call_that_nobody_proved_to_have_signed_is_refused_and_recorded() {
    let (rig, _folder) = rig().await;
    let stranger = Keys { secret: "wrong".to_owned(), ..rig.root.clone() };
    let nobody = Keys { key_id: "AKIANOBODYNOBODYNOBO".to_owned(), secret: "x".to_owned() };
    let body = json!({"Name": "main"}).to_string();
    let ask = Ask::call("StopLogging", &body);
    let late = exchange(rig.address, &ask.signed(&rig.root, portcullis_base::clock::Timestamp::from_seconds(0))).await;
    assert_eq!(late.exception(), "InvalidSignatureException");
    for (keys, exception) in [(&stranger, "InvalidSignatureException"), (&nobody, "UnrecognizedClientException")] {
        let reply = exchange(rig.address, &ask.signed(keys, rig.now())).await;
        assert_eq!((reply.status, reply.exception().as_str()), (400, exception));
    }
    // The body that was signed is not the one that came.
    let mut bytes = ask.signed(&rig.root, rig.now());
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    assert_eq!(exchange(rig.address, &bytes).await.exception(), "InvalidSignatureException");
    let unsigned = ask.clone().unsigned_header("x-amz-mfa", "20899872 123456");
    assert_eq!(rig.send(&unsigned).await.exception(), "InvalidSignatureException");
    let claimed =
        ask.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").payload(Payload::Claimed("UNSIGNED-PAYLOAD".into()));
    assert_eq!(rig.send(&claimed).await.exception(), "InvalidSignatureException");
    let events = rig.events();
    assert_eq!(events.len(), 6);
    for event in &events {
        assert_eq!(event.text(&["eventName"]), "StopLogging");
        assert_eq!(event.text(&["eventSource"]), "cloudtrail.amazonaws.com");
        assert_eq!(event.text(&["userIdentity", "type"]), "Unknown");
        assert_eq!(event.0["requestParameters"], Value::Null, "nobody vouches for what it says");
    }
}

#[tokio::test]
async fn a_call_that_nobody_signed_is_answered_as_cloudtrail_does_and_recorded_once() {
    let (rig, _folder) = rig().await;
    let unsigned = async |line: &str, target: &str, more: &str| {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nx-amz-target: {target}\r\n{more}");
        exchange(rig.address, format!("{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}").as_bytes()).await
    };
    for (before, operation) in [
        ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "DescribeTrails"),
        ("CloudTrail_20131101", "StopLogging"),
    ] {
        let reply = unsigned("POST /", &format!("{before}.{operation}"), "").await;
        assert_eq!((reply.status, reply.exception().as_str()), (400, "MissingAuthenticationTokenException"));
        assert!(reply.body.contains("\"Missing Authentication Token\""), "{reply:?}");
        let events = rig.events();
        let event = events.last().expect("recorded");
        assert_eq!(event.said(), (operation, "MissingAuthenticationTokenException"));
        assert_eq!(event.text(&["eventSource"]), "cloudtrail.amazonaws.com");
        assert_eq!(event.text(&["userIdentity", "accountId"]), "anonymous");
    }
    assert_eq!(rig.events().len(), 2);
    let target = "CloudTrail_20131101.DescribeTrails";
    for (line, target, more) in [
        ("POST /", "DynamoDB_20120810.ListTables", ""),
        ("POST /vault?delete", target, ""),
        ("PUT /vault/k", target, ""),
        ("POST /", target, "authorization: AWS AKIANOBODY:signature\r\n"),
    ] {
        let reply = unsigned(line, target, more).await;
        assert!(reply.body.contains("<Error>"), "{line} {target} {more}: {reply:?}");
    }
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_cannot_be_a_call_is_refused() {
    let (rig, _folder) = rig().await;
    for (body, status) in [("", 411), ("[]", 400), ("{\"Name\":\"a\",\"Name\":\"b\"}", 400), ("{}x", 400)] {
        let reply = rig.send(&Ask::call("GetTrail", body)).await;
        assert_eq!((reply.status, reply.exception().as_str()), (status, "SerializationException"), "{body}");
    }
    let long = rig.send(&Ask::call("GetTrail", &" ".repeat(256 * 1024 + 1))).await;
    assert_eq!((long.status, long.exception().as_str()), (413, "SerializationException"));
    let reply = rig.send(&Ask::call("StartQuery", "{}")).await;
    assert_eq!((reply.status, reply.exception().as_str()), (400, "UnknownOperationException"));
    let events = rig.events();
    assert_eq!(events.len(), 6);
    let last = events.last().expect("recorded");
    assert_eq!(last.said(), ("UnknownOperation", "UnknownOperationException"));
    assert_eq!(last.text(&["requestParameters", "target"]), "CloudTrail_20131101.StartQuery");
}

#[tokio::test]
async fn insight_selectors_are_refused_and_the_call_is_recorded() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let selectors = json!({"TrailName": "main", "InsightSelectors": [{"InsightType": "ApiCallRateInsight"}]});
    let refused = call(&rig, "PutInsightSelectors", selectors.clone()).await;
    assert_eq!((refused.status, refused.exception().as_str()), (400, "UnsupportedOperationException"));
    assert!(refused.body.contains("Insights events are not made here"), "{}", refused.body);
    let event = rig.events().pop().expect("recorded");
    assert_eq!(event.said(), ("PutInsightSelectors", "UnsupportedOperationException"));
    assert_eq!(event.0["requestParameters"]["insightSelectors"], json!([{"insightType": "ApiCallRateInsight"}]));
    let none = call(&rig, "GetInsightSelectors", json!({"TrailName": "main"})).await;
    assert_eq!(none.exception(), "InsightNotEnabledException");
    let misspelt = call(&rig, "UpdateTrail", json!({"Name": "main", "S3bucketName": "elsewhere"})).await;
    assert_eq!(misspelt.exception(), "UnsupportedOperationException");
    let event = rig.events().pop().expect("recorded");
    assert_eq!(event.text(&["requestParameters", "s3bucketName"]), "elsewhere");
}

fn asks_for_code(reply: &Reply) -> bool {
    reply.headers.contains(&("x-portcullis-mfa".to_owned(), "required".to_owned()))
}

#[tokio::test]
async fn a_trail_is_weakened_with_a_fresh_code_alone() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let stop = json!({"Name": "main"});
    let refused = call(&rig, "StopLogging", stop.clone()).await;
    assert_eq!((refused.status, refused.exception().as_str()), (400, "AccessDeniedException"));
    assert!(asks_for_code(&refused));
    let wrong = with_code(&rig, "StopLogging", &stop, &rig.device.wrong_offer(rig.now())).await;
    assert_eq!((wrong.exception().as_str(), asks_for_code(&wrong)), ("AccessDeniedException", false));
    assert!(is_logging(&rig).await);
    let offer = rig.fresh_offer();
    assert_eq!(with_code(&rig, "StopLogging", &stop, &offer).await.status, 200);
    assert!(!is_logging(&rig).await);
    assert_eq!(call(&rig, "StartLogging", stop.clone()).await.status, 200);
    let replayed = with_code(&rig, "StopLogging", &stop, &offer).await;
    assert_eq!(replayed.exception(), "AccessDeniedException");
    assert!(is_logging(&rig).await);
    let events = rig.events();
    let told: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event.text(&["eventName"]) == "StopLogging")
        .map(|event| {
            let mfa = |name| event.text(&["additionalEventData", "MfaDelete", name]);
            (mfa("required"), mfa("result"))
        })
        .collect();
    assert_eq!(told, [("true", "Missing"), ("true", "BadCode"), ("true", "Accepted"), ("true", "Replayed")]);
    let text = events.iter().map(|event| event.0.to_string()).collect::<String>();
    let code = offer.rsplit(' ').next().expect("a code");
    assert!(!text.contains(code), "no code is written down");
}

/// What a Terraform run does to a trail that is not started: no request carries a code.
#[tokio::test]
async fn a_trail_that_never_logged_is_narrowed_and_deleted_without_a_code() {
    let (rig, _folder) = rig().await;
    let named = json!({"Name": "main"});
    let narrower = json!({"TrailName": "main", "EventSelectors": [{"ReadWriteType": "WriteOnly"}]});
    let narrowest = json!({"TrailName": "main", "EventSelectors": [{"ReadWriteType": "ReadOnly"}]});
    let create = json!({"Name": "main", "S3BucketName": "logs"});
    for (operation, body) in [
        ("CreateTrail", create.clone()),
        ("PutEventSelectors", narrower.clone()),
        ("UpdateTrail", json!({"Name": "main", "S3KeyPrefix": "a", "EnableLogFileValidation": false})),
        ("DeleteTrail", named.clone()),
        ("CreateTrail", create),
        ("PutEventSelectors", narrower),
        ("StartLogging", named.clone()),
    ] {
        let reply = call(&rig, operation, body).await;
        assert_eq!(reply.status, 200, "{operation}: {reply:?}");
    }
    assert_eq!(call(&rig, "PutEventSelectors", narrowest.clone()).await.exception(), "AccessDeniedException");
    let offer = rig.fresh_offer();
    assert_eq!(with_code(&rig, "StopLogging", &named, &offer).await.status, 200);
    for (operation, body) in [("PutEventSelectors", narrowest), ("DeleteTrail", named)] {
        let refused = call(&rig, operation, body).await;
        assert_eq!(refused.exception(), "AccessDeniedException", "{operation}: it has logged");
        let event = rig.events().pop().expect("recorded");
        assert_eq!(event.text(&["additionalEventData", "MfaDelete", "result"]), "Missing");
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_known_to_be_empty_becomes_a_trails_with_a_code_alone() {
    let (rig, _folder) = rig().await;
    let read = |bucket: &str| format!("GET /{bucket}?max-keys=1&versions=");
    let list =
        |inner: &str| format!("<ListVersionsResult><IsTruncated>false</IsTruncated>{inner}</ListVersionsResult>");
    let full = list("<DeleteMarker><Key>k</Key></DeleteMarker>");
    rig.upstream.answer_read_with(&read("full"), 200, &full);
    rig.upstream.answer_read_with(&read("denied"), 403, "<Error><Code>AccessDenied</Code></Error>");
    rig.upstream.answer_read_with(&read("odd"), 200, "<ListBucketResult/>");
    rig.upstream.answer_read_with(&read("empty"), 200, &list(""));
    let create = |bucket: &str| json!({"Name": format!("of-{bucket}"), "S3BucketName": bucket});
    for bucket in ["full", "denied", "odd"] {
        let refused = call(&rig, "CreateTrail", create(bucket)).await;
        assert_eq!((refused.status, refused.exception().as_str()), (400, "AccessDeniedException"), "{bucket}");
        assert!(refused.body.contains(&format!("{bucket} is not known to be empty")), "{refused:?}");
        let missing = rig.events().pop().expect("recorded");
        assert_eq!(missing.text(&["additionalEventData", "MfaDelete", "result"]), "Missing");
        assert_eq!(rig.send(&Ask::new(&format!("PUT /{bucket}/k")).body("x")).await.status, 200, "{bucket}");
    }
    let offer = rig.fresh_offer();
    for bucket in ["empty", "none"] {
        let made = with_code(&rig, "CreateTrail", &create(bucket), &offer).await;
        assert_eq!(made.status, 200, "{bucket}: {made:?}");
    }
    let made = with_code(&rig, "CreateTrail", &create("full"), &offer).await;
    assert_eq!(made.status, 200, "nobody spent it: {made:?}");
    assert_eq!(rig.send(&Ask::new("PUT /full/k").body("x")).await.status, 403);
}

/// A second trail's log files in the place of one that is validated could not be removed, and it would never be proven.
#[tokio::test]
async fn no_trail_comes_to_the_place_of_one_that_is_validated_or_was() {
    let (rig, folder) = rig().await;
    make(&rig).await;
    let at = |name: &str, prefix: &str| json!({"Name": name, "S3BucketName": "logs", "S3KeyPrefix": prefix, "EnableLogFileValidation": false});
    let offer = rig.fresh_offer();
    for offer in [None, Some(&offer)] {
        let create = Ask::call("CreateTrail", &at("second", "").to_string());
        let refused = rig.send(&offer.into_iter().fold(create, |ask, offer| ask.header("x-amz-mfa", offer))).await;
        assert_eq!((refused.status, refused.exception().as_str()), (400, "InvalidParameterCombinationException"));
        assert!(refused.body.contains("Trail main delivers to logs, without a prefix."), "{}", refused.body);
        let event = rig.events().pop().expect("recorded");
        assert_eq!(event.said(), ("CreateTrail", "InvalidParameterCombinationException"));
    }
    assert_eq!(call(&rig, "CreateTrail", at("second", "b")).await.status, 200);
    let moved = call(&rig, "UpdateTrail", at("second", "")).await;
    assert_eq!(moved.exception(), "InvalidParameterCombinationException");
    // What a trail left behind that is gone.
    let arn = rig.events().first().expect("CreateTrail").text(&["responseElements", "trailARN"]).to_owned();
    let account = arn.split(':').nth(4).expect("an account");
    let day = folder.path().join(format!("logs/gone/AWSLogs/{account}/CloudTrail/us-east-1/2026/11/21"));
    std::fs::create_dir_all(&day).expect("made");
    std::fs::write(day.join("left.json.gz"), "x").expect("written");
    let refused = call(&rig, "UpdateTrail", at("second", "gone")).await;
    assert_eq!(refused.exception(), "AccessDeniedException");
    assert!(refused.body.contains("files of another trail may be in logs under the same prefix"), "{}", refused.body);
    assert_eq!(with_code(&rig, "UpdateTrail", &at("second", "gone"), &offer).await.status, 200);
}

#[tokio::test]
async fn nobody_has_the_store_write_into_a_trails_bucket() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().to_owned();
    let rig = Rig::with(move |settings| {
        settings.trail.folder = Some(path);
        settings.upstream.profile = UpstreamKind::Aws;
    })
    .await;
    make(&rig).await;
    rig.upstream.forget();
    let report = |root: &str, inner: &str| format!("<{root}><Id>i</Id>{inner}</{root}>");
    let to = |bucket: &str| format!("<S3BucketDestination><Bucket>{bucket}</Bucket></S3BucketDestination>");
    let logging = |bucket: &str| {
        let enabled = format!("<LoggingEnabled><TargetBucket>{bucket}</TargetBucket></LoggingEnabled>");
        ("PUT /vault?logging", format!("<BucketLoggingStatus>{enabled}</BucketLoggingStatus>"))
    };
    let replication = |bucket: &str| {
        let rule = format!("<Rule><Destination><Bucket>{bucket}</Bucket></Destination></Rule>");
        ("PUT /vault?replication", format!("<ReplicationConfiguration>{rule}</ReplicationConfiguration>"))
    };
    let inventory = |bucket: &str| {
        let inner = format!("<Destination>{}</Destination>", to(bucket));
        ("PUT /vault?inventory&id=i", report("InventoryConfiguration", &inner))
    };
    let analytics = |bucket: &str| {
        let export = format!("<DataExport><Destination>{}</Destination></DataExport>", to(bucket));
        let inner = format!("<StorageClassAnalysis>{export}</StorageClassAnalysis>");
        ("PUT /vault?analytics&id=i", report("AnalyticsConfiguration", &inner))
    };
    let asks = |bucket: &str, arn: &str| [logging(bucket), replication(arn), inventory(arn), analytics(arn)];
    for (bucket, arn) in [("logs", "arn:aws:s3:::logs"), (" logs\n", "arn:aws:s3::tenant:logs"), (":logs", "logs")] {
        for (line, document) in asks(bucket, arn) {
            let reply = rig.send(&Ask::new(line).document(&document)).await;
            assert_eq!(reply.said(), (403, "AccessDenied".to_owned()), "{line} {document}");
        }
    }
    assert_eq!(rig.upstream.mutations(), []);
    for (line, document) in asks("elsewhere", "arn:aws:s3:::elsewhere") {
        let reply = rig.send(&Ask::new(line).document(&document)).await;
        assert_eq!(reply.status, 200, "{line} {document}: {reply:?}");
    }
}

#[tokio::test]
async fn a_code_that_nothing_asked_for_is_not_spent() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let offer = rig.fresh_offer();
    assert_eq!(with_code(&rig, "DescribeTrails", &json!({}), &offer).await.status, 200);
    assert_eq!(with_code(&rig, "StartLogging", &json!({"Name": "main"}), &offer).await.status, 200);
    let missing = with_code(&rig, "DeleteTrail", &json!({"Name": "other"}), &offer).await;
    assert_eq!(missing.exception(), "TrailNotFoundException");
    assert_eq!(with_code(&rig, "DeleteTrail", &json!({"Name": "main"}), &offer).await.status, 200);
}

#[tokio::test]
async fn a_user_sees_trails_and_neither_events_nor_a_way_to_change_any() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let alice = rig.user("alice").await;
    let ask = async |operation: &str, body: Value, offer: Option<&str>| {
        let ask = Ask::call(operation, &body.to_string());
        let ask = offer.into_iter().fold(ask, |ask, offer| ask.header("x-amz-mfa", offer));
        exchange(rig.address, &ask.signed(&alice, rig.now())).await
    };
    assert_eq!(ask("GetTrail", json!({"Name": "main"}), None).await.status, 200);
    assert_eq!(ask("LookupEvents", json!({}), None).await.exception(), "AccessDeniedException");
    let offer = rig.fresh_offer();
    for operation in ["DeleteTrail", "StopLogging", "StartLogging", "UpdateTrail"] {
        let reply = ask(operation, json!({"Name": "main"}), Some(&offer)).await;
        assert_eq!(reply.exception(), "AccessDeniedException", "{operation}");
        assert!(reply.body.contains("user/alice is not authorized to perform: cloudtrail:"), "{}", reply.body);
    }
    assert!(is_logging(&rig).await);
    assert_eq!(with_code(&rig, "StopLogging", &json!({"Name": "main"}), &offer).await.status, 200, "nobody spent it");
}

#[tokio::test]
async fn an_auditor_looks_up_events_by_a_policy_and_changes_no_trail_by_any() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let auditor = rig.user_with("auditor", r#"{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*"}"#).await;
    let away = r#"{"Effect":"Allow","Action":"cloudtrail:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}"#;
    let elsewhere = rig.user_with("elsewhere", away).await;
    let ask = async |keys: &Keys, operation: &str, body: Value| {
        exchange(rig.address, &Ask::call(operation, &body.to_string()).signed(keys, rig.now())).await
    };
    let told = ask(&auditor, "LookupEvents", json!({})).await;
    assert!(told.status == 200 && told.body.contains("CreateTrail"), "{told:?}");
    assert_eq!(ask(&elsewhere, "LookupEvents", json!({})).await.exception(), "AccessDeniedException");
    assert_eq!(ask(&auditor, "StopLogging", json!({"Name": "main"})).await.exception(), "AccessDeniedException");
    assert!(is_logging(&rig).await);
}

#[tokio::test]
async fn of_changes_at_once_none_is_judged_by_what_another_made() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let rig = Arc::new(rig);
    let changes = (0..12).map(|number| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move {
            let body = json!({"Name": "main", "DigestPeriodSeconds": 3599 - number});
            call(&rig, "UpdateTrail", body).await
        })
    });
    let mut shortest = 3600;
    for (number, change) in changes.enumerate() {
        let reply = change.await.expect("answered");
        match reply.exception().as_str() {
            // It may have come after a shorter one, than which it would be weaker.
            "" => shortest = shortest.min(3599 - number),
            "AccessDeniedException" | "ConflictException" => {}
            other => panic!("{other}: {reply:?}"),
        }
    }
    let trail = call(&rig, "GetTrail", json!({"Name": "main"})).await;
    let trail: Value = serde_json::from_str(&trail.body).expect("JSON");
    assert_eq!(trail["Trail"]["DigestPeriodSeconds"], json!(shortest));
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_in_time_and_is_recorded() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().to_owned();
    let rig = Rig::with(move |settings| {
        settings.trail.folder = Some(path);
        settings.limits.body_idle = std::time::Duration::from_millis(100);
    })
    .await;
    let bytes = Ask::call("GetTrail", "{\"Name\":\"main\"}").signed(&rig.root, rig.now());
    let mut stream = open(rig.address, &bytes[..bytes.len() - 3]).await;
    let reply = read(&mut stream).await;
    assert_eq!((reply.status, reply.exception().as_str()), (408, "RequestTimeoutException"));
    assert_eq!(rig.events_when(1).await[0].said(), ("GetTrail", "RequestTimeoutException"));
}

#[tokio::test]
async fn a_call_is_found_by_the_trail_that_it_names_and_its_times_are_recorded_as_aws_does() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let made = call(&rig, "GetTrail", json!({"Name": "main"})).await;
    let trail: Value = serde_json::from_str(&made.body).expect("JSON");
    let arn = trail["Trail"]["TrailARN"].as_str().expect("an ARN").to_owned();
    for (operation, body) in [
        ("GetEventSelectors", json!({"TrailName": "main"})),
        ("ListTags", json!({"ResourceIdList": [arn]})),
        ("DescribeTrails", json!({"trailNameList": ["main"]})),
        ("GetTrailStatus", json!({"Name": "other"})),
        // A change, so that what came before is on disk too.
        ("AddTags", json!({"ResourceId": arn, "TagsList": [{"Key": "a"}]})),
    ] {
        call(&rig, operation, body).await;
    }
    let found = async |name: &str| {
        let by = |key: &str, value: &str| json!({"AttributeKey": key, "AttributeValue": value});
        let wanted = [by("ResourceName", name), by("EventSource", "cloudtrail.amazonaws.com")];
        let body = json!({"LookupAttributes": wanted, "StartTime": 1_799_999_000, "EndTime": 1_800_003_600});
        let reply = call(&rig, "LookupEvents", body).await;
        let page: Value = serde_json::from_str(&reply.body).expect("JSON");
        page["Events"].as_array().expect("a list").clone()
    };
    let names = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["EventName"].as_str().expect("a name").to_owned()).collect()
    };
    let of_main =
        ["AddTags", "DescribeTrails", "ListTags", "GetEventSelectors", "GetTrail", "StartLogging", "CreateTrail"];
    assert_eq!(names(&found("main").await), of_main);
    assert_eq!(names(&found(&arn).await), of_main);
    let of_bucket = found("logs").await;
    assert_eq!(names(&of_bucket), ["CreateTrail"]);
    let resources = of_bucket[0]["Resources"].as_array().expect("a list");
    for (kind, name) in [("AWS::CloudTrail::Trail", "main"), ("AWS::S3::Bucket", "logs")] {
        assert!(resources.contains(&json!({"ResourceType": kind, "ResourceName": name})), "{resources:?}");
    }
    let events = rig.events();
    let looked_up = events.last().expect("recorded");
    assert_eq!(looked_up.text(&["requestParameters", "startTime"]), "Jan 15, 2027, 7:43:20 AM");
    assert_eq!(looked_up.text(&["requestParameters", "endTime"]), "Jan 15, 2027, 9:00:00 AM");
}

#[tokio::test]
async fn events_are_looked_up_by_what_they_say_and_page_by_page() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    for name in ["a", "b", "c"] {
        rig.send(&Ask::new(&format!("PUT /vault/{name}")).body("x")).await;
    }
    let lookup = async |body: Value| {
        let reply = call(&rig, "LookupEvents", body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str::<Value>(&reply.body).expect("JSON")
    };
    let names = |page: &Value| -> Vec<String> {
        let events = page["Events"].as_array().expect("a list");
        events.iter().map(|event| event["EventName"].as_str().expect("a name").to_owned()).collect()
    };
    let by = |key: &str, value: &str| json!([{"AttributeKey": key, "AttributeValue": value}]);
    let puts = lookup(json!({"LookupAttributes": by("EventName", "PutObject")})).await;
    assert_eq!(names(&puts), ["PutObject"; 3]);
    let record: Value =
        serde_json::from_str(puts["Events"][0]["CloudTrailEvent"].as_str().expect("text")).expect("JSON");
    assert_eq!(record["requestParameters"]["key"], "c", "newest first");
    let first = lookup(json!({"LookupAttributes": by("EventName", "PutObject"), "MaxResults": 2})).await;
    let token = first["NextToken"].as_str().expect("there is more").to_owned();
    let second = json!({"LookupAttributes": by("EventName", "PutObject"), "MaxResults": 2, "NextToken": token});
    assert_eq!((names(&first).len(), names(&lookup(second).await).len()), (2, 1));
    let other = call(&rig, "LookupEvents", json!({"NextToken": token})).await;
    assert_eq!(other.exception(), "InvalidNextTokenException");
}

#[tokio::test]
async fn an_askers_lookups_bury_nothing_and_are_found_when_they_are_asked_for() {
    let (rig, _folder) = rig().await;
    exchange(rig.address, b"GET /vault/k HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    rig.send(&Ask::new("PUT /vault/a").body("x")).await;
    let lookup = async |body: Value| -> Vec<Value> {
        let reply = call(&rig, "LookupEvents", body).await;
        let page: Value = serde_json::from_str(&reply.body).expect("JSON");
        page["Events"].as_array().expect("a list").clone()
    };
    let names = |events: &[Value]| -> Vec<Value> { events.iter().map(|event| event["EventName"].clone()).collect() };
    for _ in 0..12 {
        let events = lookup(json!({"MaxResults": 10})).await;
        assert_eq!(names(&events)[..2], [json!("PutObject"), json!("GetObject")]);
        assert!(events.iter().all(|event| event["Username"].is_string()), "{events:?}");
        assert!(!names(&events).contains(&json!("LookupEvents")));
    }
    let by = |key: &str, value: &str| json!({"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]});
    // A change, so that what came before is on disk too.
    rig.send(&Ask::new("PUT /vault/b").body("x")).await;
    assert_eq!(lookup(by("EventName", "LookupEvents")).await.len(), 12);
    assert_eq!(names(&lookup(by("Username", "anonymous")).await), ["GetObject"]);
}

#[tokio::test]
async fn a_copy_is_looked_up_by_what_it_read() {
    let (rig, _folder) = rig().await;
    rig.send(&Ask::new("PUT /dst/copy").header("x-amz-copy-source", "/src/a%20b")).await;
    for (key, value) in [
        ("ResourceName", "src/a b"),
        ("ResourceName", "arn:aws:s3:::src/a b"),
        ("ResourceName", "src"),
        ("BucketName", "src"),
        ("BucketName", "dst"),
        ("ResourceName", "dst/copy"),
    ] {
        let wanted = json!({"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]});
        let reply = call(&rig, "LookupEvents", wanted).await;
        let page: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!(page["Events"][0]["EventName"], "CopyObject", "{key}={value}: {page}");
    }
}

#[tokio::test]
async fn a_denied_call_is_recorded_as_denied_and_has_an_id_of_cloudtrails_form() {
    let (rig, _folder) = rig().await;
    make(&rig).await;
    let alice = rig.user("alice").await;
    let before = rig.events().len();
    let denied = Ask::call("StopLogging", &json!({"Name": "main"}).to_string()).signed(&alice, rig.now());
    assert_eq!(exchange(rig.address, &denied).await.exception(), "AccessDeniedException");
    let uncoded = call(&rig, "DeleteTrail", json!({"Name": "main"})).await;
    assert_eq!(uncoded.exception(), "AccessDeniedException");
    assert_eq!(call(&rig, "GetTrail", json!({"Name": "absent"})).await.exception(), "TrailNotFoundException");
    let events = rig.events_when(before + 3).await;
    let said: Vec<_> = events[before..].iter().map(crate::rig::Event::said).collect();
    let expected =
        [("StopLogging", "AccessDenied"), ("DeleteTrail", "AccessDenied"), ("GetTrail", "TrailNotFoundException")];
    assert_eq!(said, expected);
    let id = uncoded.headers.iter().find(|(name, _)| name == "x-amzn-requestid").map(|(_, id)| id.as_str());
    assert_eq!(id, Some(events[before + 1].text(&["requestID"])));
    assert!(id.is_some_and(|id| id.len() == 36 && id.matches('-').count() == 4), "{id:?}");
}
