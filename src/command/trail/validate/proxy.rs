//! Trails of the running proxy: their files over S3, and keys and status from the CloudTrail API.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::folder::{BucketFolder, FoundTrail};
use super::unreadable;
use crate::command::error::CommandError;
use crate::command::s3::{ClientAnswer, ClientRequest, S3Client, S3ClientError};
use crate::command::trail::client::{TrailClient, Truth, holds, text};
use portcullis_base::clock::Clock;
use portcullis_base::names::{AccountId, BucketName};
use portcullis_base::percent::{percent_encode, percent_encode_path};
use portcullis_cloudtrail::keys::PublicKey;
use portcullis_cloudtrail::verify::{
    FileMetadata, StoredFile, TrailCurrency, TrailFiles, ValidationReport, ValidationScope, validate,
};
use portcullis_cloudtrail::{KeyPrefix, TrailEnd, TrailLayout, TrailName};

/// A trail of the running proxy, as its API describes it.
pub(super) struct ProxyTrail {
    pub found: FoundTrail,
    /// Up to when its files must reach.
    pub currency: TrailCurrency,
    /// The folder it is delivered to, if it is not a bucket.
    pub folder: Option<PathBuf>,
    /// The other trails that deliver to the same place.
    pub neighbours: Vec<TrailName>,
}

/// The delivered files of a trail, and the proxy, which knows the last one.
struct ProxyFiles {
    proxy: BlockingProxy,
    place: FilesPlace,
}

enum FilesPlace {
    Bucket(BlockingBucket),
    Folder(BucketFolder),
}

/// The proxy's API, called from a thread that may block.
struct BlockingProxy {
    s3: S3Client,
    trail: TrailName,
    neighbours: Vec<TrailName>,
    runtime: Handle,
}

/// A bucket, read from a thread that may block.
struct BlockingBucket {
    s3: S3Client,
    name: BucketName,
    runtime: Handle,
}

const METADATA: &str = "x-amz-meta-";

/// All keys that ever signed a digest.
pub(super) async fn keys(client: &TrailClient<'_>) -> Result<Vec<PublicKey>, CommandError> {
    let now = Clock::System.now().seconds();
    let range = json!({ "StartTime": 0, "EndTime": now + 86_400 });
    let answer = client.call("ListPublicKeys", &range).await?;
    PublicKey::list_from_json(answer.to_string().as_bytes()).map_err(unreadable)
}

/// The trail of this name, or the only one.
pub(super) async fn trail(client: &TrailClient<'_>, name: Option<&TrailName>) -> Result<ProxyTrail, CommandError> {
    let trails = client.trails().await?;
    let is_named = |trail: &&Value| name.is_none_or(|name| text(trail, "Name") == name.as_str());
    let mut chosen = trails.iter().filter(is_named);
    let found = match (chosen.next(), chosen.next()) {
        (Some(only), None) => read(only).ok_or_else(|| unreadable("the description of the trail cannot be read"))?,
        (Some(_), Some(_)) => {
            return Err(CommandError::usage("there are several trails")
                .next(format!("Name one; to list them: portcullis trail list{}", client.flag())));
        }
        (None, _) => return Err(CommandError::failed("there is no such trail: nothing is proven")),
    };
    let shares = |other: &FoundTrail| {
        other.trail != found.trail && (&other.bucket, &other.layout) == (&found.bucket, &found.layout)
    };
    let neighbours = trails.iter().filter_map(read).filter(shares).map(|other| other.trail).collect();
    let status = client.call("GetTrailStatus", &with_files(&found.trail)).await?;
    let currency = match holds(&status, "IsLogging") {
        Truth::Yes => TrailCurrency::At(Clock::System.now()),
        Truth::No => TrailCurrency::Ended,
    };
    let folder = Some(text(&status, "Folder")).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    // A folder that is not accessible here must not count as removed files.
    if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(unreadable(format!("the trail is delivered to the folder {}, which is not on this machine", folder.display()))
            .next(
                "Run this on the machine of Portcullis as a user who can read that folder, or name a copy of it: --folder DIR",
            ));
    }
    Ok(ProxyTrail { found, currency, folder, neighbours })
}

fn with_files(name: &TrailName) -> Value {
    json!({ "Name": name.as_str(), "IncludeFiles": true })
}

