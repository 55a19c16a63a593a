//! Values that a store gave out and decodes again: upload ids, markers and continuation tokens.
//!
//! Clients pass them through unread, but the store acts on what it reads in them: MinIO decodes an upload id and joins
//! it into a path on its disk, so that a forged one names a part of another object. Each value is therefore sent only in
//! the form in which this kind of store gives it out.

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use base64::{Engine as _, alphabet};

use super::profile::{ContinuationTokenForm, MarkerForm, StoreProfile, UploadIdForm, VersionIdForm};
use portcullis_base::names::VersionId;

/// The id of a multipart upload, as this kind of store gives it out; at most 1024 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadId(String);

/// Where a listing goes on: a key, behind which MinIO may write where its cache of the listing is; at most 2048 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListingMarker(String);

/// Where ListObjectsV2 or ListBuckets goes on; at most 4096 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContinuationToken(String);

/// What MinIO writes behind a marker: which of its cached listings goes on, in which pool and set.
const MINIO_CACHE: &str = "[minio_cache:";

impl UploadId {
    /// Takes an id that this kind of store may have given out.
    pub(crate) fn parse(text: &str, profile: &StoreProfile) -> Option<Self> {
        let legal = text.len() <= 1024
            && match profile.upload_ids {
                UploadIdForm::Hex => text.len() == 32 && text.bytes().all(is_lower_hex),
                UploadIdForm::TildeWord => text.strip_prefix("2~").is_some_and(|random| is_word(random, "_-")),
                UploadIdForm::Unambiguous => is_unambiguous(text),
                UploadIdForm::Uuids => is_of_minio(text),
                UploadIdForm::Word => is_word(text, "._-") && !is_dots(text),
            };
        legal.then(|| Self(text.to_owned()))
    }

    /// The id as it is sent.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl ListingMarker {
    /// Takes a marker, start-after or key-marker.
    pub(crate) fn parse(text: &str, profile: &StoreProfile) -> Option<Self> {
        let legal = text.len() <= 2048
            && !text.contains('\0')
            && match profile.markers {
                MarkerForm::Key => true,
                MarkerForm::KeyAndCache => names_no_other_cache(text),
            };
        legal.then(|| Self(text.to_owned()))
    }

    /// The marker as it is sent.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl ContinuationToken {
    /// Takes a token that this kind of store may have given out.
    pub(crate) fn parse(text: &str, profile: &StoreProfile) -> Option<Self> {
        let marker = || STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let is_marker = || marker().is_some_and(|marker| ListingMarker::parse(&marker, profile).is_some());
        let legal = (1..=4096).contains(&text.len())
            && !text.contains('\0')
            && match profile.continuation_tokens {
                ContinuationTokenForm::AsIs => true,
                ContinuationTokenForm::EncodedMarkers => is_marker(),
                ContinuationTokenForm::Unambiguous => {
                    let cache = MINIO_CACHE.as_bytes();
                    let hidden = decoded_as_go_does(text).windows(cache.len()).any(|part| part == cache);
                    ListingMarker::parse(text, profile).is_some() && (!hidden || is_marker())
                }
            };
        legal.then(|| Self(text.to_owned()))
    }

