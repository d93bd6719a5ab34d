//! `wildcard`: `*` stands for any run of characters; `\*` and `\\` for themselves. An operator of EventBridge's buses
//! that Lambda does not have.

/// The pieces between the stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wildcard {
    first: Box<[u8]>,
    /// Behind each star, in order; empty without a star.
    rest: Vec<Box<[u8]>>,
}

impl Wildcard {
    /// None if two stars stand side by side, or a backslash before anything but a star or a backslash.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = vec![Vec::new()];
        let mut bytes = text.bytes();
        let mut after_star = false;
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'*' if after_star => return None,
                b'*' => {
                    pieces.push(Vec::new());
                    after_star = true;
                    continue;
                }
                b'\\' => bytes.next().filter(|b| matches!(b, b'*' | b'\\'))?,
                other => other,
            };
            after_star = false;
            pieces.last_mut()?.push(byte);
        }
        let mut pieces = pieces.into_iter().map(Vec::into_boxed_slice);
        Some(Self {
            first: pieces.next()?,
            rest: pieces.collect(),
        })
    }

    /// Whether the whole text fits. Each piece is taken where it comes first, which is never worse than later.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some((last, middle)) = self.rest.split_last() else {
            return *text == *self.first;
        };
        let Some(mut text) = text.strip_prefix(&*self.first) else {
            return false;
        };
        for piece in middle {
            let Some(at) = find(text, piece) else { return false };
            text = text.get(at + piece.len()..).unwrap_or_default();
        }
        text.ends_with(last)
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return Some(0);
    }
    text.windows(piece.len()).position(|w| w == piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a*c", &["ac", "abc", "abcc"], &["a", "acb", "bac"]),
            ("*", &["", "x"], &[]),
            ("*.png", &["a.png", ".png"], &["png", "a.pngx"]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["acb", "ab"]),
            ("ab*ba", &["abba", "abxba"], &["aba", "ab"]),
            (r"a\*b", &["a*b"], &["axb", r"a\*b"]),
            (r"a\\*", &[r"a\", r"a\x"], &["ax"]),
            ("plain", &["plain"], &["plainer"]),
        ];
        for (pattern, good, bad) in table {
            let wildcard = Wildcard::parse(pattern).unwrap();
            for text in *good {
                assert!(wildcard.matches(text.as_bytes()), "{pattern} {text}");
            }
            for text in *bad {
                assert!(!wildcard.matches(text.as_bytes()), "{pattern} {text}");
            }
        }
        for refused in ["a**b", r"a\b", r"a\"] {
            assert_eq!(Wildcard::parse(refused), None, "{refused}");
        }
    }
}