/// Validates on a blocking thread, since validation reads one file at a time.
pub(super) async fn validated(
    client: &TrailClient<'_>,
    trail: &ProxyTrail,
    scope: ValidationScope,
) -> Result<(Result<ValidationReport, String>, ValidationScope), CommandError> {
    let proxy = BlockingProxy {
        s3: client.s3().clone(),
        trail: trail.found.trail.clone(),
        neighbours: trail.neighbours.clone(),
        runtime: Handle::current(),
    };
    let place = match &trail.folder {
        Some(folder) => FilesPlace::Folder(BucketFolder::at(folder.join(scope.bucket.as_str()))),
        None => FilesPlace::Bucket(BlockingBucket {
            s3: client.s3().clone(),
            name: scope.bucket.clone(),
            runtime: Handle::current(),
        }),
    };
    let mut files = ProxyFiles { proxy, place };
    let work = move || {
        let mut report = validate(&mut files, &scope);
        // A digest delivered between the two listings may name log files that look like strays.
        if report.as_ref().is_ok_and(ValidationReport::has_strays) {
            report = validate(&mut files, &scope);
        }
        (report, scope)
    };
    tokio::task::spawn_blocking(work).await.map_err(unreadable)
}

fn read(trail: &Value) -> Option<FoundTrail> {
    let mut arn = text(trail, "TrailARN").splitn(6, ':').skip(3);
    let (region, account) = (arn.next()?.to_owned(), AccountId::parse(arn.next()?).ok()?);
    let prefix = Some(text(trail, "S3KeyPrefix")).filter(|prefix| !prefix.is_empty());
    Some(FoundTrail {
        trail: TrailName::parse(text(trail, "Name")).ok()?,
        bucket: BucketName::parse(text(trail, "S3BucketName")).ok()?,
        layout: TrailLayout { prefix: prefix.map(KeyPrefix::parse).transpose().ok()?, account, region },
    })
}

impl BlockingBucket {
    fn ask(&self, target: String) -> Result<Option<ClientAnswer>, String> {
        match self.runtime.block_on(self.s3.send(ClientRequest::new(Method::GET, target))) {
            Ok(answer) => Ok(Some(answer)),
            // A refusal does not prove that a file is missing.
            Err(error) if matches!(error.code(), Some("NoSuchBucket" | "NoSuchKey")) => Ok(None),
            Err(error) => Err(format!("s3://{}: {error}", self.name)),
        }
    }
}

impl BlockingProxy {
    fn end_of(&self, trail: &TrailName) -> Result<TrailEnd, String> {
        let body = with_files(trail);
        let called = self.s3.call("GetTrailStatus", &body, None);
        let status = self.runtime.block_on(called).map_err(|error| format!("GetTrailStatus of {trail}: {error}"))?;
        TrailEnd::from_json(&status).map_err(|error| format!("GetTrailStatus of {trail}: {error}"))
    }
}

impl TrailFiles for ProxyFiles {
    type Error = String;

    fn list(&mut self, prefix: &str) -> Result<Vec<String>, String> {
        match &mut self.place {
            FilesPlace::Bucket(bucket) => bucket.list(prefix),
            FilesPlace::Folder(folder) => folder.list(prefix),
        }
    }

    fn read(&mut self, key: &str) -> Result<Option<StoredFile>, String> {
        match &mut self.place {
            FilesPlace::Bucket(bucket) => bucket.read(key),
            FilesPlace::Folder(folder) => folder.read(key),
        }
    }

    fn end(&mut self) -> Result<Option<TrailEnd>, String> {
        let mut end = self.proxy.end_of(&self.proxy.trail)?;
        for neighbour in &self.proxy.neighbours {
            let TrailEnd { heads: _, delivered, under_way } = self.proxy.end_of(neighbour)?;
            end.delivered.extend(delivered);
            end.under_way.extend(under_way);
        }
        Ok(Some(end))
    }
}

impl BlockingBucket {
    fn list(&self, prefix: &str) -> Result<Vec<String>, String> {
        let first = format!("/{}?list-type=2&prefix={}", self.name, percent_encode(prefix));
        let mut keys = Vec::new();
        let mut target = first.clone();
        loop {
            let Some(answer) = self.ask(target)? else { return Ok(keys) };
            let page = answer.document().map_err(|error: S3ClientError| format!("s3://{}: {error}", self.name))?;
            let contents = page.children.iter().filter(|child| child.name == "Contents");
            keys.extend(contents.filter_map(|child| child.filled_text_of("Key")).map(str::to_owned));
            match (page.filled_text_of("IsTruncated"), page.filled_text_of("NextContinuationToken")) {
                (Some("true"), Some(token)) => {
                    target = format!("{first}&continuation-token={}", percent_encode(token));
                }
                (Some("true"), None) => return Err(format!("s3://{}: the listing is incomplete", self.name)),
                _ => return Ok(keys),
            }
        }
    }

    fn read(&self, key: &str) -> Result<Option<StoredFile>, String> {
        let Some(answer) = self.ask(format!("/{}/{}", self.name, percent_encode_path(key)))? else { return Ok(None) };
        let own = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().strip_prefix(METADATA)?.to_owned(), value.to_str().ok()?.to_owned()))
        };
        let metadata: BTreeMap<String, String> = answer.headers.iter().filter_map(own).collect();
        Ok(Some(StoredFile { bytes: answer.bytes().to_vec(), metadata: FileMetadata::Present(metadata) }))
    }
}
