//! Writing and reading objects.

use std::ops::Range;
use std::sync::Arc;

use s3s::dto::{
    Checksum as AnsweredChecksum, ChecksumMode, GetObjectAclInput, GetObjectAclOutput, GetObjectAttributesInput,
    GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, ObjectAttributes, ObjectPart, PostObjectInput, PostObjectOutput, PutObjectInput, PutObjectOutput,
    Range as AskedRange, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::body::{BodySource, IncomingBody};
use super::bucket::DevBucket;
use super::buckets::full_control;
use super::conditions::{ReadConditions, UnmetCondition, WriteConditions};
use super::describe::{
    BodyClaims, count, described, description, etag, length, moment, owner, refuse_unsupported, with_expires,
};
use super::digest::answered;
use super::faults::{self, internal, not_implemented, precondition_failed};
use super::record::{ObjectRecord, StoredAlgorithm, VersionContent, VersionRecord};
use super::store::{DevStore, on_disk};
use super::tags;

/// The most bytes an object may bring in one request.
const LARGEST_PUT: i64 = 5 * 1024 * 1024 * 1024;

/// Marks an answer that holds a part of an object only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialContent;

/// PutObject.
pub(crate) async fn put(
    store: &Arc<DevStore>,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let input = request.input;
    refuse_unsupported!(input)?;
    if input.write_offset_bytes.is_some() {
        return Err(not_implemented("x-amz-write-offset-bytes"));
    }
    let bucket = store.bucket(&input.bucket)?;
    let claimed = BodyClaims::read(&request.headers, input.content_md5)?;
    let description = description!(input, &request.headers);
    let tags = tags::from_header(input.tagging.as_deref())?;
    check_length(input.content_length)?;
    let algorithm = claimed.algorithm().unwrap_or(StoredAlgorithm::Crc64nvme);
    let arriving = IncomingBody::receive(&bucket, input.body, algorithm).await?;
    let claims = claimed.complete(request.trailing_headers.as_ref())?;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let (key, expected) = (input.key, input.content_length);
    let (version, shown_id) = on_disk(move || {
        let arrived = arriving.finish()?;
        if expected.is_some_and(|expected| expected != length(arrived.size)) {
            return Err(incomplete());
        }
        claims.check(&arrived.digested)?;
        let content = VersionContent::Object(Box::new(arrived.object(description, tags)));
        let added = bucket.add(&key, content, |state| conditions.allows(state.current(&key)))?;
        arrived.body.keep();
        Ok(added)
    })
    .await?;
    let object = version.object();
    let checksum = answered(object.and_then(|object| object.checksum.as_ref()));
    Ok(S3Response::new(PutObjectOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: object.map(|object| etag(&object.etag)),
        version_id: shown_id,
        ..PutObjectOutput::default()
    }))
}

/// PostObject, which browsers send: s3s would hold the whole object in memory.
pub(crate) async fn post(_: &Arc<DevStore>, _: S3Request<PostObjectInput>) -> S3Result<S3Response<PostObjectOutput>> {
    Err(not_implemented("POST of a form"))
}

/// GetObject.
pub(crate) async fn get(
    store: &Arc<DevStore>,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let mut tries = 0;
    loop {
        let found = FoundVersion::find(&bucket, &input.key, input.version_id.as_deref())?;
        let object = found.object(&conditions)?;
        let (range, sent) = asked_range(object, input.range, input.part_number)?;
        let source = BodySource { bucket: bucket.clone(), segments: object.segments.clone() };
        let body = match source.send(range.clone()).await? {
            Some(body) => body,
            // The version was replaced between finding and opening it; a second look finds the new one.
            None if tries < 8 => {
                tries += 1;
                continue;
            }
            None => return Err(internal(std::io::ErrorKind::NotFound.into())),
        };
        let checksum = shown_checksum(object, sent, input.checksum_mode.as_ref());
        let output = GetObjectOutput {
            body: Some(body),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            checksum_type: checksum.checksum_type,
            content_length: Some(length(range.end - range.start)),
            content_range: content_range(object, &range, sent),
            parts_count: input.part_number.and(object.parts_count()).map(count),
            tag_count: Some(count(object.tags.len())).filter(|tags| *tags > 0),
            ..described!(GetObjectOutput, object, found.version, found.shown_id.clone())
        };
        return Ok(with_expires(S3Response::new(output), &object.description));
    }
}

