//! `docs/configuration.md`, made from the table of keys.

use super::keys::KEYS;
use std::fmt::Write;

const HEAD: &str = "\
# Configuration of the server

<!-- Made by `millstream config reference`; a test keeps it current. Edit crates/server/src/config/keys.rs. -->

Every setting can be given as a key in a YAML file, as an environment variable, or as a flag of `millstream server`.
Flags win over the environment, the environment wins over the file, the file over the defaults.
The file is the one named by `--config` or `MILLSTREAM_CONFIG`, otherwise `millstream.yaml` in the working directory
if there is one. An unknown key is refused, and all problems are reported at once.

`millstream config check` checks without starting anything; `millstream config print` shows every value and where it
came from.

A DURATION is a number with a unit, `ms`, `s`, `m`, `h` or `d`, or several of them: `30s`, `1h30m`.
A SIZE is a number of bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB`.

Whether and where traces are exported is said by OpenTelemetry's standard `OTEL_…` variables and by nothing else:
[telemetry.md](telemetry.md). `millstream config check` checks them, too.

| key | flag | environment | default |
|---|---|---|---|
";

/// The whole text of the reference.
pub(crate) fn reference() -> String {
    let mut text = HEAD.to_owned();
    for key in KEYS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| [`{}`](#{}) | `--{} {}` | `{}` | {} |",
            key.name,
            key.name,
            key.flag(),
            key.form.replace('|', "\\|"),
            key.env(),
            if key.default.is_empty() {
                "none".to_owned()
            } else {
                format!("`{}`", key.default)
            }
        );
    }
    for key in KEYS {
        let _ = write!(text, "\n## {}\n\n{}.\n", key.name, key.summary);
        if !key.detail.is_empty() {
            let _ = writeln!(text, "\n{}", key.detail);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == super::reference(),
            "docs/configuration.md is not current: cargo run -p millstream-server -- config reference > docs/configuration.md"
        );
    }
}
