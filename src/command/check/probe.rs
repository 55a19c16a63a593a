//! What a store does, found out in a bucket made for it.

use bytes::Bytes;
use http::Method;

use super::routing::{self, TrialBucket};
use crate::command::s3::{ClientRequest, S3Client, S3ClientError};
use portcullis_s3::{Placement, UpstreamKind};

/// What was found, in order.
#[derive(Debug, Default)]
pub struct ProbeReport(Vec<(&'static str, ProbeFinding)>);

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeFinding {
    /// The gate cannot protect a store like this.
    Bad(String),
    /// It works, but somebody should look at it.
    Doubtful(String),
    Good(String),
}

impl ProbeReport {
    pub fn add(&mut self, about: &'static str, finding: ProbeFinding) {
        self.0.push((about, finding));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ProbeFinding)> {
        self.0.iter().map(|(about, finding)| (*about, finding))
    }

    /// How many things keep the gate from protecting the store.
    pub fn failed(&self) -> usize {
        self.0.iter().filter(|(_, finding)| matches!(finding, ProbeFinding::Bad(_))).count()
    }
}

impl ProbeFinding {
    pub fn text(&self) -> &str {
        match self {
            Self::Bad(text) | Self::Doubtful(text) | Self::Good(text) => text,
        }
    }

    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Bad(_) => "FAIL",
            Self::Doubtful(_) => "look",
            Self::Good(_) => "ok",
        }
    }
}

/// Asks the store whether it answers, signs, versions, and what it makes of MfaDelete.
pub async fn run(s3: &S3Client, store: UpstreamKind, findings: &mut ProbeReport) {
    if !answers(s3, findings).await {
        return;
    }
    let bucket = match bucket_name() {
        Ok(name) => name,
        Err(error) => {
            return findings.add("versioning", ProbeFinding::Bad(format!("no random name could be made: {error}")));
        }
    };
    let make = ClientRequest::new(Method::PUT, format!("/{bucket}")).body(location(s3, store));
    if let Err(error) = s3.send(make).await {
        let text = format!("unknown: the bucket {bucket} could not be made there: {error}");
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
            findings.add("store", ProbeFinding::Good(format!("{} answers and takes the access key", s3.endpoint())));
            true
        }
        Err(S3ClientError::Refused { code, message, .. }) => {
            let text = format!("{} answers, but not to this access key: {message} ({code})", s3.endpoint());
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

/// A store that serves unsigned requests serves whoever reaches it without the gate.
async fn anonymous(s3: &S3Client, bucket: &str) -> ProbeFinding {
    match s3.send_unsigned(ClientRequest::new(Method::GET, format!("/{bucket}"))).await {
        Ok(_) => ProbeFinding::Doubtful(
            "the store lists a new bucket without a signature: whoever reaches it goes around the gate".to_owned(),
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
            ProbeFinding::Bad("the store took the setting, but keeps no versions".to_owned())
        }
        Err(error) => ProbeFinding::Bad(format!("versioning could not be tried: {error}")),
    }
}

async fn version_of_new_object(s3: &S3Client, bucket: &str) -> Result<Option<String>, S3ClientError> {
    let enable = ClientRequest::new(Method::PUT, format!("/{bucket}?versioning"));
    s3.send(enable.body(document("<Status>Enabled</Status>"))).await?;
    let put = ClientRequest::new(Method::PUT, format!("/{bucket}/probe")).body(Bytes::from_static(b"probe"));
    let answer = s3.send(put).await?;
    let version = answer.headers.get("x-amz-version-id").and_then(|value| value.to_str().ok());
    // It goes back into a query as it is, so it has to be plain.
    let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    Ok(version.filter(plain).filter(|version| *version != "null").map(str::to_owned))
}

/// The gate keeps MFA Delete itself and never sends it on; this tells what else stands behind it.
async fn mfa_delete(s3: &S3Client, bucket: &str) -> ProbeFinding {
    let set = |state: &str| {
        let inner = format!("<Status>Enabled</Status><MfaDelete>{state}</MfaDelete>");
        ClientRequest::new(Method::PUT, format!("/{bucket}?versioning")).body(document(&inner))
    };
    match s3.send(set("Enabled")).await {
        Err(S3ClientError::Refused { .. }) => ProbeFinding::Good(
            "the store asks for a code of its own; the gate keeps MFA Delete in its stead".to_owned(),
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
                    "the store keeps it and asks for no code; the gate keeps it in its stead".to_owned(),
                ),
                Ok(false) => ProbeFinding::Good("the store ignores it; the gate keeps it in its stead".to_owned()),
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

/// The document that tells the store where to make a bucket; AWS takes none for its first region.
fn location(s3: &S3Client, store: UpstreamKind) -> String {
    match store.profile().bucket_placement {
        Placement::Named if s3.region != "us-east-1" => format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            s3.region
        ),
        Placement::Named | Placement::Unnamed => String::new(),
    }
}

fn bucket_name() -> Result<String, getrandom::Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(format!("portcullis-check-{}", hex::encode(random)))
}
