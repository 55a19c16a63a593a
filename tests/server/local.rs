//! What a store does not have is answered here, and never asked of a store that would take it for something else.

use crate::rig::{Ask, Content, Manner, Rig, exchange};
use portcullis_s3::UpstreamKind;

/// Deletes that MinIO, or Ceph, takes for a DELETE of the bucket.
const MISTAKEN: &[(UpstreamKind, &[&str])] = &[
    (
        UpstreamKind::Minio,
        &[
            "analytics&id=a",
            "intelligent-tiering&id=a",
            "inventory&id=a",
            "metadataConfiguration",
            "metadataTable",
            "metrics&id=a",
            "ownershipControls",
            "publicAccessBlock",
        ],
    ),
    (UpstreamKind::Ceph, &["analytics&id=a", "encryption", "inventory&id=a", "metrics&id=a", "ownershipControls"]),
    (
        UpstreamKind::Generic,
        &["analytics&id=a", "encryption", "inventory&id=a", "ownershipControls", "publicAccessBlock", "website"],
    ),
    (UpstreamKind::Embedded, &["analytics&id=a", "metadataConfiguration", "replication", "website"]),
];

/// Reads of what is not configured: an error's code, or an element that the document has.
const READ: &[(&str, u16, &str)] = &[
    ("abac", 200, "<Status>Disabled</Status>"),
    ("accelerate", 200, "AccelerateConfiguration"),
    ("analytics", 200, "<IsTruncated>false</IsTruncated>"),
    ("analytics&id=a", 404, "NoSuchConfiguration"),
    ("encryption", 404, "ServerSideEncryptionConfigurationNotFoundError"),
    ("intelligent-tiering&id=a", 404, "NoSuchConfiguration"),
    ("inventory", 200, "ListInventoryConfigurationsResult"),
    ("inventory&id=a", 404, "NoSuchConfiguration"),
    ("logging", 200, "BucketLoggingStatus"),
    ("metadataTable", 404, "MetadataConfigurationNotFound"),
    ("metrics", 200, "ListMetricsConfigurationsResult"),
    ("metrics&id=a", 404, "NoSuchConfiguration"),
    ("ownershipControls", 404, "OwnershipControlsNotFoundError"),
    ("publicAccessBlock", 404, "NoSuchPublicAccessBlockConfiguration"),
    ("requestPayment", 200, "<Payer>BucketOwner</Payer>"),
    ("website", 404, "NoSuchWebsiteConfiguration"),
];

#[tokio::test]
async fn a_configuration_that_the_store_cannot_have_is_removed_without_asking_the_store() {
    for (profile, keys) in MISTAKEN {
        let rig = Rig::of(*profile).await;
        for key in *keys {
            let reply = rig.send(&Ask::new(&format!("DELETE /vault?{key}"))).await;
            assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{profile:?} {key}");
        }
        let lines: Vec<_> = rig.upstream.seen().iter().map(|seen| seen.line()).collect();
        assert_eq!(lines, vec!["HEAD /vault"; keys.len()], "{profile:?}");
        let events = rig.events();
        assert_eq!(events.len(), keys.len());
        for event in &events {
            let (name, error) = event.said();
            assert!(name.starts_with("DeleteBucket") && name != "DeleteBucket" && error.is_empty(), "{event:?}");
        }
    }
}

#[tokio::test]
async fn a_protected_bucket_answers_no_removal_without_a_code() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    rig.protect("vault").await;
    let alice = rig.user("alice").await;
    let ask = Ask::new("DELETE /vault?publicAccessBlock");
    assert_eq!(rig.send(&ask).await.said(), (403, "AccessDenied".to_owned()));
    let coded = ask.header("x-amz-mfa", &rig.fresh_offer());
    let by_alice = exchange(rig.address, &coded.signed(&alice, rig.now())).await;
    assert_eq!(by_alice.said(), (403, "AccessDenied".to_owned()));
    assert_eq!(rig.send(&coded).await.status, 204);
    assert_eq!(rig.upstream.mutations(), []);
}

#[tokio::test]
async fn what_is_not_configured_is_read_as_aws_answers() {
    // This one keeps the last two, but is free to decline them.
    let rig = Rig::of(UpstreamKind::Generic).await;
    for (key, status, text) in READ {
        let reply = rig.send(&Ask::new(&format!("GET /vault?{key}"))).await;
        assert_eq!(reply.status, *status, "{key}: {reply:?}");
        assert!(reply.body.contains(text), "{key}: {reply:?}");
    }
    let lines: Vec<_> = rig.upstream.seen().iter().map(|seen| seen.line()).collect();
    assert_eq!(lines, vec!["HEAD /vault"; READ.len()]);
    let said: Vec<_> = rig.events().iter().map(|event| event.said().1.to_owned()).collect();
    let codes: Vec<_> = READ.iter().map(|(_, status, text)| if *status == 404 { *text } else { "" }).collect();
    assert_eq!(said, codes);
}

