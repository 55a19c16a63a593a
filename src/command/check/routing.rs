//! Whether the store takes each operation that is sent to it for what it is.
//!
//! A store that does not know a sub-resource carries out the plain operation of the same method and path, so each
//! operation is sent without content to where the plain one would show: DELETE to an empty bucket, PUT to a free name.

use http::{Method, StatusCode};

use super::probe::ProbeFinding;
use crate::command::exchange::ExchangeError;
use crate::command::s3::{ClientAnswer, ClientRequest, S3Client, S3ClientError};
use portcullis_base::percent::percent_encode;
use portcullis_s3::{OperationMark, OperationRow, RequestHandling, S3Operation, TargetLevel, UpstreamKind};

/// Where the trials are made: a bucket that is there and empty, and how it is made again.
pub(super) struct TrialBucket<'a> {
    pub s3: &'a S3Client,
    pub bucket: &'a str,
    /// The document of its CreateBucket.
    pub document: String,
}

/// How an operation shows that it was taken for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MisroutingSign {
    BucketGone,
    BucketMade,
    /// The object is there, and is not the copy that was asked for.
    CopyWithoutContent,
    KeyGone,
    KeyMade,
    Listing,
    /// The listing has no count, which the second version of it has.
    ListingOfFirstVersion,
    /// The key of the batch is there still.
    NothingDeleted,
    ObjectRead,
    /// A POST without content has no effect under any operation.
    None,
}

/// What came of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoutingOutcome {
    Declined,
    Mistaken,
    Taken,
    /// Its answer cannot be read, but nothing else was done.
    Unreadable,
}

const KEY: &str = "probe";
const CONTENT: &[u8] = b"portcullis check";

/// Sends each operation that a store of this kind is sent, and looks for what the plain one would have done.
pub(super) async fn run(place: &TrialBucket<'_>, store: UpstreamKind) -> ProbeFinding {
    let (mut taken, mut declined, mut mistaken, mut unreadable) = (0, Vec::new(), Vec::new(), Vec::new());
    for action in trials(store) {
        match place.tried(action.row()).await {
            Ok(RoutingOutcome::Declined) => declined.push(action.name()),
            Ok(RoutingOutcome::Mistaken) => mistaken.push(action.name()),
            Ok(RoutingOutcome::Taken) => taken += 1,
            Ok(RoutingOutcome::Unreadable) => unreadable.push(action.name()),
            Err(error) => return ProbeFinding::Doubtful(format!("{} could not be tested: {error}", action.name())),
        }
    }
    if !mistaken.is_empty() {
        return ProbeFinding::Bad(format!(
            "upstream.profile does not fit this store, which carries out another operation for {}",
            mistaken.join(", ")
        ));
    }
    let mut text = format!("the store recognizes {taken} operations on configurations and uploads");
    for (what, operations) in [("does not support", declined), ("gives no readable answer to", unreadable)] {
        if !operations.is_empty() {
            text = format!("{text}; it {what} {}", operations.join(", "));
        }
    }
    ProbeFinding::Good(text)
}

/// Keys that a listing does not show: MinIO hides what lies below an object of the same name.
pub(super) async fn hidden_keys(place: &TrialBucket<'_>) -> ProbeFinding {
    let path = |key: &str| format!("/{}/{key}", place.bucket);
    let put = |key: &str| ClientRequest::new(Method::PUT, path(key)).body(CONTENT);
    let seen = async {
        place.s3.send(put("folder/probe")).await?;
        place.s3.send(put("folder")).await?;
        let listing = place.s3.send(ClientRequest::new(Method::GET, format!("/{}", place.bucket))).await?.document()?;
        let keys = listing.children.iter().filter(|child| child.name == "Contents");
        Ok::<_, S3ClientError>(keys.filter_map(|entry| entry.filled_text_of("Key")).any(|key| key == "folder/probe"))
    };
    let seen = seen.await;
    for key in ["folder", "folder/probe"] {
        drop(place.s3.send(ClientRequest::new(Method::DELETE, path(key))).await);
    }
    match seen {
        Ok(true) => ProbeFinding::Good("the store lists keys below a key that is also an object".to_owned()),
        Ok(false) => ProbeFinding::Doubtful(
            "an object `a` hides `a/b` from listings: a user who may write can hide other users' keys from listings, \
             but not from reads or from MFA Delete"
                .to_owned(),
        ),
        // MinIO before 2022 and stores on a file system take only one of the two.
        Err(S3ClientError::Refused { .. }) => {
            ProbeFinding::Good("the store accepts no object below a key that is also an object".to_owned())
        }
        Err(error) => ProbeFinding::Doubtful(format!("unknown: {error}")),
    }
}