    /// The token as it is sent.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// Whether a store of this kind would read this version id as it stands, and not as another version or another key's.
pub(super) fn is_version_of(version: &VersionId, profile: &StoreProfile) -> bool {
    let text = version.as_str();
    // MinIO reads a UUID in upper case or without hyphens as the same version under another name.
    let is_uuid_in_upper_case = !is_uuid(text) && is_uuid(&text.to_ascii_lowercase());
    match profile.version_ids {
        VersionIdForm::AsIs => true,
        VersionIdForm::LowerCaseUuids => {
            let is_bare_uuid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            !is_uuid_in_upper_case && !is_bare_uuid
        }
        VersionIdForm::NoUnderscores => !text.contains('_'),
        // Other stores have underscores in theirs, but not behind 32 characters as Ceph's versions have.
        VersionIdForm::Unambiguous => {
            !is_uuid_in_upper_case && text.split_once('_').is_none_or(|(version, _)| version.len() != 32)
        }
    }
}

/// Whether MinIO would read the address of a cached listing in a key.
pub(super) fn names_a_cache(key: &str) -> bool {
    key.contains(MINIO_CACHE)
}

/// `DEPLOYMENT.UPLOADxNANOSECONDS` in base64url without padding, where both names are UUIDs; releases before 2023 end
/// with the second UUID.
fn is_of_minio(text: &str) -> bool {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((deployment, upload)) = decoded.as_deref().and_then(|decoded| decoded.split_once('.')) else {
        return false;
    };
    let (uuid, opened) = match upload.split_once('x') {
        Some((uuid, opened)) => (uuid, Some(opened)),
        None => (upload, None),
    };
    let is_time = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_uuid(deployment) && is_uuid(uuid) && opened.is_none_or(is_time)
}

/// For a store of which nothing is known: no path, neither as it stands nor decoded as MinIO and RustFS do, and no dot
/// before Ceph's `2~`.
fn is_unambiguous(text: &str) -> bool {
    let random = text.strip_prefix("2~").unwrap_or(text).trim_end_matches('=');
    let decoded = decoded_as_go_does(text);
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    // MinIO's folder is what stands behind the first dot.
    let folder = decoded.iter().position(|byte| *byte == b'.').and_then(|dot| decoded.get(dot + 1..));
    // Random bytes hold a slash or end with a dot now and then; a text that does would be a path.
    let is_path = std::str::from_utf8(&decoded).is_ok()
        && (decoded.iter().any(is_slash) || folder.is_some_and(|folder| matches!(folder, b"" | b".")));
    let climbs = folder == Some(b"..") || decoded.iter().any(is_slash) && decoded.windows(2).any(|pair| pair == b"..");
    is_word(random, "_-") && !is_path && !climbs
}

/// What MinIO reads in base64: Go's decoder skips line ends and does not look at the bits behind the last byte. Either
/// alphabet and any padding, so that no other decoder reads more; nothing where there is nothing to decode.
fn decoded_as_go_does(text: &str) -> Vec<u8> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let digits: String = text
        .chars()
        .filter(|one| !matches!(one, '\r' | '\n'))
        .map(|one| match one {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    LENIENT.decode(digits.trim_end_matches('=')).unwrap_or_default()
}

fn is_dots(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'.')
}

/// Letters, digits and these, at least one.
fn is_word(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || others.contains(one))
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || is_lower_hex(byte))
}

