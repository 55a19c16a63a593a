//! The tags of objects.

use std::collections::HashSet;
use std::sync::Arc;

use http::StatusCode;
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::conditions::ReadConditions;
use super::faults::named;
use super::objects::FoundVersion;
use super::record::VersionContent;
use super::store::{DevStore, on_disk};

/// Names and values.
pub(crate) type ObjectTags = Vec<(String, String)>;

/// GetObjectTagging.
pub(crate) async fn get(
    store: &Arc<DevStore>,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let found = FoundVersion::find(&bucket, &input.key, input.version_id.as_deref())?;
    let tag_set = answered(&found.object(&ReadConditions::default())?.tags);
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: found.shown_id }))
}

/// PutObjectTagging.
pub(crate) async fn put(
    store: &Arc<DevStore>,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    let tags = from_document(input.tagging.tag_set, TagHolder::Object)?;
    let version_id = replace(store, &input.bucket, input.key, input.version_id, tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

/// DeleteObjectTagging.
pub(crate) async fn delete(
    store: &Arc<DevStore>,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    let version_id = replace(store, &input.bucket, input.key, input.version_id, ObjectTags::new()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}

/// Reads `x-amz-tagging`, which is written as a query string.
pub(crate) fn from_header(header: Option<&str>) -> S3Result<ObjectTags> {
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let tags = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    });
    let tags = tags.collect::<Option<ObjectTags>>().ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters."
        )
    })?;
    checked(tags, TagHolder::Object)
}

/// Who has the tags, which decides how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TagHolder {
    Bucket,
    Object,
}

/// Takes the tags of a document.
pub(crate) fn from_document(tags: Vec<Tag>, holder: TagHolder) -> S3Result<ObjectTags> {
    let pairs = tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    checked(pairs.collect(), holder)
}

/// The tags as a document.
pub(crate) fn answered(tags: &ObjectTags) -> Vec<Tag> {
    tags.iter().map(|(name, value)| Tag { key: Some(name.clone()), value: Some(value.clone()) }).collect()
}

async fn replace(
    store: &Arc<DevStore>,
    bucket: &str,
    key: String,
    id: Option<String>,
    tags: ObjectTags,
) -> S3Result<Option<String>> {
    let bucket = store.bucket(bucket)?;
    on_disk(move || {
        let found = FoundVersion::find(&bucket, &key, id.as_deref())?;
        found.object(&ReadConditions::default())?;
        bucket.replace(&key, &found.version.id, |content| match content {
            VersionContent::Object(object) => object.tags = tags,
            VersionContent::Marker => {}
        })?;
        Ok(found.shown_id)
    })
    .await
}

fn checked(tags: ObjectTags, holder: TagHolder) -> S3Result<ObjectTags> {
    let most = match holder {
        TagHolder::Bucket => 50,
        TagHolder::Object => 10,
    };
    if tags.len() > most {
        return Err(match holder {
            TagHolder::Bucket => {
                named("BadRequest", StatusCode::BAD_REQUEST, "Bucket tag count cannot be greater than 50")
            }
            TagHolder::Object => named("BadRequest", StatusCode::BAD_REQUEST, "Object tags cannot be greater than 10"),
        });
    }
    let mut names = HashSet::new();
    for (name, value) in &tags {
        if name.is_empty() || name.chars().count() > 128 {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if !names.insert(name) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                *hex::decode(digits).ok()?.first()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_header_are_a_query_string() {
        let tags = from_header(Some("team=a+b&empty=&%C3%A9=%2F&bare")).unwrap();
        let expected = [("team", "a b"), ("empty", ""), ("é", "/"), ("bare", "")];
        assert_eq!(tags, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(from_header(None).unwrap(), ObjectTags::new());
        assert!(from_header(Some("a=%2")).is_err());
    }

    #[test]
    fn eleven_tags_and_a_name_given_twice_are_refused() {
        let eleven = (0..11).map(|number| format!("t{number}=v")).collect::<Vec<_>>().join("&");
        assert!(from_header(Some(&eleven)).is_err());
        assert_eq!(from_header(Some("a=1&a=2")).unwrap_err().code().as_str(), "InvalidTag");
    }
}
