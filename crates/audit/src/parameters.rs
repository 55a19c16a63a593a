//! `requestParameters`, made the way S3 makes them: query, chosen headers, and the document as JSON.

use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::{LenientEvent, LenientReader, LenientTag};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::order;
use portcullis_base::percent::percent_decode;
use portcullis_cloudtrail::record::{ForeignName, JsonObject, write_truncated, write_value};
use portcullis_http::{QueryString, RequestHeaders};
use portcullis_s3::{MfaDeleteChange, VersioningDocument, VersioningStatus};

/// The document of a configuration write.
#[derive(Clone, Copy, Debug)]
pub enum ConfigurationDocument<'a> {
    None,
    /// A bucket policy, in JSON.
    Policy(&'a [u8]),
    Versioning(VersioningDocument),
    /// Any other document S3 knows.
    Xml(&'a [u8]),
}

const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 4096;
/// Together with the longest document less than the 100 KB that AWS allows.
const LONGEST_MEMBERS: usize = 32 * 1024;
const LONGEST_DOCUMENT: usize = 64 * 1024;
/// What AWS writes in place of a secret.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Headers shown by the start of their names.
const SHOWN: &[&str] = &[
    "x-amz-acl",
    "x-amz-bucket-object-lock-",
    "x-amz-bypass-governance-retention",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-type",
    "x-amz-confirm-remove-self-bucket-access",
    "x-amz-copy-source",
    "x-amz-expected-bucket-owner",
    "x-amz-grant-",
    "x-amz-if-match-",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-object-lock-",
    "x-amz-object-ownership",
    "x-amz-rename-source",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-server-side-encryption",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

/// Words that no name may hold whose value is written.
const SECRET: &[&str] =
    &["authorization", "credential", "customer-key", "mfa", "password", "secret", "security-token", "signature"];

/// Words that no member of a document may hold whose value is a text to be written.
const SECRET_MEMBERS: &[&str] =
    &["authenticationcode", "password", "qrcode", "secret", "seed", "sessiontoken", "signature", "tokencode"];

/// Writes the query as it was sent, without what signs it.
pub(crate) fn write_query(members: &mut Vec<u8>, query: &QueryString) {
    for (name, value) in query.pairs().iter().filter(|(name, _)| !is_secret(name)) {
        // Members of ours, and the roots of documents, begin otherwise: none can be put in their place.
        if collides(name) {
            write_text(members, &["query:", name].concat(), value);
        } else {
            write_text(members, name, value);
        }
    }
}

/// Writes the chosen headers; `query` tells which names are taken.
pub(crate) fn write_headers(members: &mut Vec<u8>, headers: &RequestHeaders, query: &QueryString) {
    for (name, value) in headers.iter() {
        let name = name.as_str();
        // The two that every request has, before the longer look.
        let usual = matches!(name, "x-amz-content-sha256" | "x-amz-date") || !name.starts_with("x-amz-");
        if usual || !SHOWN.iter().any(|shown| name.starts_with(shown)) || is_secret(name) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        if query.has(name) {
            write_text(members, &["header:", name].concat(), &value);
        } else {
            write_text(members, name, &value);
        }
    }
}

/// Writes the document.
pub(crate) fn write_document(members: &mut Vec<u8>, document: ConfigurationDocument<'_>) {
    match document {
        ConfigurationDocument::None => {}
        ConfigurationDocument::Policy(bytes) => match serde_json::from_slice(bytes) {
            Ok(policy) => write_tree(members, "bucketPolicy", &policy),
            Err(_) => write_unreadable(members, "bucketPolicy", bytes),
        },
        ConfigurationDocument::Versioning(document) => {
            write_tree(members, "VersioningConfiguration", &versioning_tree(document));
        }
        ConfigurationDocument::Xml(bytes) => match read_xml(bytes) {
            Some((root, tree)) => write_tree(members, &root, &tree),
            None => write_unreadable(members, "document", bytes),
        },
    }
}

/// Writes the parameters of a control API.
pub(crate) fn write_members(members: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                if is_secret_member(name) {
                    write_text(members, name, HIDDEN);
                } else {
                    write_tree(members, name, value);
                }
            }
        }
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// A malformed target, without what may be its signature.
pub(crate) fn redacted(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let pairs = query.split_inclusive(['&', ';']).map(|pair| {
        let mut readable = pair.to_owned();
        // Encoded twice, it may still be a valid signature.
        for _ in 0..3 {
            readable = percent_decode(&readable).unwrap_or_else(|| HIDDEN.to_owned());
        }
        if is_secret(&readable) || readable.contains(HIDDEN) { "-&" } else { pair }
    });
    [path, "?"].into_iter().chain(pairs).collect()
}

/// Whether a query key or a header signs, proves or encrypts.
fn is_secret(name: &str) -> bool {
    // A handful of short names each request: a plain search beats one that prepares itself.
    let holds =
        |secret: &&str| name.as_bytes().windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()));
    SECRET.iter().any(holds)
}

