//! Only programs that talk to a person print; everything else logs through `tracing`, where it can be filtered,
//! tagged and collected.

use super::finding::Finding;
use super::source::Source;
use super::tree::File;

const MACROS: &[&str] = &["println", "eprintln", "print", "eprint", "dbg"];

/// The command line, the demo, the chores, the examples, and build scripts (which talk to cargo that way).
const MAY_PRINT: &[&str] = &["crates/server/src/cli", "crates/xtask/", "demo/", "examples/"];

pub(crate) fn check(file: &File, source: &Source) -> Vec<Finding> {
    let is_build_script = file.path.ends_with("/build.rs");
    let is_example = file.path.contains("/examples/");
    if is_build_script || is_example || MAY_PRINT.iter().any(|prefix| file.path.starts_with(prefix)) {
        return Vec::new();
    }
    let prints = source.paths.iter().filter_map(|path| {
        let name = path.segments.last()?;
        (path.is_macro && MACROS.contains(&name.as_str())).then_some((path.line, name))
    });
    prints.map(|(line, name)| finding(file, line, name)).collect()
}

fn finding(file: &File, line: usize, name: &str) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "print",
        item: String::new(),
        what: format!("`{name}!` outside the command line"),
        why: "a library's output belongs to the program that uses it",
        remedy: "log with tracing, or return the text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::super::tree::fixtures::file;

    #[test]
    fn only_the_command_line_prints() {
        for (path, text, found) in [
            ("crates/store/src/a.rs", "fn f() { println!(\"x\"); }", 1),
            (
                "crates/store/src/a.rs",
                "fn f() { std::eprintln!(\"x\"); dbg!(1) }",
                2,
            ),
            ("crates/server/src/main.rs", "fn f() { print!(\"x\"); }", 1),
            ("crates/server/src/cli/table.rs", "fn f() { println!(\"x\"); }", 0),
            ("crates/api/build.rs", "fn f() { println!(\"cargo:x\"); }", 0),
            (
                "crates/millstream/examples/a.rs",
                "fn f() { println!(\"x\"); }",
                0,
            ),
            (
                "crates/store/src/a.rs",
                "fn f() { writeln!(out, \"println!\"); } #[cfg(test)] mod t { fn g() { println!() } }",
                0,
            ),
        ] {
            assert_eq!(source::check(&file(path, text)).len(), found, "{path} {text}");
        }
    }
}
