//! The API, asked as a client asks it: what is answered, and what needs a code.

use std::fmt::Write as _;
use std::sync::Mutex;

use serde_json::json;

use super::change::{ChangeEffect, effect};
use super::*;
use crate::fixture::{rights_of, root};
use portcullis_authorization::{LateEffect, LoopbackTrust, MfaProfile, Rules, Verdict};
use portcullis_base::names::{BucketName, UserName};
use portcullis_cloudtrail::lookup::{HistoryPage, HistoryQuery, LookupError};
use portcullis_cloudtrail::{
    DeliveredLog, EventSelectors, KeyPrefix, LogFileValidation, Trail, TrailEnd, TrailLayout, TrailLogging, TrailName,
};
use portcullis_http::Transport;
use portcullis_mfa::{MfaDemand, MfaToken};
use portcullis_s3::ReplicationRule;
use portcullis_sigv4::{Principal, SignatureForm};
use portcullis_state::testing::{HERE, codes, deactivated, enrolled, in_memory};
use portcullis_state::{BoxedFuture, DigestSigningKey, NewDevice};

const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);
const RULES: Rules = Rules {
    profile: MfaProfile::Strict,
    replication: ReplicationRule::ProtectedBucket,
    loopback_is_secure: LoopbackTrust::Trusted,
};

/// An API on a state without a disk.
struct Bench {
    api: CloudTrail,
    state: StateStore,
    deliveries: Arc<Noted>,
    device: NewDevice,
}

/// Deliveries that remember what they were told.
#[derive(Debug, Default)]
struct Noted {
    looked: Mutex<Vec<String>>,
    made: Mutex<Vec<String>>,
    told: Mutex<usize>,
}

/// A history without events, which gave no token.
#[derive(Debug)]
struct EmptyHistory;

impl EventHistory for EmptyHistory {
    fn lookup(&self, query: HistoryQuery) -> BoxedFuture<'_, Result<HistoryPage, LookupError>> {
        let page = if query.token.is_some() { Err(LookupError::InvalidToken) } else { Ok(HistoryPage::default()) };
        Box::pin(std::future::ready(page))
    }
}

impl TrailDelivery for Noted {
    fn contents<'a>(&'a self, bucket: &'a BucketName, _: Timestamp) -> BoxedFuture<'a, BucketContents> {
        self.looked.lock().unwrap().push(bucket.to_string());
        let is_full = matches!(bucket.as_str(), "full" | "unknown");
        let contents = if is_full { BucketContents::MayBeThere } else { BucketContents::None };
        Box::pin(std::future::ready(contents))
    }

    fn files_at<'a>(&'a self, _: &'a BucketName, layout: &'a TrailLayout) -> BoxedFuture<'a, BucketContents> {
        let is_old = layout.prefix.as_ref().is_some_and(|prefix| prefix.as_str() == "old");
        Box::pin(std::future::ready(if is_old { BucketContents::MayBeThere } else { BucketContents::None }))
    }

    fn make_bucket<'a>(&'a self, bucket: TrailBucket<'a>) -> BoxedFuture<'a, Result<(), BucketUnavailable>> {
        Box::pin(async move {
            let bucket = bucket.name();
            if bucket.as_str() == "impossible" {
                return Err(BucketUnavailable);
            }
            self.made.lock().unwrap().push(bucket.to_string());
            Ok(())
        })
    }

    fn files<'a>(&'a self, trail: &'a Trail) -> BoxedFuture<'a, Option<DeliveredFiles>> {
        let log = DeliveredLog { object: format!("{}.json.gz", trail.name), hash: [1; 32] };
        let end = TrailEnd { delivered: vec![log], ..TrailEnd::default() };
        let files = DeliveredFiles { end, folder: Some("/var/trails".into()) };
        Box::pin(std::future::ready((trail.name.as_str() != "unreadable").then_some(files)))
    }

    fn progress(&self, _: &TrailName) -> DeliveryProgress {
        DeliveryProgress {
            latest_delivery: Some(NOW),
            digest_error: Some("AccessDenied".to_owned()),
            ..DeliveryProgress::default()
        }
    }

    fn trails_changed(&self) {
        *self.told.lock().unwrap() += 1;
    }
}

impl Bench {
    async fn new() -> Self {
        let (state, _, _) = in_memory(NOW).await;
        let device = enrolled(&state, "phone", NOW).await;
        let deliveries = Arc::new(Noted::default());
        let region = "us-east-1".to_owned();
        let api =
            CloudTrail::new(region, state.clone(), deliveries.clone(), Arc::new(EmptyHistory), DigestPeriod::HOUR);
        Self { api, state, deliveries, device }
    }

    /// With a trail that records all management events, logs, and is validated.
    async fn with_trail() -> Self {
        let bench = Self::new().await;
        bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs", "S3KeyPrefix": "a"})).await;
        bench.done("StartLogging", json!({"Name": "main"})).await;
        bench
    }

    /// What is said of a call, by the facts as they are.
    async fn verdict(
        &self,
        call: &CloudTrailCall,
        caller: &Caller,
        offer: MfaToken,
        rules: Rules,
        now: Timestamp,
    ) -> Verdict<CallPlan> {
        let facts = self.api.facts(call, caller, rights_of(&caller.principal, &self.state), now).await;
        decide(call, caller, offer, &facts, rules, now)
    }

    /// Asks as root without a code.
    async fn ask(&self, operation: &str, body: Value) -> Result<Value, CloudTrailError> {
        let call = call(operation, &body)?;
        match self.verdict(&call, &root(), MfaToken::Absent, RULES, NOW).await {
            Verdict::Permit(permit) => self.api.perform(permit, NOW).await,
            Verdict::Refuse(denied) => Err(denied.refused()),
            Verdict::Mfa(_) => panic!("nothing was offered"),
        }
    }

