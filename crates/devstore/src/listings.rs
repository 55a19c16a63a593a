//! The listings as S3 asks for them and answers them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::describe::{count, etag, length, moment, owner};
use super::digest::answered;
use super::faults::check_version_id;
use super::listing::{self, ListedVersion, ListingPage, ListingQuery, PageMarker as Place, VersionPlace as Standing};
use super::record::{ObjectRecord as StoredObject, StoredChecksum, VersionRecord};
use super::store::DevStore;
use portcullis_base::clock::Timestamp;

/// The most entries of a page.
const LARGEST_PAGE: i32 = 1000;

/// ListObjects.
pub(crate) async fn objects(
    store: &Arc<DevStore>,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let written = NameEncoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "max-keys")?;
    let bucket = store.bucket(&input.bucket)?;
    let page = {
        let state = bucket.read()?;
        let query = query(input.prefix.as_deref(), input.delimiter.as_deref(), limit);
        listing::current(&state.versions, query, input.marker.as_deref().filter(|marker| !marker.is_empty()))
    };
    let next = page.next.as_ref().map(after);
    Ok(S3Response::new(ListObjectsOutput {
        common_prefixes: prefixes(&page.common_prefixes, written),
        contents: Some(page.entries.iter().map(|version| object(version, written, Some(owner(store)))).collect()),
        // Without a delimiter, clients go on after the last key.
        next_marker: next.filter(|_| has_delimiter(input.delimiter.as_ref())).map(|key| written.text(key)),
        delimiter: input.delimiter.map(|delimiter| written.text(&delimiter)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        marker: Some(written.text(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(limit),
        name: Some(input.bucket),
        prefix: Some(written.text(input.prefix.as_deref().unwrap_or_default())),
        ..ListObjectsOutput::default()
    }))
}

/// ListObjectsV2.
pub(crate) async fn objects_v2(
    store: &Arc<DevStore>,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let written = NameEncoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "max-keys")?;
    let token = input.continuation_token.as_deref().map(read_token).transpose()?;
    let start = token.or_else(|| input.start_after.clone()).filter(|start| !start.is_empty());
    let bucket = store.bucket(&input.bucket)?;
    let page = {
        let state = bucket.read()?;
        let query = query(input.prefix.as_deref(), input.delimiter.as_deref(), limit);
        listing::current(&state.versions, query, start.as_deref())
    };
    let shown_owner = (input.fetch_owner == Some(true)).then(|| owner(store));
    Ok(S3Response::new(ListObjectsV2Output {
        common_prefixes: prefixes(&page.common_prefixes, written),
        contents: Some(page.entries.iter().map(|version| object(version, written, shown_owner.clone())).collect()),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|delimiter| written.text(&delimiter)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_count: Some(count(page.entries.len() + page.common_prefixes.len())),
        max_keys: Some(limit),
        name: Some(input.bucket),
        next_continuation_token: page.next.as_ref().map(|next| URL_SAFE_NO_PAD.encode(after(next))),
        prefix: Some(written.text(input.prefix.as_deref().unwrap_or_default())),
        start_after: input.start_after.map(|start| written.text(&start)),
        ..ListObjectsV2Output::default()
    }))
}

/// ListObjectVersions.
pub(crate) async fn versions(
    store: &Arc<DevStore>,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let written = NameEncoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "max-keys")?;
    let start = version_marker(input.key_marker.as_deref(), input.version_id_marker.as_deref())?;
    let bucket = store.bucket(&input.bucket)?;
    let page = {
        let state = bucket.read()?;
        let query = query(input.prefix.as_deref(), input.delimiter.as_deref(), limit);
        listing::every_version(&state.versions, query, start)
    };
    let (versions, delete_markers) = version_entries(&page, written, &owner(store));
    let next_version = page.next.as_ref().and_then(|next| match next {
        Place::Key(_) => None,
        Place::Version { id, .. } => Some(id.clone()),
    });
    Ok(S3Response::new(ListObjectVersionsOutput {
        common_prefixes: prefixes(&page.common_prefixes, written),
        delete_markers: Some(delete_markers),
        delimiter: input.delimiter.map(|delimiter| written.text(&delimiter)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(written.text(input.key_marker.as_deref().unwrap_or_default())),
        max_keys: Some(limit),
        name: Some(input.bucket),
        next_key_marker: page.next.as_ref().map(|next| written.text(after(next))),
        next_version_id_marker: next_version,
        prefix: Some(written.text(input.prefix.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        versions: Some(versions),
        ..ListObjectVersionsOutput::default()
    }))
}

/// ListMultipartUploads.
pub(crate) async fn uploads(
    store: &Arc<DevStore>,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let written = NameEncoding::new(input.encoding_type.as_ref())?;
    let limit = limit(input.max_uploads, "max-uploads")?;
    let (prefix, delimiter) =
        (input.prefix.as_deref().unwrap_or_default(), input.delimiter.as_deref().unwrap_or_default());
    let (key_marker, id_marker) = (input.key_marker.as_deref().unwrap_or_default(), input.upload_id_marker.as_deref());
    let bucket = store.bucket(&input.bucket)?;
    let state = bucket.read()?;
    let (mut uploads, mut groups, mut next) = (Vec::new(), Vec::<String>::new(), None);
    for ((key, id), upload) in &state.uploads {
        let listed = match id_marker {
            Some(id_marker) if key == key_marker => id.as_str() <= id_marker,
            Some(_) | None => !key_marker.is_empty() && key.as_str() <= key_marker,
        };
        if listed || !key.starts_with(prefix) {
            continue;
        }
        let group = listing::common_prefix(prefix, delimiter, key);
        if group.as_ref().is_some_and(|group| groups.contains(group) || key_marker.starts_with(group.as_str())) {
            continue;
        }
        if uploads.len() + groups.len() >= usize::try_from(limit).unwrap_or(0) {
            next = uploads.last().map(|upload: &MultipartUpload| (upload.key.clone(), upload.upload_id.clone()));
            break;
        }
        match group {
            Some(group) => groups.push(group),
            None => uploads.push(MultipartUpload {
                checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.record.algorithm.name())),
                checksum_type: Some(upload.record.scope.answered()),
                initiated: Some(moment(Timestamp::from_millis(upload.record.initiated_millis))),
                initiator: Some(initiator(store)),
                key: Some(key.clone()),
                owner: Some(owner(store)),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                upload_id: Some(id.clone()),
            }),
        }
    }
    drop(state);
    for upload in &mut uploads {
        upload.key = upload.key.take().map(|key| written.text(&key));
    }
    let (next_key_marker, next_upload_id_marker) = next.clone().unwrap_or_default();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        common_prefixes: prefixes(&groups, written),
        is_truncated: Some(next.is_some()),
        key_marker: Some(written.text(key_marker)),
        max_uploads: Some(limit),
        next_key_marker: next_key_marker.map(|key| written.text(&key)),
        next_upload_id_marker,
        prefix: Some(written.text(prefix)),
        bucket: Some(input.bucket),
        delimiter: input.delimiter.map(|delimiter| written.text(&delimiter)),
        encoding_type: input.encoding_type,
        upload_id_marker: input.upload_id_marker,
        uploads: Some(uploads),
        ..ListMultipartUploadsOutput::default()
    }))
}

