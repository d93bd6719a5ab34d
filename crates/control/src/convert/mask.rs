//! Field masks (AIP-134): which settings an update means.

use crate::refusal::{Refusal, Refusals};
use prost_types::FieldMask;

/// Which settings an update means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// No mask: the settings that are set.
    Implied,
    /// `*`: all that can be changed.
    All,
    /// These.
    Named(Vec<String>),
}

impl Mask {
    /// Reads a mask; `known` are the paths that can be changed. Anything else is refused.
    pub(crate) fn read(mask: Option<FieldMask>, known: &[&str], refusals: &mut Refusals) -> Self {
        let paths = mask.map(|m| m.paths).unwrap_or_default();
        if paths.is_empty() {
            return Self::Implied;
        }
        if paths == ["*"] {
            return Self::All;
        }
        for path in paths.iter().filter(|p| !known.contains(&p.as_str())) {
            refusals.add(Refusal::new(
                "update_mask",
                path,
                format!("'*', or some of {}", known.join(", ")),
            ));
        }
        Self::Named(paths)
    }

    /// Whether the setting at `path` is meant, `set` telling whether the request sets it.
    pub(crate) fn means(&self, path: &str, set: bool) -> bool {
        match self {
            Self::Implied => set,
            Self::All => true,
            Self::Named(paths) => paths.iter().any(|p| p == path),
        }
    }

    /// The same for a setting that is fixed at creation: `*` does not ask for it to be cleared.
    pub(crate) fn means_fixed(&self, path: &str, set: bool) -> bool {
        match self {
            Self::All => set,
            other => other.means(path, set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> (Mask, usize) {
        let mut refusals = Refusals::default();
        let mask = FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        };
        let mask = Mask::read(Some(mask), &["a", "b.c"], &mut refusals);
        (mask, refusals.fields().len())
    }

    #[test]
    fn masks() {
        assert_eq!(Mask::read(None, &["a"], &mut Refusals::default()), Mask::Implied);
        assert_eq!(read(&[]), (Mask::Implied, 0));
        assert_eq!(read(&["*"]), (Mask::All, 0));
        assert_eq!(
            read(&["a", "b.c"]),
            (Mask::Named(vec!["a".into(), "b.c".into()]), 0)
        );
        assert_eq!(read(&["a", "name", "*"]).1, 2);
        for (paths, meant_set, meant_unset) in
            [(&[][..], true, false), (&["*"], true, true), (&["a"], true, true)]
        {
            let (mask, _) = read(paths);
            assert_eq!(
                (mask.means("a", true), mask.means("a", false)),
                (meant_set, meant_unset),
                "{paths:?}"
            );
        }
        assert!(!read(&["b.c"]).0.means("a", true));
        assert!(!read(&["*"]).0.means_fixed("a", false));
        assert!(read(&["a"]).0.means_fixed("a", false));
    }
}
