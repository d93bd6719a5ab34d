//! Determinism: `core` and `engine` take time and chance as arguments or through ports, and never iterate in an
//! order that a random hasher chose; `core` does no I/O and knows no runtime at all. A run that can be repeated
//! exactly from a seed depends on it.

use super::finding::Finding;
use super::source::{PathUse, Source};
use super::tree::File;

/// A path that may not be used; `*` stands for any one further segment.
struct Ban {
    path: &'static [&'static str],
    remedy: &'static str,
}

const fn ban(path: &'static [&'static str], remedy: &'static str) -> Ban {
    Ban { path, remedy }
}

const CLOCK: &str = "take `Now` as an argument (core) or ask the `Clock` port (engine)";
const ENTROPY: &str = "take it as an argument (core) or ask the `Entropy` port (engine)";
const HASHER: &str = "use BTreeMap or BTreeSet";
const PURE: &str = "core decides only: return what is to be done and let the engine or an adapter do it";

const DETERMINISM: &[Ban] = &[
    ban(&["std", "time", "Instant"], CLOCK),
    ban(&["SystemTime"], CLOCK),
    ban(&["Instant", "now"], CLOCK),
    ban(&["rand", "*"], ENTROPY),
    ban(&["fastrand", "*"], ENTROPY),
    ban(&["getrandom", "*"], ENTROPY),
    ban(&["Uuid", "new_v4"], ENTROPY),
    ban(&["Uuid", "now_v7"], ENTROPY),
    ban(&["HashMap"], HASHER),
    ban(&["HashSet"], HASHER),
    ban(&["hash_map", "*"], HASHER),
    ban(&["hash_set", "*"], HASHER),
    ban(&["RandomState"], HASHER),
];

const PURITY: &[Ban] = &[
    ban(&["tokio"], PURE),
    ban(&["async"], PURE),
    ban(&["await"], PURE),
    ban(&["std", "fs"], PURE),
    ban(&["std", "io"], PURE),
    ban(&["std", "net"], PURE),
    ban(&["std", "thread"], PURE),
    ban(&["std", "env"], PURE),
    ban(&["std", "process"], PURE),
];

pub(crate) fn check(file: &File, source: &Source) -> Vec<Finding> {
    let core = file.path.starts_with("crates/core/");
    if !core && !file.path.starts_with("crates/engine/") {
        return Vec::new();
    }
    let bans = || DETERMINISM.iter().chain(if core { PURITY } else { &[] });
    let banned = |path: &PathUse| {
        bans()
            .find(|ban| contains(&path.segments, ban.path))
            .map(|ban| (path.line, ban))
    };
    let found = source.paths.iter().filter_map(banned);
    found.map(|(line, ban)| finding(file, line, ban)).collect()
}

fn contains(segments: &[String], pattern: &[&str]) -> bool {
    segments.windows(pattern.len()).any(|window| {
        window
            .iter()
            .zip(pattern)
            .all(|(have, want)| *want == "*" || have == want)
    })
}

fn finding(file: &File, line: usize, ban: &Ban) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "determinism",
        item: String::new(),
        what: format!("`{}` is used", ban.path.join("::")),
        why: "core and engine must behave the same from the same inputs",
        remedy: ban.remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::super::tree::fixtures::file;

    fn whats(path: &str, text: &str) -> Vec<String> {
        let findings = source::check(&file(path, text));
        findings
            .into_iter()
            .map(|finding| format!("{} {}", finding.line, finding.what))
            .collect()
    }

    #[test]
    fn clocks_entropy_and_random_hashers_are_found_in_core_and_engine() {
        for (text, banned) in [
            ("use std::time::{Duration,\n Instant};", "std::time::Instant"),
            ("fn f() { let t = std::time::SystemTime::now(); }", "SystemTime"),
            ("fn f() { tokio::time::Instant::now() }", "Instant::now"),
            ("fn f() { rand::random() }", "rand::*"),
            ("use getrandom::fill;", "getrandom::*"),
            ("fn f() { Uuid::new_v4() }", "Uuid::new_v4"),
            ("struct A { b: std::collections::HashMap<u8, u8> }", "HashMap"),
            ("use std::collections::hash_map::Entry;", "hash_map::*"),
            ("fn f() { vec![HashSet::<u8>::new()]; }", "HashSet"),
            ("fn f() { RandomState::new() }", "RandomState"),
        ] {
            let line = if text.contains('\n') { 2 } else { 1 };
            assert!(
                whats("crates/engine/src/a.rs", text).contains(&format!("{line} `{banned}` is used")),
                "{text}"
            );
            assert!(!whats("crates/core/src/a.rs", text).is_empty(), "{text}");
            assert!(whats("crates/store/src/a.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn core_alone_must_also_be_without_runtime_and_io() {
        for text in [
            "use tokio::sync::mpsc;",
            "async fn f() {}",
            "fn f() { g().await }",
            "use std::{fs, mem};",
            "fn f() { std::thread::yield_now() }",
            "fn f() { std::env::var(\"A\") }",
            "use std::net::IpAddr;",
            "use std::process::id;",
        ] {
            assert_eq!(whats("crates/core/src/a.rs", text).len(), 1, "{text}");
            assert!(whats("crates/engine/src/a.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn words_that_only_look_alike_and_test_code_pass() {
        for text in [
            "use std::time::Duration; use std::collections::BTreeMap;",
            "//! HashMap, tokio, std::fs\nfn rand() {} fn f() { let rand = rand(); }",
            "#[cfg(test)] mod tests { use std::collections::HashMap; }",
        ] {
            assert_eq!(
                whats("crates/core/src/a.rs", text),
                Vec::<String>::new(),
                "{text}"
            );
        }
        assert!(whats("crates/core/tests/all.rs", "use std::fs;").is_empty());
    }
}
