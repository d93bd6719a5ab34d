//! Where output goes. A reader that goes away ends the command quietly, and colour never reaches a pipe.

use super::{Columns, Format, Shown, Table, to_json, to_yaml};
use crate::cli::error::CliError;
use std::io::{IsTerminal, Write};

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Never.
    pub(crate) const PLAIN: Self = Self(false);
    /// Always.
    #[cfg(test)]
    pub(crate) const COLOURS: Self = Self(true);

    /// Only on a terminal that can, if `NO_COLOR` is not set.
    pub(crate) fn of(terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        Self(terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb"))
    }

    /// A word, coloured if it is one of those that tell good from bad.
    pub(crate) fn word(self, word: &str) -> String {
        let code = match word {
            "ACTIVE" | "RUNNING" | "DONE" | "VISIBLE" => 32,
            "CREATING" | "UPDATING" | "RESUMING" | "PAUSING" | "PAUSED" | "DRAINING" | "PARTIAL"
            | "THROTTLED" | "HELD" | "BLOCKED" => 33,
            "DELETING" | "DELETED" | "RESTARTING" | "DISCARDED" | "EXPIRED" => 31,
            _ => 0,
        };
        if self.0 && code != 0 {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }

    /// A text in bold red.
    pub(crate) fn alarm(self, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[1;31m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Standard output and error, with the form that was asked for.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
    format: Format,
    quiet: bool,
    paint: Paint,
}

impl Screen {
    /// The process's own streams.
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        let paint = Paint::of(std::io::stdout().is_terminal());
        Self {
            out: Box::new(std::io::stdout()),
            notes: Box::new(std::io::stderr()),
            format,
            quiet,
            paint,
        }
    }

    /// Writes to these instead.
    #[cfg(test)]
    pub(crate) fn to(out: Box<dyn Write + Send>, format: Format) -> Self {
        Self {
            out,
            notes: Box::new(std::io::sink()),
            format,
            quiet: false,
            paint: Paint::PLAIN,
        }
    }

    /// The form that was asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A line of output.
    ///
    /// # Errors
    /// [`CliError::Pipe`] if nobody reads any more.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    /// Bytes of output, as they are.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes)?;
        Ok(self.out.flush()?)
    }

    /// A remark that is not output; left out by `--quiet`.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            // Nothing can be said if standard error is closed.
            let _ = writeln!(self.notes, "{text}");
        }
    }

    /// One message, `name` in the form `name`; `table` fills the table.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn show<M: Shown>(
        &mut self,
        message: &M,
        names: &[&str],
        columns: Columns,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.line(&to_json(message, true)?),
            Format::Yaml => self.line(&to_yaml(message)?),
            Format::Name => names.iter().try_for_each(|name| self.line(name)),
            Format::Table | Format::Wide => {
                let mut table = Table::new(columns, self.format == Format::Wide);
                rows.into_iter().for_each(|row| table.row(row));
                self.table(&mut table)
            }
        }
    }

    /// A table with its head; nothing but a remark if it has no rows.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn table(&mut self, table: &mut Table) -> Result<(), CliError> {
        let lines = table.take_lines(self.paint);
        if lines.is_empty() {
            self.note("nothing found");
            return Ok(());
        }
        self.line(&table.head_line())?;
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// The rows of a table that follow others.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn rows(&mut self, table: &mut Table) -> Result<(), CliError> {
        let lines = table.take_lines(self.paint);
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// That something is gone: a sentence, or its name.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn gone(&mut self, name: &str, sentence: &str) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.line(&serde_json::json!({ "name": name }).to_string()),
            Format::Yaml => self.line(&format!("---\nname: {name}")),
            Format::Name => self.line(name),
            Format::Table | Format::Wide if self.quiet => Ok(()),
            Format::Table | Format::Wide => self.line(sentence),
        }
    }

    /// What was done, for commands whose answer is no more than that: a sentence, or the message, or the name.
    ///
    /// # Errors
    /// As [`Screen::line`].
    pub(crate) fn did<M: Shown>(&mut self, message: &M, name: &str, sentence: &str) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.line(&to_json(message, true)?),
            Format::Yaml => self.line(&to_yaml(message)?),
            Format::Name => self.line(name),
            Format::Table | Format::Wide if self.quiet => Ok(()),
            Format::Table | Format::Wide => self.line(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_api::v1;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const COLUMNS: Columns = Columns {
        narrow: &["NAME"],
        wide: &["ETAG"],
    };

    fn shown(format: Format) -> String {
        let page = Page::default();
        let mut screen = Screen::to(Box::new(page.clone()), format);
        let streams = ["a", "b"].map(|id| v1::Stream {
            etag: id.repeat(2),
            ..Default::default()
        });
        let all = v1::ListStreamsResponse {
            streams: streams.to_vec(),
            next_page_token: String::new(),
        };
        let rows = [["a", "aa"], ["b", "bb"]].map(|row| row.map(str::to_owned).to_vec());
        screen.show(&all, &["x/a", "x/b"], COLUMNS, rows).unwrap();
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_form_of_one_list() {
        assert_eq!(shown(Format::Table), "NAME\na\nb\n");
        assert_eq!(shown(Format::Wide), "NAME  ETAG\na     aa\nb     bb\n");
        assert_eq!(shown(Format::Name), "x/a\nx/b\n");
        let json: serde_json::Value = serde_json::from_str(&shown(Format::Json)).unwrap();
        assert_eq!(
            (&json["streams"][1]["etag"], &json["next_page_token"]),
            (&"bb".into(), &"".into())
        );
        assert!(shown(Format::Yaml).starts_with("---\nstreams:\n"));
    }

    #[test]
    fn only_words_that_tell_good_from_bad_are_coloured() {
        assert_eq!(Paint::COLOURS.word("ACTIVE"), "\u{1b}[32mACTIVE\u{1b}[0m");
        assert_eq!(Paint::COLOURS.word("orders"), "orders");
        assert_eq!(Paint::PLAIN.word("ACTIVE"), "ACTIVE");
        assert_eq!(Paint::of(false), Paint::PLAIN, "never into a pipe");
    }
}
