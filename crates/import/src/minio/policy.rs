//! One of MinIO's policies as one of Portcullis's: never more allowed, never less denied.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::action::{self, ActionFamily};
use super::condition::{self, WrittenConditions};
use super::resource::{self, PatternSameness, PatternSide, USER_NAME};
use portcullis_policy::{PolicyDocument, PolicyKind, StatementEffect};

/// A policy that was translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TranslatedPolicy {
    /// None if it allows and denies nothing in S3.
    pub document: Option<PolicyDocument>,
    pub notes: Vec<String>,
    /// Whether what it says depends on the user's name.
    pub names: UserNameUse,
}

/// Whether a policy says `${aws:username}`, or has it in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserNameUse {
    None,
    Some,
}

/// What has no translation, and where it is: `Statement[1].Resource[0]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UntranslatablePolicy {
    pub member: String,
    pub reason: String,
}

/// A value, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore<T> {
    More(Vec<T>),
    One(T),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Version", default)]
    version: String,
    #[serde(rename = "Statement", default)]
    statements: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStatement {
    #[serde(rename = "Sid", default)]
    sid: String,
    #[serde(rename = "Effect")]
    effect: WrittenEffect,
    #[serde(rename = "Action")]
    actions: OneOrMore<String>,
    #[serde(rename = "Resource")]
    resources: Option<OneOrMore<String>>,
    #[serde(rename = "NotResource")]
    other_resources: Option<OneOrMore<String>>,
    #[serde(rename = "Condition", default)]
    conditions: WrittenConditions,
}

#[derive(Clone, Copy, Deserialize)]
enum WrittenEffect {
    Allow,
    Deny,
}

/// What is made of a policy while its statements are read.
#[derive(Default)]
struct PolicyTranslation {
    statements: Vec<Value>,
    sids: BTreeSet<String>,
    notes: Vec<String>,
}

type Translated<T> = Result<T, UntranslatablePolicy>;

/// Whether it is what MinIO takes for no session policy at all.
pub(crate) fn is_empty(policy: &Value) -> bool {
    let read = serde_json::from_value::<WrittenPolicy>(policy.clone());
    policy.is_null()
        || read.is_ok_and(|policy| {
            policy.version.is_empty() && policy.id.is_empty() && policy.statements.is_none_or(|list| list.is_empty())
        })
}

/// Translates a policy as MinIO tells it.
pub(crate) fn translate(policy: &Value) -> Translated<TranslatedPolicy> {
    let refused = |error: serde_json::Error| fault("the document", error);
    let written: WrittenPolicy = serde_json::from_value(policy.clone()).map_err(refused)?;
    let mut translation = PolicyTranslation::default();
    for (index, statement) in written.statements.unwrap_or_default().into_iter().enumerate() {
        let place = format!("Statement[{index}]");
        let statement = serde_json::from_value(statement).map_err(|error| fault(&place, error))?;
        translation.statement(&place, statement)?;
    }
    let PolicyTranslation { statements, notes, .. } = translation;
    if statements.is_empty() {
        return Ok(TranslatedPolicy { document: None, notes, names: UserNameUse::None });
    }
    let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let document = PolicyDocument::parse(&text, PolicyKind::Managed)
        .map_err(|error| fault(error.member().unwrap_or("the document"), error.reason()))?;
    let named = text.contains(USER_NAME) || text.contains("\"aws:username\"");
    let names = if named { UserNameUse::Some } else { UserNameUse::None };
    Ok(TranslatedPolicy { document: Some(document), notes, names })
}

/// Translates a policy for a user of another name, who has this one's rights.
pub(crate) fn translate_for(policy: &Value, user: &str) -> Translated<TranslatedPolicy> {
    translate(&named_for(policy, user))
}

/// The value with the user's name in the place of the variable. A user's name has no wildcards.
fn named_for(value: &Value, user: &str) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| named_for(value, user)).collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) => value.clone(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), named_for(value, user))).collect(),
        Value::String(text) => text.replace(USER_NAME, user).into(),
    }
}

