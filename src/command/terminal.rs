//! Output and prompts of a command: for people or for programs, on a terminal or not.

use std::collections::VecDeque;
use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::Value;

use super::error::{CommandError, ExitCause};
use super::table::{first_colour, harmless, harmless_layout, harmless_lines};
use portcullis_base::secret::Secret;
use portcullis_cloudtrail::record::one_line;

/// Where a command writes, and where it reads answers.
pub struct Terminal {
    format: OutputFormat,
    colour: OutputColour,
    input: TerminalInput,
    out: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    Json,
    People,
}

/// Whether the output may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputColour {
    Ansi,
    Plain,
}

/// Who answers a question.
#[derive(Debug)]
pub enum TerminalInput {
    /// Lines given beforehand, as tests do.
    Given(VecDeque<String>),
    /// Lines that a program writes.
    Piped,
    /// A person.
    Terminal,
}

impl Terminal {
    /// The process's own input and output.
    pub fn system(format: OutputFormat) -> Self {
        Self::writing_to(format, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// The process's own input, and output that reaches stdout and stderr in its own way.
    pub fn writing_to(format: OutputFormat, out: Box<dyn Write + Send>, notes: Box<dyn Write + Send>) -> Self {
        let plain = !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            colour: if plain { OutputColour::Plain } else { OutputColour::Ansi },
            input: if io::stdin().is_terminal() { TerminalInput::Terminal } else { TerminalInput::Piped },
            out,
            notes,
        }
    }

    /// Output that is kept, and answers given beforehand.
    pub fn with(
        format: OutputFormat,
        input: TerminalInput,
        out: Box<dyn Write + Send>,
        notes: Box<dyn Write + Send>,
    ) -> Self {
        Self { format, colour: OutputColour::Plain, input, out, notes }
    }

    /// For whom the output is.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Whether the output may be coloured.
    pub fn colour(&self) -> OutputColour {
        self.colour
    }

    /// Whether a person can be asked.
    pub fn has_person(&self) -> bool {
        match self.input {
            TerminalInput::Given(_) | TerminalInput::Terminal => true,
            TerminalInput::Piped => false,
        }
    }

    /// Writes a result, and ends its line.
    pub fn print(&mut self, text: &str) -> Result<(), CommandError> {
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        write!(self.out, "{}{end}", self.shown(text))
            .and_then(|()| self.out.flush())
            .map_err(|error| CommandError::output(&error))
    }

    /// The text without terminal control sequences, except our own colours.
    fn shown(&self, text: &str) -> String {
        match self.colour {
            OutputColour::Plain => harmless_layout(text),
            OutputColour::Ansi => {
                let mut out = String::with_capacity(text.len());
                let mut rest = text;
                while let Some((before, sequence)) = first_colour(rest) {
                    out.push_str(&harmless_layout(before));
                    out.push_str(sequence);
                    rest = rest.get(before.len() + sequence.len()..).unwrap_or("");
                }
                out + &harmless_layout(rest)
            }
        }
    }

    /// Writes a result for programs, on one line.
    pub fn print_json(&mut self, value: &Value) -> Result<(), CommandError> {
        self.print(&one_line(value))
    }

    /// Says something beside the result.
    pub fn note(&mut self, text: &str) -> Result<(), CommandError> {
        writeln!(self.notes, "{}", harmless_lines(text)).map_err(|error| CommandError::output(&error))
    }

    /// Says how the command failed.
    pub fn report(&mut self, error: &CommandError) {
        if error.blame == ExitCause::OutputClosed {
            return;
        }
        let mut text = format!("error: {}\n", harmless_lines(&error.message));
        if let Some(next) = &error.next {
            for line in next.lines() {
                text.push_str(&format!("  {}\n", harmless(line)));
            }
        }
        // If stderr is closed the exit code is the only report.
        drop(self.notes.write_all(text.as_bytes()));
    }

    /// Prompts for a line; `None` at the end of input.
    pub fn ask(&mut self, question: &str) -> Result<Option<Secret<String>>, CommandError> {
        let line = match &mut self.input {
            TerminalInput::Given(lines) => lines.pop_front(),
            TerminalInput::Piped => read_line()?,
            TerminalInput::Terminal => {
                write!(self.notes, "{question}")
                    .and_then(|()| self.notes.flush())
                    .map_err(|e| CommandError::output(&e))?;
                read_line()?
            }
        };
        Ok(line.map(|line| Secret::new(line.trim().to_owned())))
    }
}

/// The longest answer that is read.
const LONGEST_LINE: u64 = 4096;

fn read_line() -> Result<Option<String>, CommandError> {
    let mut line = String::new();
    let mut input = io::Read::take(io::stdin().lock(), LONGEST_LINE);
    let read = input
        .read_line(&mut line)
        .map_err(|error| CommandError::failed(format!("the input cannot be read: {error}")))?;
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
pub(super) mod kept {
    //! Output kept for a test to read.

    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal with prepared answers.
    pub(crate) fn terminal(format: OutputFormat, answers: &[&str]) -> (Terminal, Kept) {
        let kept = Kept::default();
        let given = TerminalInput::Given(answers.iter().map(|&answer| answer.to_owned()).collect());
        (Terminal::with(format, given, Box::new(kept.clone()), Box::new(kept.clone())), kept)
    }
}
