//! No program has known bugs: the cargo feature `mutants` is one of `core` and `engine`, off unless a command line asks
//! for it, and no manifest does.

use super::finding::Finding;
use super::tree::File;

/// The only lines of manifests that may speak of it.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/core/Cargo.toml", "mutants = []"),
    (
        "crates/engine/Cargo.toml",
        "mutants = [\"millstream-core/mutants\"]",
    ),
];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    if file.path != "Cargo.toml" && !file.path.ends_with("/Cargo.toml") {
        return Vec::new();
    }
    let spoken = |line: &str| {
        line.split('#')
            .next()
            .is_some_and(|code| code.contains("mutants"))
    };
    let allowed = |line: &str| ALLOWED.contains(&(file.path.as_str(), line.trim_end()));
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| spoken(line) && !allowed(line))
        .map(|(n, _)| finding(file, n + 1))
        .collect()
}

fn finding(file: &File, line: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "mutants",
        item: String::new(),
        what: "a manifest asks for the known bugs of the simulation".to_owned(),
        why: "they are for the simulation of the engine alone, and no program may have them",
        remedy: "switch the feature on where the simulation is run: cargo test -p millstream-engine --features mutants"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::file;
    use super::*;

    #[test]
    fn only_core_and_engine_have_the_feature_and_nobody_switches_it_on() {
        for (path, text, lines) in [
            (
                "crates/core/Cargo.toml",
                "[features]\n# mutants\nmutants = []\n",
                &[][..],
            ),
            (
                "crates/core/Cargo.toml",
                "[features]\ndefault = [\"mutants\"]\n",
                &[2],
            ),
            (
                "crates/engine/Cargo.toml",
                "mutants = [\"millstream-core/mutants\"]",
                &[],
            ),
            (
                "crates/server/Cargo.toml",
                "a = { features = [\"mutants\"] }",
                &[1],
            ),
            ("Cargo.toml", "\n\nx = { features = [\"mutants\"] } # why", &[3]),
            ("docs/notes.md", "mutants", &[]),
        ] {
            let found: Vec<usize> = check(&file(path, text)).iter().map(|f| f.line).collect();
            assert_eq!(found, lines, "{path}: {text}");
        }
    }
}
