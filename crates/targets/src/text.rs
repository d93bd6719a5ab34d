//! Visible text: what functions say goes into the log, so it is cleaned here.

use std::borrow::Cow;

/// `line` with its control characters escaped, tabs excepted. AWS's Python runtime separates the lines of a traceback
/// by carriage returns: a terminal would overwrite what stands before them, and systemd's journal hides such lines.
pub(crate) fn visible(line: &str) -> Cow<'_, str> {
    let hidden = |c: char| c.is_control() && c != '\t';
    if !line.contains(hidden) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match hidden(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        for (line, expected) in [
            (
                "plain\twith a tab, ä and \u{a0}",
                "plain\twith a tab, ä and \u{a0}",
            ),
            ("boom\rTraceback\r  line 1", r"boom\rTraceback\r  line 1"),
            ("\u{1b}[31mred\0", r"\u{1b}[31mred\u{0}"),
        ] {
            assert_eq!(visible(line), expected);
        }
    }
}
