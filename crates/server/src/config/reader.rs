//! Reading settings from the file one by one, so that unknown settings are found.

use super::file::{ConfigFile, SettingName, SettingOrigin, UnreadSettings};
use super::mistake::ConfigMistake;
use super::value::{SettingValue, ValueHint};

/// Reads settings from the file one by one, and remembers which ones exist.
pub(super) struct SettingsReader {
    file: ConfigFile,
    asked: Vec<(SettingName, SettingOrigin)>,
    mistakes: Vec<ConfigMistake>,
}

/// The settings of one section.
pub(super) struct SectionReader<'r> {
    reader: &'r mut SettingsReader,
    name: &'static str,
}

impl SettingsReader {
    pub(super) fn new(file: ConfigFile) -> Self {
        Self { file, asked: Vec::new(), mistakes: Vec::new() }
    }

    pub(super) fn section(&mut self, name: &'static str) -> SectionReader<'_> {
        SectionReader { reader: self, name }
    }

    /// The settings that were asked for.
    #[cfg(test)]
    pub(super) fn asked(&self) -> impl Iterator<Item = &SettingName> {
        self.asked.iter().map(|(name, _)| name)
    }

    /// Every mistake: unreadable, refused and unknown settings.
    pub(super) fn finish(self) -> Vec<ConfigMistake> {
        let known: Vec<SettingName> = self.asked.into_iter().map(|(name, _)| name).collect();
        let UnreadSettings { settings, sections, mistakes: unreadable } = self.file.leftovers();
        let mut mistakes = self.mistakes;
        let is_section = |section: &str| known.iter().any(|name| name.section == section);
        for (section, origin) in sections.into_iter().filter(|(section, _)| !is_section(section)) {
            mistakes.push(ConfigMistake { origin, text: unknown_section(&section, &known) });
        }
        for (name, written) in settings {
            let from_file = matches!(written.origin, SettingOrigin::Line(_));
            if from_file && !is_section(&name.section) {
                // Its section has been reported, which says as much.
                continue;
            }
            mistakes.push(ConfigMistake { origin: written.origin, text: unknown_setting(&name, &known) });
        }
        // After a TOML error, missing or unknown settings may only be a consequence of it.
        if !unreadable.is_empty() {
            let guessed = |origin: &SettingOrigin| unreadable.iter().any(|mistake| mistake.origin == *origin);
            mistakes.retain(|mistake| mistake.origin != SettingOrigin::Absent && !guessed(&mistake.origin));
        }
        mistakes.extend(unreadable);
        mistakes
    }
}

impl SectionReader<'_> {
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        standard: T,
        read: impl FnOnce(&SettingValue) -> Result<T, ValueHint>,
    ) -> T {
        self.optional(key, read).unwrap_or(standard)
    }

    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&SettingValue) -> Result<T, ValueHint>,
    ) -> Option<T> {
        let before = self.reader.mistakes.len();
        let found = self.optional(key, read);
        if found.is_none() && self.reader.mistakes.len() == before {
            let text = format!("{}.{key} is missing; write {key} = {example} below [{}]", self.name, self.name);
            self.reader.mistakes.push(ConfigMistake { origin: SettingOrigin::Absent, text });
        }
        found
    }

    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&SettingValue) -> Result<T, ValueHint>,
    ) -> Option<T> {
        let name = SettingName::new(self.name, key);
        let written = self.reader.file.take(self.name, key);
        let origin = written.as_ref().map_or(SettingOrigin::Absent, |written| written.origin.clone());
        self.reader.asked.push((name.clone(), origin));
        let written = written?;
        match read(&written.value) {
            Ok(found) => Some(found),
            Err(instead) => {
                let text = format!("{name}: {instead}");
                self.reader.mistakes.push(ConfigMistake { origin: written.origin, text });
                None
            }
        }
    }

    pub(super) fn incomplete<T>(&mut self, present: &str, missing: &str) -> Option<T> {
        let at = |key: &str| {
            let name = SettingName::new(self.name, key);
            self.reader
                .asked
                .iter()
                .find(|(asked, _)| *asked == name)
                .map_or(SettingOrigin::Absent, |(_, at)| at.clone())
        };
        // A refused `missing` was written, and has been reported already.
        if at(missing) == SettingOrigin::Absent {
            let text = format!("{0}.{present} needs {0}.{missing}; write both or neither", self.name);
            let origin = at(present);
            self.reader.mistakes.push(ConfigMistake { origin, text });
        }
        None
    }
}

fn unknown_setting(name: &SettingName, known: &[SettingName]) -> String {
    let full = name.to_string();
    let nearest = known
        .iter()
        .map(|known| (distance(&full, &known.to_string()), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 3);
    // The right key in the wrong section is worth more than a near miss.
    let moved = known.iter().find(|known| known.key == name.key);
    match (nearest, moved) {
        (Some((_, nearest)), _) => format!("there is no setting {full}; did you mean {nearest}?"),
        (None, Some(moved)) => format!("there is no setting {full}; did you mean {moved}?"),
        (None, None) => {
            let keys: Vec<&str> =
                known.iter().filter(|known| known.section == name.section).map(|known| known.key.as_str()).collect();
            if keys.is_empty() {
                return unknown_section(&name.section, known);
            }
            format!("there is no setting {full}; [{}] has {}", name.section, keys.join(", "))
        }
    }
}

fn unknown_section(section: &str, known: &[SettingName]) -> String {
    let mut sections: Vec<&str> = known.iter().map(|name| name.section.as_str()).collect();
    sections.sort_unstable();
    sections.dedup();
    format!("there is no section [{section}]; the sections are {}", sections.join(", "))
}

/// The edit distance.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (there, above) in other.chars().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(letter != there);
            left = changed.min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
