//! A function fits on a screen, a file in a head: 70 lines and 500 lines. What is longer is split, or its reason
//! stands in the allow-list. Tests are apart: a table of cases is data, and reads from top to bottom.

use super::finding::Finding;
use super::source::Source;
use super::tree::File;

/// Lines of one function, from `fn` to the closing brace.
const FUNCTION_LINES: usize = 70;

/// Lines of one file without its unit tests.
const FILE_LINES: usize = 500;

pub(crate) fn check(file: &File, source: &Source) -> Vec<Finding> {
    let too_long = source.functions.iter().filter_map(|(name, first, last)| {
        let lines = last + 1 - first;
        (lines > FUNCTION_LINES).then(|| long_function(file, name, *first, lines))
    });
    let lines = file.text.lines().count().saturating_sub(source.test_lines);
    let long_file = (lines > FILE_LINES).then(|| long_file(file, lines));
    too_long.chain(long_file).collect()
}

fn long_function(file: &File, name: &str, line: usize, lines: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "function-length",
        item: name.to_owned(),
        what: format!("`{name}` has {lines} lines, more than {FUNCTION_LINES}"),
        why: "a function should fit on a screen",
        remedy: "split it by what it decides and what it does".to_owned(),
    }
}

fn long_file(file: &File, lines: usize) -> Finding {
    Finding {
        path: file.path.clone(),
        line: 0,
        rule: "file-length",
        item: String::new(),
        what: format!("{lines} lines without its unit tests, more than {FILE_LINES}"),
        why: "a file should fit in a head",
        remedy: "split it where its subjects part".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::super::tree::fixtures::file;

    fn rules(text: &str) -> Vec<&'static str> {
        source::check(&file("crates/store/src/a.rs", text))
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    fn function_of(lines: usize) -> String {
        format!("fn f() {{{}}}\n", "\n".repeat(lines - 1))
    }

    #[test]
    fn functions_and_files_have_a_limit() {
        assert_eq!(rules(&function_of(70)), [""; 0]);
        assert_eq!(rules(&function_of(71)), ["function-length"]);
        assert_eq!(rules(&"const A: u8 = 1;\n".repeat(500)), [""; 0]);
        assert_eq!(rules(&"const A: u8 = 1;\n".repeat(501)), ["file-length"]);
    }

    #[test]
    fn tests_may_be_longer() {
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}{}}}\n",
            "const A: u8 = 1;\n".repeat(600),
            function_of(80)
        );
        assert_eq!(rules(&tests), [""; 0]);
        assert!(source::check(&file("crates/store/tests/all.rs", &tests.repeat(2))).is_empty());
    }
}
