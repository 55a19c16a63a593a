//! s3s, on which the embedded store stands: decodes the path before it splits it, reads a key that is there twice as
//! absent, and refuses an element that is there twice.

use crate::raw::{Node, Raw, Reading, Taken, decode};

/// Operations of a bucket by the query keys that must be there, in the order of the model.
const BUCKET: &[(&str, &[&str], &str)] = &[
    ("GET", &["analytics", "id"], "GetBucketAnalyticsConfiguration"),
    ("GET", &["intelligent-tiering", "id"], "GetBucketIntelligentTieringConfiguration"),
    ("GET", &["inventory", "id"], "GetBucketInventoryConfiguration"),
    ("GET", &["metadataTable"], "GetBucketMetadataTableConfiguration"),
    ("GET", &["metrics", "id"], "GetBucketMetricsConfiguration"),
    ("GET", &["session"], "CreateSession"),
    ("GET", &["accelerate"], "GetBucketAccelerateConfiguration"),
    ("GET", &["acl"], "GetBucketAcl"),
    ("GET", &["cors"], "GetBucketCors"),
    ("GET", &["encryption"], "GetBucketEncryption"),
    ("GET", &["lifecycle"], "GetBucketLifecycleConfiguration"),
    ("GET", &["location"], "GetBucketLocation"),
    ("GET", &["logging"], "GetBucketLogging"),
    ("GET", &["notification"], "GetBucketNotificationConfiguration"),
    ("GET", &["ownershipControls"], "GetBucketOwnershipControls"),
    ("GET", &["policy"], "GetBucketPolicy"),
    ("GET", &["policyStatus"], "GetBucketPolicyStatus"),
    ("GET", &["replication"], "GetBucketReplication"),
    ("GET", &["requestPayment"], "GetBucketRequestPayment"),
    ("GET", &["tagging"], "GetBucketTagging"),
    ("GET", &["versioning"], "GetBucketVersioning"),
    ("GET", &["website"], "GetBucketWebsite"),
    ("GET", &["object-lock"], "GetObjectLockConfiguration"),
    ("GET", &["publicAccessBlock"], "GetPublicAccessBlock"),
    ("GET", &["analytics"], "ListBucketAnalyticsConfigurations"),
    ("GET", &["intelligent-tiering"], "ListBucketIntelligentTieringConfigurations"),
    ("GET", &["inventory"], "ListBucketInventoryConfigurations"),
    ("GET", &["metrics"], "ListBucketMetricsConfigurations"),
    ("GET", &["uploads"], "ListMultipartUploads"),
    ("GET", &["versions"], "ListObjectVersions"),
    ("POST", &["metadataTable"], "CreateBucketMetadataTableConfiguration"),
    ("POST", &["delete"], "DeleteObjects"),
    ("PUT", &["analytics"], "PutBucketAnalyticsConfiguration"),
    ("PUT", &["intelligent-tiering"], "PutBucketIntelligentTieringConfiguration"),
    ("PUT", &["inventory"], "PutBucketInventoryConfiguration"),
    ("PUT", &["metrics"], "PutBucketMetricsConfiguration"),
    ("PUT", &["accelerate"], "PutBucketAccelerateConfiguration"),
    ("PUT", &["acl"], "PutBucketAcl"),
    ("PUT", &["cors"], "PutBucketCors"),
    ("PUT", &["encryption"], "PutBucketEncryption"),
    ("PUT", &["lifecycle"], "PutBucketLifecycleConfiguration"),
    ("PUT", &["logging"], "PutBucketLogging"),
    ("PUT", &["notification"], "PutBucketNotificationConfiguration"),
    ("PUT", &["ownershipControls"], "PutBucketOwnershipControls"),
    ("PUT", &["policy"], "PutBucketPolicy"),
    ("PUT", &["replication"], "PutBucketReplication"),
    ("PUT", &["requestPayment"], "PutBucketRequestPayment"),
    ("PUT", &["tagging"], "PutBucketTagging"),
    ("PUT", &["versioning"], "PutBucketVersioning"),
    ("PUT", &["website"], "PutBucketWebsite"),
    ("PUT", &["object-lock"], "PutObjectLockConfiguration"),
    ("PUT", &["publicAccessBlock"], "PutPublicAccessBlock"),
    ("DELETE", &["analytics"], "DeleteBucketAnalyticsConfiguration"),
    ("DELETE", &["intelligent-tiering"], "DeleteBucketIntelligentTieringConfiguration"),
    ("DELETE", &["inventory"], "DeleteBucketInventoryConfiguration"),
    ("DELETE", &["metrics"], "DeleteBucketMetricsConfiguration"),
    ("DELETE", &["cors"], "DeleteBucketCors"),
    ("DELETE", &["encryption"], "DeleteBucketEncryption"),
    ("DELETE", &["lifecycle"], "DeleteBucketLifecycle"),
    ("DELETE", &["metadataTable"], "DeleteBucketMetadataTableConfiguration"),
    ("DELETE", &["ownershipControls"], "DeleteBucketOwnershipControls"),
    ("DELETE", &["policy"], "DeleteBucketPolicy"),
    ("DELETE", &["replication"], "DeleteBucketReplication"),
    ("DELETE", &["tagging"], "DeleteBucketTagging"),
    ("DELETE", &["website"], "DeleteBucketWebsite"),
    ("DELETE", &["publicAccessBlock"], "DeletePublicAccessBlock"),
];