/// ListParts.
pub(crate) async fn parts(
    store: &Arc<DevStore>,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let limit = limit(input.max_parts, "max-parts")?;
    let after = input.part_number_marker.unwrap_or(0);
    let bucket = store.bucket(&input.bucket)?;
    let upload = bucket.write()?.upload(&input.key, &input.upload_id)?.clone();
    let mut rest = upload.parts.values().filter(|part| part.number > after);
    let page: Vec<Part> = rest
        .by_ref()
        .take(usize::try_from(limit).unwrap_or(0))
        .map(|part| {
            let checksum = answered(Some(&part.checksum));
            Part {
                checksum_crc32: checksum.checksum_crc32,
                checksum_crc32c: checksum.checksum_crc32c,
                checksum_crc64nvme: checksum.checksum_crc64nvme,
                checksum_sha1: checksum.checksum_sha1,
                checksum_sha256: checksum.checksum_sha256,
                e_tag: Some(etag(&part.etag)),
                last_modified: Some(moment(Timestamp::from_millis(part.modified_millis))),
                part_number: Some(part.number),
                size: Some(length(part.size)),
            }
        })
        .collect();
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: Some(ChecksumAlgorithm::from_static(upload.record.algorithm.name())),
        checksum_type: Some(upload.record.scope.answered()),
        initiator: Some(initiator(store)),
        is_truncated: Some(rest.next().is_some()),
        key: Some(input.key),
        max_parts: Some(limit),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        owner: Some(owner(store)),
        part_number_marker: Some(after),
        parts: Some(page),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    }))
}

/// How names are written in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameEncoding {
    AsTheyAre,
    UrlEncoded,
}

impl NameEncoding {
    fn new(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self::AsTheyAre),
            Some(EncodingType::URL) => Ok(Self::UrlEncoded),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    fn text(self, text: &str) -> String {
        match self {
            Self::AsTheyAre => text.to_owned(),
            Self::UrlEncoded => url_encoded(text),
        }
    }
}

fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b'*') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

fn limit(asked: Option<i32>, name: &str) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => {
            Err(s3_error!(InvalidArgument, "Argument {name} must be an integer between 0 and 2147483647"))
        }
        asked => Ok(asked.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE)),
    }
}

