//! MinIO: routes on the encoded path, takes the first of two query values and the last of two elements, and acts
//! on what it finds in headers and version ids of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::raw::{Node, Raw, Reading, Taken, decode};

/// Query keys of a bucket that it answers with "not implemented". It registers the same for PUT and DELETE, but after
/// its routes for a bucket, so that those make and delete it.
const REJECTED: &[&str] =
    &["analytics", "intelligent-tiering", "inventory", "metrics", "ownershipControls", "publicAccessBlock"];

/// Routes of a bucket, in the order in which they are tried.
const BUCKET: &[(&str, &str, &str)] = &[
    ("GET", "location", "GetBucketLocation"),
    ("GET", "policy", "GetBucketPolicy"),
    ("GET", "policyStatus", "GetBucketPolicyStatus"),
    ("GET", "lifecycle", "GetBucketLifecycleConfiguration"),
    ("GET", "encryption", "GetBucketEncryption"),
    ("GET", "object-lock", "GetObjectLockConfiguration"),
    ("GET", "replication", "GetBucketReplication"),
    ("GET", "versioning", "GetBucketVersioning"),
    ("GET", "notification", "GetBucketNotificationConfiguration"),
    ("GET", "events", "ListenNotification"),
    ("GET", "acl", "GetBucketAcl"),
    ("GET", "cors", "GetBucketCors"),
    ("GET", "website", "GetBucketWebsite"),
    ("GET", "accelerate", "GetBucketAccelerateConfiguration"),
    ("GET", "requestPayment", "GetBucketRequestPayment"),
    ("GET", "logging", "GetBucketLogging"),
    ("GET", "tagging", "GetBucketTagging"),
    ("GET", "uploads", "ListMultipartUploads"),
    ("GET", "versions", "ListObjectVersions"),
    ("PUT", "acl", "PutBucketAcl"),
    ("PUT", "cors", "PutBucketCors"),
    ("PUT", "lifecycle", "PutBucketLifecycleConfiguration"),
    ("PUT", "replication", "PutBucketReplication"),
    ("PUT", "encryption", "PutBucketEncryption"),
    ("PUT", "policy", "PutBucketPolicy"),
    ("PUT", "object-lock", "PutObjectLockConfiguration"),
    ("PUT", "tagging", "PutBucketTagging"),
    ("PUT", "versioning", "PutBucketVersioning"),
    ("PUT", "notification", "PutBucketNotificationConfiguration"),
    ("POST", "delete", "DeleteObjects"),
    ("DELETE", "cors", "DeleteBucketCors"),
    ("DELETE", "website", "DeleteBucketWebsite"),
    ("DELETE", "tagging", "DeleteBucketTagging"),
    ("DELETE", "policy", "DeleteBucketPolicy"),
    ("DELETE", "replication", "DeleteBucketReplication"),
    ("DELETE", "lifecycle", "DeleteBucketLifecycle"),
    ("DELETE", "encryption", "DeleteBucketEncryption"),
];