const OBJECT: &[(&str, &[&str], &str)] = &[
    ("GET", &["attributes"], "GetObjectAttributes"),
    ("GET", &["acl"], "GetObjectAcl"),
    ("GET", &["legal-hold"], "GetObjectLegalHold"),
    ("GET", &["retention"], "GetObjectRetention"),
    ("GET", &["tagging"], "GetObjectTagging"),
    ("GET", &["torrent"], "GetObjectTorrent"),
    ("GET", &["uploadId"], "ListParts"),
    ("POST", &["select", "select-type"], "SelectObjectContent"),
    ("POST", &["uploads"], "CreateMultipartUpload"),
    ("POST", &["restore"], "RestoreObject"),
    ("POST", &["uploadId"], "CompleteMultipartUpload"),
    ("PUT", &["acl"], "PutObjectAcl"),
    ("PUT", &["legal-hold"], "PutObjectLegalHold"),
    ("PUT", &["retention"], "PutObjectRetention"),
    ("PUT", &["tagging"], "PutObjectTagging"),
    ("DELETE", &["tagging"], "DeleteObjectTagging"),
    ("DELETE", &["uploadId"], "AbortMultipartUpload"),
];

pub(crate) fn read(raw: &Raw) -> Reading {
    let Some(query) = values(&raw.query) else { return Reading::Refused("query") };
    let unique = |name: &str| {
        let mut values = query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone());
        let first = values.next();
        if values.next().is_some() { None } else { first }
    };
    let has = |name: &&str| query.iter().any(|(known, _)| known == name);
    let Some(path) = decode(&raw.path, '+') else { return Reading::Refused("path") };
    let path = path.strip_prefix('/').unwrap_or(&path);
    if path.is_empty() {
        return taken("ListBuckets", Taken::default());
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let key = Some(key.to_owned()).filter(|key| !key.is_empty());
    let facts = Taken {
        bucket: Some(bucket.to_owned()),
        key: key.clone(),
        version: unique("versionId").map(|version| null(&version)),
        // A name in a map of the bucket's uploads.
        upload: unique("uploadId").map(|_| format!("{bucket}/{}", key.as_deref().unwrap_or_default())),
        ..Taken::default()
    };
    let method = raw.method.as_str();
    let table = if key.is_some() { OBJECT } else { BUCKET };
    let route = table.iter().find(|(own, names, _)| *own == method && names.iter().all(has));
    let source = raw.header("x-amz-copy-source");
    let part = has(&"partNumber") && has(&"uploadId");
    match (key.is_some(), method, route, source) {
        (_, _, Some((_, _, "DeleteObjects")), _) => batch(raw, facts),
        (_, _, Some((_, _, "PutBucketVersioning")), _) => versioning(raw, facts),
        (_, _, Some((_, _, name)), _) => taken(name, facts),
        (false, "GET", ..) if unique("list-type").as_deref() == Some("2") => taken("ListObjectsV2", facts),
        (false, "GET", ..) => taken("ListObjects", facts),
        (false, "HEAD", ..) => taken("HeadBucket", facts),
        (false, "PUT", ..) => taken("CreateBucket", facts),
        (false, "DELETE", ..) => taken("DeleteBucket", facts),
        (true, "PUT", _, Some(source)) if part => copied("UploadPartCopy", source, facts),
        (true, "PUT", _, None) if part => taken("UploadPart", facts),
        (true, "PUT", _, Some(source)) => copied("CopyObject", source, facts),
        (true, "PUT", _, None) => taken("PutObject", facts),
        (true, "GET", ..) => taken("GetObject", facts),
        (true, "HEAD", ..) => taken("HeadObject", facts),
        (true, "DELETE", ..) => taken("DeleteObject", facts),
        _ => Reading::Refused("no operation"),
    }
}

fn values(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, ' ')?, decode(value, ' ')?))
    };
    pairs.map(read).collect()
}

fn null(version: &str) -> String {
    let trimmed = version.trim();
    let nil = trimmed.eq_ignore_ascii_case("null") || trimmed == "00000000-0000-0000-0000-000000000000";
    if nil { "null".to_owned() } else { trimmed.to_owned() }
}

fn copied(name: &str, source: &str, facts: Taken) -> Reading {
    let (path, version) = match source.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version)),
        None => (source, None),
    };
    let Some(path) = decode(path, '+') else { return Reading::Refused("copy source") };
    let path = path.strip_prefix('/').unwrap_or(&path);
    let Some((bucket, key)) = path.split_once('/') else { return Reading::Refused("copy source") };
    let version = version.and_then(|version| decode(version, '+'));
    taken(name, Taken { source: Some((bucket.to_owned(), key.to_owned(), version)), ..facts })
}

fn batch(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body).filter(|root| root.name == "Delete") else {
        return Reading::Refused("document");
    };
    let mut objects = Vec::new();
    for object in root.all("Object") {
        let text = |name| object.all(name).map(|node| node.text.clone()).collect::<Vec<_>>();
        match (text("Key").as_slice(), text("VersionId").as_slice()) {
            ([key], []) => objects.push((key.clone(), None)),
            ([key], [version]) => objects.push((key.clone(), Some(null(version)))),
            _ => return Reading::Refused("element twice"),
        }
    }
    taken("DeleteObjects", Taken { objects, ..facts })
}

fn versioning(raw: &Raw, facts: Taken) -> Reading {
    let Some(root) = Node::read(&raw.body) else { return Reading::Refused("document") };
    let status: Vec<&Node> = root.all("Status").collect();
    match status[..] {
        [] => taken("PutBucketVersioning", facts),
        [status] => taken("PutBucketVersioning", Taken { status: Some(status.text.clone()), ..facts }),
        _ => Reading::Refused("element twice"),
    }
}

fn taken(operation: &str, facts: Taken) -> Reading {
    Reading::Taken(Box::new(Taken { operation: operation.to_owned(), ..facts }))
}