impl TranslatedPolicy {
    /// The policy, which allows nothing from this time on.
    pub(crate) fn until(self, time: &str) -> Translated<Self> {
        let Some(document) = &self.document else { return Ok(self) };
        let mut document: Value =
            serde_json::from_str(&document.to_string()).map_err(|error| fault("the document", error))?;
        let statements = document.get_mut("Statement").and_then(Value::as_array_mut);
        for (index, statement) in statements.into_iter().flatten().enumerate() {
            if statement.get("Effect").and_then(Value::as_str) != Some(StatementEffect::Allow.as_str()) {
                continue;
            }
            let place = format!("Statement[{index}].Condition.DateLessThan");
            let both = || fault(&place, "it ends at a time of its own, and the account at another one");
            let conditions = statement.as_object_mut().map(|members| members.entry("Condition").or_insert(json!({})));
            let dates = conditions.and_then(Value::as_object_mut).ok_or_else(both)?.entry("DateLessThan");
            let dates = dates.or_insert(json!({})).as_object_mut().ok_or_else(both)?;
            if dates.insert("aws:CurrentTime".to_owned(), time.into()).is_some() {
                return Err(both());
            }
        }
        let document = PolicyDocument::parse(&document.to_string(), PolicyKind::Managed)
            .map_err(|error| fault(error.member().unwrap_or("the document"), error.reason()))?;
        Ok(Self { document: Some(document), ..self })
    }
}

impl PolicyTranslation {
    fn statement(&mut self, place: &str, written: WrittenStatement) -> Translated<()> {
        let effect = StatementEffect::from(written.effect);
        let actions: Vec<String> = written.actions.iter().cloned().collect();
        let other = |action: &str| {
            let is_wide = action.split(':').next().is_some_and(|service| service.contains('*'));
            let reason = match is_wide {
                true => format!("`{action}` names MinIO's own actions too, and MinIO looks at no resource then"),
                false => format!("`{action}` is of another service than the other actions"),
            };
            fault(&format!("{place}.Action"), reason)
        };
        match (action::family(&actions).map_err(other)?, effect) {
            (ActionFamily::S3, _) => self.of_s3(place, &written, &actions, effect),
            (ActionFamily::MinioAlone, _) | (ActionFamily::Sessions, StatementEffect::Allow) => {
                let list = actions.join(", ");
                self.notes.push(format!("{place} is left out: it is about {list}, of which S3 has nothing"));
                Ok(())
            }
            (ActionFamily::Sessions, StatementEffect::Deny) if written.conditions.is_empty() => {
                self.push(&written, json!({ "Effect": "Deny", "Action": sorted(&actions), "Resource": "*" }));
                Ok(())
            }
            (ActionFamily::Sessions, StatementEffect::Deny) => {
                Err(fault(&format!("{place}.Condition"), "a condition on `sts:` actions has no counterpart"))
            }
        }
    }

    fn of_s3(
        &mut self,
        place: &str,
        written: &WrittenStatement,
        actions: &[String],
        effect: StatementEffect,
    ) -> Translated<()> {
        let translated = action::translate(actions, effect);
        if translated.actions.is_empty() {
            let list = actions.join(", ");
            self.notes.push(format!("{place} is left out: {list} alone allows nothing in MinIO"));
            return Ok(());
        }
        for action in &translated.denied_more {
            self.notes.push(format!("{place} denies {action} too, which no operation needs in MinIO"));
        }
        let (element, patterns, side) = match (&written.resources, &written.other_resources, effect) {
            (Some(patterns), None, StatementEffect::Allow) => ("Resource", patterns, PatternSide::Narrower),
            (Some(patterns), None, StatementEffect::Deny) => ("Resource", patterns, PatternSide::Wider),
            (None, Some(patterns), StatementEffect::Allow) => ("NotResource", patterns, PatternSide::Wider),
            (None, Some(patterns), StatementEffect::Deny) => ("NotResource", patterns, PatternSide::Narrower),
            (None, None, _) => return Err(fault(place, "it has no `Resource`")),
            (Some(_), Some(_), _) => return Err(fault(place, "it has both `Resource` and `NotResource`")),
        };
        let resources = self.resources(place, element, patterns, side)?;
        let mut statement = json!({ "Effect": effect.as_str(), "Action": translated.actions, element: resources });
        if !written.conditions.is_empty() {
            let conditions = condition::translate(&written.conditions)
                .map_err(|(member, reason)| fault(&format!("{place}.{member}"), reason))?;
            if let Some(members) = statement.as_object_mut() {
                members.insert("Condition".to_owned(), conditions);
            }
        }
        self.push(written, statement);
        Ok(())
    }