fn query<'a>(prefix: Option<&'a str>, delimiter: Option<&'a str>, limit: i32) -> ListingQuery<'a> {
    let limit = usize::try_from(limit).unwrap_or(0);
    ListingQuery { prefix: prefix.unwrap_or_default(), delimiter: delimiter.unwrap_or_default(), limit }
}

fn has_delimiter(delimiter: Option<&String>) -> bool {
    delimiter.is_some_and(|delimiter| !delimiter.is_empty())
}

fn after(next: &Place) -> &str {
    match next {
        Place::Key(key) | Place::Version { key, .. } => key,
    }
}

fn read_token(token: &str) -> S3Result<String> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn version_marker(key: Option<&str>, id: Option<&str>) -> S3Result<Option<Place>> {
    let key = key.filter(|key| !key.is_empty()).map(str::to_owned);
    match (key, id.filter(|id| !id.is_empty())) {
        (None, Some(_)) => {
            Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker."))
        }
        (None, None) => Ok(None),
        (Some(key), None) => Ok(Some(Place::Key(key))),
        (Some(key), Some(id)) => {
            check_version_id(id)?;
            Ok(Some(Place::Version { key, id: id.to_owned() }))
        }
    }
}

fn prefixes(groups: &[String], written: NameEncoding) -> Option<CommonPrefixList> {
    Some(groups.iter().map(|group| CommonPrefix { prefix: Some(written.text(group)) }).collect())
}

fn object(version: &VersionRecord, written: NameEncoding, owner: Option<Owner>) -> Object {
    let stored = version.object();
    Object {
        checksum_algorithm: stored.and_then(checksum_algorithms),
        checksum_type: stored.and_then(|object| Some(object.checksum.as_ref()?.scope.answered())),
        e_tag: stored.map(|object| etag(&object.etag)),
        key: Some(written.text(&version.key)),
        last_modified: Some(moment(version.modified())),
        owner,
        restore_status: None,
        size: stored.map(|object| length(object.size)),
        storage_class: stored.map(|object| ObjectStorageClass::from(storage_class(object))),
    }
}

fn version_entries(
    page: &ListingPage<ListedVersion>,
    written: NameEncoding,
    owner: &Owner,
) -> (Vec<ObjectVersion>, Vec<DeleteMarkerEntry>) {
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for ListedVersion { version, place } in &page.entries {
        let is_latest = Some(*place == Standing::Latest);
        let (key, last_modified) = (Some(written.text(&version.key)), Some(moment(version.modified())));
        let (owner, version_id) = (Some(owner.clone()), Some(version.id.clone()));
        match version.object() {
            Some(object) => versions.push(ObjectVersion {
                checksum_algorithm: checksum_algorithms(object),
                checksum_type: object.checksum.as_ref().map(|checksum| checksum.scope.answered()),
                e_tag: Some(etag(&object.etag)),
                is_latest,
                key,
                last_modified,
                owner,
                restore_status: None,
                size: Some(length(object.size)),
                storage_class: Some(ObjectVersionStorageClass::from(storage_class(object))),
                version_id,
            }),
            None => markers.push(DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id }),
        }
    }
    (versions, markers)
}

fn checksum_algorithms(object: &StoredObject) -> Option<ChecksumAlgorithmList> {
    let StoredChecksum { algorithm, .. } = object.checksum.as_ref()?;
    Some(vec![ChecksumAlgorithm::from_static(algorithm.name())])
}

fn storage_class(object: &StoredObject) -> String {
    object.description.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned())
}

fn initiator(store: &DevStore) -> Initiator {
    let Owner { display_name, id } = owner(store);
    Initiator { display_name, id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encoding_leaves_no_character_that_xml_or_a_url_would_change() {
        assert_eq!(url_encoded("a/b c+d&é\u{1}%"), "a/b%20c%2Bd%26%C3%A9%01%25");
    }

    #[test]
    fn a_version_id_marker_needs_a_key_marker() {
        assert!(version_marker(None, Some("null")).is_err());
        assert_eq!(version_marker(Some(""), Some("")).unwrap(), None);
        assert_eq!(version_marker(Some("k"), None).unwrap(), Some(Place::Key("k".into())));
        assert!(version_marker(Some("k"), Some("nonsense")).is_err());
    }

    #[test]
    fn a_page_holds_a_thousand_at_most() {
        assert_eq!(limit(None, "max-keys").unwrap(), 1000);
        assert_eq!(limit(Some(5000), "max-keys").unwrap(), 1000);
        assert_eq!(limit(Some(0), "max-keys").unwrap(), 0);
        assert!(limit(Some(-1), "max-keys").is_err());
    }
}
