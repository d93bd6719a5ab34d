//! Puts defaults, file, environment and flags together, and remembers where each value came from.

use super::file;
use super::keys::{KEYS, Key};
use super::problem::{Origin, Problems};
use super::suggest::nearest;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file that is read if none is named.
const DEFAULT_FILE: &str = "millstream.yaml";

/// Where values may come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    /// The file named by `--config` or `MILLSTREAM_CONFIG`; otherwise `millstream.yaml`, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The environment, only what can be text.
    pub(crate) env: BTreeMap<String, String>,
    /// Flags by key.
    pub(crate) flags: BTreeMap<&'static str, String>,
    /// Defaults by key, where they are others than usual.
    pub(crate) defaults: BTreeMap<&'static str, String>,
}

/// The text and the origin of every key.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The file that was read, if one was.
    pub(crate) file: Option<PathBuf>,
    /// Environment variables that look like a setting mistyped. Not refused: platforms set variables of their own
    /// with the name of a service as prefix.
    pub(crate) suspicious: Vec<String>,
    /// The environment's variables that begin as those of OpenTelemetry do.
    open_telemetry: BTreeMap<String, String>,
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Resolved {
    /// The value of `key`.
    pub(super) fn value(&self, key: &Key) -> (&str, Origin) {
        match self.values.get(key.name) {
            Some((text, origin)) => (text, origin.clone()),
            None => (key.default, Origin::Default),
        }
    }

    /// The standard variables of OpenTelemetry, which are no keys.
    pub(super) fn open_telemetry(&self) -> &BTreeMap<String, String> {
        &self.open_telemetry
    }

    /// Every key with its value and origin, in the order of [`KEYS`].
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static Key, &str, Origin)> {
        KEYS.iter().map(|key| {
            let (text, origin) = self.value(key);
            (key, text, origin)
        })
    }
}

/// Resolves every key; problems of the file are noted, those of values are for whoever reads them.
pub(crate) fn resolve(inputs: &Inputs, problems: &mut Problems) -> Resolved {
    let (file, mut values) = from_file(inputs, problems);
    for key in KEYS.iter() {
        // An empty variable is taken as unset: that is how compose files and unit files leave one out.
        if let Some(text) = inputs.env.get(&key.env()).filter(|text| !text.is_empty()) {
            values.insert(key.name, (text.clone(), Origin::Env(key.env())));
        }
        if let Some(text) = inputs.flags.get(key.name) {
            values.insert(
                key.name,
                (text.clone(), Origin::Flag(format!("--{}", key.flag()))),
            );
        }
    }
    for (key, text) in &inputs.defaults {
        let default = || (text.clone(), Origin::Default);
        values.entry(key).or_insert_with(default);
    }
    let suspicious = suspicious(&inputs.env);
    let standard = inputs.env.iter().filter(|(name, _)| name.starts_with("OTEL_"));
    Resolved {
        file,
        suspicious,
        open_telemetry: standard
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        values,
    }
}

fn suspicious(env: &BTreeMap<String, String>) -> Vec<String> {
    let known: Vec<String> = KEYS.iter().map(Key::env).collect();
    let ours = env
        .keys()
        .filter(|name| name.starts_with("MILLSTREAM_") && !known.contains(name));
    ours.filter_map(|name| {
        let meant = nearest(name, known.iter().map(String::as_str))?;
        Some(format!(
            "${name} is not a setting and is ignored; did you mean ${meant}?"
        ))
    })
    .collect()
}

type Values = BTreeMap<&'static str, (String, Origin)>;

fn from_file(inputs: &Inputs, problems: &mut Problems) -> (Option<PathBuf>, Values) {
    let path = match &inputs.file {
        Some(path) => path.clone(),
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return (None, Values::new()),
    };
    let shown = path.display().to_string();
    let text = std::fs::File::open(&path).and_then(|opened| {
        let mut text = String::new();
        opened
            .take(file::MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map(|_| text)
    });
    let values = match text {
        Ok(text) if text.len() as u64 > file::MAX_BYTES => {
            problems.at(
                &Origin::File { path: shown, line: 1 },
                "a configuration of more than 1 MiB is not read",
            );
            Values::new()
        }
        Ok(text) => file::parse(&shown, &text, problems),
        Err(e) => {
            problems.at(
                &Origin::Flag("--config".to_owned()),
                format!("{shown} cannot be read: {e}"),
            );
            Values::new()
        }
    };
    (Some(path), values)
}