const OBJECT: &[(&str, &str, &str)] = &[
    ("GET", "uploadId", "ListParts"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("POST", "uploads", "CreateMultipartUpload"),
    ("DELETE", "uploadId", "AbortMultipartUpload"),
    ("GET", "acl", "GetObjectAcl"),
    ("PUT", "acl", "PutObjectAcl"),
    ("GET", "tagging", "GetObjectTagging"),
    ("PUT", "tagging", "PutObjectTagging"),
    ("DELETE", "tagging", "DeleteObjectTagging"),
    ("POST", "select", "SelectObjectContent"),
    ("GET", "retention", "GetObjectRetention"),
    ("GET", "legal-hold", "GetObjectLegalHold"),
    ("GET", "attributes", "GetObjectAttributes"),
    ("PUT", "retention", "PutObjectRetention"),
    ("PUT", "legal-hold", "PutObjectLegalHold"),
    ("POST", "restore", "RestoreObject"),
];

pub(crate) fn read(raw: &Raw) -> Reading {
    let Some(query) = values(&raw.query) else { return Reading::Refused("query") };
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
    let has = |name: &str| value(name).is_some();
    let form = raw.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if raw.method == "POST" && form && raw.query.is_empty() {
        return taken("AssumeRole", Taken::default());
    }
    if let Some((name, _)) = raw.headers.iter().find(|(name, _)| is_order(name)) {
        return taken(&format!("an order in {name}"), Taken::default());
    }
    let path = raw.path.trim_start_matches('/');
    if path.is_empty() && raw.path == "/" {
        return taken("ListBuckets", Taken::default());
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let Some(key) = decode(key, '+') else { return Reading::Refused("path") };
    if key.contains("//") || key.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Reading::Refused("resource name");
    }
    // A leading slash is cleaned away: another key than was said.
    let key = key.trim_start_matches('/');
    // A folder object's name on the disk, under which a key may ask for it.
    let key = key.strip_suffix("__XLDIR__").map_or_else(|| key.to_owned(), |folder| format!("{folder}/"));
    let key = Some(key).filter(|key| !key.is_empty());
    let version = value("versionId").filter(|version| !version.is_empty()).map(|version| null(&version));
    let upload = value("uploadId").filter(|id| !id.is_empty()).map(|id| upload_of(bucket, key.as_deref(), &id));
    let facts = Taken { bucket: Some(bucket.to_owned()), key: key.clone(), version, upload, ..Taken::default() };
    match (key.is_some(), raw.method.as_str()) {
        (false, method) => {
            let route = BUCKET.iter().find(|(own, name, _)| *own == method && has(name));
            match (route, method) {
                (Some((_, _, "DeleteObjects")), _) => batch(raw, facts),
                (Some((_, _, "PutBucketVersioning")), _) => versioning(raw, facts),
                (Some((_, _, name)), _) => taken(name, facts),
                (None, "GET") if REJECTED.iter().any(|name| has(name)) => Reading::Refused("not implemented"),
                (None, "GET") if value("list-type").as_deref() == Some("2") => taken("ListObjectsV2", facts),
                (None, "GET") => taken("ListObjects", facts),
                (None, "PUT") => taken("CreateBucket", facts),
                (None, "HEAD") => taken("HeadBucket", facts),
                (None, "DELETE") => taken("DeleteBucket", facts),
                (None, _) => Reading::Refused("no route"),
            }
        }
        (true, "GET") if has("torrent") => Reading::Refused("not implemented"),
        (true, method) => {
            let copy = raw.header("x-amz-copy-source").filter(|source| source.contains('/') || source.contains("%2F"));
            let part = has("partNumber") && has("uploadId");
            let route = OBJECT.iter().find(|(own, name, _)| *own == method && has(name));
            match (method, part, copy, route) {
                ("PUT", true, Some(source), _) => copied("UploadPartCopy", source, facts),
                ("PUT", true, None, _) => taken("UploadPart", facts),
                ("PUT", _, _, Some((_, "acl" | "tagging", name))) => taken(name, facts),
                ("PUT", _, Some(source), _) => copied("CopyObject", source, facts),
                (_, _, _, Some((_, _, name))) => taken(name, facts),
                ("PUT", ..) if facts.version.is_some() => taken("a version replaced", facts),
                ("PUT", ..) => taken("PutObject", facts),
                ("GET", ..) => taken("GetObject", facts),
                ("HEAD", ..) => taken("HeadObject", facts),
                ("DELETE", ..) => taken("DeleteObject", facts),
                _ => Reading::Refused("no route"),
            }
        }
    }
}

/// The id is decoded, and what is behind its first dot is joined to the folder of the bucket and key.
fn upload_of(bucket: &str, key: Option<&str>, id: &str) -> String {
    let decoded = URL_SAFE_NO_PAD.decode(id).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let folder = decoded.as_deref().and_then(|text| text.split_once('.')).map_or(id, |(_, folder)| folder);
    // What does not climb stays in the folder of this bucket and key.
    if folder.split('/').any(|segment| segment == "..") {
        return format!("another place on the disk: {folder}");
    }
    format!("{bucket}/{}", key.unwrap_or_default())
}

fn is_order(name: &str) -> bool {
    const ORDERS: &[&str] = &[
        "x-minio-",
        "x-amz-replication-",
        "x-amz-meta-snowball-auto-extract",
        "x-amz-meta-minio-",
        "x-amz-meta-x-amz-",
    ];
    ORDERS.iter().any(|order| name.starts_with(order))
}

/// Go's `url.ParseQuery`, where one pair that cannot be read spoils all of them.
fn values(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pair.contains(';') { None } else { Some((decode(name, ' ')?, decode(value, ' ')?)) }
    };
    pairs.map(read).collect()
}

fn null(version: &str) -> String {
    let nil = version.eq_ignore_ascii_case("null")
        || matches!(version.len(), 32 | 36) && version.bytes().all(|byte| matches!(byte, b'0' | b'-'));
    let uuid = version.len() == 36
        && version.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    match (nil, uuid) {
        (true, _) => "null".to_owned(),
        (false, true) => version.to_ascii_lowercase(),
        (false, false) => version.to_owned(),
    }
}

fn copied(name: &str, source: &str, facts: Taken) -> Reading {
    let (path, query) = source.split_once('?').unwrap_or((source, ""));
    let (Some(path), Some(query)) = (decode(path, '+'), values(query)) else { return Reading::Refused("copy source") };
    let Some((bucket, key)) = path.trim_start_matches('/').split_once('/') else {
        return Reading::Refused("copy source");
    };
    let version = query.into_iter().find(|(name, _)| name == "versionId").map(|(_, value)| null(value.trim()));
    let source = Some((bucket.to_owned(), key.to_owned(), version.filter(|version| !version.is_empty())));
    taken(name, Taken { source, ..facts })
}

/// Keys lose a leading slash, and of two elements the last one counts.
fn batch(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body) else { return Reading::Refused("document") };
    let objects = root.all("Object").map(|object| {
        let text = |name| object.all(name).next_back().map(|node| node.text.clone());
        let key = text("Key").unwrap_or_default();
        let version = text("VersionId").map(|version| null(version.trim())).filter(|version| !version.is_empty());
        (key.strip_prefix('/').unwrap_or(&key).to_owned(), version)
    });
    taken("DeleteObjects", Taken { objects: objects.collect(), ..facts })
}

fn versioning(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body) else { return Reading::Refused("document") };
    if root.all("ExcludeFolders").chain(root.all("ExcludedPrefixes")).next().is_some() {
        return taken("versioning with exclusions", facts);
    }
    let status = root.all("Status").next_back().map(|node| node.text.clone());
    taken("PutBucketVersioning", Taken { status, ..facts })
}

fn taken(operation: &str, facts: Taken) -> Reading {
    Reading::Taken(Box::new(Taken { operation: operation.to_owned(), ..facts }))
}
