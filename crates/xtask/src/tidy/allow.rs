//! Exceptions, each with its reason, in `crates/xtask/allow.txt`. A line that excuses nothing any more is itself a
//! finding, so that the list can only get shorter by itself.
//!
//! ```text
//! # rule           path[::function]         reason
//! function-length  crates/a/src/b.rs::long  one table of all codes, read from top to bottom
//! ```

use super::finding::Finding;
use super::tree::Tree;

const LIST: &str = "crates/xtask/allow.txt";

/// Rules that have no exceptions: a broken one means that the architecture changed.
const NEVER: &[&str] = &["arrow", "determinism"];

struct Allowance<'a> {
    line: usize,
    rule: &'a str,
    place: &'a str,
    reason: &'a str,
}

/// Takes out of `findings` what the list allows, and adds what is wrong with the list.
pub(crate) fn apply(tree: &Tree, findings: Vec<Finding>) -> Vec<Finding> {
    let Some(list) = tree.files.iter().find(|file| file.path == LIST) else {
        return findings;
    };
    let allowances: Vec<_> = list.text.lines().enumerate().filter_map(parse).collect();
    let mut complaints: Vec<Finding> = allowances
        .iter()
        .filter_map(|allowance| complaint(allowance, &findings))
        .collect();
    let excused = |finding: &Finding| allowances.iter().any(|allowance| allowance.excuses(finding));
    complaints.extend(findings.into_iter().filter(|finding| !excused(finding)));
    complaints
}

fn parse((index, text): (usize, &str)) -> Option<Allowance<'_>> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (rule, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (place, reason) = rest
        .trim_start()
        .split_once(char::is_whitespace)
        .unwrap_or((rest.trim_start(), ""));
    Some(Allowance {
        line: index + 1,
        rule,
        place,
        reason: reason.trim(),
    })
}

impl Allowance<'_> {
    fn excuses(&self, finding: &Finding) -> bool {
        let (path, item) = self.place.split_once("::").unwrap_or((self.place, ""));
        self.rule == finding.rule
            && path == finding.path
            && item == finding.item
            && !NEVER.contains(&self.rule)
    }
}

fn complaint(allowance: &Allowance<'_>, findings: &[Finding]) -> Option<Finding> {
    let (what, remedy) = if NEVER.contains(&allowance.rule) {
        (
            format!("the rule {} has no exceptions", allowance.rule),
            "take the line out",
        )
    } else if allowance.reason.is_empty() {
        (
            format!("{} is allowed without a reason", allowance.place),
            "say why",
        )
    } else if !findings.iter().any(|finding| allowance.excuses(finding)) {
        (
            format!(
                "nothing at {} breaks {} any more",
                allowance.place, allowance.rule
            ),
            "take the line out",
        )
    } else {
        return None;
    };
    Some(Finding {
        path: LIST.to_owned(),
        line: allowance.line,
        rule: "allow-list",
        item: String::new(),
        what,
        why: "exceptions are few and explained",
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::file;
    use super::*;

    fn finding(rule: &'static str, item: &str) -> Finding {
        let (path, item) = ("crates/a/src/b.rs".to_owned(), item.to_owned());
        Finding {
            path,
            line: 3,
            rule,
            item,
            what: String::new(),
            why: "",
            remedy: String::new(),
        }
    }

    fn rules_left(list: &str, findings: Vec<Finding>) -> Vec<&'static str> {
        let tree = Tree {
            files: vec![file(LIST, list)],
        };
        apply(&tree, findings)
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn an_allowance_with_a_reason_excuses_exactly_its_place() {
        let list = "# a comment\n\nfunction-length crates/a/src/b.rs::long one table\n";
        let found = vec![
            finding("function-length", "long"),
            finding("function-length", "other"),
        ];
        assert_eq!(rules_left(list, found), ["function-length"]);
        assert_eq!(apply(&Tree::default(), vec![finding("print", "")]).len(), 1);
    }

    #[test]
    fn stale_unexplained_and_impossible_allowances_are_findings() {
        assert_eq!(
            rules_left("print crates/a/src/b.rs a reason", vec![]),
            ["allow-list"]
        );
        assert_eq!(
            rules_left("print crates/a/src/b.rs", vec![finding("print", "")]),
            ["allow-list"]
        );
        let never = rules_left(
            "determinism crates/a/src/b.rs it is handy",
            vec![finding("determinism", "")],
        );
        assert_eq!(never, ["allow-list", "determinism"]);
    }
}