/// What is sent to this store beside the plain operations, which need no proof; those on buckets first, which must
/// be empty.
fn trials(store: UpstreamKind) -> Vec<S3Operation> {
    let sent = |action: &S3Operation| {
        matches!(store.handling(*action), RequestHandling::Forwarded | RequestHandling::ForwardedElse(_))
    };
    let marked = |action: &S3Operation| !action.row().marks.is_empty();
    let mut trials: Vec<S3Operation> = S3Operation::ALL.iter().copied().filter(sent).filter(marked).collect();
    trials.sort_by_key(|action| match (action.row().level, sign(action.row())) {
        (TargetLevel::Any | TargetLevel::Bucket | TargetLevel::Service, MisroutingSign::NothingDeleted)
        | (TargetLevel::Object, _) => 1,
        (TargetLevel::Any | TargetLevel::Bucket | TargetLevel::Service, _) => 0,
    });
    trials
}

fn sign(row: &OperationRow) -> MisroutingSign {
    use portcullis_http::HttpMethod::{Delete, Get, Head, Options, Post, Put};
    match (row.action, row.method, row.level) {
        (S3Operation::CopyObject, _, _) => MisroutingSign::CopyWithoutContent,
        (S3Operation::DeleteObjects, _, _) => MisroutingSign::NothingDeleted,
        (S3Operation::ListObjectsV2, _, _) => MisroutingSign::ListingOfFirstVersion,
        (_, Delete, TargetLevel::Bucket) => MisroutingSign::BucketGone,
        (_, Delete, TargetLevel::Object) => MisroutingSign::KeyGone,
        (_, Get, TargetLevel::Bucket) => MisroutingSign::Listing,
        (_, Get, TargetLevel::Object) => MisroutingSign::ObjectRead,
        (_, Put, TargetLevel::Bucket) => MisroutingSign::BucketMade,
        (_, Put, TargetLevel::Object) => MisroutingSign::KeyMade,
        (_, Head | Options | Post, _) | (_, Delete | Get | Put, TargetLevel::Any | TargetLevel::Service) => {
            MisroutingSign::None
        }
    }
}

