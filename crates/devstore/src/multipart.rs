//! Multipart uploads. A completed upload moves no bytes: its parts become the segments of the object.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::body::{BodyOnDisk, IncomingBody};
use super::bucket::{DevBucket, OpenUpload};
use super::conditions::WriteConditions;
use super::describe::{BodyClaims, description, etag, length, refuse_encryption, refuse_unsupported};
use super::digest::{answered, checksum_of_parts, etag_of_parts};
use super::faults::internal;
use super::objects::{check_length, incomplete};
use super::record::{
    BodySegment, ChecksumScope, ObjectRecord, PartMark, PartRecord, StoredAlgorithm, UploadRecord, VersionContent,
};
use super::store::{DevStore, on_disk, random_name};
use super::tags;

/// The fewest bytes of a part that is not the last.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// CreateMultipartUpload.
pub(crate) async fn create(
    store: &Arc<DevStore>,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    refuse_unsupported!(input)?;
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = match &input.checksum_algorithm {
        Some(name) => StoredAlgorithm::parse(name.as_str())?,
        None => StoredAlgorithm::Crc64nvme,
    };
    let scope = scope(algorithm, input.checksum_type.as_ref())?;
    let record = UploadRecord {
        key: input.key.clone(),
        id: random_name()?,
        initiated_millis: bucket.now().millis(),
        algorithm,
        scope,
        description: description!(input, &request.headers),
        tags: tags::from_header(input.tagging.as_deref())?,
    };
    let upload_id = record.id.clone();
    on_disk(move || {
        let mut state = bucket.write()?;
        bucket.directory.write_upload(&record).map_err(internal)?;
        let upload = OpenUpload { record: Arc::new(record), parts: BTreeMap::new() };
        state.uploads.insert((upload.record.key.clone(), upload.record.id.clone()), upload);
        Ok(())
    })
    .await?;
    let asked = input.checksum_algorithm.is_some();
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: asked.then(|| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: asked.then(|| scope.answered()),
        key: Some(input.key),
        upload_id: Some(upload_id),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// UploadPart.
pub(crate) async fn upload_part(
    store: &Arc<DevStore>,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let input = request.input;
    refuse_encryption(&[input.sse_customer_algorithm.is_some(), input.sse_customer_key.is_some()])?;
    check_number(input.part_number)?;
    check_length(input.content_length)?;
    let bucket = store.bucket(&input.bucket)?;
    let algorithm = bucket.write()?.upload(&input.key, &input.upload_id)?.record.algorithm;
    let claimed = BodyClaims::read(&request.headers, input.content_md5)?;
    // A part may bring another checksum than the upload's; it is checked, and is the one kept.
    let arriving = IncomingBody::receive(&bucket, input.body, claimed.algorithm().unwrap_or(algorithm)).await?;
    let claims = claimed.complete(request.trailing_headers.as_ref())?;
    let expected = input.content_length;
    let part = on_disk(move || {
        let arrived = arriving.finish()?;
        if expected.is_some_and(|expected| expected != length(arrived.size)) {
            return Err(incomplete());
        }
        claims.check(&arrived.digested)?;
        add_part(&bucket, &input.key, &input.upload_id, input.part_number, arrived)
    })
    .await?;
    let checksum = answered(Some(&part.checksum));
    Ok(S3Response::new(UploadPartOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        e_tag: Some(etag(&part.etag)),
        ..UploadPartOutput::default()
    }))
}

/// Makes a body that arrived a part of an upload, in place of the part that had its number; blocks.
pub(crate) fn add_part(
    bucket: &DevBucket,
    key: &str,
    upload: &str,
    number: i32,
    arrived: BodyOnDisk,
) -> S3Result<PartRecord> {
    let mut state = bucket.write()?;
    let parts = &mut state.upload(key, upload)?.parts;
    let part = PartRecord {
        number,
        body: arrived.body.name().to_owned(),
        size: arrived.size,
        etag: arrived.digested.etag(),
        checksum: arrived.digested.checksum,
        modified_millis: bucket.now().millis(),
    };
    bucket.directory.write_part(upload, &part).map_err(internal)?;
    arrived.body.keep();
    let replaced = parts.insert(number, part.clone());
    drop(state);
    bucket.directory.remove_bodies(replaced.iter().map(|part| part.body.as_str()));
    Ok(part)
}

/// CompleteMultipartUpload.
pub(crate) async fn complete(
    store: &Arc<DevStore>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let claimed = BodyClaims::read(&request.headers, None)?.complete(None)?.checksum;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let (key, upload_id, expected) = (input.key.clone(), input.upload_id, input.mpu_object_size);
    let (version, version_id) = on_disk(move || {
        let upload = bucket.write()?.upload(&key, &upload_id)?.clone();
        let object = assemble(&upload, &named)?;
        if expected.is_some_and(|expected| expected != length(object.size)) {
            return Err(s3_error!(InvalidRequest, "The provided 'x-amz-mp-object-size' header does not match."));
        }
        match (&claimed, &object.checksum) {
            (Some((algorithm, value)), Some(found)) if found.algorithm != *algorithm || !found.is_claimed_as(value) => {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ));
            }
            (Some(_) | None, _) => {}
        }
        end(&bucket, &key, &upload_id, &upload, object, &conditions)
    })
    .await?;
    let object = version.object();
    let checksum = answered(object.and_then(|object| object.checksum.as_ref()));
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: object.map(|object| etag(&object.etag)),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        version_id,
        ..CompleteMultipartUploadOutput::default()
    }))
}

