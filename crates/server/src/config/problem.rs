//! What is wrong with a configuration, all of it.

use std::fmt;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere.
    Default,
    /// In the file, at this line.
    File {
        /// The file as it was named.
        path: String,
        /// From 1.
        line: usize,
    },
    /// In this environment variable.
    Env(String),
    /// By this flag, with its hyphens.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Env(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Everything that is wrong; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// Notes a problem of the value set at `origin`.
    pub(crate) fn at(&mut self, origin: &Origin, message: impl fmt::Display) {
        self.0.push(format!("{origin}: {message}"));
    }

    /// One line per problem.
    pub(crate) fn lines(&self) -> &[String] {
        &self.0
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}
