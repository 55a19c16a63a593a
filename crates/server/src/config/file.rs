//! The configuration as written: each setting's value, and the line or variable it stands in.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::mistake::ConfigMistake;
use super::value::SettingValue;

/// The configuration as written; nothing is known yet of which settings there are.
#[derive(Debug)]
pub(super) struct ConfigFile(UnreadSettings);

/// What is still in the file.
#[derive(Debug, Default)]
pub(super) struct UnreadSettings {
    pub(super) settings: BTreeMap<SettingName, WrittenSetting>,
    pub(super) sections: Vec<(String, SettingOrigin)>,
    /// What could not be read at all.
    pub(super) mistakes: Vec<ConfigMistake>,
}

/// `section.key`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SettingName {
    pub(super) section: String,
    pub(super) key: String,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingOrigin {
    Line(usize),
    /// A variable of the environment, which overrides the file.
    Environment(String),
    /// Nowhere, though it is required.
    Absent,
}

/// One setting as written.
#[derive(Clone, Debug)]
pub(super) struct WrittenSetting {
    pub(super) value: SettingValue,
    pub(super) origin: SettingOrigin,
}

const PREFIX: &str = "PORTCULLIS_";

impl ConfigFile {
    /// Reads TOML, and applies the variables `PORTCULLIS_SECTION__KEY`.
    pub(super) fn read(text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut file = Self(UnreadSettings::default());
        file.read_toml(text);
        for (variable, value) in environment {
            file.read_variable(variable, value);
        }
        file
    }

    /// Removes a setting; those that remain at the end are unknown.
    pub(super) fn take(&mut self, section: &str, key: &str) -> Option<WrittenSetting> {
        self.0.settings.remove(&SettingName::new(section, key))
    }

    /// The settings that were never read.
    pub(super) fn leftovers(self) -> UnreadSettings {
        self.0
    }

    fn read_toml(&mut self, text: &str) {
        let lines = LineStarts::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let origin = SettingOrigin::Line(lines.number(error.span().map_or(0, |span| span.start)));
            self.0.mistakes.push(ConfigMistake { origin, text: format!("not TOML: {}", error.message()) });
        }
        for (section, content) in table.get_ref() {
            let section = section.get_ref();
            let origin = SettingOrigin::Line(lines.number(content.span().start));
            match content.get_ref() {
                DeValue::Table(settings) => {
                    self.0.sections.push((section.to_string(), origin));
                    self.read_section(section, settings, &lines);
                }
                DeValue::Array(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Float(_)
                | DeValue::Integer(_)
                | DeValue::String(_) => {
                    let text = format!("`{section}` is outside of any section; move it below its [section]");
                    self.0.mistakes.push(ConfigMistake { origin, text });
                }
            }
        }
    }

    fn read_section(&mut self, section: &str, settings: &DeTable<'_>, lines: &LineStarts) {
        for (key, value) in settings {
            let origin = SettingOrigin::Line(lines.number(key.span().start));
            let written = WrittenSetting { value: SettingValue::of(value.get_ref()), origin };
            self.0.settings.insert(SettingName::new(section, key.get_ref()), written);
        }
    }

    fn read_variable(&mut self, variable: String, value: String) {
        // `PORTCULLIS_DATA` and the like name no setting.
        let Some((section, key)) = variable.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) else { return };
        let name = SettingName::new(&section.to_ascii_lowercase(), &key.to_ascii_lowercase());
        let origin = SettingOrigin::Environment(variable);
        self.0.settings.insert(name, WrittenSetting { value: SettingValue::Plain(value), origin });
    }
}

impl SettingName {
    /// The setting of this section and key.
    pub(super) fn new(section: &str, key: &str) -> Self {
        Self { section: section.to_owned(), key: key.to_owned() }
    }
}

impl fmt::Display for SettingName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.section, self.key)
    }
}

/// Where each line starts.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The number of the line that holds this byte, from 1.
    fn number(&self, at: usize) -> usize {
        self.0.partition_point(|&end| end < at) + 1
    }
}