/// AbortMultipartUpload.
pub(crate) async fn abort(
    store: &Arc<DevStore>,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    on_disk(move || {
        let mut state = bucket.write()?;
        state.upload(&input.key, &input.upload_id)?;
        bucket.directory.remove_upload(&input.upload_id).map_err(internal)?;
        let upload = state.uploads.remove(&(input.key, input.upload_id));
        drop(state);
        let parts = upload.iter().flat_map(|upload| upload.parts.values());
        bucket.directory.remove_bodies(parts.map(|part| part.body.as_str()));
        Ok(())
    })
    .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

/// Refuses what is no part number.
pub(crate) fn check_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

fn scope(algorithm: StoredAlgorithm, asked: Option<&ChecksumType>) -> S3Result<ChecksumScope> {
    let scope = match (asked.map(ChecksumType::as_str), algorithm) {
        (Some(ChecksumType::FULL_OBJECT), _) | (None, StoredAlgorithm::Crc64nvme) => ChecksumScope::FullObject,
        (Some(ChecksumType::COMPOSITE) | None, _) => ChecksumScope::Composite,
        (Some(_), _) => return Err(s3_error!(InvalidRequest, "Value for x-amz-checksum-type header is invalid.")),
    };
    match (scope, algorithm) {
        (ChecksumScope::FullObject, StoredAlgorithm::Sha1 | StoredAlgorithm::Sha256)
        | (ChecksumScope::Composite, StoredAlgorithm::Crc64nvme) => Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            scope.answered().as_str(),
            algorithm.name()
        )),
        (ChecksumScope::FullObject, StoredAlgorithm::Crc32 | StoredAlgorithm::Crc32c | StoredAlgorithm::Crc64nvme)
        | (
            ChecksumScope::Composite,
            StoredAlgorithm::Crc32 | StoredAlgorithm::Crc32c | StoredAlgorithm::Sha1 | StoredAlgorithm::Sha256,
        ) => Ok(scope),
    }
}

/// The object that the named parts make.
fn assemble(upload: &OpenUpload, named: &[CompletedPart]) -> S3Result<ObjectRecord> {
    let parts = named.iter().map(|part| named_part(upload, part)).collect::<S3Result<Vec<_>>>()?;
    let Some((_, all_but_last)) = parts.split_last() else {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    };
    if parts.windows(2).any(|pair| matches!(pair, [one, next] if one.number >= next.number)) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. The parts list must be specified in order by part number."
        ));
    }
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    let record = &upload.record;
    let checksums: Vec<_> = parts.iter().map(|part| (&part.checksum, part.size)).collect();
    let segments = parts.iter().map(|part| BodySegment {
        body: part.body.clone(),
        size: part.size,
        part: Some(PartMark { number: part.number, checksum: Some(part.checksum.clone()) }),
    });
    Ok(ObjectRecord {
        size: parts.iter().map(|part| part.size).sum(),
        etag: etag_of_parts(parts.iter().map(|part| part.etag.as_str())),
        checksum: checksum_of_parts(record.algorithm, record.scope, &checksums),
        segments: segments.collect(),
        description: record.description.clone(),
        tags: record.tags.clone(),
    })
}

fn named_part<'a>(upload: &'a OpenUpload, named: &CompletedPart) -> S3Result<&'a PartRecord> {
    let part = named.part_number.and_then(|number| upload.parts.get(&number));
    let claims = [
        &named.checksum_crc32,
        &named.checksum_crc32c,
        &named.checksum_crc64nvme,
        &named.checksum_sha1,
        &named.checksum_sha256,
    ];
    let claim =
        StoredAlgorithm::ALL.into_iter().zip(claims).find_map(|(algorithm, claim)| Some((algorithm, claim.as_ref()?)));
    part.filter(|part| named.e_tag.as_ref().is_some_and(|named| named.value() == part.etag))
        .filter(|part| {
            let found = &part.checksum;
            claim.is_none_or(|(algorithm, value)| algorithm == found.algorithm && *value == found.value)
        })
        .ok_or_else(|| {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
                 specified entity tag may not match the part's entity tag."
            )
        })
}

/// Makes the object the newest version, and only then forgets the upload.
fn end(
    bucket: &DevBucket,
    key: &str,
    upload_id: &str,
    assembled_from: &OpenUpload,
    object: ObjectRecord,
    conditions: &WriteConditions,
) -> S3Result<super::bucket::AddedVersion> {
    let kept: HashSet<String> = object.segments.iter().map(|segment| segment.body.clone()).collect();
    let id = (key.to_owned(), upload_id.to_owned());
    let added = bucket.add(key, VersionContent::Object(Box::new(object)), |state| {
        // The upload may have been aborted, completed or given other parts since it was looked at.
        match state.uploads.get(&id) {
            Some(now) if now.parts == assembled_from.parts => conditions.allows(state.current(key)),
            Some(_) => Err(s3_error!(
                OperationAborted,
                "A conflicting conditional operation is currently in progress against this resource. Please try again."
            )),
            None => Err(super::faults::no_such_upload()),
        }
    })?;
    let mut state = bucket.write()?;
    let upload = state.uploads.remove(&id);
    // The next start finds the version and ends the upload if this fails.
    drop(bucket.directory.remove_upload(upload_id));
    drop(state);
    let parts = upload.iter().flat_map(|upload| upload.parts.values());
    bucket.directory.remove_bodies(parts.map(|part| part.body.as_str()).filter(|body| !kept.contains(*body)));
    Ok(added)
}
