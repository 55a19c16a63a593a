//! Adding anything to a request never lowers what it needs.

use proptest::prelude::*;
use proptest::sample::select;

use crate::refused::check;
use crate::rig::{Ask, Rig};

/// One thing more in a request.
#[derive(Clone, Debug)]
enum Addition {
    Element(String),
    Header(String, String),
    QueryKey(String),
}

/// Requests that a protected bucket refuses unless a code comes along.
const GATED: &[(&str, &str)] = &[
    ("DELETE /vault/k?versionId=v1", ""),
    ("DELETE /vault/dir/", ""),
    ("DELETE /vault", ""),
    ("PUT /vault/dir/", "content"),
    ("POST /vault?delete", "<Delete><Object><Key>k</Key><VersionId>v1</VersionId></Object></Delete>"),
    ("POST /vault?delete", "<Delete><Object><Key>dir/</Key></Object></Delete>"),
    ("PUT /vault?versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
    ("PUT /vault?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    ("PUT /vault?policy", "{\"Statement\":[]}"),
    ("PUT /vault?lifecycle", "<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>"),
];

#[test]
fn whatever_is_added_to_a_gated_request_it_stays_gated() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rig = runtime.block_on(async {
        let rig = Rig::start().await;
        rig.protect("vault").await;
        rig
    });
    let additions = proptest::collection::vec(addition(), 0..3);
    check(250, &(select(GATED.to_vec()), additions), |((line, document), additions)| {
        let mut ask = Ask::new(line);
        let mut document = (*document).to_owned();
        for addition in additions {
            match addition {
                Addition::Element(text) => insert(&mut document, text),
                Addition::Header(name, value) => ask = ask.header(name, value),
                Addition::QueryKey(raw) => ask = ask.with_query(raw),
            }
        }
        let ask = ask.body(document);
        let reply = runtime.block_on(rig.send(&ask));
        let mut passed = rig.upstream.mutations();
        rig.upstream.forget();
        passed.retain(|seen| !is_another(&seen.target));
        assert_eq!(passed, [], "{ask:?}: {reply:?}");
    });
}

/// Whether a request for an object became one that leaves its versions alone, for every store: the end of
/// an upload that was never completed, a part of one, or a version's tags.
fn is_another(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let keys: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    path.starts_with("/vault/")
        && matches!(keys[..], ["uploadId"] | ["partNumber", "uploadId"] | ["tagging"] | ["tagging", "versionId"])
}

fn addition() -> impl Strategy<Value = Addition> {
    let keys = vec![
        "acl",
        "versioning",
        "versionId=",
        "versionId=v2",
        "versionid=v2",
        "uploadId=u",
        "uploads",
        "delete",
        "tagging",
        "x-id=GetObject",
        "x-id=DeleteObject",
        "legal-hold",
        "partNumber=1",
        "policy",
        "x",
        "=",
        "&",
        "%00",
        "list-type=2",
        "X-Amz-Signature=s",
        "x-amz-mfa=s%20123456",
        "metadata=true",
        "select",
        "select-type=2",
        "restore",
        "?",
        "a;b",
    ];
    let headers = vec![
        ("x-amz-copy-source", "vault/k"),
        ("x-amz-mfa", "s"),
        ("x-amz-mfa", "s 123456"),
        ("x-amz-acl", "private"),
        ("x-http-method-override", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-original-url", "/vault/k"),
        ("x-amz-security-token", "t"),
        ("x-minio-source-mtime", "1"),
        ("content-type", "multipart/form-data"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("if-match", "*"),
        ("x-amz-meta-a", "b"),
        ("expect", "100-continue"),
        ("x-amz-expected-bucket-owner", "123456789012"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-metadata-directive", "COPY"),
        ("content-encoding", "aws-chunked"),
        ("range", "bytes=0-1"),
        ("x-amz-decoded-content-length", "0"),
        ("connection", "x-amz-mfa"),
        ("cookie", "a=b"),
    ];
    let elements = vec![
        "<Quiet>true</Quiet>",
        "<VersionId>v2</VersionId>",
        "<VersionId/>",
        "<Key>other</Key>",
        "<!-- -->",
        "<?pi?>",
        "<Status>Enabled</Status>",
        "<MfaDelete>Disabled</MfaDelete>",
        "<Object><Key>k</Key></Object>",
        "<x/>",
        "&amp;",
        "<![CDATA[v]]>",
        " ",
        "<VersioningConfiguration/>",
        "text",
    ];
    prop_oneof![
        prop_oneof![select(keys).prop_map(str::to_owned), "[ -~&&[^ #]]{1,12}"].prop_map(Addition::QueryKey),
        prop_oneof![
            select(headers).prop_map(|(name, value)| (name.to_owned(), value.to_owned())),
            ("x-(amz|minio|rgw|rustfs)-[a-z-]{1,8}[a-z]", "[a-zA-Z0-9]{0,8}"),
        ]
        .prop_map(|(name, value)| Addition::Header(name, value)),
        select(elements).prop_map(|text| Addition::Element(text.to_owned())),
    ]
}

/// Puts a text after the first tag that is closed, or before everything.
fn insert(document: &mut String, text: &str) {
    let place = document.rfind("</").unwrap_or(0);
    document.insert_str(place, text);
}
