//! The table as a text: a change to it is reviewed as a change to this.

use std::fmt::Write as _;

use super::*;
use crate::StoreProfile;
use crate::profile::OperationSupport;

#[test]
fn the_table_has_these_rows() {
    let mut text = String::new();
    for row in S3Operation::ALL.iter().map(|action| action.row()) {
        let body = match row.body {
            OperationBody::Document(grammar) => format!("{} up to {}", grammar.root, grammar.limit),
            OperationBody::Nothing => "no body".to_owned(),
            OperationBody::OptionalDocument(grammar) => format!("perhaps {} up to {}", grammar.root, grammar.limit),
            OperationBody::Payload => "payload".to_owned(),
            OperationBody::Policy => "policy".to_owned(),
        };
        let harm = match row.harm {
            HazardRule::Always(hazard) => format!("{hazard:?}"),
            HazardRule::AsDocument | HazardRule::Deletes | HazardRule::DeletesMany | HazardRule::Replaces => {
                format!("{:?}", row.harm)
            }
        };
        writeln!(text, "{}{}", row.name, row.alias.map(|alias| format!(" ({alias})")).unwrap_or_default())
            .expect("text");
        writeln!(text, "  {} {:?} {:?}", row.method.as_str(), row.level, row.marks).expect("text");
        writeln!(text, "  {harm}; {body}").expect("text");
        writeln!(text, "  {} {:?} {:?}", row.event, row.category, row.access).expect("text");
        for need in row.needs {
            writeln!(text, "  needs {}", need_text(need)).expect("text");
        }
        if !row.query.is_empty() {
            writeln!(text, "  query {}", row.query.concat().join(" ")).expect("text");
        }
        if !row.headers.is_empty() {
            writeln!(text, "  headers {}", row.headers.concat().join(" ")).expect("text");
        }
    }
    insta::assert_snapshot!(text);
}

fn need_text(rule: &PermissionRule) -> String {
    match rule {
        PermissionRule::CopiesTags => "to copy tags, if the source has some".to_owned(),
        PermissionRule::IfETag(inner) => format!("{} if it compares an ETag", need_text(inner)),
        PermissionRule::IfElement(name, inner) => format!("{} if it has <{name}>", need_text(inner)),
        PermissionRule::IfHeader(names, inner) => format!("{} if it has {}", need_text(inner), names.join(" or ")),
        PermissionRule::IfQuery(name, inner) => format!("{} if it has ?{name}", need_text(inner)),
        PermissionRule::OnBucket(action) => format!("{action} on the bucket"),
        PermissionRule::OnEachObject(action, version) => format!("{action} or {version} on each object it lists"),
        PermissionRule::OnEveryObject(action) => format!("{action} on all objects"),
        PermissionRule::OnEverything(action) => format!("{action} on all buckets"),
        PermissionRule::OnObject(action) => format!("{action} on the object"),
        PermissionRule::OnObjectOrVersion(action, version) => format!("{action} or {version} on the object"),
        PermissionRule::OnSource(action, version) => format!("{action} or {version} on the source"),
    }
}

