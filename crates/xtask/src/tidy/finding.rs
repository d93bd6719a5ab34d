//! What tidy says: where, what, why, and what to do.

use std::fmt;

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path relative to the repository, with `/`.
    pub(crate) path: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// Name of the rule, as the allow-list spells it.
    pub(crate) rule: &'static str,
    /// The item within the file that an allowance may name; empty where the rule has no smaller unit than a file.
    pub(crate) item: String,
    /// What is wrong.
    pub(crate) what: String,
    /// Why that matters.
    pub(crate) why: &'static str,
    /// What to do about it.
    pub(crate) remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            what,
            why,
            remedy,
            ..
        } = self;
        write!(f, "{path}:{}: [{rule}] {what}; {why}; {remedy}", (*line).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_place_what_why_and_what_to_do() {
        let finding = Finding {
            path: "crates/a/src/lib.rs".into(),
            line: 0,
            rule: "module-head",
            item: String::new(),
            what: "no head".into(),
            why: "readers start there",
            remedy: "write one".into(),
        };
        let want = "crates/a/src/lib.rs:1: [module-head] no head; readers start there; write one";
        assert_eq!(finding.to_string(), want);
    }
}
