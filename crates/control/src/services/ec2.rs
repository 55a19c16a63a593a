//! `ec2:DescribeRegions`: the configured region is the only one.

use std::collections::BTreeMap;
use std::iter::once;

use portcullis_xml::escape_query;
use serde_json::{Map, Value, json};

use super::form::CallForm;
use super::refused;
use crate::cloudtrail::CloudTrailError;

/// What DescribeRegions is asked for.
#[derive(Debug, Default)]
pub struct RegionsQuery {
    names: BTreeMap<u16, String>,
    filters: BTreeMap<u16, RegionFilter>,
    all_regions: Option<bool>,
    dry_run: bool,
}

#[derive(Debug, Default)]
struct RegionFilter {
    name: String,
    values: BTreeMap<u16, String>,
}

/// EC2's limit for a filter's value.
const LONGEST_VALUE: usize = 255;

const OPT_IN_STATUS: &str = "opt-in-not-required";

impl RegionsQuery {
    /// Reads the parameters; one that is not understood is refused.
    pub(super) fn read(form: &CallForm) -> Result<Self, CloudTrailError> {
        let mut query = Self::default();
        for (name, value) in form.pairs() {
            if value.len() > LONGEST_VALUE {
                return Err(refused::invalid_value(name));
            }
            let place = |number: &str| index(number).ok_or_else(|| refused::unknown_parameter(name));
            match name.split('.').collect::<Vec<_>>().as_slice() {
                ["AllRegions"] => query.all_regions = Some(flag(name, value)?),
                ["DryRun"] => query.dry_run = flag(name, value)?,
                ["RegionName", number] => drop(query.names.insert(place(number)?, value.clone())),
                ["Filter", number, "Name"] => query.filters.entry(place(number)?).or_default().name.clone_from(value),
                ["Filter", number, "Value", of] => {
                    let filter = query.filters.entry(place(number)?).or_default();
                    filter.values.insert(place(of)?, value.clone());
                }
                _ => return Err(refused::unknown_parameter(name)),
            }
        }
        Ok(query)
    }

    /// `requestParameters` of its event, as EC2 writes them.
    pub(super) fn recorded(&self) -> Value {
        let items = |items: Vec<Value>| if items.is_empty() { json!({}) } else { json!({ "items": items }) };
        let mut members = Map::new();
        let names = self.names.values().map(|name| json!({ "regionName": name })).collect();
        members.insert("regionSet".to_owned(), items(names));
        if !self.filters.is_empty() {
            let filter = |filter: &RegionFilter| {
                let values = filter.values.values().map(|value| json!({ "value": value })).collect();
                json!({ "name": filter.name, "valueSet": items(values) })
            };
            members.insert("filterSet".to_owned(), items(self.filters.values().map(filter).collect()));
        }
        if let Some(all) = self.all_regions {
            members.insert("allRegions".to_owned(), all.into());
        }
        Value::Object(members)
    }

    /// The content of the answer: the region, if it is one of those that are asked for.
    pub(super) fn answer(&self, region: &str) -> Result<String, CloudTrailError> {
        if let Some(other) = self.names.values().find(|name| *name != region) {
            return Err(refused::no_such_region(other, region));
        }
        let endpoint = format!("ec2.{region}.amazonaws.com");
        let mut is_wanted = true;
        for filter in self.filters.values() {
            let value = match filter.name.as_str() {
                "endpoint" => &endpoint,
                "opt-in-status" => OPT_IN_STATUS,
                "region-name" => region,
                name => return Err(refused::unknown_filter(name)),
            };
            if filter.values.is_empty() {
                return Err(refused::filter_without_values(&filter.name));
            }
            is_wanted &= filter.values.values().any(|pattern| matches(pattern, value));
        }
        if self.dry_run {
            return Err(refused::dry_run());
        }
        let (name, endpoint) = (escape_query(region), escape_query(&endpoint));
        let item = format!(
            "<item><regionName>{name}</regionName><regionEndpoint>{endpoint}</regionEndpoint>\
             <optInStatus>{OPT_IN_STATUS}</optInStatus></item>"
        );
        Ok(format!("<regionInfo>{}</regionInfo>", if is_wanted { item.as_str() } else { "" }))
    }
}

/// A place in a list, in its one spelling.
fn index(text: &str) -> Option<u16> {
    let number = text.parse::<u16>().ok().filter(|number| (1..=1000).contains(number))?;
    (number.to_string() == text).then_some(number)
}

fn flag(name: &str, value: &str) -> Result<bool, CloudTrailError> {
    value.parse().map_err(|_| refused::invalid_value(name))
}

/// Whether a text is as a filter's value has it: `*` stands for any letters, `?` for one or none, and `\` takes that
/// meaning from the letter behind it.
// The ends that the pattern so far can reach in the text, so that no pattern takes longer than its length times the text's.
fn matches(pattern: &str, text: &str) -> bool {
    let mut ends: Vec<bool> = once(true).chain(text.chars().map(|_| false)).collect();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let before = once(false).chain(ends.iter().copied());
        ends = match letter {
            '*' => ends
                .iter()
                .scan(false, |any, end| {
                    *any |= end;
                    Some(*any)
                })
                .collect(),
            '?' => ends.iter().zip(before).map(|(here, before)| *here || before).collect(),
            letter => {
                let wanted = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
                let fits = once(false).chain(text.chars().map(|there| there == wanted));
                before.zip(fits).map(|(before, fits)| before && fits).collect()
            }
        };
    }
    ends.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_stands_for_what_ec2_says() {
        for (pattern, text, fits) in [
            ("us-east-1", "us-east-1", true),
            ("us-east-1", "us-east-11", false),
            ("US-EAST-1", "us-east-1", false),
            ("us-*", "us-east-1", true),
            ("*", "us-east-1", true),
            ("*east*", "us-east-1", true),
            ("*west*", "us-east-1", false),
            ("us-east-?", "us-east-1", true),
            ("us-east-1?", "us-east-1", true),
            ("us-east-??", "us-east-123", false),
            ("us-east-\\?", "us-east-1", false),
            ("a\\*", "a*", true),
            ("a\\", "a\\", true),
            ("", "us-east-1", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(127), &"a".repeat(100)));
    }

    #[test]
    fn a_place_in_a_list_has_one_spelling() {
        assert_eq!((index("1"), index("1000")), (Some(1), Some(1000)));
        for text in ["", "0", "01", "+1", "1001", "-1", "1 ", "65537"] {
            assert_eq!(index(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_without_wildcards_is_itself(pattern in "[a-z-]{0,8}", text in "[a-z-]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), pattern == text);
            prop_assert!(matches(&pattern, &pattern));
        }
    }
}
