//! Bounded text: what functions say goes into durable records and into the log, so it is cut and cleaned here.

use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use std::borrow::Cow;

/// Longest `error_type`, in bytes.
const MAX_TYPE: usize = 256;
/// Longest `message`, in bytes.
const MAX_MESSAGE: usize = 4_096;

/// `text` cut at a character to at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

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

/// A function error with its texts cut to their limits.
pub(crate) fn function_error(kind: FunctionErrorKind, error_type: &str, message: &str) -> FunctionError {
    FunctionError {
        kind,
        error_type: cut(error_type, MAX_TYPE).to_owned(),
        message: cut(message, MAX_MESSAGE).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        for (text, max, expected) in [("abc", 5, "abc"), ("abc", 2, "ab"), ("aäb", 2, "a"), ("", 0, "")] {
            assert_eq!(cut(text, max), expected, "{text} at {max}");
        }
    }

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

    #[test]
    fn errors_are_bounded() {
        let e = function_error(FunctionErrorKind::Raised, &"t".repeat(300), &"ä".repeat(4_000));
        assert_eq!((e.error_type.len(), e.message.len()), (256, 4_096));
    }
}
