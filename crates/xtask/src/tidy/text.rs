//! What must not stand in any text file: paths of one machine, and work left for later without an issue.

use super::finding::Finding;
use super::tree::File;

/// Folders that exist on somebody's machine only. Assembled, so that this file does not find itself.
const MACHINE_FOLDERS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

const LEFT_OVERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    lines
        .flat_map(|(index, line)| check_line(file, index + 1, line))
        .collect()
}

fn check_line(file: &File, number: usize, line: &str) -> Vec<Finding> {
    let finding = |rule, what: String, why, remedy: &str| Finding {
        path: file.path.clone(),
        line: number,
        rule,
        item: String::new(),
        what,
        why,
        remedy: remedy.to_owned(),
    };
    let mut found = Vec::new();
    if let Some(folder) = MACHINE_FOLDERS.iter().find(|folder| starts_a_path(line, folder)) {
        let what = format!("a path under {folder}");
        found.push(finding(
            "machine-path",
            what,
            "it exists on one machine only",
            "make it relative or a variable",
        ));
    }
    if let Some(word) = LEFT_OVERS.iter().find(|word| stands_alone(line, word)) {
        let why = "work left for later is forgotten in a comment";
        found.push(finding(
            "left-over",
            format!("{word} left behind"),
            why,
            "do it, or file an issue and say what is so now",
        ));
    }
    found
}

/// Whether `folder` occurs as the beginning of an absolute path, not in the middle of a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-}~/".contains(letter))
    })
}

fn stands_alone(line: &str, word: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::fixtures::file;
    use super::*;

    #[test]
    fn machine_paths_and_left_overs_are_found_where_they_stand() {
        let root = MACHINE_FOLDERS[0];
        for (line, rule) in [
            (format!("let a = \"{root}x\";"), Some("machine-path")),
            (format!("cd {}project", MACHINE_FOLDERS[3]), Some("machine-path")),
            (format!("# {}: later", LEFT_OVERS[0]), Some("left-over")),
            (format!("({})", LEFT_OVERS[1]), Some("left-over")),
            (format!("see docs{root}x and ${{HOME}}{root}"), None),
            (format!("{}S are counted", LEFT_OVERS[0]), None),
            ("nothing here".to_owned(), None),
        ] {
            let found = check(&file("README.md", &format!("first line\n{line}\n")));
            assert_eq!(
                found.first().map(|finding| (finding.line, finding.rule)),
                rule.map(|rule| (2, rule)),
                "{line}"
            );
        }
    }
}
