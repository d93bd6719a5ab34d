//! Which files have changed: told by the kernel, without what nobody edits, and not before it has been quiet for a moment.

use crate::cli::error::{CliError, exit};
use notify::event::EventKind;
use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Editors and compilers write many files, and each more than once: changes are told when it has been so quiet …
const QUIET: Duration = Duration::from_millis(150);
/// … or after so long.
const LONGEST: Duration = Duration::from_secs(3);
/// Directories that tools fill.
const NOT_EDITED: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];
/// Files that tools make for a moment, or by themselves.
const NOT_EDITED_ENDINGS: [&str; 7] = ["~", ".swp", ".swx", ".tmp", ".pyc", ".bak", ".log"];

/// Changes of files.
pub(super) struct Changes {
    paths: Vec<PathBuf>,
    changed: Option<mpsc::Receiver<PathBuf>>,
    /// Tells as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

/// What is watched, and what of it counts.
#[derive(Clone, Debug)]
struct Scope {
    /// Files and directories.
    roots: Vec<PathBuf>,
    /// The server's own.
    except: PathBuf,
    /// The files to which this process writes what it says, if it does: each line would be a change.
    outputs: Vec<Identity>,
}

/// Device and number of a file, whatever it is called.
type Identity = (u64, u64);

fn identity(path: &Path) -> Option<Identity> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

impl Changes {
    /// There are none.
    pub(super) fn never() -> Self {
        Self {
            paths: Vec::new(),
            changed: None,
            _watcher: None,
        }
    }

    /// Changes of these files, and of all in these directories, but for what lies in `except`.
    ///
    /// # Errors
    /// If one of them cannot be watched.
    pub(super) fn of(paths: &[PathBuf], except: &Path) -> Result<Self, CliError> {
        let absolute = |path: &PathBuf| std::path::absolute(path).map_err(CliError::from);
        let roots: Vec<PathBuf> = paths.iter().map(absolute).collect::<Result<_, _>>()?;
        let scope = Scope {
            roots: roots.clone(),
            except: std::path::absolute(except)?,
            outputs: ["/proc/self/fd/1", "/proc/self/fd/2"]
                .into_iter()
                .filter_map(|output| identity(Path::new(output)))
                .collect(),
        };
        // One is enough to know that there is something; what comes meanwhile belongs to it.
        let (tell, changed) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let path = match event {
                Ok(event) => scope.changed(&event),
                // What was missed may have been anything.
                Err(_) => scope.roots.first().cloned(),
            };
            if let Some(path) = path {
                let _ = tell.try_send(path);
            }
        })
        .map_err(|e| cannot_watch(Path::new("files"), &e))?;
        for root in &roots {
            // A file is often replaced by another one: its directory tells of that.
            let (at, how) = match root.is_dir() {
                true => (root.as_path(), RecursiveMode::Recursive),
                false => (root.parent().unwrap_or(root), RecursiveMode::NonRecursive),
            };
            if !root.exists() {
                return Err(CliError::usage(
                    format!(
                        "--watch {} is not valid: there is no such file or directory",
                        root.display()
                    ),
                    "see `millstream dev --help`",
                ));
            }
            watcher.watch(at, how).map_err(|e| cannot_watch(root, &e))?;
        }
        Ok(Self {
            paths: roots,
            changed: Some(changed),
            _watcher: Some(watcher),
        })
    }

    /// What is watched, for people; empty if nothing is.
    pub(super) fn watched(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|p| p.display().to_string()).collect();
        paths.join(", ")
    }

    /// Waits until something has changed and it is quiet again; a path that changed and, if possible, is still there.
    pub(super) async fn next(&mut self) -> PathBuf {
        let Some(changed) = &mut self.changed else {
            return std::future::pending().await;
        };
        let Some(mut told) = changed.recv().await else {
            return std::future::pending().await;
        };
        let latest = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            match timeout_at(quiet, changed.recv()).await {
                Ok(Some(path)) if Instant::now() < latest => {
                    if path.exists() {
                        told = path;
                    }
                }
                _ => return told,
            }
        }
    }
}

impl Scope {
    /// The last path of an event that counts: of a file that is renamed, what it is called now.
    fn changed(&self, event: &Event) -> Option<PathBuf> {
        if matches!(event.kind, EventKind::Access(_)) {
            return None;
        }
        if event.need_rescan() {
            return self.roots.first().cloned();
        }
        event.paths.iter().rev().find(|path| self.counts(path)).cloned()
    }