#[tokio::test]
async fn what_the_store_declines_to_tell_is_not_configured() {
    let rig = Rig::of(UpstreamKind::Ceph).await;
    rig.upstream.answer_read("GET /vault?website=", 405, &[]);
    let reply = rig.send(&Ask::new("GET /vault?website")).await;
    assert_eq!(reply.said(), (404, "NoSuchWebsiteConfiguration".to_owned()));
    rig.upstream.answer_read_with("GET /vault?website=", 200, "<WebsiteConfiguration/>");
    assert_eq!(rig.send(&Ask::new("GET /vault?website")).await.status, 200);
    rig.upstream.answer_read_with("GET /vault?website=", 403, "<Error><Code>AccessDenied</Code></Error>");
    assert_eq!(rig.send(&Ask::new("GET /vault?website")).await.said(), (403, "AccessDenied".to_owned()));

    let rig = Rig::of(UpstreamKind::Minio).await;
    rig.upstream.answer(Manner::Refuse(501, "NotImplemented"));
    assert_eq!(rig.send(&Ask::new("DELETE /vault?cors")).await.status, 204);
    // Whether a policy is there is not known.
    assert_eq!(rig.send(&Ask::new("DELETE /vault?policy")).await.status, 501);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_has_no_configuration_to_tell_of() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    rig.upstream.answer_read("HEAD /gone", 404, &[]);
    rig.upstream.answer_read("HEAD /foreign", 403, &[]);
    for line in
        ["GET /gone?publicAccessBlock", "GET /gone?inventory", "DELETE /gone?metrics&id=a", "GET /gone?location"]
    {
        assert_eq!(rig.send(&Ask::new(line)).await.said(), (404, "NoSuchBucket".to_owned()), "{line}");
        let foreign = line.replace("gone", "foreign");
        assert_eq!(rig.send(&Ask::new(&foreign)).await.said(), (403, "AccessDenied".to_owned()), "{foreign}");
    }
    assert_eq!(rig.upstream.mutations(), []);
}

#[tokio::test]
async fn a_store_that_has_nothing_of_a_bucket_is_asked_whether_the_bucket_is_there() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    rig.upstream.answer_read("HEAD /gone", 404, &[]);
    for (key, code) in [("tagging", "NoSuchTagSet"), ("object-lock", "ObjectLockConfigurationNotFoundError")] {
        let document = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        for (bucket, said) in [("vault", code), ("gone", "NoSuchBucket")] {
            let line = format!("GET /{bucket}?{key}");
            rig.upstream.answer_read_with(&format!("{line}="), 404, &document);
            assert_eq!(rig.send(&Ask::new(&line)).await.said(), (404, said.to_owned()), "{line}");
        }
    }
}

#[tokio::test]
async fn a_document_has_the_root_that_typed_clients_expect() {
    let rig = Rig::of(UpstreamKind::Ceph).await;
    let namespace = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    let blocks = "<BlockPublicAcls>true</BlockPublicAcls>";
    let told = format!("<BlockPublicAccessBlockConfiguration>{blocks}</BlockPublicAccessBlockConfiguration>");
    rig.upstream.answer_read_with("GET /vault?publicAccessBlock=", 200, &told);
    let reply = rig.send(&Ask::new("GET /vault?publicAccessBlock")).await;
    let right = format!("<PublicAccessBlockConfiguration {namespace}>{blocks}</PublicAccessBlockConfiguration>");
    assert!(reply.body.ends_with(&right), "{reply:?}");
    // What is right passes as it came.
    rig.upstream.answer_read_with("GET /vault?publicAccessBlock=", 200, &right);
    assert_eq!(rig.send(&Ask::new("GET /vault?publicAccessBlock")).await.body, right);
    // What cannot be read, or breaks off, is no answer.
    rig.upstream.answer_read_with("GET /vault?publicAccessBlock=", 200, "<html>");
    assert_eq!(rig.send(&Ask::new("GET /vault?publicAccessBlock")).await.status, 502);
}

#[tokio::test]
async fn a_replication_without_rules_is_none() {
    let rig = Rig::of(UpstreamKind::Ceph).await;
    let document = |inner: &str| format!("<ReplicationConfiguration><Role></Role>{inner}</ReplicationConfiguration>");
    rig.upstream.answer_read_with("GET /vault?replication=", 200, &document(""));
    let reply = rig.send(&Ask::new("GET /vault?replication")).await;
    assert_eq!(reply.said(), (404, "ReplicationConfigurationNotFoundError".to_owned()));
    let ruled = document("<Rule><Status>Enabled</Status></Rule>");
    rig.upstream.answer_read_with("GET /vault?replication=", 200, &ruled);
    let reply = rig.send(&Ask::new("GET /vault?replication")).await;
    assert_eq!((reply.status, reply.body), (200, ruled));
}

