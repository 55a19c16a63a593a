//! Which entries a listing's page holds, as a pure function of a bucket's versions.

use std::ops::Bound;
use std::sync::Arc;

use super::record::VersionRecord;
use super::versions::{BucketVersions, sequence_of};

/// What a listing asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListingQuery<'a> {
    pub prefix: &'a str,
    /// Empty stands for none.
    pub delimiter: &'a str,
    pub limit: usize,
}

/// One page of a listing.
#[derive(Debug, PartialEq)]
pub(crate) struct ListingPage<Entry> {
    pub entries: Vec<Entry>,
    pub common_prefixes: Vec<String>,
    /// The last thing on the page, when more follows.
    pub next: Option<PageMarker>,
}

/// Where a listing goes on: after this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PageMarker {
    /// A key with all its versions, or a common prefix with all its keys.
    Key(String),
    /// One version of a key.
    Version { key: String, id: String },
}

/// A version, and whether it is its key's newest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListedVersion {
    pub version: Arc<VersionRecord>,
    pub place: VersionPlace,
}

/// Where a version stands among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionPlace {
    Latest,
    Noncurrent,
}

/// The keys whose newest version is an object.
pub(crate) fn current(
    versions: &BucketVersions,
    query: ListingQuery<'_>,
    after: Option<&str>,
) -> ListingPage<Arc<VersionRecord>> {
    let live =
        |key_versions: &[Arc<VersionRecord>]| key_versions.first().is_some_and(|version| version.object().is_some());
    let mut gathering = PageBuilder::new(query, after.map(|key| PageMarker::Key(key.to_owned())));
    gathering.run(versions, live, |key_versions, gathering| match key_versions.first() {
        Some(version) => gathering.take(version.clone(), PageMarker::Key(version.key.clone())),
        None => PageFlow::More,
    });
    gathering.page
}

/// Every version and marker of every key.
pub(crate) fn every_version(
    versions: &BucketVersions,
    query: ListingQuery<'_>,
    after: Option<PageMarker>,
) -> ListingPage<ListedVersion> {
    let mut gathering = PageBuilder::new(query, after);
    gathering.run(
        versions,
        |_| true,
        |key_versions, gathering| {
            let done = gathering.versions_already_listed(key_versions);
            for (position, version) in key_versions.iter().enumerate().skip(done) {
                let place = if position == 0 { VersionPlace::Latest } else { VersionPlace::Noncurrent };
                let marker = PageMarker::Version { key: version.key.clone(), id: version.id.clone() };
                if let PageFlow::Full = gathering.take(ListedVersion { version: version.clone(), place }, marker) {
                    return PageFlow::Full;
                }
            }
            PageFlow::More
        },
    );
    gathering.page
}

/// The common prefix a key is listed under: up to the first delimiter after the query's prefix.
pub(crate) fn common_prefix(prefix: &str, delimiter: &str, key: &str) -> Option<String> {
    if delimiter.is_empty() {
        return None;
    }
    let (group, _) = key.strip_prefix(prefix)?.split_once(delimiter)?;
    Some(format!("{prefix}{group}{delimiter}"))
}

enum PageFlow {
    Full,
    More,
}

struct PageBuilder<'a, Entry> {
    query: ListingQuery<'a>,
    after: Option<PageMarker>,
    last: Option<PageMarker>,
    page: ListingPage<Entry>,
}

impl<'a, Entry> PageBuilder<'a, Entry> {
    fn new(query: ListingQuery<'a>, after: Option<PageMarker>) -> Self {
        let page = ListingPage { entries: Vec::new(), common_prefixes: Vec::new(), next: None };
        Self { query, after, last: None, page }
    }

