//! What a pattern of MinIO's for resources is in a policy of AWS's language.
//!
//! MinIO compares a pattern with `BUCKET/KEY`, and for a bucket with `BUCKET/`: `photos/*` names the bucket too, and
//! `*-logs` names no bucket at all. It also takes a pattern without wildcards for the object of that name with a `/`
//! behind it, and for the bucket of that name. AWS compares with `BUCKET/KEY` and with `BUCKET`.

/// The variable that both know with one meaning.
pub(crate) const USER_NAME: &str = "${aws:username}";

const PREFIX: &str = "arn:aws:s3:::";

/// To which side a pattern may differ if it cannot be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternSide {
    /// What is allowed: less.
    Narrower,
    /// What is denied, or excepted from what is allowed: more.
    Wider,
}

/// The patterns that stand for one of MinIO's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TranslatedPatterns {
    pub patterns: Vec<String>,
    pub sameness: PatternSameness,
}

/// Whether they name the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternSameness {
    /// They differ to the side that was asked for.
    Differs,
    Same,
}

/// Why a pattern has no translation.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UntranslatablePattern {
    #[error("`{0}` is no resource of S3")]
    NotS3(String),
    #[error("`?` in `{0}` is one byte for MinIO and one character for Portcullis")]
    OneByte(String),
    #[error("`{0}` has another variable than {USER_NAME}")]
    Variable(String),
}

/// Translates an element of `Resource` or `NotResource`.
pub(crate) fn translate(text: &str, side: PatternSide) -> Result<TranslatedPatterns, UntranslatablePattern> {
    // MinIO tells the pattern `*` as `**`.
    let pattern = match text {
        "*" | "**" => "*",
        _ => text.strip_prefix(PREFIX).ok_or_else(|| UntranslatablePattern::NotS3(text.to_owned()))?,
    };
    if pattern.contains('?') {
        return Err(UntranslatablePattern::OneByte(text.to_owned()));
    }
    if pattern.replace(USER_NAME, "").contains("${") {
        return Err(UntranslatablePattern::Variable(text.to_owned()));
    }
    let mut translated = by_shape(pattern, side);
    translated.patterns = translated.patterns.iter().map(|pattern| format!("{PREFIX}{pattern}")).collect();
    Ok(translated)
}

fn by_shape(pattern: &str, side: PatternSide) -> TranslatedPatterns {
    let same = |patterns| TranslatedPatterns { patterns, sameness: PatternSameness::Same };
    let as_it_is = || vec![pattern.to_owned()];
    match (pattern.split_once('/'), pattern.contains('*')) {
        (None, false) => same(as_it_is()),
        (None, true) if pattern.ends_with('*') => same(as_it_is()),
        (None, true) => same(with_a_slash(pattern)),
        (Some((bucket, "")), false) => same(vec![bucket.to_owned()]),
        (Some(_), false) if pattern.ends_with('/') => same(as_it_is()),
        (Some(_), false) => same(vec![pattern.to_owned(), format!("{pattern}/")]),
        (Some((_, rest)), true) if !rest.trim_matches('*').is_empty() => same(as_it_is()),
        (Some((bucket, rest)), true) => {
            let names_buckets_alone = !rest.is_empty() && !bucket.trim_end_matches('*').contains('*');
            let both = || vec![pattern.to_owned(), bucket.to_owned()];
            match (names_buckets_alone, side) {
                (true, _) => same(both()),
                (false, PatternSide::Narrower) => {
                    TranslatedPatterns { patterns: as_it_is(), sameness: PatternSameness::Differs }
                }
                (false, PatternSide::Wider) => {
                    TranslatedPatterns { patterns: both(), sameness: PatternSameness::Differs }
                }
            }
        }
    }
}

/// The patterns for what the pattern names and has a `/`: one of its `*` stands for it.
fn with_a_slash(pattern: &str) -> Vec<String> {
    let stars = pattern.match_indices('*');
    stars
        .filter_map(|(at, _)| pattern.split_at_checked(at))
        .map(|(before, behind)| format!("{before}*/{behind}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minio::action::matches;
    use proptest::prelude::*;

    /// MinIO's comparison.
    fn minio_names(pattern: &str, resource: &str) -> bool {
        let cleaned = resource.trim_end_matches('/');
        cleaned == pattern || matches(pattern, resource)
    }

    fn names(patterns: &TranslatedPatterns, resource: &str) -> bool {
        let arn = format!("{PREFIX}{resource}");
        patterns.patterns.iter().any(|pattern| matches(pattern, &arn))
    }

    fn patterns(pattern: &str, side: PatternSide) -> Vec<String> {
        let translated = translate(&format!("{PREFIX}{pattern}"), side).expect("a pattern");
        translated.patterns.iter().map(|pattern| pattern[PREFIX.len()..].to_owned()).collect()
    }

    #[test]
    fn patterns_as_policies_have_them() {
        for (pattern, expected) in [
            ("*", &["*"][..]),
            ("photos", &["photos"]),
            ("photos/", &["photos"]),
            ("photos/*", &["photos/*", "photos"]),
            ("photos*", &["photos*"]),
            ("photos*/*", &["photos*/*", "photos*"]),
            ("photos/2024/*", &["photos/2024/*"]),
            ("photos/2024/cat.jpg", &["photos/2024/cat.jpg", "photos/2024/cat.jpg/"]),
            ("*-logs", &["*/*-logs"]),
            ("home/${aws:username}/*", &["home/${aws:username}/*"]),
        ] {
            assert_eq!(patterns(pattern, PatternSide::Narrower), expected, "{pattern}");
            assert_eq!(patterns(pattern, PatternSide::Wider), expected, "{pattern}");
        }
        assert_eq!(patterns("*-logs/*", PatternSide::Narrower), ["*-logs/*"]);
        assert_eq!(patterns("*-logs/*", PatternSide::Wider), ["*-logs/*", "*-logs"]);
    }

    #[test]
    fn what_means_something_else_to_minio_has_no_translation() {
        for text in ["arn:aws:s3:::a?", "arn:aws:s3:::${aws:userid}/*", "arn:minio:kms:::key", "photos/*"] {
            assert!(translate(text, PatternSide::Narrower).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn a_translation_names_what_minio_names(
            pattern in "[ab*]{1,3}(/[ab*]{0,3}){0,2}",
            bucket in "[ab]{1,4}",
            key in "([ab]{1,3}(/[ab]{1,2}){0,1}/{0,1}){0,1}",
        ) {
            let (resource, asked) = match key.as_str() {
                "" => (bucket.clone(), format!("{bucket}/")),
                key => (format!("{bucket}/{key}"), format!("{bucket}/{key}")),
            };
            let at_minio = minio_names(&pattern, &asked);
            let text = format!("{PREFIX}{pattern}");
            let (narrower, wider) = (translate(&text, PatternSide::Narrower).unwrap(), translate(&text, PatternSide::Wider).unwrap());
            prop_assert!(!names(&narrower, &resource) || at_minio, "{narrower:?}");
            prop_assert!(names(&wider, &resource) || !at_minio, "{wider:?}");
            if narrower.sameness == PatternSameness::Same {
                prop_assert_eq!(names(&narrower, &resource), at_minio);
            }
        }
    }
}