    async fn done(&self, operation: &str, body: Value) -> Value {
        self.ask(operation, body).await.unwrap_or_else(|refused| panic!("{operation}: {refused:?}"))
    }

    async fn exception(&self, operation: &str, body: Value) -> &'static str {
        self.ask(operation, body).await.expect_err("refused").exception
    }

    fn trail(&self) -> Trail {
        self.state.trail(&TrailName::parse("main").unwrap()).expect("there")
    }
}

fn call(operation: &str, body: &Value) -> Result<CloudTrailCall, CloudTrailError> {
    CloudTrailCall::read(CloudTrailOperation::of_target(operation)?, body.to_string().as_bytes())
}

fn alice() -> Caller {
    Caller { principal: Principal::User(UserName::parse("alice").unwrap()), ..root() }
}

/// Puts trails beside `main`: one that never logged, one that was stopped, and one that never logged, in a bucket that is
/// not empty.
async fn with_idle_trails(bench: &Bench) {
    let started = Timestamp::from_seconds(NOW.seconds() - 60);
    for (name, bucket, logging) in [
        ("idle", "quiet", TrailLogging::Never),
        ("stopped", "past", TrailLogging::Stopped { started, at: NOW }),
        ("parked", "full", TrailLogging::Never),
    ] {
        let (name, bucket) = (TrailName::parse(name).unwrap(), BucketName::parse(bucket).unwrap());
        let trail = Trail { logging, ..Trail::new(name, bucket, started) };
        bench.state.put_trail(None, trail, NOW).await.expect("put");
    }
}

/// What asks for a code of a trail that has logged, of trails that have not.
fn cases_of_idle_trails() -> Vec<(&'static str, &'static str, Value)> {
    let narrower = |name: &str| json!({"TrailName": name, "EventSelectors": [{"ReadWriteType": "WriteOnly"}]});
    let update = |name: &str, member: &str, value: Value| json!({"Name": name, member: value});
    vec![
        ("DeleteTrail", "that never logged", json!({"Name": "idle"})),
        ("DeleteTrail", "that never logged, in a bucket that is not empty", json!({"Name": "parked"})),
        ("DeleteTrail", "that was stopped", json!({"Name": "stopped"})),
        ("PutEventSelectors", "narrower, never logged", narrower("idle")),
        ("PutEventSelectors", "narrower, never logged, in a bucket that is not empty", narrower("parked")),
        ("PutEventSelectors", "narrower, stopped", narrower("stopped")),
        ("UpdateTrail", "no validation, never logged", update("idle", "EnableLogFileValidation", false.into())),
        ("UpdateTrail", "no validation, stopped", update("stopped", "EnableLogFileValidation", false.into())),
        ("UpdateTrail", "longer digests, never logged", update("idle", "DigestPeriodSeconds", 7200.into())),
        ("UpdateTrail", "another bucket, never logged", update("idle", "S3BucketName", "elsewhere".into())),
        ("UpdateTrail", "a bucket that is not empty, never logged", update("idle", "S3BucketName", "unknown".into())),
        (
            "UpdateTrail",
            "the place of another, never logged",
            json!({"Name": "idle", "S3BucketName": "logs", "S3KeyPrefix": "a"}),
        ),
        (
            "UpdateTrail",
            "the place of another, stopped",
            json!({"Name": "stopped", "S3BucketName": "logs", "S3KeyPrefix": "a"}),
        ),
        (
            "UpdateTrail",
            "beside files of a trail that is gone, never logged",
            update("idle", "S3KeyPrefix", "old".into()),
        ),
        ("UpdateTrail", "out of a bucket that is not empty", update("parked", "S3BucketName", "elsewhere".into())),
        ("UpdateTrail", "another bucket, stopped", update("stopped", "S3BucketName", "elsewhere".into())),
    ]
}