/// HeadObject.
pub(crate) async fn head(
    store: &Arc<DevStore>,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let found = FoundVersion::find(&bucket, &input.key, input.version_id.as_deref())?;
    let object = found.object(&conditions)?;
    let (range, sent) = asked_range(object, input.range, input.part_number)?;
    let checksum = shown_checksum(object, sent, input.checksum_mode.as_ref());
    let content_range = content_range(object, &range, sent);
    let output = HeadObjectOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        content_length: Some(length(range.end - range.start)),
        content_range,
        parts_count: input.part_number.and(object.parts_count()).map(count),
        ..described!(HeadObjectOutput, object, found.version, found.shown_id.clone())
    };
    let mut response = with_expires(S3Response::new(output), &object.description);
    // s3s answers every HEAD with 200; the server sets the right status where it finds this mark.
    if sent == SentRange::Part {
        response.extensions.insert(PartialContent);
    }
    Ok(response)
}

/// GetObjectAttributes.
pub(crate) async fn attributes(
    store: &Arc<DevStore>,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let found = FoundVersion::find(&bucket, &input.key, input.version_id.as_deref())?;
    let object = found.object(&ReadConditions::default())?;
    let asks = |name: &str| {
        let names = input.object_attributes.iter().flat_map(|names| names.as_str().split(','));
        names.map(str::trim).any(|asked| asked == name)
    };
    let class = object.description.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Ok(S3Response::new(GetObjectAttributesOutput {
        checksum: asks(ObjectAttributes::CHECKSUM).then(|| answered(object.checksum.as_ref())),
        e_tag: asks(ObjectAttributes::ETAG).then(|| etag(&object.etag)),
        last_modified: Some(moment(found.version.modified())),
        object_parts: object.parts_count().filter(|_| asks(ObjectAttributes::OBJECT_PARTS)).map(|parts| {
            parts_page(object, parts, input.part_number_marker.unwrap_or(0), input.max_parts.unwrap_or(1000))
        }),
        object_size: asks(ObjectAttributes::OBJECT_SIZE).then(|| length(object.size)),
        storage_class: asks(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from(class)),
        version_id: found.shown_id.clone(),
        ..GetObjectAttributesOutput::default()
    }))
}

/// GetObjectAcl: everything is the owner's alone.
pub(crate) async fn acl(
    store: &Arc<DevStore>,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let found = FoundVersion::find(&bucket, &input.key, input.version_id.as_deref())?;
    found.object(&ReadConditions::default())?;
    let (grants, owner) = (Some(full_control(store)), Some(owner(store)));
    Ok(S3Response::new(GetObjectAclOutput { grants, owner, ..GetObjectAclOutput::default() }))
}

/// The version a request speaks of.
pub(crate) struct FoundVersion {
    pub version: Arc<VersionRecord>,
    /// The id the client is told.
    pub shown_id: Option<String>,
    asked: VersionChoice,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum VersionChoice {
    ForCurrent,
    ForVersion,
}

impl FoundVersion {
    /// Looks a version up.
    pub(crate) fn find(bucket: &DevBucket, key: &str, id: Option<&str>) -> S3Result<Self> {
        let state = bucket.read()?;
        let version = state.version(key, id)?.clone();
        let asked = if id.is_some() { VersionChoice::ForVersion } else { VersionChoice::ForCurrent };
        Ok(Self { shown_id: state.shown_id(&version), version, asked })
    }

