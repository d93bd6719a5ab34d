//! Which files hold the documents, and what they say.

use super::invalid;
use crate::cli::error::CliError;
use crate::cli::input;
use crate::manifest::{self, Object, Place, Problem, Source};
use clap::{Args, ValueHint};
use std::path::{Path, PathBuf};

/// Most files that are read.
const MOST_FILES: usize = 10_000;
/// What a file in a directory must end with.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Which documents are meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct FileArgs {
    /// A file with YAML or JSON documents, a directory of *.yaml, *.yml and *.json, or - for standard input; can be
    /// repeated.
    #[arg(short = 'f', long = "filename", alias = "file", required = true, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    files: Vec<String>,
    /// The directories in directories too.
    #[arg(short = 'R', long)]
    recursive: bool,
}

impl FileArgs {
    /// All objects, checked as far as that is possible without a server.
    ///
    /// # Errors
    /// If a file cannot be read; or everything that is wrong with any of the objects.
    pub(crate) fn read(&self, namespace: &str) -> Result<Vec<Object>, CliError> {
        let (mut objects, mut problems) = (Vec::new(), Vec::new());
        for name in &self.files {
            for path in self.expand(name)? {
                read_one(&path, namespace, &mut objects, &mut problems)?;
            }
        }
        problems.extend(manifest::clashes(&objects));
        if !problems.is_empty() {
            return Err(invalid(&problems));
        }
        if objects.is_empty() {
            let text = format!("there are no documents in {}", self.files.join(", "));
            return Err(CliError::usage(text, "see `millstream apply --help`"));
        }
        Ok(manifest::order(objects))
    }

    /// The names as given.
    pub(crate) fn names(&self) -> &[String] {
        &self.files
    }

    /// The file itself, or those of a directory in the order of their names.
    fn expand(&self, name: &str) -> Result<Vec<PathBuf>, CliError> {
        let path = PathBuf::from(name);
        if name == "-" || !path.is_dir() {
            return Ok(vec![path]);
        }
        let mut found = Vec::new();
        self.collect(&path, &mut found)?;
        Ok(found)
    }

    fn collect(&self, dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
        let unreadable = |e: std::io::Error| input::cannot_read(&dir.display().to_string(), &e);
        let mut entries = std::fs::read_dir(dir)
            .and_then(|entries| {
                entries
                    .map(|e| e.map(|e| e.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(unreadable)?;
        entries.sort();
        for path in entries {
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            // Links to directories are not followed: they may lead in circles.
            if path.is_dir() && !path.is_symlink() {
                if self.recursive {
                    self.collect(&path, found)?;
                }
            } else if path.is_file() && ENDINGS.contains(&ending) {
                found.push(path);
            }
            if found.len() > MOST_FILES {
                return Err(CliError::usage(
                    format!("{} holds more than {MOST_FILES} files", dir.display()),
                    "name a smaller directory",
                ));
            }
        }
        Ok(())
    }
}

fn read_one(
    path: &Path,
    namespace: &str,
    objects: &mut Vec<Object>,
    problems: &mut Vec<Problem>,
) -> Result<(), CliError> {
    let shown = path.display().to_string();
    let bytes = input::whole(&shown)?;
    let file = if shown == "-" { "standard input" } else { &shown };
    let Ok(text) = String::from_utf8(bytes) else {
        problems.push(Problem {
            place: Place {
                file: file.to_owned(),
                line: 0,
            },
            object: None,
            text: "is not UTF-8 text".to_owned(),
        });
        return Ok(());
    };
    let base = if shown == "-" { None } else { path.parent() };
    let base = std::path::absolute(
        base.filter(|b| !b.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )?;
    let source = Source {
        file,
        base: &base,
        text: &text,
        namespace,
    };
    objects.extend(manifest::read(source, problems));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &FileArgs) -> Vec<String> {
        let objects = args.read("team").unwrap();
        objects.iter().map(|o| o.id.resource()).collect()
    }

    #[test]
    fn directories_are_read_in_order_and_relative_paths_count_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let stream =
            |name: &str| format!("apiVersion: millstream/v1\nkind: Stream\nmetadata: {{name: {name}}}\n");
        let function = "apiVersion: millstream/v1\nkind: Function\nmetadata: {name: f}\nspec:\n  process:\n    \
                        command: [a]\n    working_dir: app\n";
        std::fs::create_dir(dir.path().join("deeper")).unwrap();
        for (name, text) in [
            ("b.yml", stream("b")),
            ("a.yaml", stream("a")),
            ("notes.txt", "not: ours".to_owned()),
            ("deeper/f.yaml", function.to_owned()),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut args = FileArgs {
            files: vec![dir.path().display().to_string()],
            recursive: false,
        };
        let streams = ["namespaces/team/streams/a", "namespaces/team/streams/b"];
        assert_eq!(names(&args), streams);
        args.recursive = true;
        let objects = args.read("team").unwrap();
        assert_eq!(objects.len(), 3);
        assert_eq!(
            objects[2].settings["process.working_dir"],
            dir.path().join("deeper/app").display().to_string()
        );
    }

    #[test]
    fn every_problem_of_every_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml"] {
            std::fs::write(dir.path().join(name), "kind: Nothing\n").unwrap();
        }
        std::fs::write(dir.path().join("c.yaml"), [0xff]).unwrap();
        let args = FileArgs {
            files: vec![dir.path().display().to_string()],
            recursive: false,
        };
        let lines = args.read("default").unwrap_err().lines();
        for file in ["a.yaml:1: kind", "b.yaml:1: kind", "c.yaml: is not UTF-8"] {
            assert!(lines.iter().any(|l| l.contains(file)), "{file}: {lines:?}");
        }
        let none = FileArgs {
            files: vec![dir.path().join("nosuch").display().to_string()],
            recursive: false,
        };
        assert_eq!(none.read("default").unwrap_err().exit_code(), 1);
    }
}