impl TrialBucket<'_> {
    async fn tried(&self, row: &OperationRow) -> Result<RoutingOutcome, S3ClientError> {
        let sign = sign(row);
        if row.level == TargetLevel::Object || sign == MisroutingSign::NothingDeleted {
            self.s3.send(ClientRequest::new(Method::PUT, self.object(KEY)).body(CONTENT)).await?;
        }
        let (ask, headers) = self.ask(row, sign);
        let answer = match self.s3.send_with(&headers, ask).await {
            Ok(answer) => Ok(answer),
            Err(S3ClientError::Refused { status, .. }) => Err(Some(status)),
            // If the store is unreachable, the next request reports it.
            Err(S3ClientError::Exchange(ExchangeError::Broken(_))) => Err(None),
            Err(error) => return Err(error),
        };
        let mistaken = self.mistaken(sign, answer.as_ref().ok()).await?;
        if let (S3Operation::CreateMultipartUpload, Ok(answer)) = (row.action, &answer) {
            self.abort(answer).await;
        }
        if row.level == TargetLevel::Object || sign == MisroutingSign::NothingDeleted {
            drop(self.s3.send(ClientRequest::new(Method::DELETE, self.object(KEY))).await);
        }
        Ok(match (mistaken, answer) {
            (true, _) => RoutingOutcome::Mistaken,
            (false, Err(None)) => RoutingOutcome::Unreadable,
            (false, Err(Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED))) => {
                RoutingOutcome::Declined
            }
            (false, Ok(_) | Err(_)) => RoutingOutcome::Taken,
        })
    }

    fn ask(&self, row: &OperationRow, sign: MisroutingSign) -> (ClientRequest, Vec<(&'static str, String)>) {
        let path = match (row.level, sign) {
            (_, MisroutingSign::BucketMade) => format!("/{}", self.free_bucket()),
            (_, MisroutingSign::KeyMade | MisroutingSign::CopyWithoutContent) => self.object(FREE),
            (TargetLevel::Object, _) => self.object(KEY),
            (TargetLevel::Any | TargetLevel::Bucket | TargetLevel::Service, _) => format!("/{}", self.bucket),
        };
        let pairs = row.marks.iter().filter_map(|mark| match mark {
            OperationMark::Exactly(key, value) => Some(format!("{key}={value}")),
            OperationMark::Flag(key) => Some(format!("{key}=")),
            OperationMark::Value("partNumber") => Some("partNumber=1".to_owned()),
            // No store has given it.
            OperationMark::Value(key) => Some(format!("{key}=probe")),
            OperationMark::Header(_) | OperationMark::Path(_) => None,
        });
        let pairs: Vec<String> = pairs.collect();
        let body = match sign {
            MisroutingSign::NothingDeleted => format!(
                "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>{KEY}</Key></Object></Delete>"
            ),
            MisroutingSign::BucketGone
            | MisroutingSign::BucketMade
            | MisroutingSign::CopyWithoutContent
            | MisroutingSign::KeyGone
            | MisroutingSign::KeyMade
            | MisroutingSign::Listing
            | MisroutingSign::ListingOfFirstVersion
            | MisroutingSign::None
            | MisroutingSign::ObjectRead => String::new(),
        };
        let method = match row.method {
            portcullis_http::HttpMethod::Delete => Method::DELETE,
            portcullis_http::HttpMethod::Get => Method::GET,
            portcullis_http::HttpMethod::Head => Method::HEAD,
            portcullis_http::HttpMethod::Options => Method::OPTIONS,
            portcullis_http::HttpMethod::Post => Method::POST,
            portcullis_http::HttpMethod::Put => Method::PUT,
        };
        let copies = row.marks.iter().any(|mark| matches!(mark, OperationMark::Header(_)));
        let mut headers: Vec<(&'static str, String)> =
            copies.then(|| ("x-amz-copy-source", self.object(KEY))).into_iter().collect();
        if !body.is_empty() {
            headers.push(("content-md5", crate::command::s3::content_md5(body.as_bytes())));
        }
        (ClientRequest::new(method, format!("{path}?{}", pairs.join("&"))).body(body), headers)
    }

    /// Whether the plain operation was carried out; its effect is undone.
    async fn mistaken(&self, sign: MisroutingSign, answer: Option<&ClientAnswer>) -> Result<bool, S3ClientError> {
        let document = answer.and_then(|answer| answer.document().ok());
        let lists = document.as_ref().is_some_and(|document| document.name == "ListBucketResult");
        match sign {
            MisroutingSign::BucketGone => {
                let gone = !self.is_there(&format!("/{}", self.bucket)).await?;
                if gone {
                    let make = ClientRequest::new(Method::PUT, format!("/{}", self.bucket)).body(self.document.clone());
                    self.s3.send(make).await?;
                }
                Ok(gone)
            }
            MisroutingSign::BucketMade => self.is_there_and_goes(&format!("/{}", self.free_bucket())).await,
            MisroutingSign::CopyWithoutContent => {
                let copy = self.s3.send(ClientRequest::new(Method::GET, self.object(FREE))).await;
                drop(self.s3.send(ClientRequest::new(Method::DELETE, self.object(FREE))).await);
                Ok(copy.is_ok_and(|copy| copy.bytes() != CONTENT))
            }
            MisroutingSign::KeyGone => Ok(!self.is_there(&self.object(KEY)).await?),
            MisroutingSign::KeyMade => self.is_there_and_goes(&self.object(FREE)).await,
            MisroutingSign::Listing => Ok(lists),
            MisroutingSign::ListingOfFirstVersion => {
                Ok(document.is_some_and(|document| document.filled_text_of("KeyCount").is_none()))
            }
            MisroutingSign::NothingDeleted => Ok(self.is_there(&self.object(KEY)).await?),
            MisroutingSign::None => Ok(false),
            MisroutingSign::ObjectRead => Ok(answer.is_some_and(|answer| answer.bytes() == CONTENT)),
        }
    }

    async fn is_there(&self, path: &str) -> Result<bool, S3ClientError> {
        match self.s3.send(ClientRequest::new(Method::HEAD, path)).await {
            Ok(_) => Ok(true),
            Err(S3ClientError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn is_there_and_goes(&self, path: &str) -> Result<bool, S3ClientError> {
        let there = self.is_there(path).await?;
        if there {
            drop(self.s3.send(ClientRequest::new(Method::DELETE, path)).await);
        }
        Ok(there)
    }

    async fn abort(&self, created: &ClientAnswer) {
        let id = created.document().ok().and_then(|document| document.filled_text_of("UploadId").map(percent_encode));
        if let Some(id) = id {
            drop(self.s3.send(ClientRequest::new(Method::DELETE, format!("{}?uploadId={id}", self.object(KEY)))).await);
        }
    }

    fn object(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket)
    }

    fn free_bucket(&self) -> String {
        format!("{}-free", self.bucket)
    }
}

/// A key that names nothing.
const FREE: &str = "free";
