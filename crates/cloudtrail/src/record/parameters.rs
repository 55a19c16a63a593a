//! What is looked at in `requestParameters`, where clients choose many of the names.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::member::MemberValue;
use super::view::BUCKET_TYPE;

/// What is looked at in `requestParameters`. Of two members with one name the first that is a text counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParametersView<'a> {
    pub bucket_name: MemberValue<'a>,
    pub key: MemberValue<'a>,
    pub upload_id: MemberValue<'a>,
    pub version_id: MemberValue<'a>,
    /// `VersioningConfiguration`, the document of a PutBucketVersioning.
    pub versioning: VersioningView<'a>,
    /// What the control APIs name: users, devices, keys, trails and their buckets, by the name of the member.
    named: Vec<(NamingMember, Cow<'a, str>)>,
}

/// What is looked at in the document of a PutBucketVersioning.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase", default)]
pub struct VersioningView<'a> {
    #[serde(borrow)]
    pub mfa_delete: MemberValue<'a>,
    #[serde(borrow)]
    pub status: MemberValue<'a>,
}

/// A member of a control API's parameters that names something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NamingMember {
    member: &'static str,
    /// CloudTrail's type of what is named; none where the member names things of several types.
    resource_type: Option<&'static str>,
}

const NAMING: [NamingMember; 10] = [
    NamingMember { member: "accessKeyId", resource_type: None },
    NamingMember { member: "name", resource_type: Some(TRAIL_TYPE) },
    NamingMember { member: "resourceId", resource_type: Some(TRAIL_TYPE) },
    NamingMember { member: "resourceIdList", resource_type: Some(TRAIL_TYPE) },
    NamingMember { member: "s3BucketName", resource_type: Some(BUCKET_TYPE) },
    NamingMember { member: "serialNumber", resource_type: None },
    NamingMember { member: "trailName", resource_type: Some(TRAIL_TYPE) },
    NamingMember { member: "trailNameList", resource_type: Some(TRAIL_TYPE) },
    NamingMember { member: "userName", resource_type: None },
    NamingMember { member: "virtualMFADeviceName", resource_type: None },
];
const TRAIL_TYPE: &str = "AWS::CloudTrail::Trail";

impl<'a> ParametersView<'a> {
    /// What a call of a control API names by this member.
    pub fn named(&self, member: &str) -> Option<&str> {
        self.named.iter().find(|(naming, _)| naming.member == member).map(|(_, name)| &**name)
    }

    /// All that a call of a control API names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(_, name)| &**name)
    }

    /// What of it has one type of resource, with that type.
    pub(super) fn typed_names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.named.iter().filter_map(|(naming, name)| Some((naming.resource_type?, &**name)))
    }

    fn add_names(&mut self, naming: NamingMember, value: MemberValue<'a>) {
        match value {
            MemberValue::List(names) => self.named.extend(names.into_iter().map(|name| (naming, name))),
            MemberValue::Text(name) => self.named.push((naming, name)),
            MemberValue::Absent | MemberValue::Boolean(_) | MemberValue::Number(_) | MemberValue::Other => {}
        }
    }
}

// By hand, since a derived reader refuses a member that is there twice, and clients choose some of them.
impl<'de: 'a, 'a> Deserialize<'de> for ParametersView<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParametersVisitor(PhantomData))
    }
}

struct ParametersVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for ParametersVisitor<'a> {
    type Value = ParametersView<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut view = ParametersView::default();
        while let Some(name) = members.next_key::<MemberValue<'de>>()? {
            let name = name.text().unwrap_or_default();
            let place = match name {
                "bucketName" => &mut view.bucket_name,
                "key" => &mut view.key,
                "uploadId" => &mut view.upload_id,
                "versionId" => &mut view.version_id,
                "VersioningConfiguration" => {
                    view.versioning = members.next_value::<VersioningMember<'de>>()?.into_view();
                    continue;
                }
                _ => {
                    match NAMING.iter().find(|naming| naming.member == name) {
                        Some(naming) => view.add_names(*naming, members.next_value()?),
                        None => drop(members.next_value::<IgnoredAny>()?),
                    }
                    continue;
                }
            };
            let value = members.next_value()?;
            if place.text().is_none() {
                *place = value;
            }
        }
        Ok(view)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VersioningMember<'a> {
    Document(#[serde(borrow)] VersioningView<'a>),
    Other(IgnoredAny),
}

impl<'a> VersioningMember<'a> {
    fn into_view(self) -> VersioningView<'a> {
        match self {
            Self::Document(view) => view,
            Self::Other(_) => VersioningView::default(),
        }
    }
}