/// Whether a member of a document is a secret; names with a colon are a policy's conditions.
fn is_secret_member(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.contains(':') && SECRET_MEMBERS.iter().any(|secret| name.contains(secret))
}

fn collides(name: &str) -> bool {
    let ours =
        matches!(name, "bucketName" | "bucketPolicy" | "document" | "httpMethod" | "key" | "requestURI" | "truncated");
    ours || name.starts_with(|first: char| first.is_ascii_uppercase()) && !name.starts_with("X-Amz-")
        || name.contains(':')
}

fn write_text(members: &mut Vec<u8>, name: &str, value: &str) {
    if members.len() > LONGEST_MEMBERS {
        return;
    }
    let hashed;
    let name = if name.len() > LONGEST_NAME {
        // Cut short, two names could be one.
        hashed = format!("sha256:{}", hex::encode(Sha256::digest(name)));
        &hashed
    } else {
        name
    };
    let mut object = JsonObject::members(members);
    if value.len() > LONGEST_VALUE {
        object.object(ForeignName(name), |object| write_truncated(object, value.as_bytes()));
    } else {
        object.text(ForeignName(name), value);
    }
    if members.len() > LONGEST_MEMBERS {
        JsonObject::members(members).boolean("truncated", true);
    }
}

fn write_tree(members: &mut Vec<u8>, name: &str, value: &Value) {
    let value = order::of_filled_maps(hidden(value));
    let mut json = Vec::new();
    write_value(&mut json, &value);
    let mut object = JsonObject::members(members);
    if json.len() > LONGEST_DOCUMENT {
        object.object(ForeignName(name), |object| write_truncated(object, &json));
    } else {
        object.raw(ForeignName(name), &json);
    }
}

