//! Verbs on files that declare objects, and on objects as files would declare them.

pub(crate) mod apply;
mod check;
pub(crate) mod delete;
pub(crate) mod diff;
mod files;
pub(crate) mod get;
pub(crate) mod resource;
mod show;

use super::error::{CliError, exit};
use super::output::count;
use crate::manifest::Problem;

/// Everything that is wrong, before anything was changed.
fn invalid(problems: &[Problem]) -> CliError {
    CliError::Listed {
        code: exit::USAGE,
        reason: "INVALID",
        message: format!("{}; nothing was changed", count(problems.len(), "problem")),
        lines: problems.iter().map(ToString::to_string).collect(),
        next: "correct the files; `millstream apply --help` shows their form".to_owned(),
    }
}
