//! The example, as a user runs it: twice.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Cargo builds examples beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/embedding")
}

fn run(dir: &Path) -> String {
    let output = Command::new(example()).arg(dir).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_second_run_goes_on_after_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(dir.path());
    let second = run(dir.path());
    assert!(
        first.starts_with("0 records were there; this run saw 10\n"),
        "{first}"
    );
    assert!(
        second.starts_with("10 records were there; this run saw 10\n"),
        "{second}"
    );
    assert!(
        first.contains("ada: visit 0\nada: visit 3\nada: visit 6\nada: visit 9\n"),
        "{first}"
    );
    assert!(
        second.contains("ada: visit 12\nada: visit 15\nada: visit 18\n"),
        "{second}"
    );
}

#[test]
fn it_stays_an_example_one_can_read() {
    let source = include_str!("../../examples/embedding.rs");
    assert!(source.lines().count() < 60);
}