fn write_unreadable(members: &mut Vec<u8>, name: &'static str, bytes: &[u8]) {
    JsonObject::members(members).object(name, |object| write_truncated(object, bytes));
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(hidden).collect()),
        Value::Object(members) => {
            let hide = |(name, value): (&String, &Value)| {
                let value = if is_secret_member(name) && !value.is_object() && !value.is_array() {
                    Value::from(HIDDEN)
                } else {
                    hidden(value)
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(hide).collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn versioning_tree(document: VersioningDocument) -> Value {
    let mut tree = Map::new();
    tree.insert("xmlns".to_owned(), NAMESPACE.into());
    let status = match document.status {
        VersioningStatus::Enabled => "Enabled",
        VersioningStatus::Suspended => "Suspended",
    };
    tree.insert("Status".to_owned(), status.into());
    match document.mfa_delete {
        MfaDeleteChange::Disable => tree.insert("MfaDelete".to_owned(), "Disabled".into()),
        MfaDeleteChange::Enable => tree.insert("MfaDelete".to_owned(), "Enabled".into()),
        MfaDeleteChange::Keep => None,
    };
    Value::Object(tree)
}

/// An element being read.
#[derive(Debug, Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// Reads a document as `XML.toJSONObject` of org.json does: attributes and children are members, children of
/// one name an array, an empty element is an empty string.
fn read_xml(bytes: &[u8]) -> Option<(String, Value)> {
    let mut reader = LenientReader::new(bytes).ok()?;
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    while let Some(event) = reader.next_event().ok()? {
        match event {
            LenientEvent::Character(character) => add_text(&mut open, character.encode_utf8(&mut [0; 4]))?,
            LenientEvent::Close => {
                let element = open.pop()?;
                close(element, &mut open, &mut root);
            }
            LenientEvent::Open(_) if root.is_some() => return None,
            LenientEvent::Open(tag) => open.push(Element::read(&tag)?),
            LenientEvent::Text(text) => add_text(&mut open, &text.normalized())?,
        }
    }
    root.filter(|_| open.is_empty())
}

fn add_text(open: &mut [Element], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn close(element: Element, open: &mut [Element], root: &mut Option<(String, Value)>) {
    let name = element.name.clone();
    let value = element.value();
    match open.last_mut() {
        Some(parent) => parent.add(name, value),
        None => *root = Some((name, value)),
    }
}

impl Element {
    fn read(tag: &LenientTag<'_>) -> Option<Self> {
        let mut element = Self { name: tag.name().to_owned(), ..Self::default() };
        for (name, value) in tag.attributes().ok()? {
            let value = scalar(&value);
            element.add(name, value);
        }
        Some(element)
    }

    fn add(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            None => {
                self.members.insert(name, value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(single) => *single = Value::Array(vec![single.take(), value]),
        }
    }

    fn value(mut self) -> Value {
        let text = self.text.trim();
        if self.members.is_empty() {
            return scalar(text);
        }
        if !text.is_empty() {
            let text = scalar(text);
            self.add("content".to_owned(), text);
        }
        Value::Object(self.members)
    }
}

/// `true`, `false` and whole numbers lose their quotes.
fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match text.parse::<i64>() {
            // `007` and `+7` stay as they were written.
            Ok(number) if number.to_string() == text => number.into(),
            Ok(_) | Err(_) => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(members: &[u8]) -> Value {
        serde_json::from_slice(&[b"{", members, b"}"].concat()).expect("JSON")
    }

    fn document(configuration: ConfigurationDocument<'_>) -> String {
        let mut members = Vec::new();
        write_document(&mut members, configuration);
        object(&members).to_string()
    }

    fn query(raw: &str) -> String {
        let mut members = Vec::new();
        write_query(&mut members, &QueryString::parse(raw).expect("legal"));
        object(&members).to_string()
    }

    #[test]
    fn a_query_is_written_as_it_was_sent_without_what_signs_it() {
        let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101&X-Amz-Date=20260101T000000Z\
                      &X-Amz-Expires=300&X-Amz-Security-Token=t&X-Amz-SignedHeaders=host&X-Amz-Signature=feed\
                      &x-amz-mfa=a%20123456&versionId=v&acl";
        assert_eq!(
            query(signed),
            r#"{"X-Amz-Algorithm":"AWS4-HMAC-SHA256","X-Amz-Date":"20260101T000000Z","X-Amz-Expires":"300","X-Amz-SignedHeaders":"host","versionId":"v","acl":""}"#
        );
    }

    #[test]
    fn a_query_key_cannot_stand_in_for_a_member_of_ours() {
        assert_eq!(
            query("key=other&bucketName=b&Host=h&Tagging=x"),
            r#"{"query:key":"other","query:bucketName":"b","query:Host":"h","query:Tagging":"x"}"#
        );
    }

    #[test]
    fn a_long_value_is_known_by_its_hash() {
        let text = query(&format!("prefix={}", "p".repeat(5000)));
        assert!(text.contains(r#""truncated":true"#) && text.contains(r#""len":5000"#) && text.len() < 200, "{text}");
    }

    #[test]
    fn names_too_long_stay_apart() {
        let long = "n".repeat(5000);
        let text = query(&format!("{long}a=1&{long}b=2"));
        assert_eq!(text.matches("sha256:").count(), 2);
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn of_the_headers_only_those_that_say_what_is_asked_are_written() {
        let sent = [
            ("authorization", "AWS4-HMAC-SHA256 Signature=feed"),
            ("x-amz-mfa", "serial 123456"),
            ("x-amz-server-side-encryption-customer-key", "a2V5"),
            ("x-amz-server-side-encryption-customer-key-md5", "bWQ1"),
            ("x-amz-copy-source-server-side-encryption-customer-key", "a2V5"),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-acl", "private"),
            ("x-amz-security-token", "token"),
            ("x-amz-meta-note", "private note"),
            ("x-amz-date", "20260101T000000Z"),
        ];
        let mut map = http::HeaderMap::new();
        for (name, value) in sent {
            map.insert(name, http::HeaderValue::from_static(value));
        }
        let mut members = Vec::new();
        write_headers(&mut members, &RequestHeaders::read(&map).expect("legal"), &QueryString::default());
        let mut names: Vec<_> = object(&members).as_object().expect("an object").keys().cloned().collect();
        names.sort();
        assert_eq!(names, ["x-amz-acl", "x-amz-server-side-encryption-customer-algorithm"]);
    }

    #[test]
    fn a_document_becomes_json_as_aws_shows_it() {
        let xml = br#"<?xml version="1.0"?><LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Rule><ID>nuke &amp; go</ID><Filter><Prefix>*</Prefix></Filter><Status>Enabled</Status>
            <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"#;
        assert_eq!(
            document(ConfigurationDocument::Xml(xml)),
            r#"{"LifecycleConfiguration":{"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/","Rule":{"Status":"Enabled","Filter":{"Prefix":"*"},"Expiration":{"Days":1},"ID":"nuke & go"}}}"#
        );
        let xml = b"<Tagging><TagSet><Tag><Key>StratusRedTeam</Key><Value>true</Value></Tag><Tag><Key>b</Key><Value/></Tag></TagSet></Tagging>";
        assert_eq!(
            document(ConfigurationDocument::Xml(xml)),
            r#"{"Tagging":{"TagSet":{"Tag":[{"Value":true,"Key":"StratusRedTeam"},{"Value":"","Key":"b"}]}}}"#
        );
    }

    #[test]
    fn a_document_that_cannot_be_read_is_known_by_its_hash() {
        for xml in ["<a>", "<!DOCTYPE a><a/>", "<a/><b/>", "text", "<a>&own;</a>"] {
            assert!(document(ConfigurationDocument::Xml(xml.as_bytes())).contains("sha256"), "{xml}");
        }
        assert!(document(ConfigurationDocument::Policy(b"{")).contains("sha256"));
    }

    #[test]
    fn a_policy_is_shown_parsed() {
        let policy = br#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}]}"#;
        let shown: Value = serde_json::from_str(&document(ConfigurationDocument::Policy(policy))).expect("JSON");
        let policy: Value = serde_json::from_slice(policy).expect("JSON");
        assert_eq!(shown, serde_json::json!({ "bucketPolicy": policy }));
    }

    #[test]
    fn mfa_delete_in_a_versioning_document_is_shown() {
        let change = VersioningDocument { status: VersioningStatus::Enabled, mfa_delete: MfaDeleteChange::Enable };
        assert_eq!(
            document(ConfigurationDocument::Versioning(change)),
            r#"{"VersioningConfiguration":{"Status":"Enabled","xmlns":"http://s3.amazonaws.com/doc/2006-03-01/","MfaDelete":"Enabled"}}"#
        );
    }

    #[test]
    fn codes_and_seeds_of_the_control_api_are_hidden() {
        let sent = serde_json::json!({
            "userName": "alice", "authenticationCode1": "123456", "AuthenticationCode2": "234567",
            "Base32StringSeed": "JBSWY3DP", "accessKey": {"accessKeyId": "AKIA", "secretAccessKey": "wJalr"}, "virtualMFADeviceName": "phone",
        });
        let mut members = Vec::new();
        write_members(&mut members, &sent);
        let text = object(&members).to_string();
        for secret in ["123456", "234567", "JBSWY3DP", "wJalr"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("alice") && text.contains("phone") && text.contains(r#""accessKeyId":"AKIA""#), "{text}");
    }

    #[test]
    fn a_target_nobody_could_read_shows_no_signature() {
        let target = "/b/k?a=1&X-Amz-Signature=feed1&b=2;x-amz-signature=feed2&%58-Amz-Signature=feed3\
                      &%2558-Amz-Signature=feed4&Signature=feed5&x=%zzfeed6&c=3";
        let text = redacted(target);
        assert!(!text.contains("feed"), "{text}");
        assert!(text.starts_with("/b/k?a=1&") && text.ends_with("c=3"), "{text}");
    }

    proptest! {
        #[test]
        fn any_document_gives_json(text in "(<a>|</a>|<b c='d'>|</b>|&amp;|[a-z0-9&<]){0,12}") {
            document(ConfigurationDocument::Xml(text.as_bytes()));
            document(ConfigurationDocument::Policy(text.as_bytes()));
        }
    }
}
