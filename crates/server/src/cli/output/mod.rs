//! What commands print, in the form that was asked for.
//!
//! `json` and `yaml` are the messages of the API by the protobuf JSON mapping, with two choices made for people who
//! use `jq`: field names are as in `proto/` (`record_count`), and 64-bit integers are numbers (all are counts far
//! below 2^53; sequence numbers are strings in the API itself). Keys of maps are sorted. Fields without a value are printed too (`0`, `""`,
//! `[]`), except those where unset means something (`optional` and message fields).

mod json;
mod ordered;
mod screen;
mod table;

pub(crate) use json::{Shown, from_json, to_json, to_yaml};
pub(crate) use screen::{Paint, Screen};
pub(crate) use table::{Columns, Table};

use clap::ValueEnum;

/// `1 record`, `2 records`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// The forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// More columns.
    Wide,
    /// The API's message as JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// Resource names only, one a line.
    Name,
}

impl Format {
    /// Whether it is meant for people.
    pub(crate) fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}