/// Every operation, those that can weaken a trail both ways.
fn cases() -> Vec<(&'static str, &'static str, Value)> {
    let name = json!({"Name": "main"});
    let arn = "arn:aws:cloudtrail:us-east-1:ACCOUNT:trail/main";
    let tags = json!({"ResourceId": arn, "TagsList": [{"Key": "team", "Value": "red"}]});
    let update = |member: &str, value: Value| json!({"Name": "main", member: value});
    let selecting = |selectors: Value| json!({"TrailName": "main", "EventSelectors": selectors});
    let all_data = json!([{"ReadWriteType": "All", "IncludeManagementEvents": true,
        "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]);
    vec![
        ("AddTags", "", tags.clone()),
        ("CreateTrail", "another", json!({"Name": "other", "S3BucketName": "logs2"})),
        ("CreateTrail", "in the bucket of another", json!({"Name": "other", "S3BucketName": "logs"})),
        (
            "CreateTrail",
            "in the place of another",
            json!({"Name": "other", "S3BucketName": "logs", "S3KeyPrefix": "a"}),
        ),
        (
            "CreateTrail",
            "in the bucket of another, beside files of a trail that is gone",
            json!({"Name": "other", "S3BucketName": "logs", "S3KeyPrefix": "old"}),
        ),
        ("CreateTrail", "in a bucket that is not empty", json!({"Name": "other", "S3BucketName": "unknown"})),
        ("DeleteTrail", "", name.clone()),
        ("DescribeTrails", "", json!({})),
        ("GetEventSelectors", "", json!({"TrailName": "main"})),
        ("GetInsightSelectors", "", json!({"TrailName": "main"})),
        ("GetTrail", "", name.clone()),
        ("GetTrailStatus", "", name.clone()),
        ("ListPublicKeys", "", json!({})),
        ("ListTags", "", json!({"ResourceIdList": [arn]})),
        ("ListTrails", "", json!({})),
        ("LookupEvents", "", json!({})),
        ("PutEventSelectors", "the same", selecting(json!([{}]))),
        ("PutEventSelectors", "wider", selecting(all_data)),
        ("PutEventSelectors", "narrower", selecting(json!([{"ReadWriteType": "WriteOnly"}]))),
        (
            "PutInsightSelectors",
            "one",
            json!({"TrailName": "main", "InsightSelectors": [{"InsightType": "ApiCallRateInsight"}]}),
        ),
        ("PutInsightSelectors", "none", json!({"TrailName": "main", "InsightSelectors": []})),
        ("RemoveTags", "", tags),
        ("StartLogging", "", name.clone()),
        ("StopLogging", "", name.clone()),
        ("UpdateTrail", "nothing", name),
        ("UpdateTrail", "the same bucket", update("S3BucketName", "logs".into())),
        ("UpdateTrail", "another bucket", update("S3BucketName", "elsewhere".into())),
        ("UpdateTrail", "another prefix", update("S3KeyPrefix", "b".into())),
        ("UpdateTrail", "no prefix", update("S3KeyPrefix", "".into())),
        ("UpdateTrail", "no validation", update("EnableLogFileValidation", false.into())),
        ("UpdateTrail", "shorter digests", update("DigestPeriodSeconds", 60.into())),
        ("UpdateTrail", "longer digests", update("DigestPeriodSeconds", 7200.into())),
        ("UpdateTrail", "no global events", update("IncludeGlobalServiceEvents", false.into())),
        ("UpdateTrail", "all regions", update("IsMultiRegionTrail", true.into())),
    ]
}

#[tokio::test]
async fn every_call_has_its_verdict() {
    let bench = Bench::with_trail().await;
    with_idle_trails(&bench).await;
    let callers = [
        ("root over TLS", root()),
        ("root on this machine", Caller { transport: Transport::Loopback, ..root() }),
        ("root in the clear", Caller { transport: Transport::Plain, ..root() }),
        ("root by a URL", Caller { form: SignatureForm::QueryString, ..root() }),
        ("a user", alice()),
    ];
    let offers = [("no code", None), ("no serial", Some("123456")), ("a code", Some("20899872 123456"))];
    let account = bench.state.account().as_str();
    let mut table = String::new();
    for (operation, what, body) in cases().into_iter().chain(cases_of_idle_trails()) {
        writeln!(table, "{operation} {what}").unwrap();
        let body = serde_json::from_str(&body.to_string().replace("ACCOUNT", account)).unwrap();
        for (who, caller) in &callers {
            for (offered, header) in offers {
                let call = call(operation, &body).expect("legal");
                let said = match bench.verdict(&call, caller, MfaToken::parse(header), RULES, NOW).await {
                    Verdict::Permit(_) => "passes".to_owned(),
                    Verdict::Mfa(_) => "VERIFY".to_owned(),
                    Verdict::Refuse(CallDenial::Factor(refusal, _)) => format!("refused: {refusal:?}"),
                    Verdict::Refuse(CallDenial::Call(refused)) => format!("refused: {}", refused.exception),
                };
                writeln!(table, "  {who}, {offered}: {said}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_operation_is_among_the_cases() {
    let cases = cases();
    for operation in CloudTrailOperation::ALL {
        assert!(cases.iter().any(|(name, _, _)| *name == operation.name()), "{operation:?}");
    }
}

#[tokio::test]
async fn a_bucket_is_looked_into_for_root_alone_and_where_it_would_become_a_trails() {
    let bench = Bench::with_trail().await;
    let looked = || std::mem::take(&mut *bench.deliveries.looked.lock().unwrap());
    assert_eq!(looked(), ["logs"], "once, when the trail was made");
    let create = |bucket: &str| call("CreateTrail", &json!({"Name": "other", "S3BucketName": bucket})).unwrap();
    let judge = async |call, caller: &Caller| bench.verdict(&call, caller, MfaToken::Absent, RULES, NOW).await;
    assert!(matches!(judge(create("full"), &alice()).await, Verdict::Refuse(CallDenial::Call(_))));
    assert!(matches!(judge(create("logs"), &root()).await, Verdict::Permit(_)), "it is closed already");
    let again = call("CreateTrail", &json!({"Name": "main", "S3BucketName": "full"})).unwrap();
    assert!(matches!(judge(again, &root()).await, Verdict::Refuse(CallDenial::Call(_))));
    let same = call("UpdateTrail", &json!({"Name": "main", "S3BucketName": "logs"})).unwrap();
    assert!(matches!(judge(same, &root()).await, Verdict::Permit(_)));
    assert_eq!(looked(), [""; 0]);
    let Verdict::Refuse(denied) = judge(create("full"), &root()).await else { panic!("no code was asked for") };
    assert_eq!(looked(), ["full"]);
    let message = denied.refused().message;
    assert!(message.ends_with("full is not known to be empty, and a trail's bucket is closed to users"), "{message}");
}

/// What the upstream was not asked may be so: forgetting to ask takes a code, and never saves one.
#[tokio::test]
async fn what_is_not_known_of_a_bucket_counts_against_a_change() {
    let bench = Bench::with_trail().await;
    let create = call("CreateTrail", &json!({"Name": "other", "S3BucketName": "empty"})).unwrap();
    let offer = || MfaToken::parse(Some("20899872 123456"));
    let facts = bench.api.facts(&create, &root(), rights_of(&Principal::Root, &bench.state), NOW).await;
    assert!(matches!(decide(&create, &root(), offer(), &facts, RULES, NOW), Verdict::Permit(_)));
    let unasked = CallFacts { buckets: AffectedBuckets::UNASKED, ..facts };
    assert!(matches!(decide(&create, &root(), offer(), &unasked, RULES, NOW), Verdict::Mfa(_)));
}

/// Between its creation and its start a trail protects nothing; from its start on it does, for ever.
#[tokio::test]
async fn a_trail_needs_no_code_until_it_is_started() {
    let bench = Bench::new().await;
    bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    let narrower = json!({"TrailName": "main", "EventSelectors": [{"ReadWriteType": "WriteOnly"}]});
    let narrowest = json!({"TrailName": "main", "EventSelectors": [{"ReadWriteType": "ReadOnly"}]});
    bench.done("PutEventSelectors", narrower.clone()).await;
    bench.done("StopLogging", json!({"Name": "main"})).await;
    assert!(!bench.trail().has_logged(), "what was not started is not stopped");
    bench.done("DeleteTrail", json!({"Name": "main"})).await;
    bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    bench.done("PutEventSelectors", narrower).await;
    bench.done("StartLogging", json!({"Name": "main"})).await;
    let stopped = Trail { logging: TrailLogging::Stopped { started: NOW, at: NOW }, ..bench.trail() };
    for trail in [bench.trail(), stopped] {
        bench.state.put_trail(Some(&bench.trail()), trail, NOW).await.expect("put");
        assert_eq!(bench.exception("PutEventSelectors", narrowest.clone()).await, "AccessDeniedException");
        assert_eq!(bench.exception("DeleteTrail", json!({"Name": "main"})).await, "AccessDeniedException");
    }
}

/// What was judged while a trail had not started is not carried out once it has.
#[tokio::test]
async fn a_start_comes_between_a_judgement_and_its_change() {
    let bench = Bench::new().await;
    bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    let narrower = json!({"TrailName": "main", "EventSelectors": [{"ReadWriteType": "WriteOnly"}]});
    let mut permits = Vec::new();
    for (operation, body) in [("PutEventSelectors", narrower), ("DeleteTrail", json!({"Name": "main"}))] {
        let judged = bench.verdict(&call(operation, &body).unwrap(), &root(), MfaToken::Absent, RULES, NOW).await;
        let Verdict::Permit(permit) = judged else { panic!("{operation}: {judged:?}") };
        permits.push(permit);
    }
    bench.done("StartLogging", json!({"Name": "main"})).await;
    for permit in permits {
        assert_eq!(bench.api.perform(permit, NOW).await.expect_err("late").exception, "ConflictException");
    }
    assert!(!bench.trail().selectors.are_custom());
}

/// A bucket that holds something is opened to users by a code alone, unless a trail that has logged keeps it closed.
#[tokio::test]
async fn a_trail_that_never_logged_leaves_a_bucket_that_holds_something_with_a_code_alone() {
    let bench = Bench::with_trail().await;
    with_idle_trails(&bench).await;
    let delete = json!({"Name": "parked"});
    let message = bench.ask("DeleteTrail", delete.clone()).await.expect_err("no code").message;
    assert!(message.ends_with("full is not known to be empty, and without the trail it is open to users"), "{message}");
    let beside = |name: &str, logging| {
        let (name, bucket) = (TrailName::parse(name).unwrap(), BucketName::parse("full").unwrap());
        Trail { logging, prefix: KeyPrefix::parse("b").ok(), ..Trail::new(name, bucket, NOW) }
    };
    let second = beside("second", TrailLogging::Never);
    bench.state.put_trail(None, second.clone(), NOW).await.expect("put");
    assert_eq!(bench.exception("DeleteTrail", delete.clone()).await, "AccessDeniedException", "both could go at once");
    let logging = beside("second", TrailLogging::Started { at: NOW });
    bench.state.put_trail(Some(&second), logging, NOW).await.expect("put");
    bench.done("DeleteTrail", delete).await;
}

/// Where one of two trails in a place is validated, the other's log files would count as forged for ever.
#[tokio::test]
async fn a_trail_that_is_validated_has_its_place_alone() {
    let bench = Bench::with_trail().await;
    let at = |name: &str, prefix: &str, validated: bool| json!({"Name": name, "S3BucketName": "logs", "S3KeyPrefix": prefix, "EnableLogFileValidation": validated});
    let refused = "InvalidParameterCombinationException";
    for validated in [true, false] {
        let said = bench.ask("CreateTrail", at("other", "a", validated)).await.expect_err("main is there");
        assert_eq!(said.exception, refused);
        let text = "Trail main delivers to logs/a. Log files of two trails in one place cannot be validated. Choose \
                    another S3KeyPrefix or another bucket.";
        assert_eq!(said.message, text);
    }
    for (name, prefix) in [("other", "b"), ("nested", "a/b"), ("outer", "")] {
        bench.done("CreateTrail", at(name, prefix, false)).await;
        assert_eq!(bench.exception("UpdateTrail", at(name, "a", false)).await, refused, "{name}");
        assert_eq!(bench.exception("UpdateTrail", at(name, "a", true)).await, refused, "{name}");
    }
    bench.done("UpdateTrail", at("other", "shared", false)).await;
    bench.done("UpdateTrail", at("nested", "shared", false)).await;
    assert_eq!(bench.exception("UpdateTrail", at("nested", "shared", true)).await, refused);
    bench.done("UpdateTrail", at("nested", "elsewhere", true)).await;
    let main = json!({"Name": "main", "S3KeyPrefix": "shared"});
    assert_eq!(bench.exception("UpdateTrail", main).await, refused, "no code is asked for");
    let again =
        json!({"Name": "other", "S3BucketName": "logs", "S3KeyPrefix": "shared", "EnableLogFileValidation": true});
    bench.done("UpdateTrail", again).await;
}

/// Two trails that an earlier version let into one place are changed as before, and come apart.
#[tokio::test]
async fn trails_that_share_a_place_already_can_be_changed() {
    let bench = Bench::with_trail().await;
    let main = bench.trail();
    let other =
        Trail { name: TrailName::parse("other").unwrap(), validation: LogFileValidation::Disabled, ..main.clone() };
    let planned = |body: Value| {
        let call = call("UpdateTrail", &body).expect("legal");
        let CloudTrailOperation::Change(operation) = call.operation else { panic!("a change") };
        change::plan(operation, &call.input, &[main.clone(), other.clone()], &bench.api.place(), NOW)
    };
    for (change, expected) in [
        (json!({"Name": "other", "DigestPeriodSeconds": 60}), None),
        (json!({"Name": "other", "S3KeyPrefix": "b"}), None),
        (json!({"Name": "other", "S3KeyPrefix": "b", "EnableLogFileValidation": true}), None),
        (json!({"Name": "main", "S3BucketName": "elsewhere"}), None),
        (json!({"Name": "other", "EnableLogFileValidation": true}), Some("InvalidParameterCombinationException")),
    ] {
        assert_eq!(planned(change.clone()).err().map(|refused| refused.exception), expected, "{change}");
    }
}

#[tokio::test]
async fn root_without_a_device_is_told_what_to_do() {
    let bench = Bench::with_trail().await;
    let stop = async || bench.ask("StopLogging", json!({"Name": "main"})).await.expect_err("no code");
    let first = stop().await;
    assert_eq!(first.mfa, MfaDemand::Required);
    assert_eq!(first.message, "Mfa Authentication must be used for this request");
    let later = NOW.plus(std::time::Duration::from_secs(60));
    deactivated(&bench.state, &bench.device, &bench.device.serial, later).await;
    let told = stop().await.message;
    assert!(told.ends_with("portcullis mfa add --name NAME"), "{told}");
}

#[tokio::test]
async fn a_code_where_tls_is_asked_for_is_not_taken_in_the_clear() {
    let bench = Bench::with_trail().await;
    let rules = Rules { loopback_is_secure: LoopbackTrust::TlsOnly, ..RULES };
    let caller = Caller { transport: Transport::Loopback, ..root() };
    let stop = call("StopLogging", &json!({"Name": "main"})).unwrap();
    let verdict = bench.verdict(&stop, &caller, MfaToken::parse(Some("20899872 123456")), rules, NOW).await;
    assert!(matches!(
        verdict,
        Verdict::Refuse(CallDenial::Factor(portcullis_authorization::Refusal::InsecureTransport, _))
    ));
}

#[tokio::test]
async fn a_trail_is_weakened_by_a_spent_code() {
    let bench = Bench::with_trail().await;
    assert_eq!(bench.exception("StopLogging", json!({"Name": "main"})).await, "AccessDeniedException");
    let later = NOW.plus(std::time::Duration::from_secs(60));
    let offer = MfaToken::Codes(codes(&bench.device, 1, later));
    let stop = call("StopLogging", &json!({"Name": "main"})).unwrap();
    let Verdict::Mfa(challenge) = bench.verdict(&stop, &root(), offer, RULES, later).await else { panic!("no code") };
    let proof =
        portcullis_mfa::spend(challenge, &bench.state.step_ledger(&Principal::Root, HERE, later)).await.expect("right");
    assert_eq!(bench.api.perform(CallPermit::by_proof(proof), later).await, Ok(json!({})));
    assert_eq!(bench.trail().logging, TrailLogging::Stopped { started: NOW, at: later });
}

#[tokio::test]
async fn no_bucket_is_made_for_a_trail_that_is_not_recorded() {
    let bench = Bench::new().await;
    bench.state.note_unanswered(&BucketName::parse("slow").unwrap(), LateEffect::Versions, NOW).await;
    let create =
        async |bucket: &str| bench.exception("CreateTrail", json!({"Name": "new", "S3BucketName": bucket})).await;
    assert_eq!(create("slow").await, "ConflictException");
    assert_eq!(*bench.deliveries.made.lock().unwrap(), Vec::<String>::new());
    assert_eq!(create("impossible").await, "S3BucketDoesNotExistException");
    assert_eq!(bench.state.trails(), []);
    bench.done("CreateTrail", json!({"Name": "new", "S3BucketName": "logs"})).await;
    assert_eq!(*bench.deliveries.made.lock().unwrap(), ["logs"]);
}

#[tokio::test]
async fn what_was_judged_by_a_trail_that_changed_meanwhile_conflicts() {
    let bench = Bench::with_trail().await;
    let wider = json!({"TrailName": "main", "EventSelectors": [{}]});
    let tags = json!({"Name": "main", "DigestPeriodSeconds": 60});
    let judged = async |operation, body: &Value| match bench
        .verdict(&call(operation, body).unwrap(), &root(), MfaToken::Absent, RULES, NOW)
        .await
    {
        Verdict::Permit(permit) => permit,
        Verdict::Refuse(denied) => panic!("{denied:?}"),
        Verdict::Mfa(_) => panic!("a code is wanted"),
    };
    let first = judged("UpdateTrail", &tags).await;
    let second = judged("UpdateTrail", &json!({"Name": "main", "DigestPeriodSeconds": 120})).await;
    let nothing = judged("PutEventSelectors", &wider).await;
    assert!(bench.api.perform(first, NOW).await.is_ok());
    assert_eq!(bench.api.perform(second, NOW).await.expect_err("late").exception, "ConflictException");
    assert!(bench.api.perform(nothing, NOW).await.is_ok(), "it changes nothing");
    assert_eq!(bench.trail().digest_period.duration().as_secs(), 60);
}

#[tokio::test]
async fn a_trail_is_made_and_shown_as_aws_shows_it() {
    let bench = Bench::new().await;
    let account = bench.state.account().as_str();
    let arn = format!("arn:aws:cloudtrail:us-east-1:{account}:trail/main");
    let made = bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs", "S3KeyPrefix": "a/b"})).await;
    let definition = json!({"Name": "main", "S3BucketName": "logs", "S3KeyPrefix": "a/b",
        "IncludeGlobalServiceEvents": true, "IsMultiRegionTrail": false, "TrailARN": arn,
        "LogFileValidationEnabled": true, "IsOrganizationTrail": false, "DigestPeriodSeconds": 3600});
    assert_eq!(made, definition);
    assert_eq!(*bench.deliveries.made.lock().unwrap(), ["logs"]);
    assert_eq!(*bench.deliveries.told.lock().unwrap(), 1);

    let mut shown = definition;
    shown["HomeRegion"] = "us-east-1".into();
    shown["HasCustomEventSelectors"] = false.into();
    shown["HasInsightSelectors"] = false.into();
    assert_eq!(bench.done("GetTrail", json!({"Name": arn})).await, json!({"Trail": shown}));
    assert_eq!(bench.done("DescribeTrails", json!({})).await, json!({"trailList": [shown]}));
    let named = json!({"trailNameList": ["other", "main"], "includeShadowTrails": false});
    assert_eq!(bench.done("DescribeTrails", named).await, json!({"trailList": [shown]}));
    let listed = json!({"Trails": [{"TrailARN": arn, "Name": "main", "HomeRegion": "us-east-1"}]});
    assert_eq!(bench.done("ListTrails", json!({})).await, listed);
    let selectors = bench.done("GetEventSelectors", json!({"TrailName": "main"})).await;
    assert_eq!(selectors["TrailARN"], arn);
    assert_eq!(selectors["EventSelectors"][0]["IncludeManagementEvents"], true);
}

#[tokio::test]
async fn the_status_says_since_when_and_how_far() {
    let bench = Bench::new().await;
    bench.done("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"})).await;
    let status = bench.done("GetTrailStatus", json!({"Name": "main"})).await;
    assert_eq!((&status["IsLogging"], &status["StartLoggingTime"]), (&json!(false), &Value::Null));
    bench.done("StartLogging", json!({"Name": "main"})).await;
    let status = bench.done("GetTrailStatus", json!({"Name": "main"})).await;
    assert_eq!((&status["IsLogging"], &status["StartLoggingTime"]), (&json!(true), &json!(NOW.seconds())));
    assert_eq!(status["LatestDeliveryTime"], json!(NOW.seconds()));
    assert_eq!(status["LatestDigestDeliveryError"], "AccessDenied");
    assert_eq!(status["TimeLoggingStarted"], NOW.iso_extended());
    assert_eq!(status.get("Folder"), None);
}

#[tokio::test]
async fn the_status_says_where_the_files_end_if_it_is_asked() {
    let bench = Bench::with_trail().await;
    let status = bench.done("GetTrailStatus", json!({"Name": "main", "IncludeFiles": true})).await;
    let log = json!([{ "s3Object": "main.json.gz", "hashValue": "01".repeat(32) }]);
    assert_eq!((&status["Folder"], &status["LogFilesWithoutDigest"]), (&json!("/var/trails"), &log));
    bench.done("CreateTrail", json!({"Name": "unreadable", "S3BucketName": "others"})).await;
    let refused = bench.exception("GetTrailStatus", json!({"Name": "unreadable", "IncludeFiles": true})).await;
    assert_eq!(refused, "ServiceUnavailableException");
}

#[tokio::test]
async fn starting_a_trail_that_logs_begins_nothing_anew() {
    let bench = Bench::with_trail().await;
    let call = call("StartLogging", &json!({"Name": "main"})).unwrap();
    let later = NOW.plus(std::time::Duration::from_secs(60));
    let Verdict::Permit(permit) = bench.verdict(&call, &root(), MfaToken::Absent, RULES, later).await else {
        panic!("refused")
    };
    assert_eq!(bench.api.perform(permit, later).await, Ok(json!({})));
    assert_eq!(bench.trail().logging, TrailLogging::Started { at: NOW });
}

#[tokio::test]
async fn what_cannot_be_has_awss_name() {
    let bench = Bench::with_trail().await;
    let basic = json!([{}]);
    for (operation, body, exception) in [
        ("CreateTrail", json!({"Name": "main", "S3BucketName": "logs"}), "TrailAlreadyExistsException"),
        ("CreateTrail", json!({"Name": "a", "S3BucketName": "logs"}), "InvalidTrailNameException"),
        ("CreateTrail", json!({"Name": "", "S3BucketName": "logs"}), "InvalidTrailNameException"),
        ("CreateTrail", json!({"S3BucketName": "logs"}), "ValidationException"),
        ("CreateTrail", json!({"Name": "new", "S3BucketName": "No"}), "InvalidS3BucketNameException"),
        ("CreateTrail", json!({"Name": "new", "S3BucketName": "impossible"}), "S3BucketDoesNotExistException"),
        ("CreateTrail", json!({"Name": "new", "S3BucketName": "b-1", "S3KeyPrefix": "/"}), "InvalidS3PrefixException"),
        (
            "CreateTrail",
            json!({"Name": "new", "S3BucketName": "b-1", "KmsKeyId": "k"}),
            "UnsupportedOperationException",
        ),
        (
            "CreateTrail",
            json!({"Name": "new", "S3BucketName": "b-1", "IsMultiRegionTrail": true, "IncludeGlobalServiceEvents": false}),
            "InvalidParameterCombinationException",
        ),
        (
            "CreateTrail",
            json!({"Name": "new", "S3BucketName": "b-1", "DigestPeriodSeconds": 59}),
            "InvalidParameterException",
        ),
        ("CreateTrail", json!({"Name": 7, "S3BucketName": "b-1"}), "SerializationException"),
        ("UpdateTrail", json!({"Name": "other"}), "TrailNotFoundException"),
        ("DeleteTrail", json!({"Name": "arn:aws:s3:::x"}), "CloudTrailARNInvalidException"),
        ("GetTrail", json!({"Name": "other"}), "TrailNotFoundException"),
        ("PutEventSelectors", json!({"TrailName": "main"}), "InvalidEventSelectorsException"),
        (
            "PutEventSelectors",
            json!({"TrailName": "main", "EventSelectors": basic, "AdvancedEventSelectors": basic}),
            "InvalidEventSelectorsException",
        ),
        ("PutEventSelectors", json!({"TrailName": "main", "EventSelectors": []}), "InvalidEventSelectorsException"),
        (
            "PutInsightSelectors",
            json!({"TrailName": "main", "InsightSelectors": [{"InsightType": "ApiErrorRateInsight"}]}),
            "UnsupportedOperationException",
        ),
        ("PutInsightSelectors", json!({"TrailName": "main"}), "ValidationException"),
        ("PutInsightSelectors", json!({"TrailName": "other", "InsightSelectors": []}), "TrailNotFoundException"),
        ("GetInsightSelectors", json!({"TrailName": "main"}), "InsightNotEnabledException"),
        ("AddTags", json!({"ResourceId": "main", "TagsList": []}), "CloudTrailARNInvalidException"),
        ("ListPublicKeys", json!({"StartTime": 2, "EndTime": 1}), "InvalidTimeRangeException"),
        ("ListPublicKeys", json!({"NextToken": "x"}), "InvalidTokenException"),
        ("LookupEvents", json!({"NextToken": "x"}), "InvalidNextTokenException"),
        (
            "LookupEvents",
            json!({"LookupAttributes": [{"AttributeKey": "Nonsense", "AttributeValue": "x"}]}),
            "InvalidLookupAttributesException",
        ),
        ("StartQuery", json!({}), "UnknownOperationException"),
    ] {
        assert_eq!(bench.exception(operation, body.clone()).await, exception, "{operation} {body}");
    }
    for number in 2..=5 {
        let name = format!("trail-{number}");
        bench.done("CreateTrail", json!({"Name": name, "S3BucketName": "logs", "S3KeyPrefix": name})).await;
    }
    let sixth = json!({"Name": "trail-6", "S3BucketName": "logs"});
    assert_eq!(bench.exception("CreateTrail", sixth).await, "MaximumNumberOfTrailsExceededException");
}

/// What is taken and has no effect makes people believe that it has.
#[tokio::test]
async fn what_would_have_no_effect_is_refused() {
    let bench = Bench::with_trail().await;
    let arn = format!("arn:aws:cloudtrail:us-east-1:{}:trail/main", bench.state.account());
    let create =
        |member: &str, value: Value| ("CreateTrail", json!({"Name": "new", "S3BucketName": "b-1", member: value}));
    let update = |member: &str, value: Value| ("UpdateTrail", json!({"Name": "main", member: value}));
    let insights = json!([{"InsightType": "ApiCallRateInsight", "EventCategories": ["Management"]}]);
    for (operation, body) in [
        create("InsightSelectors", insights.clone()),
        create("EventSelectors", json!([{}])),
        create("CloudWatchLogsLogGroupArn", "arn:aws:logs:us-east-1:123456789012:log-group:x:*".into()),
        create("CloudWatchLogsRoleArn", "arn:aws:iam::123456789012:role/x".into()),
        create("KmsKeyId", "alias/x".into()),
        create("SnsTopicName", "topic".into()),
        create("IsOrganizationTrail", true.into()),
        create("RecursiveLogging", true.into()),
        create("s3KeyPrefix", "a".into()),
        update("SnsTopicName", "topic".into()),
        update("TagsList", json!([{"Key": "team"}])),
        update("InsightSelectors", json!([])),
        update("S3bucketName", "elsewhere".into()),
        ("PutInsightSelectors", json!({"TrailName": "main", "InsightSelectors": insights})),
        ("PutInsightSelectors", json!({"TrailName": "main", "InsightSelectors": [], "InsightsDestination": "x"})),
        ("PutEventSelectors", json!({"TrailName": "main", "EventSelectors": [{}], "InsightSelectors": []})),
        ("StartLogging", json!({"Name": "main", "At": 1})),
        ("DeleteTrail", json!({"Name": "main", "DryRun": true})),
        ("AddTags", json!({"ResourceId": arn, "TagsList": [{"Key": "team", "Vaule": "red"}]})),
        ("RemoveTags", json!({"ResourceId": arn, "TagsList": [{"Key": "team", "When": 1}]})),
        ("GetInsightSelectors", json!({"EventDataStore": "x"})),
        ("LookupEvents", json!({"Region": "eu-west-1"})),
        (
            "LookupEvents",
            json!({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x", "Not": true}]}),
        ),
    ] {
        let refused = bench.ask(operation, body.clone()).await.expect_err("refused");
        assert_eq!(refused.exception, "UnsupportedOperationException", "{operation} {body}");
        assert!(refused.message.contains("leave "), "{}", refused.message);
    }
    assert_eq!(bench.state.trails().len(), 1);
}

#[tokio::test]
async fn what_says_that_there_is_none_is_taken() {
    let bench = Bench::with_trail().await;
    let none = json!({"Name": "main", "SnsTopicName": "", "KmsKeyId": "", "CloudWatchLogsRoleArn": null,
        "IsOrganizationTrail": false, "RecursiveLogging": false, "InsightSelectors": null});
    bench.done("UpdateTrail", none).await;
    let put = bench.done("PutInsightSelectors", json!({"TrailName": "main", "InsightSelectors": []})).await;
    assert_eq!(put["InsightSelectors"], json!([]));
}

/// Earlier versions took insight selectors; a trail that has some must not be shown as if they had an effect.
#[tokio::test]
async fn insight_selectors_that_were_taken_once_are_not_shown() {
    let bench = Bench::with_trail().await;
    let insight_selectors = json!([{"InsightType": "ApiCallRateInsight"}]);
    let before = Trail { insight_selectors, ..bench.trail() };
    bench.state.put_trail(Some(&bench.trail()), before, NOW).await.expect("as it was");
    assert_eq!(bench.done("GetTrail", json!({"Name": "main"})).await["Trail"]["HasInsightSelectors"], false);
    assert_eq!(
        bench.exception("GetInsightSelectors", json!({"TrailName": "main"})).await,
        "InsightNotEnabledException"
    );
    bench.done("PutInsightSelectors", json!({"TrailName": "main", "InsightSelectors": []})).await;
    assert_eq!(bench.trail().insight_selectors, json!([]));
}

#[tokio::test]
async fn tags_are_kept_within_their_limits() {
    let bench = Bench::with_trail().await;
    let arn = format!("arn:aws:cloudtrail:us-east-1:{}:trail/main", bench.state.account());
    let tagged = |tags: Value| json!({"ResourceId": arn, "TagsList": tags});
    bench.done("AddTags", tagged(json!([{"Key": "team", "Value": "red"}, {"Key": "empty"}]))).await;
    let listed = bench.done("ListTags", json!({"ResourceIdList": [arn]})).await;
    let expected = json!([{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "red"}]);
    assert_eq!(listed, json!({"ResourceTagList": [{"ResourceId": arn, "TagsList": expected}]}));
    bench.done("RemoveTags", tagged(json!([{"Key": "empty"}]))).await;
    assert_eq!(bench.trail().tags.len(), 1);
    for bad in [json!([{"Key": ""}]), json!([{"Key": "aws:x"}]), json!([{"Key": "a", "Value": "b".repeat(257)}])] {
        assert_eq!(bench.exception("AddTags", tagged(bad)).await, "InvalidTagParameterException");
    }
    let many: Vec<Value> = (0..51).map(|number| json!({"Key": format!("k{number}")})).collect();
    assert_eq!(bench.exception("AddTags", tagged(many.into())).await, "TagsLimitExceededException");
}

#[tokio::test]
async fn the_keys_of_a_time_are_all_shown_at_once() {
    let bench = Bench::new().await;
    let month = std::time::Duration::from_secs(30 * 86_400);
    for number in 0..3 {
        let valid_from = NOW.plus(month * number);
        let public = vec![u8::try_from(number).unwrap(); 270];
        let key = DigestSigningKey { public, valid_from, valid_to: valid_from.plus(month), private: None };
        bench.state.add_signing_key(key, month, NOW).await.expect("kept");
    }
    let count = async |body| bench.done("ListPublicKeys", body).await["PublicKeyList"].as_array().unwrap().len();
    let (start, month) = (NOW.seconds(), 30 * 86_400);
    assert_eq!(count(json!({})).await, 1, "the one of now");
    assert_eq!(count(json!({"StartTime": start, "EndTime": start + 3 * month})).await, 3);
    assert_eq!(count(json!({"StartTime": start + month + 1, "EndTime": start + month + 2})).await, 1);
    assert_eq!(count(json!({"EndTime": start - 1})).await, 0);
    let shown = &bench.done("ListPublicKeys", json!({})).await["PublicKeyList"][0];
    assert_eq!(shown["ValidityStartTime"], json!(start));
    assert_eq!(shown["Fingerprint"].as_str().map(str::len), Some(32));
    assert!(shown["Value"].as_str().unwrap().starts_with("AAAA"));
}

#[test]
fn only_what_certainly_takes_nothing_is_harmless() {
    let name = TrailName::parse("main").unwrap();
    let idle = Trail::new(name, BucketName::parse("logs").unwrap(), NOW);
    let trail = Trail { logging: TrailLogging::Started { at: NOW }, ..idle.clone() };
    assert_eq!(effect(&trail, &trail), ChangeEffect::Harmless);
    let wide = EventSelectors::parse_basic(
        &json!([{"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}]}]),
    );
    let wide = Trail { selectors: wide.unwrap(), ..trail.clone() };
    assert_eq!((effect(&trail, &wide), effect(&wide, &trail)), (ChangeEffect::Harmless, ChangeEffect::Weakens));
    let unproved = Trail { validation: LogFileValidation::Disabled, ..trail.clone() };
    assert_eq!((effect(&unproved, &trail), effect(&trail, &unproved)), (ChangeEffect::Harmless, ChangeEffect::Weakens));
    let narrower = Trail { validation: LogFileValidation::Disabled, global_events: false, ..idle.clone() };
    assert_eq!(effect(&idle, &narrower), ChangeEffect::Harmless, "it never logged");
}
