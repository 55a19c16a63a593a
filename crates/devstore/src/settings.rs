//! Settings that are kept and given back; nothing here acts on them.

use std::sync::Arc;

use http::StatusCode;
use s3s::dto::*;
use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::faults::named;
use super::store::{DevStore, on_disk};
use super::tags::{self, TagHolder};

/// A setting and the query key that names it.
#[derive(Clone, Copy, Debug)]
enum BucketSetting {
    Cors,
    Encryption,
    Lifecycle,
    Notification,
    OwnershipControls,
    Policy,
    PublicAccessBlock,
    Tagging,
}

impl BucketSetting {
    const fn name(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::Encryption => "encryption",
            Self::Lifecycle => "lifecycle",
            Self::Notification => "notification",
            Self::OwnershipControls => "ownershipControls",
            Self::Policy => "policy",
            Self::PublicAccessBlock => "publicAccessBlock",
            Self::Tagging => "tagging",
        }
    }

    /// AWS's words for a setting that was never put.
    fn absent(self) -> S3Error {
        let not_found = |code, message| named(code, StatusCode::NOT_FOUND, message);
        match self {
            Self::Cors => s3_error!(NoSuchCORSConfiguration, "The CORS configuration does not exist"),
            Self::Encryption => not_found(
                "ServerSideEncryptionConfigurationNotFoundError",
                "The server side encryption configuration was not found",
            ),
            Self::Lifecycle => {
                s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist")
            }
            Self::Notification => not_found("NoSuchConfiguration", "The specified configuration does not exist."),
            Self::OwnershipControls => {
                s3_error!(OwnershipControlsNotFoundError, "The bucket ownership controls were not found")
            }
            Self::Policy => s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"),
            Self::PublicAccessBlock => {
                not_found("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
            }
            Self::Tagging => s3_error!(NoSuchTagSet, "The TagSet does not exist"),
        }
    }
}

/// What the store keeps is text: the XML that S3 speaks, but for policies.
trait SettingDocument: Sized {
    fn write(&self) -> S3Result<String>;
    fn read(text: &str) -> S3Result<Self>;
}

impl<Xml: Serialize + for<'xml> Deserialize<'xml>> SettingDocument for Xml {
    fn write(&self) -> S3Result<String> {
        let mut xml = Vec::new();
        self.serialize(&mut Serializer::new(&mut xml)).map_err(S3Error::internal_error)?;
        String::from_utf8(xml).map_err(S3Error::internal_error)
    }

    fn read(text: &str) -> S3Result<Self> {
        Self::deserialize(&mut Deserializer::new(text.as_bytes())).map_err(S3Error::internal_error)
    }
}

async fn keep(store: &Arc<DevStore>, bucket: &str, setting: BucketSetting, document: String) -> S3Result<()> {
    let bucket = store.bucket(bucket)?;
    let keep = move || bucket.amend(|record| drop(record.settings.insert(setting.name().to_owned(), document)));
    on_disk(keep).await
}

async fn forget(store: &Arc<DevStore>, bucket: &str, setting: BucketSetting) -> S3Result<()> {
    let bucket = store.bucket(bucket)?;
    on_disk(move || bucket.amend(|record| drop(record.settings.remove(setting.name())))).await
}

fn kept(store: &DevStore, bucket: &str, setting: BucketSetting) -> S3Result<String> {
    let bucket = store.bucket(bucket)?;
    let document = bucket.read()?.record.settings.get(setting.name()).cloned();
    document.ok_or_else(|| setting.absent())
}

macro_rules! get {
    ($function:ident: $input:ident => $output:ident, $setting:ident, |$document:ident: $type:ty| $fields:expr) => {
        #[doc = concat!(stringify!($input), ": gives back what was put.")]
        pub(crate) async fn $function(
            store: &Arc<DevStore>,
            request: S3Request<$input>,
        ) -> S3Result<S3Response<$output>> {
            let $document = <$type>::read(&kept(store, &request.input.bucket, BucketSetting::$setting)?)?;
            Ok(S3Response::new($fields))
        }
    };
}

macro_rules! put {
    ($function:ident: $input:ident => $output:ident, $setting:ident, |$given:ident| $document:expr) => {
        #[doc = concat!(stringify!($input), ": keeps the document.")]
        pub(crate) async fn $function(
            store: &Arc<DevStore>,
            request: S3Request<$input>,
        ) -> S3Result<S3Response<$output>> {
            let $given = request.input;
            let bucket = $given.bucket.clone();
            let document = $document.write()?;
            keep(store, &bucket, BucketSetting::$setting, document).await?;
            Ok(S3Response::new($output::default()))
        }
    };
}

