//! Texts compared without regard to the case of their letters: character by character, by Unicode's simple lower case.

/// Whether the texts are the same.
pub(super) fn equals(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    folded(a).eq(folded(b))
}

/// Whether `text` starts with `prefix`.
pub(super) fn starts(text: &str, prefix: &str) -> bool {
    let mut text = folded(text);
    folded(prefix).all(|c| text.next() == Some(c))
}

/// Whether `text` ends with `suffix`.
pub(super) fn ends(text: &str, suffix: &str) -> bool {
    let backwards = |s| folded(s).rev();
    let mut text = backwards(text);
    backwards(suffix).all(|c| text.next() == Some(c))
}

fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        for (a, b, expect) in [
            ("", "", true),
            ("Alice", "aLICE", true),
            ("Alice", "Alic", false),
            ("Ärger", "äRGER", true),
            ("Ärger", "arger", false),
            ("ΑΒΓ", "αβγ", true),
            ("straße", "STRASSE", false),
        ] {
            assert_eq!(equals(a, b), expect, "{a} {b}");
        }
        for (text, part, start, end) in [
            ("ÄrgerÄ", "ä", true, true),
            ("US-east", "us-", true, false),
            ("image.PNG", ".png", false, true),
            ("x", "", true, true),
            ("", "x", false, false),
            ("ab", "abc", false, false),
        ] {
            assert_eq!(
                (starts(text, part), ends(text, part)),
                (start, end),
                "{text} {part}"
            );
        }
    }
}
