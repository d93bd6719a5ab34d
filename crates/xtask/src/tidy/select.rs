//! Determinism once more: `select!` asks its branches in an order of its own, drawn at random, unless it is told to ask
//! them in the order in which they are written.

use super::finding::Finding;
use super::tree::File;

pub(crate) fn check(file: &File) -> Vec<Finding> {
    if !file.path.starts_with("crates/engine/") || file.is_test_code() {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let fair = |n: &usize| {
        let is_select = !lines[*n].starts_with("//") && lines[*n].contains("select! {");
        is_select && !lines.get(n + 1).is_some_and(|next| next.starts_with("biased;"))
    };
    (0..lines.len())
        .filter(fair)
        .map(|n| finding(file, n + 1))
        .collect()
}

fn finding(file: &File, line: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "determinism",
        item: String::new(),
        what: "`select!` is not biased".to_owned(),
        why: "core and engine must behave the same from the same inputs",
        remedy: "begin it with `biased;` on a line of its own".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::file;
    use super::*;

    #[test]
    fn only_a_biased_select_is_repeatable() {
        let fair = "fn f() {\n    tokio::select! {\n        a = b => a,\n    }\n}";
        let biased = "fn f() {\n    tokio::select! {\n        biased;\n        a = b => a,\n    }\n}";
        for (path, text, lines) in [
            ("crates/engine/src/a.rs", fair, &[2][..]),
            ("crates/engine/src/a.rs", biased, &[]),
            ("crates/engine/tests/it/a.rs", fair, &[]),
            ("crates/server/src/a.rs", fair, &[]),
        ] {
            let found: Vec<usize> = check(&file(path, text)).iter().map(|f| f.line).collect();
            assert_eq!(found, lines, "{path}: {text}");
        }
    }
}
