//! Requests of every operation: odd names, odd encodings, odd documents, and now and then a byte that is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_s3::documents::DocumentGrammar;
use portcullis_s3::documents::grammar::{ElementInner, ElementRule, ElementTimes};
use portcullis_s3::{OperationBody, OperationMark, RequestHandling, S3Operation, TargetLevel, UpstreamKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A request as a client sends it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What goes wrong with a target.
#[derive(Clone, Debug)]
enum Accident {
    Insert(usize, char),
    None,
    Swap(usize, char),
}

/// Requests of operations that are sent to this upstream.
pub(crate) fn sent(upstream: UpstreamKind) -> impl Strategy<Value = Sent> {
    let actions: Vec<S3Operation> =
        S3Operation::ALL.iter().copied().filter(|action| is_sent(*action, upstream)).collect();
    select(actions).prop_flat_map(move |action| {
        (target(action, upstream), headers(action), body(action), accident()).prop_map(
            move |(target, mut headers, body, accident)| {
                headers.dedup_by(|one, other| one.0 == other.0);
                if !body.is_empty() {
                    headers.push(("content-length".to_owned(), body.len().to_string()));
                }
                let method = action.row().method.as_str().to_owned();
                Sent { method, target: spoilt(target, &accident), headers, body }
            },
        )
    })
}

/// Whether requests for this operation are sent to this upstream.
pub(crate) fn is_sent(action: S3Operation, upstream: UpstreamKind) -> bool {
    matches!(upstream.handling(action), RequestHandling::Forwarded | RequestHandling::ForwardedElse(_))
}

fn target(action: S3Operation, upstream: UpstreamKind) -> impl Strategy<Value = String> {
    let row = action.row();
    let place = match row.level {
        TargetLevel::Any | TargetLevel::Service => Just("/".to_owned()).boxed(),
        TargetLevel::Bucket => {
            (bucket(), select(vec!["", "/"])).prop_map(|(bucket, end)| format!("/{bucket}{end}")).boxed()
        }
        TargetLevel::Object => {
            (bucket(), key().prop_flat_map(encoded)).prop_map(|(bucket, key)| format!("/{bucket}/{key}")).boxed()
        }
    };
    let marks = row.marks.iter().filter_map(|mark| match mark {
        OperationMark::Exactly(key, value) => Some(Just(format!("{key}={value}")).boxed()),
        OperationMark::Flag(key) => Some(select(vec![(*key).to_owned(), format!("{key}=")]).boxed()),
        OperationMark::Value("partNumber") => {
            Some((1_u32..10_001).prop_map(|number| format!("partNumber={number}")).boxed())
        }
        OperationMark::Value("uploadId") => Some(upload_id(upstream).prop_map(|id| format!("uploadId={id}")).boxed()),
        OperationMark::Value(key) => {
            Some(text().prop_flat_map(encoded).prop_map(move |text| format!("{key}=u{text}")).boxed())
        }
        OperationMark::Header(_) | OperationMark::Path(_) => None,
    });
    let optional = row.query.iter().copied().flatten().map(|key| optional(parameter(key)));
    let pairs: Vec<BoxedStrategy<Option<String>>> =
        marks.map(|mark| mark.prop_map(Some).boxed()).chain(optional.map(Strategy::boxed)).collect();
    (place, pairs, any::<bool>()).prop_map(|(place, pairs, turned)| {
        let mut pairs: Vec<String> = pairs.into_iter().flatten().collect();
        if turned {
            pairs.reverse();
        }
        if pairs.is_empty() { place } else { format!("{place}?{}", pairs.join("&")) }
    })
}

/// Mostly as stores of this kind give them out, now and then a path or another key's.
fn upload_id(upstream: UpstreamKind) -> BoxedStrategy<String> {
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let own = match upstream {
        UpstreamKind::Aws | UpstreamKind::Generic => "[A-Za-z0-9_-]{1,40}".boxed(),
        UpstreamKind::Ceph => "2~[A-Za-z0-9_-]{1,32}".boxed(),
        UpstreamKind::Embedded => "[0-9a-f]{32}".boxed(),
        UpstreamKind::Minio => {
            (uuid, uuid, 0_u64..).prop_map(|(one, two, at)| URL_SAFE_NO_PAD.encode(format!("{one}.{two}x{at}"))).boxed()
        }
    };
    let path = "[a-z.]{0,8}(\\.\\./){0,4}[a-z/]{0,12}";
    let forged = prop_oneof![
        path.prop_map(|path| URL_SAFE_NO_PAD.encode(path)),
        (own.clone(), path).prop_map(|(own, path)| format!("{own}{path}")),
        (path, own.clone()).prop_map(|(path, own)| format!("{path}.{own}")),
        text(),
    ];
    prop_oneof![3 => own, 1 => forged.prop_flat_map(encoded)].boxed()
}

fn parameter(key: &'static str) -> BoxedStrategy<String> {
    match key {
        "versionId" => version().prop_map(|version| format!("versionId={version}")).boxed(),
        "encoding-type" => Just("encoding-type=url".to_owned()).boxed(),
        "fetch-owner" => select(vec!["fetch-owner=true".to_owned(), "fetch-owner=false".to_owned()]).boxed(),
        "partNumber" | "part-number-marker" => (1_u32..1000).prop_map(move |number| format!("{key}={number}")).boxed(),
        _ if key.starts_with("max-") => (0_u32..1000).prop_map(move |number| format!("{key}={number}")).boxed(),
        _ => text().prop_flat_map(encoded).prop_map(move |text| format!("{key}={text}")).boxed(),
    }
}

fn headers(action: S3Operation) -> impl Strategy<Value = Vec<(String, String)>> {
    let row = action.row();
    let must_copy = row.marks.iter().any(|mark| matches!(mark, OperationMark::Header(_)));
    let own: Vec<BoxedStrategy<Option<(String, String)>>> = row
        .headers
        .iter()
        .copied()
        .flatten()
        .map(|name| {
            let header = header(name);
            if must_copy && *name == "x-amz-copy-source" {
                header.prop_map(Some).boxed()
            } else {
                optional(header).boxed()
            }
        })
        .collect();
    let stray = select(vec![
        ("x_amz_copy_source", "vault/k"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-amz-date", "20270101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-mfa", "s 123456"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("content-type", "application/x-www-form-urlencoded"),
        ("expect", "100-continue"),
        ("authorization", "AWS4-HMAC-SHA256 x"),
        ("date", "now"),
        ("x-http-method-override", "DELETE"),
    ]);
    (own, optional(stray)).prop_map(|(own, stray)| {
        let mut headers: Vec<(String, String)> = own.into_iter().flatten().collect();
        if let Some((name, value)) = stray
            && headers.iter().all(|(known, _)| known != name)
        {
            headers.push((name.to_owned(), value.to_owned()));
        }
        headers
    })
}

fn header(name: &'static str) -> BoxedStrategy<(String, String)> {
    if name == "x-amz-copy-source" {
        let version =
            optional(version()).prop_map(|version| version.map_or(String::new(), |id| format!("?versionId={id}")));
        let source = (select(vec!["", "/"]), bucket(), select(vec!["/", "%2F"]), key().prop_flat_map(encoded), version);
        let written =
            source.prop_map(|(lead, bucket, slash, key, version)| format!("{lead}{bucket}{slash}{key}{version}"));
        return written.prop_map(move |value| (name.to_owned(), value)).boxed();
    }
    if name.ends_with('-') {
        return ("[a-z_]{1,8}", value()).prop_map(move |(rest, value)| (format!("{name}{rest}"), value)).boxed();
    }
    if name.ends_with("expected-bucket-owner") {
        return Just((name.to_owned(), "123456789012".to_owned())).boxed();
    }
    value().prop_map(move |value| (name.to_owned(), value)).boxed()
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{1,12}", "[!-~]( {1,3}[!-~]){1,3}"]
}

fn body(action: S3Operation) -> BoxedStrategy<Vec<u8>> {
    match action.row().body {
        OperationBody::Nothing => Just(Vec::new()).boxed(),
        OperationBody::Payload => vec(any::<u8>(), 1..40).boxed(),
        OperationBody::Policy => text()
            .prop_map(|text| serde_json::json!({ "Statement": [{ "Sid": text }] }).to_string().into_bytes())
            .boxed(),
        OperationBody::Document(grammar) => document(grammar),
        OperationBody::OptionalDocument(grammar) => prop_oneof![Just(Vec::new()), document(grammar)].boxed(),
    }
}

fn document(grammar: &'static DocumentGrammar) -> BoxedStrategy<Vec<u8>> {
    let lead = select(vec!["", "\u{feff}", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"]);
    let space = select(vec!["", " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""]);
    (lead, space, elements(grammar.elements))
        .prop_map(move |(lead, space, inner)| format!("{lead}<{0}{space}>{inner}</{0}>", grammar.root).into_bytes())
        .boxed()
}

fn elements(rules: &'static [ElementRule]) -> BoxedStrategy<String> {
    let children: Vec<BoxedStrategy<String>> = rules
        .iter()
        .map(|rule| {
            let one = element(rule);
            match (rule.times, rule.name) {
                // Without these the document is none, or rarely one.
                (ElementTimes::Many, "Object" | "Part") => vec(one, 1..3).prop_map(|all| all.concat()).boxed(),
                (ElementTimes::Once, "ETag" | "Key" | "PartNumber" | "Status") => one,
                (ElementTimes::Many, _) => vec(one, 0..3).prop_map(|all| all.concat()).boxed(),
                (ElementTimes::Once, _) => prop_oneof![1 => Just(String::new()), 3 => one].boxed(),
            }
        })
        .collect();
    (children, select(vec!["", "\n  ", "<!-- a -->"])).prop_map(|(children, between)| children.join(between)).boxed()
}

fn element(rule: &'static ElementRule) -> BoxedStrategy<String> {
    let name = rule.name;
    let inner = match rule.inner {
        ElementInner::Elements(rules) => elements(rules),
        ElementInner::Text => match name {
            "Status" => select(vec!["Enabled", "Suspended", "ON", "OFF"]).prop_map(str::to_owned).boxed(),
            "ETag" => "[a-z\"-]{1,8}".prop_map(|tag| escaped(&tag)).boxed(),
            "MfaDelete" => select(vec!["Enabled", "Disabled"]).prop_map(str::to_owned).boxed(),
            "Mode" => Just("GOVERNANCE".to_owned()).boxed(),
            "RetainUntilDate" => Just("2030-01-01T00:00:00Z".to_owned()).boxed(),
            "PartNumber" => (1_u32..10_001).prop_map(|number| number.to_string()).boxed(),
            "Quiet" => Just("true".to_owned()).boxed(),
            "VersionId" => version().boxed(),
            _ if name.starts_with("Block") || name.starts_with("Ignore") || name.starts_with("Restrict") => {
                select(vec!["true", "false"]).prop_map(str::to_owned).boxed()
            }
            "Key" => key().prop_map(|key| escaped(&key)).boxed(),
            _ => text().prop_map(|text| escaped(&text)).boxed(),
        },
    };
    inner.prop_map(move |inner| format!("<{name}>{inner}</{name}>")).boxed()
}

/// Escapes what must be, and the first character by its number.
fn escaped(text: &str) -> String {
    let escape = |(place, character): (usize, char)| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other if place == 0 => format!("&#{};", u32::from(other)),
        other => other.to_string(),
    };
    text.chars().enumerate().map(escape).collect()
}

fn bucket() -> impl Strategy<Value = String> {
    prop_oneof![Just("vault".to_owned()), "[a-z0-9][a-z0-9.-]{1,6}[a-z0-9]"]
}

fn key() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "/",
        "//",
        ".",
        "..",
        "a/../b",
        "dir/",
        "/k",
        "a//b",
        "a\\..\\b",
        "?versionId=v",
        "a?b",
        "a#b",
        "a&b=c",
        "a;b",
        "a+b",
        "a b",
        " a",
        "a ",
        "%2F",
        "%",
        "__XLDIR__",
        "a__XLDIR__/",
        "é",
        "日本",
        "\u{85}",
        "\u{2028}",
        "\u{fffe}",
        "a:b",
        "null",
        "]]>",
        "<a>",
        "&amp;",
        "'",
        "\"",
        "~",
        "uploads",
        "a*b",
        "(a)",
        "a,b",
        "a\u{301}",
        "😀",
    ]);
    let plain = "[a-zA-Z0-9._/-]{1,12}";
    prop_oneof![
        ".{1,8}",
        odd.clone().prop_map(str::to_owned),
        plain,
        (plain, odd, plain).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9]{1,8}", key(), "[ -~]{0,8}"]
}

fn version() -> impl Strategy<Value = String> {
    let odd = vec![
        "null",
        "NULL",
        "00000000-0000-0000-0000-000000000000",
        "3HL4kqtJvjVBH40Nrjfkd",
        "-",
        "v1",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "0F8FAD5B-D9CB-469F-A165-70867728950E",
        "TZTpj92WIKvF4Lk.NSgNG0fnq-RbK1M.",
        "TZTpj92WIKvF4Lk.NSgNG0fnq-RbK1M._a",
    ];
    prop_oneof![select(odd).prop_map(str::to_owned), "[a-zA-Z0-9._-]{1,16}"]
}

/// Percent-encodes a text as some client does: more or less of it, in upper or lower case.
fn encoded(text: String) -> impl Strategy<Value = String> {
    (any::<bool>(), any::<bool>()).prop_map(move |(all, lower)| {
        let plain = |byte: u8| match all {
            true => false,
            false => byte.is_ascii_alphanumeric() || b"-._~/!$'()*,:@".contains(&byte),
        };
        let encode = |byte: u8| match (plain(byte), lower) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02x}"),
            (false, false) => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    })
}

fn optional<S: Strategy>(strategy: S) -> impl Strategy<Value = Option<S::Value>> {
    proptest::option::weighted(0.2, strategy)
}

fn accident() -> impl Strategy<Value = Accident> {
    let character = select("%&=?/;:+.#vV0 ".chars().collect::<Vec<_>>());
    prop_oneof![
        6 => Just(Accident::None),
        1 => (any::<prop::sample::Index>(), character.clone()).prop_map(|(place, c)| Accident::Insert(place.index(64), c)),
        1 => (any::<prop::sample::Index>(), character).prop_map(|(place, c)| Accident::Swap(place.index(64), c)),
    ]
}

fn spoilt(mut target: String, accident: &Accident) -> String {
    match accident {
        Accident::Insert(place, character) if target.is_char_boundary(*place) => target.insert(*place, *character),
        Accident::Swap(place, character) if target.is_char_boundary(*place) && *place < target.len() => {
            target.remove(*place);
            target.insert(*place, *character);
        }
        Accident::Insert(..) | Accident::None | Accident::Swap(..) => {}
    }
    target
}
