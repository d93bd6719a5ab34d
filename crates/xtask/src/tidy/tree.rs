//! What the rules look at: the text of every file that git knows or would add, and the packages cargo knows.
//! The only part of tidy that does I/O.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of a repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// One text file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Path relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file exists for tests: integration tests, benches, and the crates only tests use.
    pub(crate) fn is_test_code(&self) -> bool {
        let test_crate = ["tests/", "crates/testkit/"]
            .iter()
            .any(|prefix| self.path.starts_with(prefix));
        let test_folder = ["/tests/", "/benches/"]
            .iter()
            .any(|part| self.path.contains(part));
        test_crate || test_folder || self.path.ends_with("/tests.rs")
    }
}

/// A member of the workspace, with what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Path of its manifest relative to the repository.
    pub(crate) manifest: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One arrow from a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// True for dev-dependencies: they are compiled for tests only.
    pub(crate) dev: bool,
}

/// The top folder of the checkout that the current directory is in.
pub(crate) fn repository_root() -> Result<PathBuf, String> {
    let output = run(Command::new("git").args(["rev-parse", "--show-toplevel"]))?;
    Ok(PathBuf::from(output.trim_end()))
}

/// Reads every text file that is tracked, or would be if it were added. Files that are not UTF-8 are no text.
pub(crate) fn read(root: &Path) -> Result<Tree, String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listing = run(Command::new("git").current_dir(root).args(arguments))?;
    let mut files = Vec::new();
    for path in listing.split_terminator('\0') {
        match std::fs::read(root.join(path)) {
            Ok(bytes) => {
                if let Ok(text) = String::from_utf8(bytes) {
                    files.push(File {
                        path: path.to_owned(),
                        text,
                    });
                }
            }
            // Deleted in the working tree, not yet in the index; or a link to nowhere.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Ok(Tree { files })
}

/// The members of the workspace at `root`.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let json = run(Command::new(cargo).current_dir(root).args(arguments))?;
    parse_metadata(&json, root)
}

fn parse_metadata(json: &str, root: &Path) -> Result<Vec<Package>, String> {
    let metadata: Value = serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata: no packages")?;
    packages
        .iter()
        .map(|package| parse_package(package, root))
        .collect()
}

fn parse_package(package: &Value, root: &Path) -> Result<Package, String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or("cargo metadata: not as expected")
    };
    let manifest = PathBuf::from(text(&package["manifest_path"])?);
    let manifest = manifest
        .strip_prefix(root)
        .unwrap_or(&manifest)
        .to_string_lossy()
        .into_owned();
    let arrows = package["dependencies"]
        .as_array()
        .ok_or("cargo metadata: no dependencies")?;
    let dependencies = arrows
        .iter()
        .map(|arrow| {
            Ok(Dependency {
                name: text(&arrow["name"])?,
                dev: arrow["kind"] == "dev",
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Package {
        name: text(&package["name"])?,
        manifest,
        dependencies,
    })
}

fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;

    pub(crate) fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// `dependencies` as cargo names them; `dev:NAME` for a dev-dependency.
    pub(crate) fn package(name: &str, dependencies: &[&str]) -> Package {
        let parse = |text: &&str| match text.strip_prefix("dev:") {
            Some(name) => Dependency {
                name: name.to_owned(),
                dev: true,
            },
            None => Dependency {
                name: (*text).to_owned(),
                dev: false,
            },
        };
        let manifest = format!("crates/{name}/Cargo.toml");
        Package {
            name: name.to_owned(),
            manifest,
            dependencies: dependencies.iter().map(parse).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_packages() {
        let json = r#"{"packages":[{"name":"a","manifest_path":"/r/crates/a/Cargo.toml","dependencies":[
            {"name":"b","kind":null},{"name":"c","kind":"dev"},{"name":"d","kind":"build"}]}]}"#;
        let packages = parse_metadata(json, Path::new("/r")).unwrap();
        let arrow = |name: &str, dev| Dependency {
            name: name.to_owned(),
            dev,
        };
        let dependencies = vec![arrow("b", false), arrow("c", true), arrow("d", false)];
        let want = Package {
            name: "a".into(),
            manifest: "crates/a/Cargo.toml".into(),
            dependencies,
        };
        assert_eq!(packages, [want]);
        assert!(parse_metadata("{}", Path::new("/r")).is_err());
    }

    #[test]
    fn test_code_is_recognised_by_its_place() {
        let is_test = |path: &str| fixtures::file(path, "").is_test_code();
        for path in [
            "crates/core/tests/all.rs",
            "tests/src/lib.rs",
            "crates/testkit/src/a.rs",
            "crates/a/src/tests.rs",
        ] {
            assert!(is_test(path), "{path}");
        }
        for path in [
            "crates/core/src/lib.rs",
            "crates/core/src/contests.rs",
            "demo/src/main.rs",
        ] {
            assert!(!is_test(path), "{path}");
        }
    }
}
