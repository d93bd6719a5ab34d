//! The rules of the house. One file per rule; each is a pure function from a [`Tree`] to findings, so that a test
//! can show it a small wrong tree and see it fail.

mod allow;
mod arrows;
mod bans;
mod finding;
mod heads;
mod length;
mod lint_table;
mod mutants;
mod prints;
mod select;
mod source;
mod text;
mod tree;

use finding::Finding;
use tree::{Package, Tree};

/// Checks the repository this program was built in.
///
/// # Errors
/// A sentence for a person, when git or cargo cannot be asked or a file cannot be read.
pub(crate) fn check_repository() -> Result<Vec<Finding>, String> {
    let root = tree::repository_root()?;
    let tree = tree::read(&root)?;
    let packages = tree::packages(&root)?;
    Ok(check(&tree, &packages))
}

fn check(tree: &Tree, packages: &[Package]) -> Vec<Finding> {
    let mut findings = arrows::check(packages);
    for file in &tree.files {
        findings.extend(text::check(file));
        findings.extend(lint_table::check(file));
        findings.extend(mutants::check(file));
        if file.is_rust() {
            findings.extend(heads::check(file));
            findings.extend(source::check(file));
            findings.extend(select::check(file));
        }
    }
    let mut findings = allow::apply(tree, findings);
    findings.sort();
    findings
}
