//! Properties of random policies and requests.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;

const ACTIONS: &[&str] = &["s3:GetObject", "s3:Get*", "s3:PutObject", "s3:*", "*", "iam:*", "s3:?etObject"];
const RESOURCES: &[&str] = &[
    "*",
    "arn:aws:s3:::vault/*",
    "arn:aws:s3:::vault",
    "arn:aws:s3:::${aws:username}/*",
    "arn:aws:s3:::vault/${aws:PrincipalTag/team, 'k'}",
    "arn:aws:s3:*",
];
const PRINCIPALS: &[&str] = &[
    r#""*""#,
    r#"{"AWS":"123456789012"}"#,
    r#"{"AWS":"arn:aws:iam::123456789012:user/alice"}"#,
    r#"{"AWS":"arn:aws:iam::123456789012:role/backup"}"#,
    r#"{"Federated":"login.example.com"}"#,
];
const CONDITIONS: &[(&str, &str, &[&str])] = &[
    ("Bool", "aws:MultiFactorAuthPresent", &["true", "false"]),
    ("StringEquals", "aws:username", &["alice", "${aws:PrincipalTag/team}"]),
    ("StringNotEquals", "aws:username", &["alice", "bob"]),
    ("StringLike", "s3:prefix", &["home/*", "*"]),
    ("StringNotLike", "s3:prefix", &["home/${aws:username}/*"]),
    ("NumericLessThan", "aws:MultiFactorAuthAge", &["100", "3600"]),
    ("IpAddress", "aws:SourceIp", &["10.0.0.0/8", "::/0"]),
    ("NotIpAddress", "aws:SourceIp", &["10.0.0.0/8"]),
    ("ArnLike", "aws:PrincipalArn", &["arn:aws:iam::*:user/*", "arn:aws:iam::1:user"]),
    ("DateGreaterThan", "aws:CurrentTime", &["2026-11-28"]),
    ("StringNotEquals", "s3:RequestObjectTagKeys", &["a", "b"]),
];

fn some(all: &'static [&'static str]) -> impl Strategy<Value = Value> {
    subsequence(all, 1..=all.len().min(2)).prop_map(|chosen| json!(chosen))
}

fn conditions() -> impl Strategy<Value = Value> {
    let one = (select(CONDITIONS), select(&["", "ForAllValues:", "ForAnyValue:"][..]), select(&["", "IfExists"][..]));
    let clause = one.prop_flat_map(|((operator, key, values), before, behind)| {
        some(values).prop_map(move |values| (format!("{before}{operator}{behind}"), key, values))
    });
    vec(clause, 0..3).prop_map(|clauses| {
        let mut conditions = json!({});
        for (operator, key, values) in clauses {
            conditions[operator] = json!({ key: values });
        }
        conditions
    })
}

fn statement_of(effect: &'static [&'static str], with_principal: bool) -> impl Strategy<Value = Value> {
    let negated = prop::bool::weighted(0.2);
    let actions = (negated, some(ACTIONS));
    let resources = (prop::bool::weighted(0.2), some(RESOURCES));
    let principals = (prop::bool::weighted(0.2), select(PRINCIPALS));
    (select(effect), actions, resources, principals, conditions()).prop_map(
        move |(effect, (not_action, actions), (not_resource, resources), (not_principal, principals), conditions)| {
            let member = |negated: bool, name: &str| if negated { format!("Not{name}") } else { name.to_owned() };
            let mut statement = json!({ "Effect": effect, "Condition": conditions });
            statement[member(not_action, "Action")] = actions;
            statement[member(not_resource, "Resource")] = resources;
            if with_principal {
                // `NotPrincipal` is only for statements that deny.
                let name = member(not_principal && effect == "Deny", "Principal");
                statement[name] = serde_json::from_str(principals).expect("JSON");
            }
            statement
        },
    )
}

fn document(with_principal: bool) -> impl Strategy<Value = PolicyDocument> {
    let statements = vec(statement_of(&["Allow", "Allow", "Deny"], with_principal), 1..4);
    (select(&["2008-10-17", "2012-10-17"][..]), statements).prop_map(move |(version, statements)| {
        let text = json!({ "Version": version, "Statement": statements }).to_string();
        if with_principal { of_resource(&text) } else { managed(&text) }
    })
}

fn request_values() -> impl Strategy<Value = RequestValues> {
    let of = |key: &'static str, all: &'static [&'static str]| {
        option::of(subsequence(all, 1..=all.len().min(2))).prop_map(move |chosen| (key, chosen))
    };
    let all = (
        of("aws:MultiFactorAuthPresent", &["true"]),
        of("aws:MultiFactorAuthAge", &["10"]),
        of("aws:username", &["alice"]),
        of("s3:prefix", &["home/alice/x"]),
        of("aws:SourceIp", &["10.1.2.3"]),
        of("aws:PrincipalArn", &["arn:aws:iam::123456789012:user/alice"]),
        of("aws:CurrentTime", &["2026-11-28T09:00:00Z"]),
        of("s3:RequestObjectTagKeys", &["a", "z"]),
        of("aws:PrincipalTag/team", &["alice", "k"]),
    );
    all.prop_map(|(a, b, c, d, e, f, g, h, i)| {
        let mut values = RequestValues::default();
        for (key, chosen) in [a, b, c, d, e, f, g, h, i] {
            if let Some(chosen) = chosen {
                values.set(ConditionKey::parse(key).expect("a key"), chosen.into_iter().map(str::to_owned));
            }
        }
        values
    })
}

