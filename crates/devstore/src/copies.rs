//! Copying objects, and parts of objects into uploads.

use std::ops::Range;
use std::sync::Arc;

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, MetadataDirective,
    TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::body::{BodySource, IncomingBody, UnnamedBody};
use super::bucket::DevBucket;
use super::conditions::{ReadConditions, UnmetCondition};
use super::describe::{description, etag, moment, refuse_unsupported};
use super::digest::answered;
use super::faults::{internal, no_such_key, precondition_failed};
use super::multipart;
use super::objects::FoundVersion;
use super::record::{BodySegment, ObjectHeaders, ObjectRecord, StoredAlgorithm, VersionContent};
use super::store::{DevStore, on_disk};
use super::tags::{self, ObjectTags};
use portcullis_base::clock::Timestamp;

/// The most bytes one request may copy.
const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

/// CopyObject.
pub(crate) async fn copy(
    store: &Arc<DevStore>,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    refuse_unsupported!(input)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    };
    let target = store.bucket(&input.bucket)?;
    let origin = Origin::find(store, &input.copy_source, &conditions)?;
    let source = origin.object.clone();
    if source.size > LARGEST_COPY {
        return Err(too_large());
    }
    let replaces = input.metadata_directive.as_ref().map(MetadataDirective::as_str) == Some(MetadataDirective::REPLACE);
    let retags = input.tagging_directive.as_ref().map(TaggingDirective::as_str) == Some(TaggingDirective::REPLACE);
    let class = input.storage_class.as_ref().map(|class| class.as_str().to_owned());
    let onto_itself = origin.bucket.name == input.bucket && origin.key == input.key && origin.asked_id.is_none();
    if onto_itself && !replaces && class.is_none() && input.website_redirect_location.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let mut description = if replaces { description!(input, &request.headers) } else { source.description.clone() };
    // The storage class and the redirect are the copy's under every directive.
    description.storage_class = class;
    description.website_redirect = input.website_redirect_location.clone();
    let tags = if retags { tags::from_header(input.tagging.as_deref())? } else { source.tags.clone() };
    let wanted = input.checksum_algorithm.map(|algorithm| StoredAlgorithm::parse(algorithm.as_str())).transpose()?;
    let shown_source_id = origin.shown_id.clone();
    let (version, version_id) = on_disk(move || {
        let (object, body) = duplicate(&origin, &target, wanted, description, tags)?;
        let added = target.add(&input.key, VersionContent::Object(Box::new(object)), |_| Ok(()))?;
        body.keep();
        Ok(added)
    })
    .await?;
    let object = version.object();
    let checksum = answered(object.and_then(|object| object.checksum.as_ref()));
    let result = CopyObjectResult {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: object.map(|object| etag(&object.etag)),
        last_modified: Some(moment(version.modified())),
    };
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: shown_source_id,
        version_id,
        ..CopyObjectOutput::default()
    }))
}

/// UploadPartCopy.
pub(crate) async fn copy_part(
    store: &Arc<DevStore>,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    multipart::check_number(input.part_number)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let target = store.bucket(&input.bucket)?;
    let algorithm = target.write()?.upload(&input.key, &input.upload_id)?.record.algorithm;
    let origin = Origin::find(store, &input.copy_source, &conditions)?;
    let range = source_range(input.copy_source_range.as_deref(), origin.object.size)?;
    let shown_source_id = origin.shown_id.clone();
    let part = on_disk(move || {
        let arrived = IncomingBody::copy(&origin.source(), &target, range, algorithm)?;
        multipart::add_part(&target, &input.key, &input.upload_id, input.part_number, arrived)
    })
    .await?;
    let checksum = answered(Some(&part.checksum));
    let result = CopyPartResult {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(moment(Timestamp::from_millis(part.modified_millis))),
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: shown_source_id,
        ..UploadPartCopyOutput::default()
    }))
}

/// The object a copy is made of.
struct Origin {
    bucket: Arc<DevBucket>,
    key: String,
    asked_id: Option<String>,
    shown_id: Option<String>,
    object: ObjectRecord,
}

impl Origin {
    fn find(store: &DevStore, source: &CopySource, conditions: &ReadConditions) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(
                InvalidArgument,
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
            ));
        };
        let bucket = store.bucket(bucket)?;
        let found = FoundVersion::find(&bucket, key, version_id.as_deref())?;
        let Some(object) = found.version.object() else {
            return Err(match version_id {
                Some(_) => s3_error!(
                    InvalidRequest,
                    "The source of a copy request may not specifically refer to a delete marker by version id."
                ),
                None => no_such_key(),
            });
        };
        conditions.meets(&object.etag, found.version.modified()).map_err(|unmet| match unmet {
            UnmetCondition::NotModified | UnmetCondition::PreconditionFailed => precondition_failed(),
        })?;
        let (object, asked_id) = (object.clone(), version_id.as_deref().map(str::to_owned));
        Ok(Self { bucket, key: key.to_string(), asked_id, shown_id: found.shown_id, object })
    }

    fn source(&self) -> BodySource {
        BodySource { bucket: self.bucket.clone(), segments: self.object.segments.clone() }
    }
}

/// Makes the copy's body: the same bytes on disk where the digests stay the same, else new ones.
fn duplicate(
    origin: &Origin,
    target: &Arc<DevBucket>,
    wanted: Option<StoredAlgorithm>,
    description: ObjectHeaders,
    tags: ObjectTags,
) -> S3Result<(ObjectRecord, UnnamedBody)> {
    let source = &origin.object;
    let algorithm = source.checksum.as_ref().map_or(StoredAlgorithm::Crc64nvme, |checksum| checksum.algorithm);
    let digests_stay = wanted.is_none_or(|wanted| wanted == algorithm);
    if let ([segment], None, true) = (source.segments.as_slice(), source.parts_count(), digests_stay) {
        let body = UnnamedBody::new(target)?;
        target.directory.link_body(&origin.bucket.directory, &segment.body, body.name()).map_err(internal)?;
        let segments = vec![BodySegment { body: body.name().to_owned(), size: segment.size, part: None }];
        return Ok((ObjectRecord { segments, description, tags, ..source.clone() }, body));
    }
    let algorithm = wanted.unwrap_or(algorithm);
    let arrived = IncomingBody::copy(&origin.source(), target, 0..source.size, algorithm)?;
    Ok((arrived.object(description, tags), arrived.body))
}

fn source_range(asked: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(asked) = asked else {
        return if size > LARGEST_COPY { Err(too_large()) } else { Ok(0..size) };
    };
    let read = || {
        let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    match read() {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        Some((first, last)) if first <= last => {
            Err(s3_error!(InvalidArgument, "Range specified is not valid for source object of size: {size}"))
        }
        Some(_) | None => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy"
        )),
    }
}

fn too_large() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST_COPY}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_copied_part_lies_inside_its_source() {
        assert_eq!(source_range(None, 10).unwrap(), 0..10);
        assert_eq!(source_range(Some("bytes=2-9"), 10).unwrap(), 2..10);
        for bad in ["bytes=2-10", "bytes=5-4", "bytes=-5", "bytes=5-", "5-6", "bytes=a-b"] {
            assert!(source_range(Some(bad), 10).is_err(), "{bad}");
        }
    }
}
