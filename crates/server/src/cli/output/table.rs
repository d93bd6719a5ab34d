//! Columns for people: as wide as they must be, two blanks between, names in capitals.

use super::Paint;

/// The columns of a table, shown if `wide` allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Shown always.
    pub(crate) narrow: &'static [&'static str],
    /// Shown only by `-o wide`, behind the others.
    pub(crate) wide: &'static [&'static str],
}

/// Rows under columns. Cells are plain text; colour is added after they are laid out.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub(crate) fn new(columns: Columns, wide: bool) -> Self {
        let mut head = columns.narrow.to_vec();
        if wide {
            head.extend(columns.wide);
        }
        let widths = head.iter().map(|h| h.len()).collect();
        Self {
            head,
            widths,
            rows: Vec::new(),
        }
    }

    /// Makes a column at least so wide, for rows that are not known yet.
    pub(crate) fn reserve(&mut self, column: &str, letters: usize) {
        for (head, width) in self.head.iter().zip(&mut self.widths) {
            if *head == column {
                *width = (*width).max(letters);
            }
        }
    }

    /// Adds a row; cells beyond the columns that are shown are left out, missing and empty ones are a dash.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().take(self.head.len()).map(one_line).collect();
        cells.resize(self.head.len(), "-".to_owned());
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    /// The line of column names.
    pub(crate) fn head_line(&self) -> String {
        self.line(self.head.iter().copied(), Paint::PLAIN)
    }

    /// Takes the rows as lines; the columns stay as wide as they are, so that rows can follow.
    pub(crate) fn take_lines(&mut self, paint: Paint) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        rows.iter()
            .map(|row| self.line(row.iter().map(String::as_str), paint))
            .collect()
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>, paint: Paint) -> String {
        let mut line = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let blanks = width.saturating_sub(cell.chars().count());
            line.push_str(&paint.word(cell));
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn one_line(cell: String) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    if cell.contains(char::is_control) {
        return cell
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        narrow: &["NAME", "STATE"],
        wide: &["UID"],
    };

    fn lines(wide: bool, rows: &[[&str; 3]]) -> Vec<String> {
        let mut table = Table::new(COLUMNS, wide);
        for row in rows {
            table.row(row.iter().map(|c| (*c).to_owned()));
        }
        let mut lines = vec![table.head_line()];
        lines.extend(table.take_lines(Paint::PLAIN));
        lines
    }

    #[test]
    fn columns_are_aligned_and_cut_to_what_is_shown() {
        let rows = [["a", "ACTIVE", "1"], ["longer-name", "", "2\n3"]];
        assert_eq!(
            lines(false, &rows),
            ["NAME         STATE", "a            ACTIVE", "longer-name  -"]
        );
        assert_eq!(
            lines(true, &rows),
            [
                "NAME         STATE   UID",
                "a            ACTIVE  1",
                "longer-name  -       2 3"
            ]
        );
    }

    #[test]
    fn letters_are_counted_not_bytes() {
        assert_eq!(
            lines(false, &[["äöü", "x", ""], ["abc", "y", ""]])[1..],
            ["äöü   x", "abc   y"]
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let mut table = Table::new(COLUMNS, false);
        table.row(["ACTIVE".to_owned(), "x".to_owned()]);
        assert_eq!(table.take_lines(Paint::COLOURS), ["\u{1b}[32mACTIVE\u{1b}[0m  x"]);
    }
}