    fn resources(
        &mut self,
        place: &str,
        element: &str,
        patterns: &OneOrMore<String>,
        side: PatternSide,
    ) -> Translated<BTreeSet<String>> {
        let mut resources = BTreeSet::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let place = format!("{place}.{element}[{index}]");
            let translated = resource::translate(pattern, side).map_err(|reason| fault(&place, reason))?;
            if translated.sameness == PatternSameness::Differs {
                self.notes.push(format!("{place}: `{pattern}` names buckets too in MinIO, here fewer are allowed"));
            }
            resources.extend(translated.patterns);
        }
        Ok(resources)
    }

    /// A statement id has no effect: it is kept as far as AWS's grammar allows it.
    fn push(&mut self, written: &WrittenStatement, mut statement: Value) {
        let sid: String = written.sid.chars().filter(char::is_ascii_alphanumeric).collect();
        if !sid.is_empty()
            && self.sids.insert(sid.clone())
            && let Some(members) = statement.as_object_mut()
        {
            members.insert("Sid".to_owned(), sid.into());
        }
        self.statements.push(statement);
    }
}

fn fault(member: &str, reason: impl ToString) -> UntranslatablePolicy {
    UntranslatablePolicy { member: member.to_owned(), reason: reason.to_string() }
}

fn sorted(texts: &[String]) -> BTreeSet<&String> {
    texts.iter().collect()
}

impl<T> OneOrMore<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        match self {
            Self::More(list) => list.as_slice(),
            Self::One(value) => std::slice::from_ref(value),
        }
        .iter()
    }
}