fn principal() -> impl Strategy<Value = RequestPrincipal> {
    select(vec![
        alice(),
        RequestPrincipal::assumed_role(account(), "backup", "nightly"),
        RequestPrincipal::anonymous(),
        RequestPrincipal::web_identity("login.example.com"),
    ])
}

/// Documents by what they are to the request.
#[derive(Clone, Debug)]
struct Situation {
    identity: Vec<PolicyDocument>,
    boundary: Option<PolicyDocument>,
    session: Option<PolicyDocument>,
    resource: Option<PolicyDocument>,
    is_trust: bool,
}

fn situation() -> impl Strategy<Value = Situation> {
    let limit = || option::weighted(0.3, document(false));
    let resource = option::weighted(0.4, document(true));
    (vec(document(false), 0..3), limit(), limit(), resource, any::<bool>()).prop_map(
        |(identity, boundary, session, resource, is_trust)| Situation {
            identity,
            boundary,
            session,
            resource,
            is_trust,
        },
    )
}

fn limit(document: &Option<PolicyDocument>) -> PermissionLimit<'_> {
    match document {
        Some(document) => PermissionLimit::Within(vec![NamedPolicy { name: "p", document }]),
        None => PermissionLimit::None,
    }
}

impl Situation {
    fn decide(&self, request: &AccessRequest<'_>) -> &'static str {
        let named = |document| NamedPolicy { name: "p", document };
        let resource: Vec<_> = self.resource.iter().map(named).collect();
        let policies = ApplicablePolicies {
            identity: self.identity.iter().map(named).collect(),
            boundary: limit(&self.boundary),
            session: limit(&self.session),
            resource: match (resource.is_empty(), self.is_trust) {
                (true, _) => ResourcePolicies::None,
                (false, true) => ResourcePolicies::Required(resource),
                (false, false) => ResourcePolicies::Grant(resource),
            },
        };
        word(&decide(request, &policies))
    }

    /// All documents that are there.
    fn documents(&mut self) -> Vec<&mut PolicyDocument> {
        let mut all: Vec<_> = self.identity.iter_mut().collect();
        all.extend(self.boundary.iter_mut().chain(&mut self.session).chain(&mut self.resource));
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_and_removing_an_allow_never_allow(
        before in situation(),
        denial in statement_of(&["Deny"], false),
        who in principal(),
        found in request_values(),
        action in select(&["s3:GetObject", "s3:PutObject", "iam:GetUser"][..]),
        resource in select(&[KEY, "arn:aws:s3:::vault", "arn:aws:s3:::alice/x", "*"][..]),
        place in any::<prop::sample::Index>(),
    ) {
        let request = AccessRequest::new(&who, action, resource, &found);
        let allowed = before.decide(&request);

        let mut denied = before.clone();
        let denial = statement(denial).statements.remove(0);
        let mut documents = denied.documents();
        if !documents.is_empty() {
            let chosen = place.index(documents.len());
            let document = &mut documents[chosen];
            let mut denial = denial;
            denial.principals = document.statements[0].principals.as_ref()
                .map(|_| document::ElementScope::Only(vec![principal::PrincipalPattern::Everyone]));
            document.statements.push(denial);
        }
        prop_assert!(allowed == "Allow" || denied.decide(&request) != "Allow");

        let mut removed = before.clone();
        for document in removed.documents() {
            let allows = |statement: &PolicyStatement| statement.effect() == StatementEffect::Allow;
            if let Some(first) = document.statements.iter().position(allows) {
                document.statements.remove(first);
                break;
            }
        }
        prop_assert!(allowed == "Allow" || removed.decide(&request) != "Allow");
    }

    #[test]
    fn a_document_is_written_as_it_was_read(one in document(false), other in document(true)) {
        prop_assert_eq!(&managed(&one.to_string()), &one);
        prop_assert_eq!(&of_resource(&other.to_string()), &other);
    }

    #[test]
    fn reading_never_panics(text in "[{}\\[\\]:,\"a1$*? ]{0,60}") {
        _ = PolicyDocument::parse(&text, PolicyKind::Managed);
    }
}

/// The random requests meet all three decisions, or the properties would say little.
#[test]
fn random_requests_meet_every_decision() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = std::collections::BTreeMap::new();
    let strategy = (situation(), principal(), request_values());
    for _ in 0..2_000 {
        let (situation, who, found) = strategy.new_tree(&mut runner).expect("a tree").current();
        let request = AccessRequest::new(&who, "s3:GetObject", KEY, &found);
        *counts.entry(situation.decide(&request)).or_insert(0) += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|count| *count > 200), "{counts:?}");
}
