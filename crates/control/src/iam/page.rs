//! Lists, a page at a time.

use super::action::PageRequest;
use super::xml::ElementWriter;

/// A part of a list, and where the rest begins.
pub(super) struct IamPage<T> {
    members: Vec<T>,
    marker: Option<String>,
}

/// The part of a list, in the order of its names, that is wanted.
pub(super) fn page<T>(
    wanted: &PageRequest,
    list: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &str,
) -> IamPage<T> {
    let mut rest = list.into_iter().filter(|member| name(member) > wanted.after.as_str());
    let members: Vec<T> = rest.by_ref().take(wanted.most).collect();
    let more = rest.next().is_some();
    let marker = members.last().filter(|_| more).map(|last| name(last).to_owned());
    IamPage { members, marker }
}

impl<T> IamPage<T> {
    /// The members, and the marker of the next page.
    pub(super) fn into_parts(self) -> (Vec<T>, Option<String>) {
        (self.members, self.marker)
    }

    /// The list's element, with the marker of the next page.
    pub(super) fn element(self, name: &'static str, member: impl Fn(T) -> ElementWriter) -> ElementWriter {
        let truncated = if self.marker.is_some() { "true" } else { "false" };
        let list = ElementWriter::new("Result").list(name, self.members.into_iter().map(member));
        let list = list.text("IsTruncated", truncated);
        match self.marker {
            Some(marker) => list.text("Marker", &marker),
            None => list,
        }
    }
}
