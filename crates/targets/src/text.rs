//! Bounded text: what functions say goes into durable records, so it is cut here.

use millstream_types::invocation::{FunctionError, FunctionErrorKind};

/// Longest `error_type`, in bytes.
const MAX_TYPE: usize = 256;
/// Longest `message`, in bytes.
const MAX_MESSAGE: usize = 4_096;

/// `text` cut at a character to at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
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
    fn errors_are_bounded() {
        let e = function_error(FunctionErrorKind::Raised, &"t".repeat(300), &"ä".repeat(4_000));
        assert_eq!((e.error_type.len(), e.message.len()), (256, 4_096));
    }
}
