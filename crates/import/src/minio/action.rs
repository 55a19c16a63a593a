//! What the actions of a statement are in a policy of AWS's language.
//!
//! MinIO asks for other actions than AWS in a few operations: it reads a version by `s3:GetObject`, for example. An
//! action that Portcullis asks for is allowed by a statement if the statement allows what MinIO asks for in its place.

use std::collections::BTreeSet;

use portcullis_policy::StatementEffect;
use portcullis_s3::{PermissionRule, S3Operation};

/// What MinIO asks for in the place of one of AWS's actions.
struct ActionDifference {
    action: &'static str,
    /// One of them has to be allowed.
    allowed_by: &'static [&'static str],
    /// None of them may be denied.
    denied_by: &'static [&'static str],
}

/// From MinIO's handlers. (Its ACL operations have other actions too; they change nothing and tell a constant.)
const DIFFERENCES: &[ActionDifference] = &[
    ActionDifference {
        action: "s3:DeleteObjectVersion",
        allowed_by: &["s3:DeleteObject"],
        denied_by: &["s3:DeleteObject", "s3:DeleteObjectVersion"],
    },
    ActionDifference {
        action: "s3:DeleteObjectVersionTagging",
        allowed_by: &["s3:DeleteObjectTagging"],
        denied_by: &["s3:DeleteObjectTagging"],
    },
    ActionDifference {
        action: "s3:GetObjectAttributes",
        allowed_by: &["s3:GetObject", "s3:GetObjectAttributes"],
        denied_by: &["s3:GetObjectAttributes"],
    },
    ActionDifference { action: "s3:GetObjectVersion", allowed_by: &["s3:GetObject"], denied_by: &["s3:GetObject"] },
    ActionDifference {
        action: "s3:GetObjectVersionAttributes",
        allowed_by: &["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"],
        denied_by: &["s3:GetObjectVersionAttributes"],
    },
    ActionDifference {
        action: "s3:GetObjectVersionTagging",
        allowed_by: &["s3:GetObjectTagging"],
        denied_by: &["s3:GetObjectTagging"],
    },
    ActionDifference {
        action: "s3:ListBucketVersions",
        allowed_by: &["s3:ListBucket", "s3:ListBucketVersions"],
        denied_by: &["s3:ListBucket", "s3:ListBucketVersions"],
    },
    ActionDifference {
        action: "s3:PutObjectVersionTagging",
        allowed_by: &["s3:PutObjectTagging"],
        denied_by: &["s3:PutObjectTagging"],
    },
];

const READ: &str = "s3:GetObject";
const READ_VERSION: &str = "s3:GetObjectVersion";

/// Whose actions a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ActionFamily {
    /// Actions that only MinIO has: `admin:` and `kms:`.
    MinioAlone,
    S3,
    Sessions,
}

/// The family of actions, or the action that is of none or of another than the first.
pub(crate) fn family(actions: &[String]) -> Result<ActionFamily, &str> {
    let of = |action: &str| match action.split_once(':') {
        Some(("admin" | "kms", _)) => Some(ActionFamily::MinioAlone),
        Some(("s3", _)) => Some(ActionFamily::S3),
        Some(("sts", _)) => Some(ActionFamily::Sessions),
        Some(_) | None => None,
    };
    let mut families = actions.iter().map(|action| of(action).ok_or(action.as_str()));
    let first = families.next().unwrap_or(Err(""))?;
    match actions.iter().find(|action| of(action).as_ref() != Some(&first)) {
        Some(other) => Err(other),
        None => Ok(first),
    }
}

/// What became of the actions of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TranslatedActions {
    /// None if the statement does nothing.
    pub actions: BTreeSet<String>,
    /// What is denied by a pattern here, and was asked for by no operation in MinIO.
    pub denied_more: BTreeSet<&'static str>,
}

/// The actions of a statement of S3, as Portcullis is to have them.
pub(crate) fn translate(actions: &[String], effect: StatementEffect) -> TranslatedActions {
    let mut translated = TranslatedActions::default();
    for pattern in actions {
        let (wanted, unwanted): (Vec<_>, Vec<_>) = known()
            .into_iter()
            .filter(|action| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
            .partition(|action| is_wanted(action, actions, effect));
        match effect {
            StatementEffect::Allow if !unwanted.is_empty() => {
                translated.actions.extend(wanted.into_iter().map(str::to_owned));
                continue;
            }
            StatementEffect::Allow => {}
            StatementEffect::Deny => translated.denied_more.extend(unwanted),
        }
        translated.actions.insert(pattern.clone());
    }
    for ActionDifference { action, .. } in DIFFERENCES {
        add(action, actions, effect, &mut translated.actions);
    }
    add(READ, actions, effect, &mut translated.actions);
    translated
}

fn add(action: &str, actions: &[String], effect: StatementEffect, translated: &mut BTreeSet<String>) {
    if is_wanted(action, actions, effect) && !translated.iter().any(|pattern| matches(pattern, action)) {
        translated.insert(action.to_owned());
    }
}

/// Whether a statement about these actions is about this one of AWS's.
fn is_wanted(action: &str, actions: &[String], effect: StatementEffect) -> bool {
    match (DIFFERENCES.iter().find(|difference| difference.action == action), effect) {
        (None, _) => minio_names(actions, action),
        (Some(difference), StatementEffect::Allow) => {
            difference.allowed_by.iter().any(|action| minio_names(actions, action))
        }
        (Some(difference), StatementEffect::Deny) => {
            difference.denied_by.iter().any(|action| minio_names(actions, action))
        }
    }
}

/// MinIO's comparison: who names the reading of versions names the reading of objects.
fn minio_names(actions: &[String], action: &str) -> bool {
    let implied = |pattern: &str| pattern == READ_VERSION && action == READ;
    actions.iter().any(|pattern| matches(pattern, action) || implied(pattern))
}

/// Every action that an operation of S3 can need.
fn known() -> BTreeSet<&'static str> {
    S3Operation::ALL.iter().flat_map(|operation| operation.row().needs).flat_map(PermissionRule::actions).collect()
}

