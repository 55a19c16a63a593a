//! What a request must be allowed: IAM's actions and the resources they are on, as the operation table has them.
//!
//! A version is not read, deleted or tagged by the action that does this to an object, a copy reads its source, and a
//! header that sets an ACL, tags or a lock needs what the operation of its own would need.

use super::{ObjectIdentifier, RequestDocument, S3Request};
use portcullis_base::names::{BucketName, ObjectKey, VersionId};

/// One thing that an operation must be allowed, as a row of the table says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionRule {
    /// What a copy that keeps its source's tags needs if the source has some.
    CopiesTags,
    /// If the request is about an object that has a certain ETag, and not just about one that is there.
    IfETag(&'static PermissionRule),
    /// If the document has this element.
    IfElement(&'static str, &'static PermissionRule),
    /// If the request has one of these headers.
    IfHeader(&'static [&'static str], &'static PermissionRule),
    /// If the request has this query key.
    IfQuery(&'static str, &'static PermissionRule),
    /// An action on the bucket.
    OnBucket(&'static str),
    /// An action on each object that the document lists, and the one on a version.
    OnEachObject(&'static str, &'static str),
    /// An action on all objects of the bucket.
    OnEveryObject(&'static str),
    /// An action that cannot be limited to a bucket.
    OnEverything(&'static str),
    /// An action on the object, whether or not a version is named.
    OnObject(&'static str),
    /// An action on the object, and the one if a version is named.
    OnObjectOrVersion(&'static str, &'static str),
    /// An action on the object that a copy reads, and the one if a version of it is named.
    OnSource(&'static str, &'static str),
}

/// One action on one resource that a request must be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredPermission {
    /// `s3:GetObject`
    pub action: &'static str,
    /// The ARN.
    pub resource: String,
    pub scope: PermissionScope,
}

/// What is refused if a permission is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionScope {
    /// The entry of `POST ?delete` at this place.
    Entry(usize),
    Request,
    /// The request, if the source of the copy has tags.
    TaggedSource,
}

impl PermissionRule {
    /// Every action that it can ask for.
    pub fn actions(&self) -> Vec<&'static str> {
        match *self {
            Self::CopiesTags => vec!["s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"],
            Self::IfETag(inner) | Self::IfElement(_, inner) | Self::IfHeader(_, inner) | Self::IfQuery(_, inner) => {
                inner.actions()
            }
            Self::OnBucket(action)
            | Self::OnEveryObject(action)
            | Self::OnEverything(action)
            | Self::OnObject(action) => {
                vec![action]
            }
            Self::OnEachObject(action, on_version)
            | Self::OnObjectOrVersion(action, on_version)
            | Self::OnSource(action, on_version) => vec![action, on_version],
        }
    }
}

const DIRECTIVE: &str = "x-amz-tagging-directive";

impl S3Request {
    /// What must be allowed for this request.
    pub fn required_permissions(&self) -> Vec<RequiredPermission> {
        let mut required = Vec::new();
        for rule in self.action.row().needs {
            self.require(rule, &mut required);
        }
        required
    }

    fn require(&self, rule: &PermissionRule, required: &mut Vec<RequiredPermission>) {
        let mut add = |action, resource, scope| required.push(RequiredPermission { action, resource, scope });
        let bucket = self.bucket.as_ref();
        let object = || arn(bucket, self.key.as_ref());
        match *rule {
            PermissionRule::CopiesTags => self.require_copied_tags(required),
            PermissionRule::IfETag(inner) if self.compares_etags() => self.require(inner, required),
            PermissionRule::IfElement(name, inner) if self.has_element(name) => self.require(inner, required),
            PermissionRule::IfHeader(names, inner) if names.iter().any(|name| self.has_header(name)) => {
                self.require(inner, required);
            }
            PermissionRule::IfQuery(name, inner) if self.query.iter().any(|(key, _)| *key == name) => {
                self.require(inner, required);
            }
            PermissionRule::IfETag(_)
            | PermissionRule::IfElement(..)
            | PermissionRule::IfHeader(..)
            | PermissionRule::IfQuery(..) => {}
            PermissionRule::OnBucket(action) => add(action, arn(bucket, None), PermissionScope::Request),
            PermissionRule::OnEachObject(action, on_version) => {
                for (place, entry) in self.entries().iter().enumerate() {
                    let action = chosen(action, on_version, entry.version.as_ref());
                    add(action, arn(bucket, Some(&entry.key)), PermissionScope::Entry(place));
                }
            }
            PermissionRule::OnEveryObject(action) => {
                add(action, format!("{}/*", arn(bucket, None)), PermissionScope::Request);
            }
            PermissionRule::OnEverything(action) => add(action, format!("{S3}*"), PermissionScope::Request),
            PermissionRule::OnObject(action) => add(action, object(), PermissionScope::Request),
            PermissionRule::OnObjectOrVersion(action, on_version) => {
                add(chosen(action, on_version, self.version.as_ref()), object(), PermissionScope::Request);
            }
            PermissionRule::OnSource(action, on_version) => {
                required.extend(self.on_source(action, on_version, PermissionScope::Request));
            }
        }
    }

    /// A copy keeps its source's tags unless it says otherwise.
    fn require_copied_tags(&self, required: &mut Vec<RequiredPermission>) {
        if self.headers.iter().any(|(name, value)| name == DIRECTIVE && value == "REPLACE") {
            return;
        }
        let scope = PermissionScope::TaggedSource;
        required.extend(self.on_source("s3:GetObjectTagging", "s3:GetObjectVersionTagging", scope));
        let resource = arn(self.bucket.as_ref(), self.key.as_ref());
        required.push(RequiredPermission { action: "s3:PutObjectTagging", resource, scope });
    }

    fn on_source(
        &self,
        action: &'static str,
        on_version: &'static str,
        scope: PermissionScope,
    ) -> Option<RequiredPermission> {
        self.copy_source.as_ref().map(|source| RequiredPermission {
            action: chosen(action, on_version, source.version.as_ref()),
            resource: arn(Some(&source.bucket), Some(&source.key)),
            scope,
        })
    }

    fn entries(&self) -> &[ObjectIdentifier] {
        match &self.document {
            RequestDocument::DeleteObjects(document) => &document.objects,
            RequestDocument::None
            | RequestDocument::Payload
            | RequestDocument::Rewritten(_)
            | RequestDocument::Versioning(_) => &[],
        }
    }

    fn compares_etags(&self) -> bool {
        self.headers.iter().any(|(name, value)| name == http::header::IF_MATCH && value != "*")
    }

    fn has_header(&self, wanted: &str) -> bool {
        self.headers.iter().any(|(name, _)| name == wanted)
    }

    /// Whether the rewritten document has an element of this name.
    fn has_element(&self, name: &str) -> bool {
        match &self.document {
            RequestDocument::Rewritten(bytes) => {
                let tag = format!("<{name}>");
                bytes.windows(tag.len()).any(|window| window == tag.as_bytes())
            }
            RequestDocument::DeleteObjects(_)
            | RequestDocument::None
            | RequestDocument::Payload
            | RequestDocument::Versioning(_) => false,
        }
    }
}

const S3: &str = "arn:aws:s3:::";

fn chosen(action: &'static str, on_version: &'static str, version: Option<&VersionId>) -> &'static str {
    match version {
        None => action,
        Some(_) => on_version,
    }
}

fn arn(bucket: Option<&BucketName>, key: Option<&ObjectKey>) -> String {
    let bucket = bucket.map_or("", BucketName::as_str);
    match key {
        None => format!("{S3}{bucket}"),
        Some(key) => format!("{S3}{bucket}/{key}"),
    }
}