macro_rules! delete {
    ($function:ident: $input:ident => $output:ident, $setting:ident) => {
        #[doc = concat!(stringify!($input), ": forgets the document.")]
        pub(crate) async fn $function(
            store: &Arc<DevStore>,
            request: S3Request<$input>,
        ) -> S3Result<S3Response<$output>> {
            forget(store, &request.input.bucket, BucketSetting::$setting).await?;
            Ok(S3Response::new($output::default()))
        }
    };
}

get!(cors: GetBucketCorsInput => GetBucketCorsOutput, Cors, |document: CORSConfiguration| GetBucketCorsOutput {
    cors_rules: Some(document.cors_rules)
});
get!(encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput, Encryption,
|document: ServerSideEncryptionConfiguration| GetBucketEncryptionOutput {
    server_side_encryption_configuration: Some(document)
});
get!(lifecycle: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput, Lifecycle,
|document: BucketLifecycleConfiguration| GetBucketLifecycleConfigurationOutput {
    rules: Some(document.rules),
    ..GetBucketLifecycleConfigurationOutput::default()
});
get!(ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput, OwnershipControls,
    |document: OwnershipControls| GetBucketOwnershipControlsOutput { ownership_controls: Some(document) });
get!(public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput, PublicAccessBlock,
|document: PublicAccessBlockConfiguration| GetPublicAccessBlockOutput {
    public_access_block_configuration: Some(document)
});
get!(tagging: GetBucketTaggingInput => GetBucketTaggingOutput, Tagging,
    |document: Tagging| GetBucketTaggingOutput { tag_set: document.tag_set });

put!(put_cors: PutBucketCorsInput => PutBucketCorsOutput, Cors, |input| input.cors_configuration);
put!(put_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput, Encryption,
    |input| input.server_side_encryption_configuration);
put!(put_lifecycle: PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput, Lifecycle,
    |input| input.lifecycle_configuration.ok_or_else(malformed)?);
put!(put_notification: PutBucketNotificationConfigurationInput => PutBucketNotificationConfigurationOutput,
    Notification, |input| input.notification_configuration);
put!(put_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput, OwnershipControls,
    |input| input.ownership_controls);
put!(put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput, PublicAccessBlock,
    |input| input.public_access_block_configuration);
put!(put_tagging: PutBucketTaggingInput => PutBucketTaggingOutput, Tagging,
    |input| checked_tagging(input.tagging)?);

delete!(delete_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput, Cors);
delete!(delete_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput, Encryption);
delete!(delete_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput, Lifecycle);
delete!(delete_ownership_controls: DeleteBucketOwnershipControlsInput => DeleteBucketOwnershipControlsOutput,
    OwnershipControls);
delete!(delete_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput, Policy);
delete!(delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput, PublicAccessBlock);
delete!(delete_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput, Tagging);

/// GetBucketNotificationConfiguration: empty when nothing was put.
pub(crate) async fn notification(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let document = bucket.read()?.record.settings.get(BucketSetting::Notification.name()).cloned();
    let document = document.map_or(Ok(NotificationConfiguration::default()), |text| SettingDocument::read(&text))?;
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: document.event_bridge_configuration,
        lambda_function_configurations: document.lambda_function_configurations,
        queue_configurations: document.queue_configurations,
        topic_configurations: document.topic_configurations,
    }))
}

/// GetBucketPolicy: gives back what was put, to the byte.
pub(crate) async fn policy(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let policy = kept(store, &request.input.bucket, BucketSetting::Policy)?;
    Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
}

/// PutBucketPolicy: keeps any JSON object.
pub(crate) async fn put_policy(
    store: &Arc<DevStore>,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let PutBucketPolicyInput { bucket, policy, .. } = request.input;
    if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&policy).is_err() {
        return Err(s3_error!(MalformedPolicy, "Policies must be valid JSON and the first byte must be '{{'"));
    }
    keep(store, &bucket, BucketSetting::Policy, policy).await?;
    Ok(S3Response::new(PutBucketPolicyOutput::default()))
}

/// GetBucketPolicyStatus: the store serves no unsigned requests, so no policy makes a bucket public.
pub(crate) async fn policy_status(
    store: &Arc<DevStore>,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    kept(store, &request.input.bucket, BucketSetting::Policy)?;
    let status = PolicyStatus { is_public: Some(false) };
    Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status: Some(status) }))
}

/// GetObjectLockConfiguration: no bucket has one.
pub(crate) async fn object_lock(
    store: &Arc<DevStore>,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    store.bucket(&request.input.bucket)?;
    Err(s3_error!(ObjectLockConfigurationNotFoundError, "Object Lock configuration does not exist for this bucket"))
}

fn checked_tagging(tagging: Tagging) -> S3Result<Tagging> {
    let tags = tags::from_document(tagging.tag_set, TagHolder::Bucket)?;
    Ok(Tagging { tag_set: tags::answered(&tags) })
}

fn malformed() -> S3Error {
    s3_error!(MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema")
}