/// Whether a text matches a pattern in which `*` stands for any text and `?` for one byte.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` is, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(from) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&wanted) if wanted == byte || wanted == b'?' => {
                at += 1;
                from += 1;
            }
            Some(_) | None => match star {
                Some((place, reach)) => {
                    star = Some((place, reach + 1));
                    at = place + 1;
                    from = reach + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use StatementEffect::{Allow, Deny};

    fn translated(actions: &[&str], effect: StatementEffect) -> Vec<String> {
        let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
        translate(&actions, effect).actions.into_iter().collect()
    }

    #[test]
    fn what_minio_reads_as_one_action_is_written_as_two() {
        for (actions, expected) in [
            (&["s3:GetObject"][..], &["s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectVersion"][..]),
            (
                &["s3:GetObjectVersion"],
                &["s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectVersion", "s3:GetObjectVersionAttributes"],
            ),
            (&["s3:DeleteObject"], &["s3:DeleteObject", "s3:DeleteObjectVersion"]),
            (&["s3:ListBucket"], &["s3:ListBucket", "s3:ListBucketVersions"]),
            (&["s3:GetObjectTagging"], &["s3:GetObjectTagging", "s3:GetObjectVersionTagging"]),
            (&["s3:*"], &["s3:*"]),
            (&["s3:Get*"], &["s3:Get*"]),
            (&["s3:PutObject"], &["s3:PutObject"]),
            (&["s3:ListBucketVersions"], &["s3:ListBucketVersions"]),
        ] {
            assert_eq!(translated(actions, Allow), expected, "{actions:?}");
        }
    }

    #[test]
    fn what_gives_nothing_at_minio_gives_nothing_here() {
        assert_eq!(translated(&["s3:DeleteObjectVersion"], Allow), [""; 0]);
        assert_eq!(translated(&["s3:PutObjectVersionTagging"], Allow), [""; 0]);
        assert_eq!(
            translated(&["s3:DeleteObjectVersion*", "s3:PutObject"], Allow),
            ["s3:PutObject"],
            "the wildcard names nothing that MinIO asks for"
        );
        assert_eq!(
            translated(&["s3:*ObjectTagging", "s3:*VersionTagging"], Allow),
            ["s3:*ObjectTagging", "s3:*VersionTagging",]
        );
    }

    #[test]
    fn what_is_denied_at_minio_is_denied_here() {
        assert_eq!(translated(&["s3:GetObject"], Deny), ["s3:GetObject", "s3:GetObjectVersion"]);
        assert_eq!(translated(&["s3:DeleteObjectVersion"], Deny), ["s3:DeleteObjectVersion"]);
        assert_eq!(translated(&["s3:DeleteObject"], Deny), ["s3:DeleteObject", "s3:DeleteObjectVersion"]);
        assert_eq!(translated(&["s3:ListBucket"], Deny), ["s3:ListBucket", "s3:ListBucketVersions"]);
        let more = translate(&["s3:Get*Version".to_owned()], Deny).denied_more;
        assert_eq!(more.into_iter().collect::<Vec<_>>(), ["s3:GetObjectVersion"]);
    }

    #[test]
    fn the_differences_are_about_actions_that_portcullis_asks_for() {
        let known = known();
        assert!(known.len() > 50, "{known:?}");
        assert!(DIFFERENCES.is_sorted_by(|one, next| one.action < next.action));
        assert!(DIFFERENCES.iter().all(|difference| known.contains(difference.action)), "{known:?}");
    }

    #[test]
    fn actions_of_two_families_have_none() {
        let of = |actions: &[&str]| {
            let actions: Vec<String> = actions.iter().map(|&action| action.to_owned()).collect();
            family(&actions).map_err(str::to_owned)
        };
        assert_eq!(of(&["admin:*", "kms:Status"]), Ok(ActionFamily::MinioAlone));
        assert_eq!(of(&["s3:Get*"]), Ok(ActionFamily::S3));
        assert_eq!(of(&["sts:AssumeRole"]), Ok(ActionFamily::Sessions));
        assert_eq!(of(&["s3:Get*", "*"]), Err("*".to_owned()));
        assert_eq!(of(&["s3:Get*", "admin:*"]), Err("admin:*".to_owned()));
        assert_eq!(of(&["s*:Get*"]), Err("s*:Get*".to_owned()));
        assert_eq!(of(&[]), Err(String::new()));
    }

    #[test]
    fn a_pattern_is_compared_as_minio_does() {
        for (pattern, text, expected) in [
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?", "a", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
