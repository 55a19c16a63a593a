//! The decision by all policies of a request: every situation in one table.

use super::*;

const ALLOW: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}, {"Sid": "Reads", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}"#;
const NEITHER: &str = r#"{"Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}"#;
const DENY: &str = r#"{"Statement": {"Sid": "NoReads", "Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}}"#;

fn for_principal(effect: &str, member: &str, principal: &str) -> PolicyDocument {
    of_resource(&format!(
        r#"{{"Statement": {{"Sid": "Granted", "Effect": "{effect}", "{member}": {principal}, "Action": "s3:GetObject", "Resource": "*"}}}}"#
    ))
}

fn named<'a>(name: &'a str, document: &'a PolicyDocument) -> Vec<NamedPolicy<'a>> {
    vec![NamedPolicy { name, document }]
}

fn told(decision: &PolicyDecision<'_>) -> String {
    match decision {
        PolicyDecision::Allow(by) | PolicyDecision::ExplicitDeny(by) => {
            format!("{} by {} {:?} {} {}", word(decision), by.policy, by.role, by.index, by.sid.unwrap_or("-"))
        }
        PolicyDecision::ImplicitDeny(role) => format!("ImplicitDeny for want of {role:?}"),
    }
}

fn principals() -> [(&'static str, RequestPrincipal); 4] {
    [
        ("user", alice()),
        ("session", RequestPrincipal::assumed_role(account(), "backup", "nightly")),
        ("anonymous", RequestPrincipal::anonymous()),
        ("web", RequestPrincipal::web_identity("login.example.com")),
    ]
}

#[test]
fn an_allow_counts_within_every_limit_and_a_deny_everywhere() {
    let documents = [("allow", managed(ALLOW)), ("other", managed(NEITHER)), ("deny", managed(DENY))];
    let mut table = String::new();
    let alice = alice();
    let found = RequestValues::default();
    let request = AccessRequest::new(&alice, "s3:GetObject", KEY, &found);
    let limits = |place: usize| documents.get(place).map(|(name, document)| named(name, document));
    for (own, document) in &documents {
        for boundary in 0..=documents.len() {
            for session in 0..=documents.len() {
                let limit = |place| limits(place).map_or(PermissionLimit::None, PermissionLimit::Within);
                let policies = ApplicablePolicies {
                    identity: named(own, document),
                    boundary: limit(boundary),
                    session: limit(session),
                    resource: ResourcePolicies::None,
                };
                let name = |place: usize| documents.get(place).map_or("none", |(name, _)| name);
                let decision = told(&decide(&request, &policies));
                table.push_str(&format!(
                    "own {own:<6} boundary {:<6} session {:<6} {decision}\n",
                    name(boundary),
                    name(session)
                ));
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// Principals of a resource's policy, against who asks, with and without policies of their own and limits.
#[test]
fn a_resources_policy_reaches_as_far_as_it_names_the_principal() {
    let grants = [
        r#""*""#,
        r#"{"AWS": "123456789012"}"#,
        r#"{"AWS": "210987654321"}"#,
        r#"{"AWS": "arn:aws:iam::123456789012:user/alice"}"#,
        r#"{"AWS": "arn:aws:iam::123456789012:role/backup"}"#,
        r#"{"AWS": "arn:aws:sts::123456789012:assumed-role/backup/nightly"}"#,
        r#"{"AWS": ["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/alice"]}"#,
        r#"{"Federated": "login.example.com"}"#,
        r#"{"Service": "s3.amazonaws.com"}"#,
    ];
    let (allow, other) = (managed(ALLOW), managed(NEITHER));
    let found = RequestValues::default();
    let mut table = String::new();
    for grant in grants {
        let document = for_principal("Allow", "Principal", grant);
        let policy = named("bucket", &document);
        table.push_str(&format!("{grant}\n"));
        for (who, principal) in principals() {
            let request = AccessRequest::new(&principal, "s3:GetObject", KEY, &found);
            for (identity, own) in [("own", named("own", &allow)), ("none", Vec::new())] {
                for (limit, boundary, session) in [
                    ("no limit", PermissionLimit::None, PermissionLimit::None),
                    ("boundary", PermissionLimit::Within(named("limit", &other)), PermissionLimit::None),
                    ("session", PermissionLimit::None, PermissionLimit::Within(named("limit", &other))),
                ] {
                    let mut policies = ApplicablePolicies {
                        identity: own.clone(),
                        boundary,
                        session,
                        resource: ResourcePolicies::Grant(policy.clone()),
                    };
                    let granted = told(&decide(&request, &policies));
                    policies.resource = ResourcePolicies::Required(policy.clone());
                    let required = told(&decide(&request, &policies));
                    let trust = if required == granted { String::new() } else { format!("; as trust {required}") };
                    table.push_str(&format!("  {who:<9} {identity:<4} {limit:<8} {granted}{trust}\n"));
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// Wherever the statements stand, the one that names the principal most closely decides how far the grant reaches.
#[test]
fn of_several_grants_the_closest_counts_and_of_equal_ones_the_first() {
    let everyone = r#"{"AWS": "*"}"#;
    let account = r#"{"AWS": "123456789012"}"#;
    let itself = r#"{"AWS": "arn:aws:iam::123456789012:user/alice"}"#;
    let other = managed(NEITHER);
    let alice = alice();
    let found = RequestValues::default();
    let request = AccessRequest::new(&alice, "s3:GetObject", KEY, &found);
    let decided_by = |grants: &[&str], boundary: PermissionLimit<'_>| {
        let statements = grants.iter().map(|grant| {
            format!(r#"{{"Effect": "Allow", "Principal": {grant}, "Action": "s3:GetObject", "Resource": "*"}}"#)
        });
        let document = of_resource(&format!(r#"{{"Statement": [{}]}}"#, statements.collect::<Vec<_>>().join(", ")));
        let resource = ResourcePolicies::Grant(named("bucket", &document));
        told(&decide(&request, &ApplicablePolicies { boundary, resource, ..own(&[]) }))
    };
    let limit = || PermissionLimit::Within(named("limit", &other));
    assert_eq!(decided_by(&[everyone, itself, account], limit()), "Allow by bucket Resource 1 -");
    assert_eq!(decided_by(&[itself, everyone], limit()), "Allow by bucket Resource 0 -");
    assert_eq!(decided_by(&[account, everyone], PermissionLimit::None), "Allow by bucket Resource 1 -");
    assert_eq!(decided_by(&[everyone, account, everyone], PermissionLimit::None), "Allow by bucket Resource 0 -");
    assert_eq!(decided_by(&[everyone, account], limit()), "ImplicitDeny for want of Boundary");
}

#[test]
fn not_principal_excepts_only_those_who_are_named_themselves() {
    let mut table = String::new();
    let allow = managed(ALLOW);
    let found = RequestValues::default();
    for listed in [
        r#"{"AWS": "*"}"#,
        r#"{"AWS": "123456789012"}"#,
        r#"{"AWS": "arn:aws:iam::123456789012:user/alice"}"#,
        r#"{"AWS": "arn:aws:iam::123456789012:role/backup"}"#,
        r#"{"AWS": "arn:aws:sts::123456789012:assumed-role/backup/nightly"}"#,
        r#"{"Federated": "login.example.com"}"#,
    ] {
        let document = for_principal("Deny", "NotPrincipal", listed);
        for (who, principal) in principals() {
            let request = AccessRequest::new(&principal, "s3:GetObject", KEY, &found);
            let policies =
                ApplicablePolicies { resource: ResourcePolicies::Grant(named("bucket", &document)), ..own(&[&allow]) };
            table.push_str(&format!("{listed} {who}: {}\n", told(&decide(&request, &policies))));
        }
    }
    insta::assert_snapshot!(table);
}

/// What other products got wrong: a Deny that one kind of policy or one action did not obey.
#[test]
fn a_deny_holds_for_every_action_in_every_kind_of_policy() {
    let everything = managed(EVERYTHING);
    let deny = managed(r#"{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}"#);
    let resource_deny = of_resource(
        r#"{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/alice"}, "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}"#,
    );
    let alice = alice();
    let found = RequestValues::default();
    for action in ["s3:GetObject", "s3:BypassGovernanceRetention", "s3:DeleteObjectVersion", "iam:CreateUser", "x:Y"] {
        let request = AccessRequest::new(&alice, action, KEY, &found);
        let open = || own(&[&everything]);
        let both = vec![NamedPolicy { name: "a", document: &everything }, NamedPolicy { name: "b", document: &deny }];
        for (kind, policies) in [
            ("identity", ApplicablePolicies { identity: both.clone(), ..open() }),
            ("boundary", ApplicablePolicies { boundary: PermissionLimit::Within(both.clone()), ..open() }),
            ("session", ApplicablePolicies { session: PermissionLimit::Within(both.clone()), ..open() }),
            (
                "resource",
                ApplicablePolicies { resource: ResourcePolicies::Grant(named("r", &resource_deny)), ..open() },
            ),
            (
                "trust",
                ApplicablePolicies { resource: ResourcePolicies::Required(named("r", &resource_deny)), ..open() },
            ),
        ] {
            assert_eq!(word(&decide(&request, &policies)), "ExplicitDeny", "{action} {kind}");
        }
        assert_eq!(word(&decide(&request, &open())), "Allow", "{action}");
    }
}

/// A service account whose policy only denied was allowed all else; nothing is implied here.
#[test]
fn a_limit_that_only_denies_allows_nothing() {
    let everything = managed(EVERYTHING);
    let only_denies = managed(r#"{"Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}"#);
    let alice = alice();
    let found = RequestValues::default();
    let request = AccessRequest::new(&alice, "s3:GetObject", KEY, &found);
    let session = PermissionLimit::Within(named("session", &only_denies));
    let decision = decide(&request, &ApplicablePolicies { session, ..own(&[&everything]) });
    assert_eq!(decision, PolicyDecision::ImplicitDeny(PolicyRole::Session));
    let empty = ApplicablePolicies { boundary: PermissionLimit::Within(Vec::new()), ..own(&[&everything]) };
    assert_eq!(decide(&request, &empty), PolicyDecision::ImplicitDeny(PolicyRole::Boundary));
    assert_eq!(decide(&request, &own(&[&only_denies])), PolicyDecision::ImplicitDeny(PolicyRole::Identity));
    assert_eq!(decide(&request, &own(&[])), PolicyDecision::ImplicitDeny(PolicyRole::Identity));
}

#[test]
fn a_provider_vouches_for_its_own_identities_alone() {
    let document = for_principal("Allow", "Principal", r#"{"Federated": "login.example.com"}"#);
    let found = RequestValues::default();
    for (provider, expected) in [("login.example.com", "Allow"), ("evil.example.com", "ImplicitDeny")] {
        let web = RequestPrincipal::web_identity(provider);
        let request = AccessRequest::new(&web, "s3:GetObject", KEY, &found);
        let policies = ApplicablePolicies { resource: ResourcePolicies::Required(named("r", &document)), ..own(&[]) };
        assert_eq!(word(&decide(&request, &policies)), expected, "{provider}");
    }
    // A provider that calls itself like a user is none.
    let document = for_principal("Allow", "Principal", r#"{"AWS": "arn:aws:iam::123456789012:user/alice"}"#);
    let web = RequestPrincipal::web_identity("arn:aws:iam::123456789012:user/alice");
    let request = AccessRequest::new(&web, "s3:GetObject", KEY, &found);
    let policies = ApplicablePolicies { resource: ResourcePolicies::Required(named("r", &document)), ..own(&[]) };
    assert_eq!(decide(&request, &policies), PolicyDecision::ImplicitDeny(PolicyRole::Resource));
}

#[test]
fn the_conditions_of_a_resources_policy_count() {
    let document = of_resource(
        r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}"#,
    );
    let alice = alice();
    for (address, expected) in [("10.1.1.1", "Allow"), ("11.1.1.1", "ImplicitDeny")] {
        let found = values(&[("aws:SourceIp", &[address])]);
        let request = AccessRequest::new(&alice, "s3:GetObject", KEY, &found);
        let policies = ApplicablePolicies { resource: ResourcePolicies::Grant(named("r", &document)), ..own(&[]) };
        assert_eq!(word(&decide(&request, &policies)), expected, "{address}");
    }
}

#[test]
fn a_value_is_what_was_set_last() {
    let mut found = values(&[("aws:username", &["bob"])]);
    found.set(ConditionKey::parse("AWS:UserName").expect("a key"), ["alice".to_owned()]);
    assert_eq!(found.of(&ConditionKey::parse("aws:username").expect("a key")), ["alice".to_owned()]);
}

#[test]
fn principals_are_known_by_their_arns() {
    let told: Vec<_> = principals()
        .iter()
        .map(|(_, principal)| {
            let account = principal.account().map(|account| account.to_string());
            (principal.kind(), principal.arn().to_owned(), account)
        })
        .collect();
    let ours = Some("123456789012".to_owned());
    assert_eq!(
        told,
        [
            (PrincipalType::User, "arn:aws:iam::123456789012:user/alice".to_owned(), ours.clone()),
            (PrincipalType::AssumedRole, "arn:aws:sts::123456789012:assumed-role/backup/nightly".to_owned(), ours),
            (PrincipalType::Anonymous, String::new(), None),
            (PrincipalType::WebIdentity, "login.example.com".to_owned(), None),
        ]
    );
}

#[test]
fn an_action_that_no_service_has_is_told() {
    let document = managed(
        r#"{"Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "S3:GetObjekt", "s3:getobject", "iam:Nothing", "*"], "Resource": "*"},
            {"Effect": "Deny", "NotAction": "s3:Put?", "Resource": "*"}]}"#,
    );
    let unknown = |place: usize| {
        let statement = document.statements().get(place).expect("a statement");
        statement.unknown_actions("s3", &["s3:GetObject", "s3:PutObject"]).collect::<Vec<_>>()
    };
    assert_eq!((unknown(0), unknown(1)), (vec!["S3:GetObjekt"], vec!["s3:Put?"]));
    let effects: Vec<_> = document.statements().iter().map(|statement| statement.effect().as_str()).collect();
    assert_eq!(effects, ["Allow", "Deny"]);
}
