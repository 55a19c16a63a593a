//! What a store does, tested in a temporary bucket.

use bytes::Bytes;
use http::Method;

use super::routing::{self, TrialBucket};
use crate::command::s3::{ClientRequest, S3Client, S3ClientError};
use portcullis_s3::{BucketPlacement, UpstreamKind};

/// What was found, in order.
#[derive(Debug, Default)]
pub(super) struct ProbeReport(Vec<(&'static str, ProbeFinding)>);

/// The result of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFinding {
    /// Portcullis cannot protect this store.
    Bad(String),
    /// It works, but an operator should look at it.
    Doubtful(String),
    Good(String),
}

impl ProbeReport {
    pub(super) fn add(&mut self, about: &'static str, finding: ProbeFinding) {
        self.0.push((about, finding));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &ProbeFinding)> {
        self.0.iter().map(|(about, finding)| (*about, finding))
    }

    /// The number of failed findings.
    pub(super) fn failed(&self) -> usize {
        self.0.iter().filter(|(_, finding)| matches!(finding, ProbeFinding::Bad(_))).count()
    }
}

impl ProbeFinding {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bad(text) | Self::Doubtful(text) | Self::Good(text) => text,
        }
    }

    pub(super) fn verdict(&self) -> &'static str {
        match self {
            Self::Bad(_) => "FAIL",
            Self::Doubtful(_) => "look",
            Self::Good(_) => "ok",
        }
    }
}

/// Tests whether the store answers, accepts the key and keeps versions, and how it treats MfaDelete.
pub(super) async fn run(s3: &S3Client, store: UpstreamKind, findings: &mut ProbeReport) {
    if !answers(s3, findings).await {
        return;
    }
    let bucket = match bucket_name() {
        Ok(name) => name,
        Err(error) => {
            return findings
                .add("versioning", ProbeFinding::Bad(format!("no random name could be generated: {error}")));
        }
    };
    let make = ClientRequest::new(Method::PUT, format!("/{bucket}")).body(location(s3, store));
    if let Err(error) = s3.send(make).await {
        let text = format!("unknown: the bucket {bucket} could not be created: {error}");
        return findings.add("versioning", ProbeFinding::Doubtful(text));
    }
    findings.add("anonymous", anonymous(s3, &bucket).await);
    let place = TrialBucket { s3, bucket: &bucket, document: location(s3, store) };
    findings.add("routing", routing::run(&place, store).await);
    findings.add("listing", routing::hidden_keys(&place).await);
    findings.add("versioning", versioning(s3, &bucket).await);
    findings.add("MfaDelete", mfa_delete(s3, &bucket).await);
    if let Err(error) = s3.send(ClientRequest::new(Method::DELETE, format!("/{bucket}"))).await {
        findings.add("clean-up", ProbeFinding::Doubtful(format!("the bucket {bucket} could not be removed: {error}")));
    }
}

async fn answers(s3: &S3Client, findings: &mut ProbeReport) -> bool {
    match s3.send(ClientRequest::new(Method::GET, "/")).await {
        Ok(_) => {
            findings.add("store", ProbeFinding::Good(format!("{} answers and accepts the access key", s3.endpoint())));
            true
        }
        Err(S3ClientError::Refused { code, message, .. }) => {
            let text = format!("{} answers, but refuses this access key: {message} ({code})", s3.endpoint());
            findings.add("store", ProbeFinding::Bad(text));
            false
        }
        Err(
            error @ (S3ClientError::Exchange(_)
            | S3ClientError::NotJson
            | S3ClientError::Unreadable(_)
            | S3ClientError::Unsigned(_)),
        ) => {
            findings.add("store", ProbeFinding::Bad(format!("{} does not answer: {error}", s3.endpoint())));
            false
        }
    }
}

/// A store that serves unsigned requests serves every client that can reach it directly.
async fn anonymous(s3: &S3Client, bucket: &str) -> ProbeFinding {
    match s3.send_unsigned(ClientRequest::new(Method::GET, format!("/{bucket}"))).await {
        Ok(_) => ProbeFinding::Doubtful(
            "the store lists a new bucket without a signature: clients that reach it directly bypass Portcullis"
                .to_owned(),
        ),
        Err(_) => ProbeFinding::Good("the store does not list a new bucket without a signature".to_owned()),
    }
}

