//! From a document's tree to what it means.

use bytes::Bytes;

use super::ParsedDocument;
use super::element;
use super::grammar::{DocumentGrammar, DocumentKind, GrammarBreach};
use crate::hazard::Hazard;
use crate::request::{
    DeleteObjects, MfaDeleteChange, ObjectIdentifier, RequestDocument, VersioningDocument, VersioningStatus,
};
use crate::target::{KeyFault, RoutingRules};
use crate::unclear::{UnclearReason, UnsupportedPart};
use crate::version;
use portcullis_base::names::{BucketName, VersionId};
use portcullis_xml::StrictElement;

const MOST_OBJECTS: usize = 1000;
const MOST_PARTS: u32 = 10_000;

pub(super) fn read(
    grammar: &DocumentGrammar,
    body: &[u8],
    routing: &RoutingRules,
) -> Result<ParsedDocument, UnclearReason> {
    let root = element::parse(body).map_err(|_| UnclearReason::MalformedXml)?;
    let root = grammar.check(root).map_err(|breach| match breach {
        GrammarBreach::Extension(name) => UnclearReason::NotImplemented(UnsupportedPart::Element(name)),
        GrammarBreach::Invalid => UnclearReason::MalformedXml,
    })?;
    let rewritten = || RequestDocument::Rewritten(Bytes::from(element::write(&root)));
    match grammar.reading {
        DocumentKind::Configuration => {
            let mut found = ParsedDocument::of(rewritten(), Hazard::None);
            destinations(&root, &mut found.destinations);
            Ok(found)
        }
        DocumentKind::DeleteObjects => {
            let document = RequestDocument::DeleteObjects(delete_objects(&root, routing)?);
            Ok(ParsedDocument::of(document, Hazard::None))
        }
        DocumentKind::LegalHold => Ok(ParsedDocument::of(rewritten(), legal_hold(&root)?)),
        DocumentKind::Parts => {
            check_parts(&root)?;
            Ok(ParsedDocument::of(rewritten(), Hazard::None))
        }
        DocumentKind::PublicAccessBlock => Ok(ParsedDocument::of(rewritten(), public_access_block(&root)?)),
        DocumentKind::Query => Ok(ParsedDocument::of(rewritten(), Hazard::None)),
        DocumentKind::Retention => {
            check_retention(&root)?;
            Ok(ParsedDocument::of(rewritten(), Hazard::WeakensProtection))
        }
        DocumentKind::Versioning => {
            let versioning = versioning(&root)?;
            let hazard = Hazard::ChangesVersioning(versioning);
            Ok(ParsedDocument::of(RequestDocument::Versioning(versioning), hazard))
        }
    }
}

/// Every name in what says where logs, replicas and reports go: a bucket's name, an ARN, or what a store makes of
/// either, as Ceph does of `tenant:bucket`. Which part is the bucket is the store's to say, so each counts.
fn destinations(element: &StrictElement, found: &mut Vec<BucketName>) {
    if matches!(element.name.as_str(), "Bucket" | "TargetBucket") {
        let parts = element.text().unwrap_or_default().split([':', '/']);
        found.extend(parts.filter_map(|part| BucketName::parse(part.trim()).ok()));
    }
    element.children().iter().for_each(|child| destinations(child, found));
}

fn delete_objects(root: &StrictElement, routing: &RoutingRules) -> Result<DeleteObjects, UnclearReason> {
    let quiet = match root.text_at("Quiet") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(UnclearReason::MalformedXml),
    };
    let objects: Vec<ObjectIdentifier> = root
        .children()
        .iter()
        .filter(|child| child.name == "Object")
        .map(|entry| object(entry, routing))
        .collect::<Result<_, _>>()?;
    if objects.is_empty() || objects.len() > MOST_OBJECTS {
        return Err(UnclearReason::MalformedXml);
    }
    Ok(DeleteObjects { objects, quiet })
}

fn object(entry: &StrictElement, routing: &RoutingRules) -> Result<ObjectIdentifier, UnclearReason> {
    let text = entry.text_at("Key").ok_or(UnclearReason::MalformedXml)?;
    let key = routing.key(text).map_err(|bad| match bad {
        KeyFault::Aliased => UnclearReason::InvalidArgument {
            name: "Key",
            value: text.to_owned(),
            text: "Object name contains unsupported characters.",
        },
        KeyFault::Invalid => UnclearReason::MalformedXml,
        KeyFault::TooLong(size) => UnclearReason::KeyTooLong(size),
    })?;
    let version: Option<VersionId> =
        entry.text_at("VersionId").map(|id| version("VersionId", id, routing)).transpose()?;
    Ok(ObjectIdentifier { key, version })
}

fn versioning(root: &StrictElement) -> Result<VersioningDocument, UnclearReason> {
    let status = match root.text_at("Status") {
        None => return Err(UnclearReason::IllegalVersioningConfiguration),
        Some("Enabled") => VersioningStatus::Enabled,
        Some("Suspended") => VersioningStatus::Suspended,
        Some(_) => return Err(UnclearReason::MalformedXml),
    };
    let mfa_delete = match root.text_at("MfaDelete") {
        None => MfaDeleteChange::Keep,
        Some("Disabled") => MfaDeleteChange::Disable,
        Some("Enabled") => MfaDeleteChange::Enable,
        Some(_) => return Err(UnclearReason::MalformedXml),
    };
    Ok(VersioningDocument { status, mfa_delete })
}

fn legal_hold(root: &StrictElement) -> Result<Hazard, UnclearReason> {
    match root.text_at("Status") {
        Some("ON") => Ok(Hazard::None),
        Some("OFF") => Ok(Hazard::WeakensProtection),
        Some(_) | None => Err(UnclearReason::MalformedXml),
    }
}

/// Only all four blocks at once can weaken nothing; an absent one is off.
fn public_access_block(root: &StrictElement) -> Result<Hazard, UnclearReason> {
    let mut on = 0;
    for block in root.children() {
        match block.text() {
            Some("true") => on += 1,
            Some("false") => {}
            Some(_) | None => return Err(UnclearReason::MalformedXml),
        }
    }
    Ok(if on == 4 { Hazard::None } else { Hazard::WeakensProtection })
}

/// A mode and a date, or neither, which ends the retention.
fn check_retention(root: &StrictElement) -> Result<(), UnclearReason> {
    let is_date =
        |text: &str| text.len() >= 10 && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte));
    match (root.text_at("Mode"), root.text_at("RetainUntilDate")) {
        (None, None) => Ok(()),
        (Some("COMPLIANCE" | "GOVERNANCE"), Some(date)) if is_date(date) => Ok(()),
        (Some(_), _) | (None, Some(_)) => Err(UnclearReason::MalformedXml),
    }
}

fn check_parts(root: &StrictElement) -> Result<(), UnclearReason> {
    let mut count = 0;
    for part in root.children() {
        count += 1;
        let number = part.text_at("PartNumber").unwrap_or_default();
        let numbered = number.bytes().all(|byte| byte.is_ascii_digit())
            && number.parse::<u32>().is_ok_and(|number| (1..=MOST_PARTS).contains(&number));
        let tagged = part.text_at("ETag").is_some_and(|tag| !tag.is_empty());
        if !numbered || !tagged || count > MOST_PARTS {
            return Err(UnclearReason::MalformedXml);
        }
    }
    if count == 0 { Err(UnclearReason::MalformedXml) } else { Ok(()) }
}
