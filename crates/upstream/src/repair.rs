//! Documents that some stores write otherwise than S3 does, so that typed clients cannot read them.

use super::UpstreamError;
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::XmlElement;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{AnswerBody, CompletedRequest, UpstreamAnswer};
use portcullis_s3::S3Operation;

/// The roots of documents that a store names otherwise, or writes where S3 answers that there is none.
const ROOTS: &[(S3Operation, &str)] = &[
    // Ceph RGW writes one without rules where S3 answers 404.
    (S3Operation::GetBucketReplication, "ReplicationConfiguration"),
    // MinIO begins with a small letter.
    (S3Operation::GetObjectAttributes, "GetObjectAttributesResponse"),
    // Ceph RGW 16.2 writes BlockPublicAccessBlockConfiguration.
    (S3Operation::GetPublicAccessBlock, "PublicAccessBlockConfiguration"),
];

/// The longest of these documents: a thousand rules.
const LONGEST_DOCUMENT: usize = 1024 * 1024;

/// What a store's answer says in S3's terms.
pub(super) enum RepairedAnswer {
    Answer(UpstreamAnswer),
    /// A document that configures nothing.
    Nothing(UpstreamAnswer),
}

/// Reads an answer whose document may need repair; others pass as they are.
pub(super) async fn repaired(
    action: S3Operation,
    answer: UpstreamAnswer,
    within: Duration,
) -> Result<RepairedAnswer, UpstreamError> {
    let Some((_, root)) = ROOTS.iter().find(|(repaired, _)| *repaired == action) else {
        return Ok(RepairedAnswer::Answer(answer));
    };
    let (mut done, download) = match answer {
        UpstreamAnswer::Done(CompletedRequest { body: AnswerBody::Stream(download), status, headers, deleted }) => {
            (CompletedRequest { body: AnswerBody::Whole(Bytes::new()), status, headers, deleted }, download)
        }
        answer @ (UpstreamAnswer::Done(_) | UpstreamAnswer::Refused(_)) => return Ok(RepairedAnswer::Answer(answer)),
    };
    let bytes = download.whole(LONGEST_DOCUMENT, within).await?;
    let node = XmlElement::parse(&bytes).map_err(|_| UpstreamError::Unreadable)?;
    let is_nothing =
        action == S3Operation::GetBucketReplication && !node.children.iter().any(|child| child.name == "Rule");
    if node.name == *root {
        done.body = AnswerBody::Whole(bytes);
    } else {
        done.replace_body(XmlElement { name: (*root).to_owned(), ..node }.document(NAMESPACE));
    }
    let answer = UpstreamAnswer::Done(done);
    Ok(if is_nothing { RepairedAnswer::Nothing(answer) } else { RepairedAnswer::Answer(answer) })
}
