//! Aligned tables.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table as Layout};

use super::terminal::OutputColour;
use portcullis_cloudtrail::record::is_deceptive;

/// Rows below a head, aligned; what others wrote cannot steer the terminal.
pub(super) struct TextTable {
    head: Vec<&'static str>,
    widths: Vec<usize>,
    rows: Vec<(RowTone, Vec<String>)>,
}

/// What a row's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowTone {
    /// It was refused.
    Bad,
    /// It is switched off.
    Faint,
    /// It is protected, or was proved.
    Good,
    Plain,
}

/// Whether the head is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableHead {
    Hidden,
    Shown,
}

impl TextTable {
    /// A table with these columns.
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), widths: Vec::new(), rows: Vec::new() }
    }

    /// Gives the columns least widths, so that tables printed one after the other line up.
    pub(super) fn with_least_widths(mut self, widths: &[usize]) -> Self {
        self.widths = widths.to_vec();
        self
    }

    /// Adds a row.
    pub(super) fn row(&mut self, tone: RowTone, cells: impl IntoIterator<Item = String>) {
        let widths = self.widths.iter().copied().chain(std::iter::repeat(0));
        let cells = cells.into_iter().zip(widths).map(|(cell, width)| format!("{:<width$}", harmless(&cell))).collect();
        self.rows.push((tone, cells));
    }

    /// The table as text.
    pub(super) fn render(&self, head: TableHead, colour: OutputColour) -> String {
        let mut layout = Layout::new();
        layout.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let first = match head {
            TableHead::Hidden => None,
            TableHead::Shown => {
                let widths = self.widths.iter().copied().chain(std::iter::repeat(0));
                layout.add_row(self.head.iter().zip(widths).map(|(name, width)| format!("{name:<width$}")));
                Some(RowTone::Faint)
            }
        };
        layout.add_rows(self.rows.iter().map(|(_, cells)| cells));
        for column in layout.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let tones = first.into_iter().chain(self.rows.iter().map(|(tone, _)| *tone));
        let mut text = String::new();
        for (line, tone) in layout.lines().zip(tones) {
            text.push_str(&painted(line.trim_end(), tone, colour));
            text.push('\n');
        }
        text
    }
}

const COLOURS: &[&str] = &["\u{1b}[31m", "\u{1b}[2m", "\u{1b}[32m", "\u{1b}[0m"];

/// What stands before the first colour of a table in the text, and that colour.
pub(super) fn first_colour(text: &str) -> Option<(&str, &'static str)> {
    text.match_indices('\u{1b}').find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let colour = COLOURS.iter().find(|colour| rest.starts_with(**colour))?;
        Some((before, *colour))
    })
}

fn painted(line: &str, tone: RowTone, colour: OutputColour) -> String {
    let code = match (colour, tone) {
        (OutputColour::Plain, _) | (OutputColour::Ansi, RowTone::Plain) => return line.to_owned(),
        (OutputColour::Ansi, RowTone::Bad) => "31",
        (OutputColour::Ansi, RowTone::Faint) => "2",
        (OutputColour::Ansi, RowTone::Good) => "32",
    };
    format!("\u{1b}[{code}m{line}\u{1b}[0m")
}

/// The text with everything written out that steers a terminal, reorders text or cannot be seen.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_deceptive(letter) { out.extend(letter.escape_unicode()) } else { out.push(letter) }
    }
    out
}

/// The text like [`harmless`], with its own line breaks and tabs.
pub(super) fn harmless_layout(text: &str) -> String {
    text.split('\t').map(harmless_lines).collect::<Vec<_>>().join("\t")
}

/// The text like [`harmless`], with its own line breaks.
pub(super) fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_rows() -> TextTable {
        let mut table = TextTable::new(&["BUCKET", "MFA DELETE"]);
        table.row(RowTone::Good, ["vault".to_owned(), "Enabled".to_owned()]);
        table.row(RowTone::Plain, ["b".to_owned(), "never set".to_owned()]);
        table
    }

    #[test]
    fn columns_line_up_and_lines_end_where_their_text_does() {
        assert_eq!(
            two_rows().render(TableHead::Shown, OutputColour::Plain),
            "BUCKET  MFA DELETE\nvault   Enabled\nb       never set\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        assert_eq!(
            two_rows().render(TableHead::Hidden, OutputColour::Ansi),
            "\u{1b}[32mvault  Enabled\u{1b}[0m\nb      never set\n"
        );
    }

    #[test]
    fn least_widths_make_tables_line_up_with_each_other() {
        let mut table = TextTable::new(&["A", "B"]).with_least_widths(&[4]);
        table.row(RowTone::Plain, ["x".to_owned(), "y".to_owned()]);
        assert_eq!(table.render(TableHead::Shown, OutputColour::Plain), "A     B\nx     y\n");
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2J\n\u{202e}é"), "a\\u{1b}[2J\\u{a}\\u{202e}é");
        assert_eq!(harmless("a\u{200b}b\u{feff}\u{9b}"), "a\\u{200b}b\\u{feff}\\u{9b}");
        assert_eq!(harmless_lines("a\r\nb"), "a\\u{d}\nb");
    }

    #[test]
    fn tables_and_records_escape_the_same_letters() {
        for letter in '\0'..=char::MAX {
            let recorded = portcullis_cloudtrail::record::one_line(&serde_json::Value::String(letter.to_string()));
            let as_it_is = recorded == format!("\"{letter}\"") || matches!(letter, '"' | '\\');
            assert_eq!(harmless(&letter.to_string()) == letter.to_string(), as_it_is, "{letter:?}");
        }
    }
}