    fn run(
        &mut self,
        versions: &BucketVersions,
        lists: impl Fn(&[Arc<VersionRecord>]) -> bool,
        mut visit: impl FnMut(&[Arc<VersionRecord>], &mut Self) -> PageFlow,
    ) {
        if self.query.limit == 0 {
            return;
        }
        let mut start = self.start();
        // A group of keys is one step, however many keys it has: the walk starts again behind it.
        'walk: loop {
            for (key, key_versions) in versions.from(as_bound(&start)) {
                if !key.starts_with(self.query.prefix) {
                    return;
                }
                if !lists(key_versions) {
                    continue;
                }
                let Some(group) = common_prefix(self.query.prefix, self.query.delimiter, key) else {
                    match visit(key_versions, self) {
                        PageFlow::Full => return,
                        PageFlow::More => continue,
                    }
                };
                let behind = successor(&group);
                if let PageFlow::Full = self.take_group(group) {
                    return;
                }
                let Some(behind) = behind else { return };
                start = Bound::Included(behind);
                continue 'walk;
            }
            return;
        }
    }

    fn start(&self) -> Bound<String> {
        let prefix = self.query.prefix;
        let Some(PageMarker::Key(key) | PageMarker::Version { key, .. }) = &self.after else {
            return Bound::Included(prefix.to_owned());
        };
        if key.as_str() < prefix {
            return Bound::Included(prefix.to_owned());
        }
        // A marker inside a group was listed as the group.
        let behind_group =
            common_prefix(prefix, self.query.delimiter, key).and_then(|group| successor(&group)).map(Bound::Included);
        behind_group.unwrap_or_else(|| match &self.after {
            Some(PageMarker::Version { .. }) => Bound::Included(key.clone()),
            Some(PageMarker::Key(_)) | None => Bound::Excluded(key.clone()),
        })
    }

    fn versions_already_listed(&self, key_versions: &[Arc<VersionRecord>]) -> usize {
        let Some(PageMarker::Version { key, id }) = &self.after else { return 0 };
        if key_versions.first().is_none_or(|version| version.key != *key) {
            return 0;
        }
        if let Some(position) = key_versions.iter().position(|version| version.id == *id) {
            return position + 1;
        }
        // The marked version was deleted since: go on with what is older than it was.
        sequence_of(id).map_or(0, |sequence| key_versions.partition_point(|version| version.sequence >= sequence))
    }

    fn take(&mut self, entry: Entry, marker: PageMarker) -> PageFlow {
        if self.is_full() {
            return self.end_page();
        }
        self.page.entries.push(entry);
        self.last = Some(marker);
        PageFlow::More
    }

    fn take_group(&mut self, group: String) -> PageFlow {
        if self.is_full() {
            return self.end_page();
        }
        self.last = Some(PageMarker::Key(group.clone()));
        self.page.common_prefixes.push(group);
        PageFlow::More
    }

    fn end_page(&mut self) -> PageFlow {
        self.page.next = self.last.take();
        PageFlow::Full
    }

    fn is_full(&self) -> bool {
        self.page.entries.len() + self.page.common_prefixes.len() >= self.query.limit
    }
}

