//! Documents that some stores write otherwise than S3 does, so that typed clients cannot read them.

use super::UpstreamError;
use portcullis_s3::documents::NAMESPACE;
use portcullis_xml::XmlElement;
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Answer, AnswerBody, Done};
use portcullis_s3::Action;

/// The roots of documents that a store names otherwise, or writes where S3 answers that there is none.
const ROOTS: &[(Action, &str)] = &[
    // Ceph RGW writes one without rules where S3 answers 404.
    (Action::GetBucketReplication, "ReplicationConfiguration"),
    // MinIO begins with a small letter.
    (Action::GetObjectAttributes, "GetObjectAttributesResponse"),
    // Ceph RGW 16.2 writes BlockPublicAccessBlockConfiguration.
    (Action::GetPublicAccessBlock, "PublicAccessBlockConfiguration"),
];

/// The longest of these documents: a thousand rules.
const LONGEST_DOCUMENT: usize = 1024 * 1024;

/// What a store's answer says in S3's terms.
pub(super) enum Repaired {
    Answer(Answer),
    /// A document that configures nothing.
    Nothing(Answer),
}

/// Reads an answer whose document may need repair; others pass as they are.
pub(super) async fn repaired(action: Action, answer: Answer, within: Duration) -> Result<Repaired, UpstreamError> {
    let Some((_, root)) = ROOTS.iter().find(|(repaired, _)| *repaired == action) else {
        return Ok(Repaired::Answer(answer));
    };
    let (mut done, download) = match answer {
        Answer::Done(Done { body: AnswerBody::Stream(download), status, headers, deleted }) => {
            (Done { body: AnswerBody::Whole(Bytes::new()), status, headers, deleted }, download)
        }
        answer @ (Answer::Done(_) | Answer::Refused(_)) => return Ok(Repaired::Answer(answer)),
    };
    let bytes = download.whole(LONGEST_DOCUMENT, within).await?;
    let node = XmlElement::parse(&bytes).map_err(|_| UpstreamError::Unreadable)?;
    let is_nothing = action == Action::GetBucketReplication && !node.children.iter().any(|child| child.name == "Rule");
    if node.name == *root {
        done.body = AnswerBody::Whole(bytes);
    } else {
        done.replace_body(XmlElement { name: (*root).to_owned(), ..node }.document(NAMESPACE));
    }
    let answer = Answer::Done(done);
    Ok(if is_nothing { Repaired::Nothing(answer) } else { Repaired::Answer(answer) })
}
