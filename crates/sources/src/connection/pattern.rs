//! Patterns of ARNs: `*` stands for any text, also for none and also across colons.

/// Longest pattern, in bytes.
const MAX_LEN: usize = 1_024;
/// What a pattern is, for people.
pub(super) const ALLOWED: &str = "an ARN, in which * stands for any text, of at most 1024 visible ASCII characters; e.g. \
                                  arn:aws:sqs:eu-west-1:123456789012:*";

/// One pattern, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    /// Takes a pattern that can fit an ARN at all.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|c| c.is_ascii_graphic());
        let begins = text.starts_with("arn:") || text.starts_with('*');
        (visible && begins && text.len() <= MAX_LEN).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it fits the whole of `text`. Looks at each character a bounded number of times: a `*` takes as little as
    /// it can, and only the last one is ever taken back.
    pub(super) fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let arn = "arn:aws:sqs:eu-west-1:123456789012:orders.fifo";
        for (pattern, fits) in [
            ("*", true),
            ("arn:*", true),
            ("arn:aws:sqs:*", true),
            ("arn:aws:sqs:*:123456789012:*", true),
            ("arn:aws:sqs:eu-west-1:123456789012:orders.fifo", true),
            ("arn:aws:sqs:eu-west-1:123456789012:orders.fifo*", true),
            ("arn:aws:sqs:*:123456789012:*.fifo", true),
            ("arn:**:*orders*", true),
            ("*:orders.fifo", true),
            ("arn:aws:sqs:eu-west-1:123456789012:orders", false),
            ("arn:aws:sqs:eu-west-1:123456789012:*orders", false),
            ("arn:aws:kinesis:*", false),
            ("arn:aws:sqs:*:000000000000:*", false),
            ("arn:aws:sqs:us-*", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fits(arn), fits, "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&format!("arn:{}b", "*a".repeat(400))).unwrap();
        assert!(!pattern.fits(&format!("arn:{}", "a".repeat(100_000))));
    }

    #[test]
    fn what_can_fit_no_arn_is_no_pattern() {
        for text in ["", "aws:sqs:*", "arn:aws:sqs: *", "arn:é*", "sqs"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        assert_eq!(Pattern::parse(&format!("arn:{}", "*".repeat(1_100))), None);
    }
}