fn as_bound(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Included(key) => Bound::Included(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The first text behind every text that begins with this one.
fn successor(prefix: &str) -> Option<String> {
    let mut behind = prefix.to_owned();
    while let Some(last) = behind.pop() {
        // The range steps over the surrogates, which are no characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            behind.push(next);
            return Some(behind);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::versions::tests::{marker, null, object};
    use super::*;

    const ALL: ListingQuery<'static> = ListingQuery { prefix: "", delimiter: "", limit: 1000 };

    fn bucket(keys: &[&str]) -> BucketVersions {
        let mut versions = BucketVersions::default();
        for (sequence, key) in (1..).zip(keys) {
            versions.insert(object(key, sequence));
        }
        versions
    }

    fn keys(page: &ListingPage<Arc<VersionRecord>>) -> Vec<&str> {
        page.entries.iter().map(|version| version.key.as_str()).collect()
    }

    /// Everything a client sees that asks for page after page.
    fn all_pages(versions: &BucketVersions, query: ListingQuery<'_>) -> (Vec<String>, Vec<String>, usize) {
        let (mut found, mut groups, mut pages, mut after) = (Vec::new(), Vec::new(), 0, None::<String>);
        loop {
            let page = current(versions, query, after.as_deref());
            assert!(page.entries.len() + page.common_prefixes.len() <= query.limit);
            found.extend(keys(&page).into_iter().map(str::to_owned));
            groups.extend(page.common_prefixes);
            pages += 1;
            match page.next {
                Some(PageMarker::Key(key)) => after = Some(key),
                Some(PageMarker::Version { .. }) => panic!("a listing of keys goes on after a key"),
                None => return (found, groups, pages),
            }
        }
    }

    #[test]
    fn keys_come_in_the_order_of_their_bytes() {
        let page = current(&bucket(&["b", "a/c", "é", "a", "Z"]), ALL, None);
        assert_eq!(keys(&page), ["Z", "a", "a/c", "b", "é"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn a_key_under_a_marker_is_not_listed_and_makes_no_common_prefix() {
        let mut versions = bucket(&["a", "dir/x", "dir/y"]);
        versions.insert(marker("a", 10));
        versions.insert(marker("dir/x", 11));
        let grouped = ListingQuery { delimiter: "/", ..ALL };
        assert_eq!(keys(&current(&versions, ALL, None)), ["dir/y"]);
        assert_eq!(current(&versions, grouped, None).common_prefixes, ["dir/"]);
        versions.insert(marker("dir/y", 12));
        assert_eq!(
            current(&versions, grouped, None),
            ListingPage { entries: vec![], common_prefixes: vec![], next: None }
        );
    }

    #[test]
    fn a_delimiter_groups_what_follows_the_prefix() {
        let versions = bucket(&["photos/2025/a", "photos/2025/b", "photos/2026/c", "photos/top", "sounds/x"]);
        let page = current(&versions, ListingQuery { prefix: "photos/", delimiter: "/", limit: 1000 }, None);
        assert_eq!(page.common_prefixes, ["photos/2025/", "photos/2026/"]);
        assert_eq!(keys(&page), ["photos/top"]);
    }

    #[test]
    fn pages_of_every_size_hold_everything_once() {
        let versions = bucket(&["a", "b/1", "b/2", "b0", "c/1", "c/2/3", "d", "\u{10ffff}/z"]);
        for limit in 1..=9 {
            let (found, groups, pages) = all_pages(&versions, ListingQuery { prefix: "", delimiter: "/", limit });
            assert_eq!(found, ["a", "b0", "d"], "{limit}");
            assert_eq!(groups, ["b/", "c/", "\u{10ffff}/"], "{limit}");
            assert_eq!(pages, 6_usize.div_ceil(limit), "{limit}");
        }
    }

    #[test]
    fn a_full_page_without_more_behind_it_is_the_last() {
        let page = current(&bucket(&["a", "b"]), ListingQuery { limit: 2, ..ALL }, None);
        assert_eq!(page.next, None);
        let nothing = current(&bucket(&["a"]), ListingQuery { limit: 0, ..ALL }, None);
        assert_eq!(nothing, ListingPage { entries: vec![], common_prefixes: vec![], next: None });
    }

    #[test]
    fn a_listing_starts_behind_its_marker_also_when_the_key_is_gone() {
        let versions = bucket(&["a", "c"]);
        assert_eq!(keys(&current(&versions, ALL, Some("b"))), ["c"]);
        assert_eq!(keys(&current(&versions, ALL, Some("c"))), Vec::<&str>::new());
        assert_eq!(keys(&current(&versions, ListingQuery { prefix: "c", ..ALL }, Some("a"))), ["c"]);
    }

    #[test]
    fn versions_are_listed_newest_first_with_the_latest_marked() {
        let mut versions = BucketVersions::default();
        for version in [object("a", 1), marker("a", 2), object("b", 3), null("b", 4)] {
            versions.insert(version);
        }
        let listed = every_version(&versions, ALL, None);
        let seen: Vec<_> =
            listed.entries.iter().map(|entry| (&*entry.version.key, entry.version.sequence, entry.place)).collect();
        use VersionPlace::{Latest, Noncurrent};
        assert_eq!(seen, [("a", 2, Latest), ("a", 1, Noncurrent), ("b", 4, Latest), ("b", 3, Noncurrent)]);
    }

    #[test]
    fn pages_of_versions_cut_through_a_key_and_go_on_inside_it() {
        let mut versions = BucketVersions::default();
        for sequence in 1..=5 {
            versions.insert(object("a", sequence));
            versions.insert(object("b", sequence + 10));
        }
        for limit in 1..=11 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = every_version(&versions, ListingQuery { limit, ..ALL }, after);
                seen.extend(page.entries.iter().map(|entry| entry.version.sequence));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, [5, 4, 3, 2, 1, 15, 14, 13, 12, 11], "{limit}");
        }
    }

    #[test]
    fn a_listing_of_versions_goes_on_after_the_marked_version_was_deleted() {
        let mut versions = BucketVersions::default();
        for sequence in 1..=4 {
            versions.insert(object("a", sequence));
        }
        let first = every_version(&versions, ListingQuery { limit: 2, ..ALL }, None);
        for entry in &first.entries {
            versions.remove("a", &entry.version.id);
        }
        let rest = every_version(&versions, ALL, first.next);
        assert_eq!(rest.entries.iter().map(|entry| entry.version.sequence).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_key_marker_alone_steps_over_all_versions_of_its_key() {
        let mut versions = bucket(&["a", "b"]);
        versions.insert(object("a", 9));
        let page = every_version(&versions, ALL, Some(PageMarker::Key("a".into())));
        assert_eq!(page.entries.iter().map(|entry| &*entry.version.key).collect::<Vec<_>>(), ["b"]);
    }
}
