//! Where the demo finds what `make demo` prepared, and where it puts its own files.

use crate::error::DemoError;
use crate::queue::QUEUES;
use crate::scene::{FUNCTIONS, Function};
use std::path::{Path, PathBuf};

/// The folder of the run's own files, below the working directory.
const RUN_DIR: &str = ".demo";

/// How long the functions of the queues take for a batch, so that the crash meets them at work.
const QUEUE_WORK_MS: u32 = 20;

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
    rust_arrivals: PathBuf,
    python: PathBuf,
    python_delays: PathBuf,
    python_departures: PathBuf,
}

impl Place {
    /// Finds everything, and empties the folder of an earlier run.
    pub(crate) fn prepare() -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::file("this program"))?;
        let built = program.parent().unwrap_or(Path::new("."));
        let root = std::env::current_dir().map_err(DemoError::file("the working directory"))?;
        let rust_delays = present(&from_environment("MILLSTREAM_RUST_DELAYS")?, "the Rust function")?;
        let python_function = |name: &str| {
            let dir = root.join("examples/functions").join(name);
            present(&dir, "the Python function")
        };
        let place = Self {
            server: present(&built.join("millstream"), "the server")?,
            flights: present(&from_environment("MILLSTREAM_FLIGHTS")?, "the data set")?,
            // Of the same crate, so built beside it.
            rust_arrivals: present(
                &rust_delays.with_file_name("rust-arrivals"),
                "the Rust function of the queue",
            )?,
            rust_delays,
            python: present(&from_environment("MILLSTREAM_PYTHON")?, "the Python environment")?,
            python_delays: python_function("python-delays")?,
            python_departures: python_function("python-departures")?,
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

    /// The functions of the stream, in the order of [`FUNCTIONS`].
    pub(crate) fn functions(&self) -> [Function; FUNCTIONS.len()] {
        let env = vec![
            ("DELAYS_OUT_DIR", text(&self.out())),
            ("DELAYS_THROW_DIR", text(&self.thrown())),
        ];
        let [rust, python] = FUNCTIONS;
        [
            self.rust(rust, &self.rust_delays, env.clone()),
            self.python(python, &self.python_delays, env),
        ]
    }

    /// The functions of the queues, in the order of [`QUEUES`].
    pub(crate) fn functions_of_queues(&self) -> [Function; QUEUES.len()] {
        let env = vec![
            ("FLIGHTS_OUT_DIR", text(&self.out())),
            ("FLIGHTS_WORK_MS", QUEUE_WORK_MS.to_string()),
        ];
        let [rust, python] = QUEUES.map(|scene| scene.function);
        [
            self.rust(rust, &self.rust_arrivals, env.clone()),
            self.python(python, &self.python_departures, env),
        ]
    }

    fn rust(&self, name: &'static str, program: &Path, env: Vec<(&'static str, String)>) -> Function {
        Function {
            name,
            command: vec![text(program)],
            working_dir: self.dir.clone(),
            env,
        }
    }

    fn python(&self, name: &'static str, dir: &Path, env: Vec<(&'static str, String)>) -> Function {
        let runtime = ["-m", "awslambdaric", "app.handler"].map(str::to_owned);
        let python = text(&self.python);
        Function {
            name,
            command: std::iter::once(python).chain(runtime).collect(),
            working_dir: dir.to_owned(),
            env,
        }
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

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
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
