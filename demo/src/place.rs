//! Where the demo finds what `make demo` prepared, and where it puts its own files.

use crate::error::DemoError;
use crate::scene::{FUNCTIONS, Function};
use std::path::{Path, PathBuf};

/// The folder of the run's own files, below the working directory.
const RUN_DIR: &str = ".demo";

/// Everything that has a path.
#[derive(Debug)]
pub(crate) struct Place {
    /// The server's binary, beside this one.
    pub(crate) server: PathBuf,
    /// The flights.
    pub(crate) flights: PathBuf,
    /// The run's own files; empty at the start.
    pub(crate) dir: PathBuf,
    rust_delays: PathBuf,
    python: PathBuf,
    python_delays: PathBuf,
}

impl Place {
    /// Finds everything, and empties the folder of an earlier run.
    pub(crate) fn prepare() -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::file("this program"))?;
        let built = program.parent().unwrap_or(Path::new("."));
        let root = std::env::current_dir().map_err(DemoError::file("the working directory"))?;
        let place = Self {
            server: present(&built.join("millstream"), "the server")?,
            flights: present(&from_environment("MILLSTREAM_FLIGHTS")?, "the data set")?,
            rust_delays: present(&from_environment("MILLSTREAM_RUST_DELAYS")?, "the Rust function")?,
            python: present(&from_environment("MILLSTREAM_PYTHON")?, "the Python environment")?,
            python_delays: present(
                &root.join("examples/functions/python-delays"),
                "the Python function",
            )?,
            dir: root.join(RUN_DIR),
        };
        if place.dir.exists() {
            refuse_if_running(&place.dir)?;
            std::fs::remove_dir_all(&place.dir).map_err(DemoError::file(&place.dir))?;
        }
        for dir in [place.out(), place.thrown()] {
            std::fs::create_dir_all(&dir).map_err(DemoError::file(&dir))?;
        }
        Ok(place)
    }

    /// Where the functions write what they processed.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// Where the functions remember what they threw for.
    pub(crate) fn thrown(&self) -> PathBuf {
        self.dir.join("thrown")
    }

    /// How often a function threw on purpose: it leaves a file each time.
    pub(crate) fn thrown_by(&self, function: &str) -> usize {
        let language = function.split('-').next().unwrap_or(function);
        let files = std::fs::read_dir(self.thrown()).into_iter().flatten().flatten();
        files
            .filter(|file| file.file_name().to_string_lossy().starts_with(language))
            .count()
    }

    /// The functions, in the order of [`FUNCTIONS`].
    pub(crate) fn functions(&self) -> [Function; FUNCTIONS.len()] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let python = ["-m", "awslambdaric", "app.handler"].map(str::to_owned);
        let python = std::iter::once(text(&self.python)).chain(python).collect();
        [
            Function {
                name: FUNCTIONS[0],
                command: vec![text(&self.rust_delays)],
                working_dir: self.dir.clone(),
            },
            Function {
                name: FUNCTIONS[1],
                command: python,
                working_dir: self.python_delays.clone(),
            },
        ]
    }

    /// Where the server's binary is, which is the command line as well.
    pub(crate) fn bin_dir(&self) -> &Path {
        self.server.parent().unwrap_or(Path::new("."))
    }

    /// Remembers that a server goes on running here.
    pub(crate) fn remember(&self, pid: u32) -> Result<(), DemoError> {
        let file = pid_file(&self.dir);
        std::fs::write(&file, pid.to_string()).map_err(DemoError::file(file))
    }

    /// Removes the run's files.
    pub(crate) fn clear(&self) -> Result<(), DemoError> {
        std::fs::remove_dir_all(&self.dir).map_err(DemoError::file(&self.dir))
    }
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("server.pid")
}

/// An earlier run with KEEP=1 left its server up: its files are not ours to delete.
fn refuse_if_running(dir: &Path) -> Result<(), DemoError> {
    let Ok(pid) = std::fs::read_to_string(pid_file(dir)) else {
        return Ok(());
    };
    if Path::new("/proc").join(pid.trim()).exists() {
        let what = format!(
            "of an earlier run is still up (stop it with `kill {}`)",
            pid.trim()
        );
        return Err(DemoError::Server {
            what,
            log: dir.join("server.log"),
        });
    }
    Ok(())
}

fn from_environment(name: &'static str) -> Result<PathBuf, DemoError> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from).ok_or_else(|| DemoError::Missing {
        what: format!("the variable {name}"),
    })
}

fn present(path: &Path, what: &str) -> Result<PathBuf, DemoError> {
    // Absolute, because the functions run elsewhere; not resolved, because a virtual environment is known by its link.
    match std::path::absolute(path) {
        Ok(absolute) if absolute.exists() => Ok(absolute),
        _ => Err(DemoError::Missing {
            what: format!("{what} ({})", path.display()),
        }),
    }
}