/// Whether a marker has no address of a cached listing, or one as MinIO writes it, at its end.
fn names_no_other_cache(marker: &str) -> bool {
    let Some((key, tag)) = marker.split_once(MINIO_CACHE) else { return true };
    let Some(tag) = tag.strip_prefix("v2,").and_then(|tag| tag.strip_suffix(']')) else { return false };
    let number = |part: &str, name: &str| {
        part.strip_prefix(name).is_some_and(|digits| is_word(digits, "") && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let parts: Vec<&str> = tag.split(',').collect();
    !key.contains('\0')
        && match parts.as_slice() {
            ["return:"] => true,
            [id, pool, set] => id.strip_prefix("id:").is_some_and(is_uuid) && number(pool, "p:") && number(set, "s:"),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::UpstreamKind;
    use proptest::prelude::*;

    const DEPLOYMENT: &str = "8a50f2f8-5ec5-4d76-9f12-5f1f0a3c6e01";
    const UPLOAD: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    fn encoded(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The same bytes to a decoder that does not look at the bits behind the last one, as Go's does not.
    fn with_other_last_bits(encoded: &str) -> String {
        let (start, last) = encoded.split_at(encoded.len() - 1);
        assert_eq!((encoded.len() % 4, last), (2, "Q"), "four bits are left over");
        format!("{start}R")
    }

    fn table(values: &[(&str, String)], takes: impl Fn(&str, UpstreamKind) -> bool) -> String {
        let mut table = String::new();
        for (name, value) in values {
            let kinds: Vec<String> = UpstreamKind::ALL
                .into_iter()
                .filter(|kind| takes(value, *kind))
                .map(|kind| format!("{kind:?}"))
                .collect();
            writeln!(table, "{name}: {}", kinds.join(" ")).expect("written");
        }
        table
    }

    #[test]
    fn an_upload_id_is_taken_by_the_stores_that_give_out_such_ids() {
        let values = [
            ("of AWS", "VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS5tMnRzIHVwbG9hZA".to_owned()),
            ("of AWS, with dots", "ibZBv_75gd9r8lH_gqXatLdxMVpAlj6ZQjEs.OwyF3953YdwbcQnMA2BLGn8Lx12fQ--".to_owned()),
            ("of Ceph", "2~Zk3gG6TKnVb_s-Wc1f9oXyvLqqfA8sL".to_owned()),
            ("of Ceph, another key's", "b.2~Zk3gG6TKnVbbs3Wc1f9oXyvLqqfA8sL".to_owned()),
            ("of Ceph, with a path", "2~a/../b".to_owned()),
            ("of the embedded store", "81a0edd09c55ec821d80c4e036f7385a".to_owned()),
            ("of MinIO", encoded(&format!("{DEPLOYMENT}.{UPLOAD}x1764309600000000000"))),
            ("of an older MinIO", encoded(&format!("{DEPLOYMENT}.{UPLOAD}"))),
            ("of MinIO, with padding", format!("{}==", encoded(&format!("{DEPLOYMENT}.{UPLOAD}")))),
            ("of MinIO, upper case", encoded(&format!("{DEPLOYMENT}.{}", UPLOAD.to_uppercase()))),
            ("a path", encoded("a.../../../vault/KEY")),
            ("a path behind a right id", encoded(&format!("{DEPLOYMENT}.{UPLOAD}x1/../../../vault/key"))),
            ("a path instead of a deployment", encoded(&format!("../vault.{UPLOAD}"))),
            ("a path with backslashes", encoded("a...\\..\\vault\\KEY")),
            ("a path of one segment", encoded("a../x")),
            ("a path, its last bits changed", with_other_last_bits(&encoded("a.../../../vault/k1"))),
            ("a path in other letters", encoded("é.x/y")),
            ("the folder above", encoded("a...")),
            ("a path between bytes that are no text", URL_SAFE_NO_PAD.encode(b"\xff.../../vault/KEY")),
            ("a path as it stands", "../../../vault/KEY".to_owned()),
            ("a parent", "..".to_owned()),
            ("nothing decoded", encoded("")),
            ("nothing", String::new()),
            ("a dot", encoded(".")),
            ("a NUL", "a\0b".to_owned()),
            ("a line end", "ab\n".to_owned()),
            ("a space", "a b".to_owned()),
            ("too long", "a".repeat(1025)),
        ];
        insta::assert_snapshot!(table(&values, |text, kind| UploadId::parse(text, kind.profile()).is_some()));
    }

    #[test]
    fn a_marker_names_no_cached_listing_but_as_minio_does() {
        let tag = |tag: &str| format!("dir/key[minio_cache:{tag}");
        let values = [
            ("a key", "dir/key".to_owned()),
            ("nothing", String::new()),
            ("a key with brackets", "a[b]c".to_owned()),
            ("macOS's Icon", "dir/Icon\r".to_owned()),
            ("a NUL", "a\0".to_owned()),
            ("to be cached", tag("v2,return:]")),
            ("cached", tag(&format!("v2,id:{UPLOAD},p:0,s:12]"))),
            ("cached elsewhere", tag("v2,id:../../other/.metacache/x,p:0,s:0]")),
            ("cached without a place", tag(&format!("v2,id:{UPLOAD}]"))),
            ("a negative set", tag(&format!("v2,id:{UPLOAD},p:0,s:-1]"))),
            ("not ended", tag("v2,return:")),
            ("ended before it begins", "]x[minio_cache:v2".to_owned()),
            ("something behind", tag("v2,return:]x")),
            ("two", format!("{}{}", tag("v2,return:]"), tag("v2,return:]"))),
            ("another form", tag("v1,return:]")),
        ];
        let mut tables = table(&values, |text, kind| ListingMarker::parse(text, kind.profile()).is_some());
        tables.push_str("\nin base64\n");
        let tokens = values.map(|(name, value)| (name, STANDARD.encode(value)));
        tables.push_str(&table(&tokens, |text, kind| ContinuationToken::parse(text, kind.profile()).is_some()));
        let forged = STANDARD.encode(tag("v2,return:,id:../x,p:0]"));
        let spelled = [
            ("without padding", forged.trim_end_matches('=').to_owned()),
            ("with a line end", format!("{}\n{}", &forged[..8], &forged[8..])),
            ("with line ends at its end", format!("{forged}\r\n")),
            ("in the other alphabet", forged.replace('+', "-").replace('/', "_")),
            (
                "behind bytes that are no text",
                STANDARD.encode([b"\xff\xfe", tag("v2,return:,id:../x]").as_bytes()].concat()),
            ),
            ("behind bytes, well written", STANDARD.encode([b"\xff\xfe", tag("v2,return:]").as_bytes()].concat())),
            ("bytes that are no text", STANDARD.encode(b"\xff\xfe\x00\x01")),
        ];
        tables.push_str("\nforged, in base64\n");
        tables.push_str(&table(&spelled, |text, kind| ContinuationToken::parse(text, kind.profile()).is_some()));
        insta::assert_snapshot!(tables);
    }

    #[test]
    fn a_version_id_has_the_spelling_that_its_store_gave_it() {
        let values = [
            ("a UUID", UPLOAD.to_owned()),
            ("a UUID in upper case", UPLOAD.to_uppercase()),
            ("a UUID without hyphens", UPLOAD.replace('-', "")),
            ("null", "null".to_owned()),
            ("of Ceph", "TZTpj92WIKvF4Lk.NSgNG0fnq-RbK1M".to_owned()),
            ("of Ceph, another key's", format!("{}_j", "a".repeat(32))),
            ("with underscores", "4_z27c88f1d182b150646ff0b16_f2004ba650fe24e6b".to_owned()),
        ];
        let takes = |text: &str, kind: UpstreamKind| {
            VersionId::parse(text).is_ok_and(|version| is_version_of(&version, kind.profile()))
        };
        insta::assert_snapshot!(table(&values, takes));
    }

    proptest! {
        #[test]
        fn no_path_is_an_upload_id(before in "[a-z0-9.-]{0,40}", path in "(\\.\\./|/|\\.\\.\\\\)[a-z/]{0,20}") {
            let text = format!("{before}{path}");
            for kind in [UpstreamKind::Generic, UpstreamKind::Minio, UpstreamKind::Embedded, UpstreamKind::Ceph] {
                prop_assert_eq!(UploadId::parse(&encoded(&text), kind.profile()), None);
                prop_assert_eq!(UploadId::parse(&text, kind.profile()), None);
            }
        }

        #[test]
        fn no_bytes_that_go_decodes_to_a_path_are_an_upload_id(text in "[A-Za-z0-9_-]{1,60}|YS4uLi8[A-Za-z0-9_-]{0,20}") {
            let decoded = decoded_as_go_does(&text);
            let folder = decoded.splitn(2, |byte| *byte == b'.').nth(1).unwrap_or_default();
            let climbs = folder.split(|byte| *byte == b'/').any(|segment| segment == b"..");
            prop_assert!(!climbs || UploadId::parse(&text, UpstreamKind::Generic.profile()).is_none());
        }

        #[test]
        fn random_ids_of_an_unknown_store_are_taken(bytes in any::<[u8; 24]>()) {
            prop_assume!(!bytes.windows(2).any(|pair| pair == b".."));
            prop_assert!(UploadId::parse(&URL_SAFE_NO_PAD.encode(bytes), UpstreamKind::Generic.profile()).is_some());
        }
    }
}