/// What is done with a request for each operation in front of each store, and what that store would do with it.
#[test]
fn each_operation_goes_to_the_stores_that_take_it_for_what_it_is() {
    let cells =
        |cell: &dyn Fn(UpstreamKind) -> String| UpstreamKind::ALL.map(|store| format!("{:13}", cell(store))).concat();
    let head = cells(&|store| format!("{store:?}").to_lowercase());
    let mut text = format!("{:50}{head}answered here (*: if the store declines)\n", "WHAT IS DONE");
    for action in S3Operation::ALL {
        let mut here = "";
        let mut answer = String::new();
        let done = cells(&|store| match store.handling(*action) {
            RequestHandling::Answered(_) => "answered".to_owned(),
            RequestHandling::Forwarded => "forwarded".to_owned(),
            RequestHandling::ForwardedElse(_) => "forwarded*".to_owned(),
            RequestHandling::Refused => "refused".to_owned(),
        });
        for store in UpstreamKind::ALL {
            match store.handling(*action) {
                RequestHandling::Answered(local) | RequestHandling::ForwardedElse(local) => {
                    (here, answer) = local_answer(local);
                }
                RequestHandling::Forwarded | RequestHandling::Refused => {}
            }
        }
        writeln!(text, "{}", format!("{:50}{done}{here}{answer}", action.name()).trim_end()).expect("text");
    }
    writeln!(text, "\n{:50}{}", "WHAT THE STORE DOES", head.trim_end()).expect("text");
    for action in S3Operation::ALL {
        let treated = cells(&|store| match store.treatment(*action) {
            StoreTreatment::Declines => "declines".to_owned(),
            StoreTreatment::MayDecline => "may decline".to_owned(),
            StoreTreatment::Mistakes(other) => other.name().to_owned(),
            StoreTreatment::Serves => "serves".to_owned(),
        });
        writeln!(text, "{}", format!("{:50}{treated}", action.name()).trim_end()).expect("text");
    }
    insta::assert_snapshot!(text);
}

/// What each kind of store does beyond AWS.
#[test]
fn each_kind_of_store_has_a_row() {
    let rows = UpstreamKind::ALL.map(|kind| {
        let StoreProfile {
            operations,
            keys,
            folder_objects,
            version_ids,
            upload_ids,
            markers,
            continuation_tokens,
            copied_parts,
            listing_metadata,
            accounts,
            checksums,
            trailers,
            expires,
            bucket_placement,
            upload_versions,
            replication,
            process,
        } = kind.profile();
        let operations = match operations {
            OperationSupport::Served => "Served".to_owned(),
            OperationSupport::ServedByAll(stores) => format!("ServedByAll {stores:?}"),
            OperationSupport::ServedExcept(exceptions) => {
                let count: usize = exceptions.iter().map(|(_, actions)| actions.len()).sum();
                format!("ServedExcept {count}")
            }
        };
        [
            ("kind", format!("{kind:?}")),
            ("operations", operations),
            ("keys", format!("{keys:?}")),
            ("folder objects", format!("{folder_objects:?}")),
            ("version ids", format!("{version_ids:?}")),
            ("upload ids", format!("{upload_ids:?}")),
            ("markers", format!("{markers:?}")),
            ("continuation tokens", format!("{continuation_tokens:?}")),
            ("copied parts decoded", format!("{copied_parts:?}")),
            ("listing metadata", format!("{listing_metadata:?}")),
            ("accounts", format!("{accounts:?}")),
            ("checksums", format!("{checksums:?}")),
            ("trailers", format!("{trailers:?}")),
            ("expires", format!("{expires:?}")),
            ("bucket placement", format!("{bucket_placement:?}")),
            ("upload versions", format!("{upload_versions:?}")),
            ("replication", format!("{replication:?}")),
            ("process", format!("{process:?}")),
        ]
    });
    let mut text = String::new();
    for (column, (name, _)) in rows[0].iter().enumerate() {
        let cells = rows.each_ref().map(|row| format!("{:36}", row[column].1)).concat();
        writeln!(text, "{}", format!("{name:22}{cells}").trim_end()).expect("text");
    }
    insta::assert_snapshot!(text);
}

fn local_answer(answer: LocalAnswer) -> (&'static str, String) {
    match answer {
        LocalAnswer::Location => ("", "the region here".to_owned()),
        LocalAnswer::Preflight => ("", "no origin may ask".to_owned()),
        LocalAnswer::Unconfigured(UnconfiguredAnswer::Document { root, inner }) => (root, format!(" {inner}")),
        LocalAnswer::Unconfigured(UnconfiguredAnswer::Error { status, code, .. }) => (code, format!(" {status}")),
        LocalAnswer::Unconfigured(UnconfiguredAnswer::Removed) => ("", "204".to_owned()),
    }
}