async fn versioning(s3: &S3Client, bucket: &str) -> ProbeFinding {
    match version_of_new_object(s3, bucket).await {
        Ok(Some(version)) => {
            match s3.send(ClientRequest::new(Method::DELETE, format!("/{bucket}/probe?versionId={version}"))).await {
                Ok(_) => ProbeFinding::Good("the store keeps versions".to_owned()),
                Err(error) => ProbeFinding::Bad(format!("a version could not be deleted by its id: {error}")),
            }
        }
        Ok(None) => {
            drop(s3.send(ClientRequest::new(Method::DELETE, format!("/{bucket}/probe"))).await);
            ProbeFinding::Bad("the store accepted the setting, but keeps no versions".to_owned())
        }
        Err(error) => ProbeFinding::Bad(format!("versioning could not be tested: {error}")),
    }
}

async fn version_of_new_object(s3: &S3Client, bucket: &str) -> Result<Option<String>, S3ClientError> {
    let enable = ClientRequest::new(Method::PUT, format!("/{bucket}?versioning"));
    s3.send(enable.body(document("<Status>Enabled</Status>"))).await?;
    let put = ClientRequest::new(Method::PUT, format!("/{bucket}/probe")).body(Bytes::from_static(b"probe"));
    let answer = s3.send(put).await?;
    let version = answer.headers.get("x-amz-version-id").and_then(|value| value.to_str().ok());
    // It is copied into a query without encoding.
    let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    Ok(version.filter(plain).filter(|version| *version != "null").map(str::to_owned))
}

/// Portcullis keeps MFA Delete itself and never forwards it; this shows what the store would do with it.
async fn mfa_delete(s3: &S3Client, bucket: &str) -> ProbeFinding {
    let set = |state: &str| {
        let inner = format!("<Status>Enabled</Status><MfaDelete>{state}</MfaDelete>");
        ClientRequest::new(Method::PUT, format!("/{bucket}?versioning")).body(document(&inner))
    };
    match s3.send(set("Enabled")).await {
        Err(S3ClientError::Refused { .. }) => ProbeFinding::Good(
            "the store asks for an MFA code of its own; Portcullis enforces MFA Delete instead".to_owned(),
        ),
        Err(
            error @ (S3ClientError::Exchange(_)
            | S3ClientError::NotJson
            | S3ClientError::Unreadable(_)
            | S3ClientError::Unsigned(_)),
        ) => ProbeFinding::Doubtful(format!("unknown: {error}")),
        Ok(_) => {
            let kept = reads_enabled(s3, bucket).await;
            drop(s3.send(set("Disabled")).await);
            match kept {
                Ok(true) => ProbeFinding::Good(
                    "the store stores it and asks for no code; Portcullis enforces it instead".to_owned(),
                ),
                Ok(false) => ProbeFinding::Good("the store ignores it; Portcullis enforces it instead".to_owned()),
                Err(error) => ProbeFinding::Doubtful(format!("unknown: {error}")),
            }
        }
    }
}

async fn reads_enabled(s3: &S3Client, bucket: &str) -> Result<bool, S3ClientError> {
    let answer = s3.send(ClientRequest::new(Method::GET, format!("/{bucket}?versioning"))).await?;
    Ok(answer.document()?.filled_text_of("MfaDelete") == Some("Enabled"))
}

fn document(inner: &str) -> String {
    format!(
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</VersioningConfiguration>"
    )
}

/// AWS requires the region of a new bucket, except us-east-1.
fn location(s3: &S3Client, store: UpstreamKind) -> String {
    match store.profile().bucket_placement {
        BucketPlacement::Named if s3.region != "us-east-1" => format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            s3.region
        ),
        BucketPlacement::Named | BucketPlacement::Unnamed => String::new(),
    }
}

fn bucket_name() -> Result<String, getrandom::Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(format!("portcullis-check-{}", hex::encode(random)))
}