    /// The object, if there is one and it meets the conditions.
    pub(crate) fn object(&self, conditions: &ReadConditions) -> S3Result<&ObjectRecord> {
        let Some(object) = self.version.object() else {
            return Err(match self.asked {
                VersionChoice::ForCurrent => faults::deleted(self.shown_id.clone()),
                VersionChoice::ForVersion => faults::marker_has_no_method(&self.version),
            });
        };
        let modified = self.version.modified();
        conditions.meets(&object.etag, modified).map_err(|unmet| match unmet {
            UnmetCondition::NotModified => faults::not_modified(&object.etag, &modified.http_date()),
            UnmetCondition::PreconditionFailed => precondition_failed(),
        })?;
        Ok(object)
    }
}

/// Refuses a body that is too long for one request before it is sent.
pub(crate) fn check_length(announced: Option<i64>) -> S3Result<()> {
    match announced {
        None => Err(s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header.")),
        Some(length) if length > LARGEST_PUT => {
            Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"))
        }
        Some(_) => Ok(()),
    }
}

/// The body did not hold what was announced.
pub(crate) fn incomplete() -> s3s::S3Error {
    s3_error!(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

/// How much of an object an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SentRange {
    All,
    Part,
}

fn asked_range(
    object: &ObjectRecord,
    range: Option<AskedRange>,
    part: Option<i32>,
) -> S3Result<(Range<u64>, SentRange)> {
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
        }
        (Some(range), None) => {
            let unsatisfiable = |_| s3_error!(InvalidRange, "The requested range is not satisfiable");
            Ok((range.check(object.size).map_err(unsatisfiable)?, SentRange::Part))
        }
        (None, Some(part)) => part_range(object, part).map(|range| (range, SentRange::Part)),
        (None, None) => Ok((0..object.size, SentRange::All)),
    }
}

fn part_range(object: &ObjectRecord, part: i32) -> S3Result<Range<u64>> {
    let mut start = 0;
    for (number, segment) in (1..).zip(&object.segments) {
        if number == part {
            return Ok(start..start + segment.size);
        }
        start += segment.size;
    }
    Err(faults::named(
        "InvalidPartNumber",
        http::StatusCode::RANGE_NOT_SATISFIABLE,
        "The requested partnumber is not satisfiable",
    ))
}

fn content_range(object: &ObjectRecord, range: &Range<u64>, sent: SentRange) -> Option<String> {
    (sent == SentRange::Part && !range.is_empty())
        .then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size))
}

/// The checksum is of the whole object, so that it goes with the whole object only.
fn shown_checksum(object: &ObjectRecord, sent: SentRange, mode: Option<&ChecksumMode>) -> AnsweredChecksum {
    let enabled = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    answered(object.checksum.as_ref().filter(|_| enabled && sent == SentRange::All))
}

fn parts_page(object: &ObjectRecord, total: usize, after: i32, limit: i32) -> GetObjectAttributesParts {
    let parts = object.segments.iter().filter_map(|segment| Some((segment, segment.part.as_ref()?)));
    let mut rest = parts.filter(|(_, mark)| mark.number > after);
    let page = rest.by_ref().take(usize::try_from(limit).unwrap_or(0));
    let page: Vec<ObjectPart> = page
        .map(|(segment, mark)| {
            let checksum = answered(mark.checksum.as_ref());
            ObjectPart {
                checksum_crc32: checksum.checksum_crc32,
                checksum_crc32c: checksum.checksum_crc32c,
                checksum_crc64nvme: checksum.checksum_crc64nvme,
                checksum_sha1: checksum.checksum_sha1,
                checksum_sha256: checksum.checksum_sha256,
                part_number: Some(mark.number),
                size: Some(length(segment.size)),
            }
        })
        .collect();
    GetObjectAttributesParts {
        is_truncated: Some(rest.next().is_some()),
        max_parts: Some(limit),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        part_number_marker: Some(after),
        parts: Some(page),
        total_parts_count: Some(count(total)),
    }
}
