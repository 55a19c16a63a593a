//! Ceph RGW: decodes the whole path before it splits it, and each pair of the query before it splits that; the last
//! of two values counts, and the first of two elements.

use crate::raw::{Node, Raw, Reading, Taken, decode};

/// What it asks of a bucket's request, in its own order; what it does not ask for is the bucket itself.
const BUCKET: &[(&str, &str, &str)] = &[
    ("GET", "logging", "GetBucketLogging"),
    ("GET", "location", "GetBucketLocation"),
    ("GET", "versioning", "GetBucketVersioning"),
    ("GET", "website", "GetBucketWebsite"),
    ("GET", "tagging", "GetBucketTagging"),
    ("GET", "acl", "GetBucketAcl"),
    ("GET", "cors", "GetBucketCors"),
    ("GET", "requestPayment", "GetBucketRequestPayment"),
    ("GET", "uploads", "ListMultipartUploads"),
    ("GET", "lifecycle", "GetBucketLifecycleConfiguration"),
    ("GET", "policy", "GetBucketPolicy"),
    ("GET", "object-lock", "GetObjectLockConfiguration"),
    ("GET", "notification", "GetBucketNotificationConfiguration"),
    ("GET", "replication", "GetBucketReplication"),
    ("GET", "policyStatus", "GetBucketPolicyStatus"),
    ("GET", "publicAccessBlock", "GetPublicAccessBlock"),
    ("PUT", "versioning", "PutBucketVersioning"),
    ("PUT", "website", "PutBucketWebsite"),
    ("PUT", "tagging", "PutBucketTagging"),
    ("PUT", "acl", "PutBucketAcl"),
    ("PUT", "cors", "PutBucketCors"),
    ("PUT", "requestPayment", "PutBucketRequestPayment"),
    ("PUT", "lifecycle", "PutBucketLifecycleConfiguration"),
    ("PUT", "policy", "PutBucketPolicy"),
    ("PUT", "object-lock", "PutObjectLockConfiguration"),
    ("PUT", "notification", "PutBucketNotificationConfiguration"),
    ("PUT", "replication", "PutBucketReplication"),
    ("PUT", "publicAccessBlock", "PutPublicAccessBlock"),
    ("POST", "delete", "DeleteObjects"),
    ("DELETE", "tagging", "DeleteBucketTagging"),
    ("DELETE", "cors", "DeleteBucketCors"),
    ("DELETE", "lifecycle", "DeleteBucketLifecycle"),
    ("DELETE", "policy", "DeleteBucketPolicy"),
    ("DELETE", "replication", "DeleteBucketReplication"),
    ("DELETE", "publicAccessBlock", "DeletePublicAccessBlock"),
    ("DELETE", "website", "DeleteBucketWebsite"),
];