#[tokio::test]
async fn what_the_store_cannot_be_told_is_refused_with_what_to_use() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    for (line, document, instead) in [
        ("PUT /vault?publicAccessBlock", "<PublicAccessBlockConfiguration/>", "Use PutBucketPolicy."),
        ("PUT /vault?logging", "<BucketLoggingStatus/>", "Use CreateTrail"),
        ("PUT /vault?inventory&id=a", "<InventoryConfiguration/>", "Use ListObjectVersions."),
        ("PUT /vault/k?encryption", "<ObjectEncryption/>", "x-amz-server-side-encryption"),
        ("POST /vault?metadataTable", "<MetadataTableConfiguration/>", "is not implemented for the store"),
    ] {
        let reply = rig.send(&Ask::new(line).document(document)).await;
        assert_eq!(reply.said(), (501, "NotImplemented".to_owned()), "{line}");
        assert!(reply.body.contains(instead), "{line}: {reply:?}");
    }
    assert_eq!(rig.upstream.seen(), []);
}

#[tokio::test]
async fn clients_are_told_the_region_that_they_must_sign_for() {
    for (region, told) in [("eu-west-1", "eu-west-1"), ("us-east-1", "")] {
        for profile in [UpstreamKind::Ceph, UpstreamKind::Aws, UpstreamKind::Generic] {
            let rig = Rig::with(|settings| {
                settings.upstream.profile = profile;
                settings.account.region = region.to_owned();
            })
            .await;
            let foreign = "<LocationConstraint>default</LocationConstraint>";
            rig.upstream.answer_read_with("GET /vault?location=", 200, foreign);
            rig.upstream.answer_read("HEAD /vault", 200, &[("x-amz-bucket-region", "default")]);
            let send = async |line: &str| rig.send(&Ask::new(line).in_region(region)).await;
            let location = send("GET /vault?location").await;
            assert!(location.body.ends_with(&format!("2006-03-01/\">{told}</LocationConstraint>")), "{location:?}");
            let head = send("HEAD /vault").await;
            let regions: Vec<_> = head.headers.iter().filter(|(name, _)| name == "x-amz-bucket-region").collect();
            assert_eq!(regions, [&("x-amz-bucket-region".to_owned(), region.to_owned())], "{head:?}");
        }
    }
}

#[tokio::test]
async fn a_bucket_is_made_where_the_store_keeps_them() {
    let document = |place: &str, rest: &str| {
        let place =
            if place.is_empty() { String::new() } else { format!("<LocationConstraint>{place}</LocationConstraint>") };
        format!("<CreateBucketConfiguration>{place}{rest}</CreateBucketConfiguration>")
    };
    let tags = "<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>";
    let cases = [
        // (profile, the store's region, what is asked, what is sent)
        (UpstreamKind::Ceph, "us-east-1", document("eu-west-1", ""), String::new()),
        (UpstreamKind::Ceph, "eu-west-1", document("eu-west-1", tags), document("", tags)),
        (UpstreamKind::Ceph, "us-east-1", document("default:fast", ""), document("default:fast", "")),
        (UpstreamKind::Minio, "us-east-1", document("", tags), document("", tags)),
        (UpstreamKind::Minio, "us-east-1", String::new(), String::new()),
        (UpstreamKind::Aws, "us-east-1", document("eu-west-1", ""), String::new()),
        (UpstreamKind::Aws, "eu-central-1", document("eu-west-1", ""), document("eu-central-1", "")),
        (UpstreamKind::Aws, "eu-central-1", String::new(), document("eu-central-1", "")),
        (UpstreamKind::Aws, "eu-central-1", document("ap-south-1", ""), document("ap-south-1", "")),
    ];
    for (profile, at_the_store, asked, sent) in cases {
        let rig = Rig::with(|settings| {
            settings.upstream.profile = profile;
            settings.upstream.region = at_the_store.to_owned();
            settings.account.region = "eu-west-1".to_owned();
        })
        .await;
        let reply = rig.send(&Ask::new("PUT /vault").document(&asked).in_region("eu-west-1")).await;
        assert_eq!(reply.status, 200, "{profile:?} {asked}: {reply:?}");
        let [created] = &rig.upstream.mutations()[..] else { panic!("not one request") };
        let Content::Whole(body) = &created.content else { panic!("{created:?}") };
        let body = String::from_utf8_lossy(body).replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "");
        let body = body.replace(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"", "");
        assert_eq!(body, sent, "{profile:?} {at_the_store} {asked}");
    }
}

#[tokio::test]
async fn what_is_answered_here_is_recorded_like_any_other_request() {
    let rig = Rig::of(UpstreamKind::Minio).await;
    rig.send(&Ask::new("GET /vault?publicAccessBlock")).await;
    rig.send(&Ask::new("DELETE /vault?publicAccessBlock")).await;
    let said: Vec<_> =
        rig.events().iter().map(|event| (event.said().0.to_owned(), event.said().1.to_owned())).collect();
    let expected = [
        ("GetBucketPublicAccessBlock".to_owned(), "NoSuchPublicAccessBlockConfiguration".to_owned()),
        ("DeleteBucketPublicAccessBlock".to_owned(), String::new()),
    ];
    assert_eq!(said, expected);
}