impl From<WrittenEffect> for StatementEffect {
    fn from(effect: WrittenEffect) -> Self {
        match effect {
            WrittenEffect::Allow => Self::Allow,
            WrittenEffect::Deny => Self::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_base::names::AccountId;
    use portcullis_policy::{
        AccessRequest, ApplicablePolicies, ConditionKey, NamedPolicy, PermissionLimit, PolicyDecision,
        RequestPrincipal, RequestValues, ResourcePolicies, decide,
    };

    fn translated(statements: Value) -> Translated<TranslatedPolicy> {
        translate(&json!({ "Version": "2012-10-17", "Statement": statements }))
    }

    fn statements(written: Value) -> Value {
        let policy = translated(written).expect("a translation");
        let text = policy.document.expect("a document").to_string();
        serde_json::from_str::<Value>(&text).unwrap()["Statement"].clone()
    }

    #[test]
    fn a_prefix_of_objects_keeps_the_bucket_that_minio_takes_it_for() {
        let written = json!([
            { "Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::photos/*"] },
            { "Effect": "Deny", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::photos/private/*"] },
        ]);
        assert_eq!(
            statements(written),
            json!([
                {
                    "Effect": "Allow",
                    "Action": [
                        "s3:GetObject",
                        "s3:GetObjectAttributes",
                        "s3:GetObjectVersion",
                        "s3:ListBucket",
                        "s3:ListBucketVersions",
                    ],
                    "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"],
                },
                {
                    "Effect": "Deny",
                    "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                    "Resource": "arn:aws:s3:::photos/private/*",
                },
            ])
        );
    }

    #[test]
    fn statements_about_minio_itself_are_left_out_and_said_so() {
        let policy = translated(json!([
            { "Effect": "Allow", "Action": ["admin:*"] },
            { "Effect": "Allow", "Action": ["kms:*"] },
            { "Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"] },
        ]));
        let policy = policy.unwrap();
        assert_eq!(policy.document.unwrap().statements().len(), 1);
        assert_eq!(policy.notes.len(), 2);
        assert!(policy.notes[0].starts_with("Statement[0] is left out: it is about admin:*"), "{:?}", policy.notes);
        let none = translated(json!([{ "Effect": "Allow", "Action": ["admin:ServerInfo"] }])).unwrap();
        assert_eq!(none.document, None);
    }

    #[test]
    fn a_denied_session_stays_denied() {
        assert_eq!(
            statements(json!([{ "Effect": "Deny", "Action": ["sts:AssumeRole"] }])),
            json!([{ "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*" }])
        );
    }

    #[test]
    fn a_statement_id_keeps_what_aws_takes() {
        let one = |sid: &str| json!({ "Sid": sid, "Effect": "Allow", "Action": "s3:PutObject", "Resource": "**" });
        let told = statements(json!([one("a b-c"), one("a.b.c"), one("--")]));
        assert_eq!(told[0]["Sid"], json!("abc"));
        assert_eq!([&told[1]["Sid"], &told[2]["Sid"]], [&Value::Null; 2]);
    }

    #[test]
    fn what_has_no_translation_is_refused_with_its_member() {
        let allow =
            |action: Value, resource: Value| json!([{ "Effect": "Allow", "Action": action, "Resource": resource }]);
        for (written, member) in [
            (allow(json!(["*"]), json!(["arn:aws:s3:::a/*"])), "Statement[0].Action"),
            (allow(json!(["s3:GetObject", "admin:*"]), json!(["arn:aws:s3:::a/*"])), "Statement[0].Action"),
            (allow(json!(["s3:GetObject"]), json!(["arn:aws:s3:::b", "arn:aws:s3:::a?"])), "Statement[0].Resource[1]"),
            (json!([{ "Effect": "Allow", "Action": ["s3:GetObject"] }]), "Statement[0]"),
            (
                json!([{ "Effect": "Allow", "NotAction": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"] }]),
                "Statement[0]",
            ),
            (
                json!([{ "Effect": "Permit", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"] }]),
                "Statement[0]",
            ),
            (
                json!([{ "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["**"], "Conditon": {} }]),
                "Statement[0]",
            ),
            (
                json!([{ "Effect": "Deny", "Action": ["s3:GetObject"], "Resource": ["**"],
                    "Condition": { "StringEquals": { "s3:ExistingObjectTag/a": ["b"] } } }]),
                "Statement[0].Condition.StringEquals.s3:ExistingObjectTag/a",
            ),
            (
                json!([{ "Effect": "Deny", "Action": ["sts:*"],
                    "Condition": { "NumericGreaterThan": { "sts:DurationSeconds": [3600] } } }]),
                "Statement[0].Condition",
            ),
        ] {
            assert_eq!(translated(written.clone()).unwrap_err().member, member, "{written}");
        }
    }

    #[test]
    fn the_users_name_in_a_policy_is_known() {
        let policy =
            |resource: &str| translated(json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": resource }]));
        assert_eq!(policy("arn:aws:s3:::home/${aws:username}/*").unwrap().names, UserNameUse::Some);
        assert_eq!(policy("arn:aws:s3:::home/*").unwrap().names, UserNameUse::None);
    }

    #[test]
    fn a_policy_with_an_end_allows_nothing_after_it() {
        let written = json!([
            { "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::logs/*"] },
            { "Effect": "Deny", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::logs/old/*"] },
        ]);
        let policy = translated(written).and_then(|policy| policy.until("2027-06-01T00:00:00Z")).unwrap();
        let document = policy.document.unwrap();
        let principal = RequestPrincipal::user(AccountId::parse("123456789012").unwrap(), "alice");
        let allows = |time: &str, resource: &str| {
            let mut values = RequestValues::default();
            values.set(ConditionKey::parse("aws:CurrentTime").unwrap(), [time.to_owned()]);
            let request = AccessRequest::new(&principal, "s3:PutObject", resource, &values);
            let applicable = ApplicablePolicies {
                identity: vec![NamedPolicy { name: "policy", document: &document }],
                boundary: PermissionLimit::None,
                session: PermissionLimit::None,
                resource: ResourcePolicies::None,
            };
            matches!(decide(&request, &applicable), PolicyDecision::Allow(_))
        };
        assert!(allows("2027-05-31T23:59:59Z", "arn:aws:s3:::logs/a"));
        assert!(!allows("2027-06-01T00:00:00Z", "arn:aws:s3:::logs/a"));
        assert!(!allows("2027-05-31T23:59:59Z", "arn:aws:s3:::logs/old/a"));
        let dated = |key: &str| {
            translated(json!([{ "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["**"],
                "Condition": { key: { "aws:CurrentTime": ["2026-01-01T00:00:00Z"] } } }]))
        };
        let end = |key: &str| dated(key).unwrap().until("2027-06-01T00:00:00Z");
        assert!(end("DateGreaterThan").is_ok());
        assert_eq!(end("DateLessThan").unwrap_err().member, "Statement[0].Condition.DateLessThan");
        assert!(dated("DateGreaterThan").unwrap().until("in June").is_err());
    }

    #[test]
    fn what_minio_takes_for_no_policy_is_none() {
        for (policy, expected) in [
            (json!(null), true),
            (json!({}), true),
            (json!({ "Version": "", "Statement": null }), true),
            (json!({ "Version": "2012-10-17", "Statement": [] }), false),
            (json!({ "Statement": [{}] }), false),
            (json!({ "Other": 1 }), false),
        ] {
            assert_eq!(is_empty(&policy), expected, "{policy}");
        }
    }
}
