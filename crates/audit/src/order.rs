//! The order of JSON members as AWS writes them: that of Java's hash maps.
//!
//! S3 gathers the parameters of a request in a `HashMap`, and writes a copy of it; a tool that compares records as text, or
//! learns from them, sees that order. A map's order is that of its buckets; within one, that of insertion.

use std::ops::Range;

use serde_json::{Map, Value};

/// Members as a copy of a map shows them that was filled in their order.
pub(crate) fn of_copied_map(members: &[u8]) -> Vec<u8> {
    let mut entries: Vec<MapEntry> = split(members);
    // Filled one by one, and then copied at once into a map of the least size.
    let count = entries.len();
    order(&mut entries, grown(count));
    order(&mut entries, copied(count));
    let mut out = Vec::with_capacity(members.len());
    for entry in entries {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(members.get(entry.range).unwrap_or(&[]));
    }
    out
}

/// A document as nested maps show it that were filled in its order.
pub(crate) fn of_filled_maps(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(of_filled_maps).collect()),
        Value::Object(members) => {
            let capacity = grown(members.len());
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by_key(|(name, _)| bucket(hash(name), capacity));
            Value::Object(members.into_iter().map(|(name, value)| (name, of_filled_maps(value))).collect::<Map<_, _>>())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

/// One member among its siblings.
struct MapEntry {
    hash: u32,
    range: Range<usize>,
}

fn order(entries: &mut [MapEntry], capacity: u32) {
    entries.sort_by_key(|entry| bucket(entry.hash, capacity));
}

/// `String.hashCode`, over UTF-16.
fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// Where `HashMap` puts a hash.
fn bucket(hash: u32, capacity: u32) -> u32 {
    (hash ^ (hash >> 16)) & (capacity - 1)
}

/// The capacity of a map that was filled one by one: 16, doubled whenever it is three quarters full.
fn grown(entries: usize) -> u32 {
    let mut capacity = 16;
    while entries > capacity / 4 * 3 {
        capacity *= 2;
    }
    u32::try_from(capacity).unwrap_or(1 << 30)
}

/// The capacity of a map that was made as a copy of another.
fn copied(entries: usize) -> u32 {
    u32::try_from((entries * 4 / 3 + 1).next_power_of_two()).unwrap_or(1 << 30)
}

/// The members of an object without its braces, each with its name.
fn split(members: &[u8]) -> Vec<MapEntry> {
    let mut entries = Vec::with_capacity(16);
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0_u32, false, false);
    for (at, byte) in members.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                entries.push(entry(members, start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < members.len() {
        entries.push(entry(members, start..members.len()));
    }
    entries
}

fn entry(members: &[u8], range: Range<usize>) -> MapEntry {
    let member = members.get(range.clone()).unwrap_or(&[]);
    let mut values = serde_json::Deserializer::from_slice(member).into_iter::<std::borrow::Cow<'_, str>>();
    // Members are written by this module's siblings, so that each has a name.
    let hash = values.next().and_then(Result::ok).map_or(0, |name| hash(&name));
    MapEntry { hash, range }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn names(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// The members of an object with these names, in their order.
    fn ordered(names: &[&str]) -> Vec<String> {
        let members: Vec<String> = names.iter().map(|name| format!("{}:1", json!(name))).collect();
        let out = of_copied_map(members.join(",").as_bytes());
        let out = format!("{{{}}}", String::from_utf8(out).expect("text"));
        serde_json::from_str::<Map<String, Value>>(&out).expect("an object").keys().cloned().collect()
    }

    #[test]
    fn parameters_are_in_the_order_of_genuine_records() {
        for genuine in [
            &["bucketName", "Host", "key"][..],
            &["list-type", "bucketName", "encoding-type", "prefix", "delimiter", "Host"],
            &["lifecycle", "bucketName", "LifecycleConfiguration", "Host"],
            &["bucketPolicy", "bucketName", "Host", "policy"],
            &["bucketName", "Host", "delete", "x-id"],
            &["bucketName", "Host", "x-amz-acl", "x-amz-server-side-encryption", "key"],
            &[
                "X-Amz-Date",
                "bucketName",
                "X-Amz-Algorithm",
                "x-amz-acl",
                "X-Amz-SignedHeaders",
                "Host",
                "X-Amz-Expires",
                "key",
                "x-amz-storage-class",
            ],
        ] {
            // As they are gathered: query and headers as sent, the names, then the document.
            let last = ["bucketName", "Host", "key", "bucketPolicy", "LifecycleConfiguration"];
            let mut gathered = genuine.to_vec();
            gathered.sort_by_key(|name| last.iter().position(|last| last == name).map_or(0, |place| place + 1));
            assert_eq!(ordered(&gathered), genuine);
        }
    }

    #[test]
    fn a_document_is_in_the_order_of_a_genuine_record() {
        let rule = json!({"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "*"}, "Expiration": {"Days": 1}});
        let document = of_filled_maps(json!({"Rule": [rule], "xmlns": "x"}));
        assert_eq!(names(&document), ["xmlns", "Rule"]);
        assert_eq!(names(&document["Rule"][0]), ["Status", "Filter", "Expiration", "ID"]);
    }

    #[test]
    fn hashes_are_those_of_java() {
        for (text, expected) in [("", 0), ("a", 97), ("Aa", 2112), ("BB", 2112), ("hello", 99_162_322)] {
            assert_eq!(hash(text), expected, "{text}");
        }
        assert_eq!([1, 3, 4, 6, 12, 13].map(copied), [2, 8, 8, 16, 32, 32]);
        assert_eq!([0, 12, 13, 24, 25].map(grown), [16, 16, 32, 32, 64]);
    }

    proptest! {
        #[test]
        fn no_member_is_lost_or_changed(
            members in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..40),
            nested in ".{0,8}",
        ) {
            let mut object = Map::new();
            members.into_iter().for_each(|(name, value)| _ = object.insert(name, json!([value, {"a,\"}": nested}])));
            let text = Value::Object(object.clone()).to_string();
            let inner = text.trim_start_matches('{').trim_end_matches('}');
            let inner = if object.is_empty() { inner } else { &text[1..text.len() - 1] };
            let out = of_copied_map(inner.as_bytes());
            let read: Map<String, Value> =
                serde_json::from_str(&format!("{{{}}}", String::from_utf8(out.clone()).expect("text"))).expect("JSON");
            prop_assert_eq!(&read, &object);
            prop_assert_eq!(of_copied_map(&out).len(), out.len());
            prop_assert_eq!(of_filled_maps(Value::Object(object.clone())), Value::Object(object));
        }
    }
}