const OBJECT: &[(&str, &str, &str)] = &[
    ("GET", "acl", "GetObjectAcl"),
    ("GET", "uploadId", "ListParts"),
    ("GET", "tagging", "GetObjectTagging"),
    ("GET", "retention", "GetObjectRetention"),
    ("GET", "legal-hold", "GetObjectLegalHold"),
    ("GET", "torrent", "GetObjectTorrent"),
    ("PUT", "acl", "PutObjectAcl"),
    ("PUT", "tagging", "PutObjectTagging"),
    ("PUT", "retention", "PutObjectRetention"),
    ("PUT", "legal-hold", "PutObjectLegalHold"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("POST", "uploads", "CreateMultipartUpload"),
    ("POST", "select", "SelectObjectContent"),
    ("DELETE", "tagging", "DeleteObjectTagging"),
];

pub(crate) fn read(raw: &Raw) -> Reading {
    let query = values(&raw.query);
    let value = |name: &str| query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let has = |name: &str| value(name).is_some();
    if query.iter().any(|(name, _)| name.starts_with("rgwx-")) || has("append") || has("mdsearch") {
        return taken("an extension", Taken::default());
    }
    let Some(path) = decode(&raw.path, '+') else { return Reading::Refused("path") };
    let path = path.strip_prefix('/').unwrap_or(&path);
    if path.is_empty() {
        return taken("ListBuckets", Taken::default());
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let bucket = bucket.rsplit(':').next().unwrap_or(bucket);
    let key = Some(key.to_owned()).filter(|key| !key.is_empty());
    let version = value("versionId").filter(|version| !version.is_empty());
    // The upload is an object named `KEY.ID`, which is cut at its last dot.
    let upload = value("uploadId").filter(|id| !id.is_empty()).map(|id| {
        let name = format!("{}.{id}", key.as_deref().unwrap_or_default());
        format!("{bucket}/{}", name.rsplit_once('.').map_or("", |(key, _)| key))
    });
    let (named, version) = named(key.as_deref(), version);
    let facts = Taken { bucket: Some(bucket.to_owned()), key: named, version, upload, ..Taken::default() };
    match (key.is_some(), raw.method.as_str()) {
        (false, "PUT") if has("logging") => Reading::Refused("not implemented"),
        (false, method) => {
            let route = BUCKET.iter().find(|(own, name, _)| *own == method && has(name));
            match (route, method) {
                (Some((_, _, "DeleteObjects")), _) => batch(raw, facts),
                (Some((_, _, "PutBucketVersioning")), _) => versioning(raw, facts),
                (Some((_, _, name)), _) => taken(name, facts),
                (None, "GET") if has("versions") => taken("ListObjectVersions", facts),
                (None, "GET") if value("list-type").as_deref() == Some("2") => taken("ListObjectsV2", facts),
                (None, "GET") => taken("ListObjects", facts),
                (None, "HEAD") => taken("HeadBucket", facts),
                (None, "PUT") => taken("CreateBucket", facts),
                (None, "DELETE") => taken("DeleteBucket", facts),
                (None, _) => taken("PostObject", facts),
            }
        }
        (true, method) => {
            let route = OBJECT.iter().find(|(own, name, _)| *own == method && has(name));
            let source = variable(raw, "HTTP_X_AMZ_COPY_SOURCE");
            let part = has("partNumber") && has("uploadId");
            match (method, route, source) {
                (_, Some((_, _, name)), _) => taken(name, facts),
                ("PUT", None, Some(source)) if part => copied("UploadPartCopy", &source, facts),
                ("PUT", None, None) if part => taken("UploadPart", facts),
                ("PUT", None, Some(source)) => copied("CopyObject", &source, facts),
                ("PUT", None, None) => taken("PutObject", facts),
                ("GET", ..) => taken("GetObject", facts),
                ("HEAD", ..) => taken("HeadObject", facts),
                // An empty upload id is none.
                ("DELETE", ..) if value("uploadId").is_some_and(|id| !id.is_empty()) => {
                    taken("AbortMultipartUpload", facts)
                }
                ("DELETE", ..) => taken("DeleteObject", facts),
                _ => taken("PostObject", facts),
            }
        }
    }
}

/// A version is an object named `_:VERSION_KEY`, which is cut behind the 32 characters that a version has.
fn named(key: Option<&str>, version: Option<String>) -> (Option<String>, Option<String>) {
    let (Some(key), Some(id)) = (key, &version) else { return (key.map(str::to_owned), version) };
    match id.split_once('_') {
        Some((id, rest)) if id.len() == 32 => (Some(format!("{rest}_{key}")), Some(id.to_owned())),
        Some(_) | None => (Some(key.to_owned()), version),
    }
}

/// Headers become variables as in CGI, where `-` and `_` are one.
fn variable(raw: &Raw, name: &str) -> Option<String> {
    let of = |header: &str| format!("HTTP_{}", header.to_ascii_uppercase().replace('-', "_"));
    raw.headers.iter().rev().find(|(header, _)| of(header) == name).map(|(_, value)| value.clone())
}

fn values(query: &str) -> Vec<(String, String)> {
    let query = query.trim_start_matches('?');
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| decode(pair, ' ').unwrap_or_default())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (pair, String::new()),
        })
        .collect()
}

fn copied(name: &str, source: &str, facts: Taken) -> Reading {
    let (path, query) = source.split_once('?').unwrap_or((source, ""));
    let path = path.strip_prefix('/').unwrap_or(path);
    let Some(path) = decode(path, '+') else { return Reading::Refused("copy source") };
    let Some((bucket, key)) = path.split_once('/') else { return Reading::Refused("copy source") };
    let bucket = bucket.rsplit(':').next().unwrap_or(bucket);
    let version = values(query).into_iter().rfind(|(name, _)| name == "versionId").map(|(_, value)| value);
    let source = Some((bucket.to_owned(), key.to_owned(), version.filter(|version| !version.is_empty())));
    taken(name, Taken { source, ..facts })
}

fn batch(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body).filter(|root| root.name == "Delete") else {
        return Reading::Refused("document");
    };
    let objects = root.all("Object").map(|object| {
        let text = |name| object.all(name).next().map(|node| node.text.clone());
        (text("Key").unwrap_or_default(), text("VersionId").filter(|version| !version.is_empty()))
    });
    taken("DeleteObjects", Taken { objects: objects.collect(), ..facts })
}

fn versioning(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body) else { return Reading::Refused("document") };
    if root.all("MfaDelete").next().is_some() {
        return taken("its own MFA Delete", facts);
    }
    let status = root.all("Status").next().map(|node| node.text.clone());
    taken("PutBucketVersioning", Taken { status, ..facts })
}

fn taken(operation: &str, facts: Taken) -> Reading {
    Reading::Taken(Box::new(Taken { operation: operation.to_owned(), ..facts }))
}