    fn counts(&self, path: &Path) -> bool {
        !path.starts_with(&self.except)
            && self.roots.iter().any(|root| {
                // A file that is watched counts, whatever it is called.
                path == root.as_path() || path.strip_prefix(root).is_ok_and(is_edited)
            })
            && identity(path).is_none_or(|file| !self.outputs.contains(&file))
    }
}

/// Whether a path below a directory is of the kind that people edit.
fn is_edited(path: &Path) -> bool {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    let Some((file, directories)) = names.split_last() else {
        return true;
    };
    let by_tools = |name: &&str| name.starts_with('.') || NOT_EDITED.contains(name);
    let of_moments = NOT_EDITED_ENDINGS.iter().any(|end| file.ends_with(end));
    // vi asks the file system by a file of this name.
    let asked = *file == "4913" || file.starts_with(".#");
    !directories.iter().any(by_tools) && !NOT_EDITED.contains(file) && !of_moments && !asked
}

fn cannot_watch(path: &Path, e: &notify::Error) -> CliError {
    let next = match e.kind {
        ErrorKind::MaxFilesWatch => {
            "name what matters with --watch, or raise fs.inotify.max_user_watches; --no-watch leaves it out"
        }
        _ => "name what matters with --watch; --no-watch leaves it out",
    };
    CliError::Other {
        code: exit::FAILED,
        reason: "WATCH",
        message: format!("{} cannot be watched: {e}", path.display()),
        next: next.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_edit_counts() {
        for (path, counts) in [
            ("app.py", true),
            ("src/deep/app.py", true),
            (".env", true),
            ("", true),
            ("__pycache__/app.cpython-311.pyc", false),
            ("__pycache__", false),
            ("app.pyc", false),
            ("app.log", false),
            (".git/index", false),
            ("target/debug/bootstrap", false),
            ("a/node_modules/x/index.js", false),
            ("app.py~", false),
            (".app.py.swp", false),
            ("4913", false),
            (".#app.py", false),
        ] {
            assert_eq!(is_edited(Path::new(path)), counts, "{path}");
        }
    }

    #[test]
    fn only_what_is_watched_counts() {
        let scope = Scope {
            roots: vec![PathBuf::from("/w/src"), PathBuf::from("/w/target/bootstrap")],
            except: PathBuf::from("/w/src/data"),
            outputs: Vec::new(),
        };
        for (path, counts) in [
            ("/w/src/app.py", true),
            ("/w/target/bootstrap", true),
            ("/w/target/other", false),
            ("/w/other.py", false),
            ("/w/src/data/000012.sst", false),
        ] {
            assert_eq!(scope.counts(Path::new(path)), counts, "{path}");
        }
        let read = Event::new(EventKind::Access(notify::event::AccessKind::Any)).add_path("/w/src/a".into());
        assert_eq!(scope.changed(&read), None);
        let written = Event::new(EventKind::Any)
            .add_path("/w/x".into())
            .add_path("/w/src/a".into());
        assert_eq!(scope.changed(&written), Some(PathBuf::from("/w/src/a")));
    }

    #[tokio::test]
    async fn changes_of_a_real_directory_are_told_once_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("deep")).unwrap();
        let mut changes = Changes::of(std::slice::from_ref(&root), &root.join("data")).unwrap();
        for n in 0..5 {
            std::fs::write(root.join("deep/app.py"), format!("{n}")).unwrap();
        }
        assert_eq!(changes.next().await, root.join("deep/app.py"));
        let mut scope = Scope {
            roots: vec![root.clone()],
            except: root.join("data"),
            outputs: Vec::new(),
        };
        assert!(scope.counts(&root.join("deep/app.py")));
        scope.outputs.extend(identity(&root.join("deep/app.py")));
        assert!(
            !scope.counts(&root.join("deep/app.py")),
            "written by this process itself"
        );
        // A file that is replaced, and one that is new.
        std::fs::write(root.join("new.txt"), "x").unwrap();
        std::fs::rename(root.join("new.txt"), root.join("deep/app.py")).unwrap();
        changes.next().await;
        assert!(Changes::of(&[root.join("nosuch")], &root).is_err());
    }
}
