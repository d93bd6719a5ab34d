//! The operators: what one value of an event must be (semantics, section 13).

use super::address::Network;
use super::fold;
use super::wildcard::Wildcard;

/// A value of an event that is no object and no array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// Decoded; UTF-8, but that half a surrogate pair may be in it.
    Text(&'a [u8]),
    /// As it is written.
    Number(&'a [u8]),
    Bool(bool),
    Null,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// This text.
    Text(Box<[u8]>),
    /// A number that is written like this.
    Number(Box<[u8]>),
    Bool(bool),
    Null,
    /// Anything at all.
    Exists,
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    /// This text, whatever the case of its letters.
    IgnoreCase(Box<str>),
    PrefixIgnoreCase(Box<str>),
    SuffixIgnoreCase(Box<str>),
    /// A number within these bounds.
    Numeric(Bounds),
    Wildcard(Wildcard),
    Cidr(Network),
    /// None of these.
    Not(Vec<Op>),
}

/// Bounds of a number: each with whether it belongs to what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(super) struct Bounds {
    pub(super) low: Option<(f64, bool)>,
    pub(super) high: Option<(f64, bool)>,
}

impl Bounds {
    fn contains(self, n: f64) -> bool {
        let above = |(low, included): (f64, bool)| n > low || (included && n == low);
        let below = |(high, included): (f64, bool)| n < high || (included && n == high);
        self.low.is_none_or(above) && self.high.is_none_or(below)
    }
}

impl Op {
    /// Whether the value is what it must be.
    pub(super) fn matches(&self, value: &Scalar<'_>) -> bool {
        match (self, value) {
            (Self::Exists, _) => true,
            (Self::Not(ops), value) => !ops.iter().any(|op| op.matches(value)),
            (Self::Text(wanted), Scalar::Text(text)) => **wanted == **text,
            (Self::Number(wanted), Scalar::Number(text)) => **wanted == **text,
            (Self::Bool(wanted), Scalar::Bool(found)) => wanted == found,
            (Self::Null, Scalar::Null) => true,
            (Self::Prefix(prefix), Scalar::Text(text)) => text.starts_with(prefix),
            (Self::Suffix(suffix), Scalar::Text(text)) => text.ends_with(suffix),
            (Self::Wildcard(wildcard), Scalar::Text(text)) => wildcard.matches(text),
            (Self::Numeric(bounds), Scalar::Number(text)) => number(text).is_some_and(|n| bounds.contains(n)),
            (Self::IgnoreCase(wanted), Scalar::Text(text)) => is_text(text, |t| fold::equals(wanted, t)),
            (Self::PrefixIgnoreCase(prefix), Scalar::Text(text)) => {
                is_text(text, |t| fold::starts(t, prefix))
            }
            (Self::SuffixIgnoreCase(suffix), Scalar::Text(text)) => is_text(text, |t| fold::ends(t, suffix)),
            (Self::Cidr(network), Scalar::Text(text)) => is_text(text, |t| network.contains(t)),
            _ => false,
        }
    }
}

fn is_text(text: &[u8], holds: impl Fn(&str) -> bool) -> bool {
    str::from_utf8(text).is_ok_and(holds)
}

/// The value of a number as an IEEE double; beyond its range infinite.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_number() {
        let bounds = |low, high| Op::Numeric(Bounds { low, high });
        let table: &[(Op, &[&str], &[&str])] = &[
            (
                bounds(Some((300.0, true)), Some((300.0, true))),
                &["300", "300.0", "3.0e2", "30E+1"],
                &["300.1", "-300"],
            ),
            (
                bounds(Some((0.0, false)), Some((5.0, true))),
                &["5", "0.1", "4.999", "1e-300"],
                &["0", "-0", "5.0001", "1e400"],
            ),
            (
                bounds(None, Some((0.0, false))),
                &["-1", "-0.5", "-1e400"],
                &["0", "0.0", "3"],
            ),
            (
                bounds(Some((1e9, true)), None),
                &["1000000000", "1e400"],
                &["999999999.9"],
            ),
        ];
        for (op, good, bad) in table {
            for n in *good {
                assert!(op.matches(&Scalar::Number(n.as_bytes())), "{op:?} {n}");
                assert!(
                    !op.matches(&Scalar::Text(n.as_bytes())),
                    "a text is no number: {op:?} {n}"
                );
            }
            for n in *bad {
                assert!(!op.matches(&Scalar::Number(n.as_bytes())), "{op:?} {n}");
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_never_what_is_wanted() {
        let half = Scalar::Text(b"\xed\xa0\x80");
        assert!(!Op::IgnoreCase("\u{fffd}".into()).matches(&half));
        assert!(!Op::Text("\u{fffd}".as_bytes().into()).matches(&half));
        assert!(Op::Not(vec![Op::IgnoreCase("a".into())]).matches(&half));
    }
}
