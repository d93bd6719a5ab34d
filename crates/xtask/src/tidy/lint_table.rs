//! Every member takes the workspace's lints; one that forgot would be checked by none of them. An example that is
//! a workspace of its own stands for a user's code and is left alone.

use super::finding::Finding;
use super::tree::File;

pub(crate) fn check(file: &File) -> Option<Finding> {
    let is_manifest = file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml");
    let has = |section: &str| file.text.lines().any(|line| line.trim() == section);
    if !is_manifest || !has("[package]") || has("[workspace]") || inherits(&file.text) {
        return None;
    }
    Some(Finding {
        path: file.path.clone(),
        line: 0,
        rule: "lint-table",
        item: String::new(),
        what: "the crate does not take the workspace's lints".to_owned(),
        why: "its code would be checked by none of them",
        remedy: "add `[lints]` with `workspace = true`".to_owned(),
    })
}

fn inherits(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let compact: String = line.chars().filter(|letter| *letter != ' ').collect();
        section == "[lints]" && compact.starts_with("workspace=true") || compact == "lints.workspace=true"
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::file;
    use super::*;

    #[test]
    fn a_crate_that_does_not_inherit_is_found() {
        for (path, text, passes) in [
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n",
                true,
            ),
            ("crates/a/Cargo.toml", "[package]\nlints.workspace = true\n", true),
            ("Cargo.toml", "[workspace]\nmembers = []\n", true),
            ("examples/a/Cargo.toml", "[package]\n[workspace]\n", true),
            ("docs/Cargo.toml.md", "[package]\n", true),
            ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n", false),
            (
                "crates/a/Cargo.toml",
                "[package]\n[lints.rust]\nunsafe_code = \"deny\"\n",
                false,
            ),
            (
                "crates/a/Cargo.toml",
                "[package]\n[lints]\n[dependencies]\nworkspace = true\n",
                false,
            ),
        ] {
            assert_eq!(check(&file(path, text)).is_none(), passes, "{path} {text:?}");
        }
    }
}
