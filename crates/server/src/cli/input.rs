//! Files and standard input as commands read them.

use super::error::CliError;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};

/// Longest document that is read whole: no request may be longer.
const MAX_WHOLE: u64 = millstream_api::MAX_PAYLOAD_MESSAGE_BYTES as u64;

/// A file, or standard input for `-`, to be read line by line; with its size if known.
///
/// # Errors
/// If it cannot be opened, or standard input is a terminal.
pub(crate) fn lines(path: &str) -> Result<(Box<dyn BufRead + Send>, Option<u64>), CliError> {
    if path == "-" {
        if std::io::stdin().is_terminal() {
            return Err(CliError::usage(
                "nothing to read: standard input is a terminal",
                "pipe something in, or name a file with --file",
            ));
        }
        return Ok((Box::new(BufReader::new(std::io::stdin())), None));
    }
    let file = File::open(path).map_err(|e| cannot_read(path, &e))?;
    let size = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len());
    Ok((Box::new(BufReader::with_capacity(1 << 16, file)), size))
}

/// A whole file, or all of standard input for `-`.
///
/// # Errors
/// As [`lines`], or if it is longer than any request may be.
pub(crate) fn whole(path: &str) -> Result<Vec<u8>, CliError> {
    let (reader, _) = lines(path)?;
    let mut bytes = Vec::new();
    reader
        .take(MAX_WHOLE + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| cannot_read(path, &e))?;
    if bytes.len() as u64 > MAX_WHOLE {
        return Err(CliError::usage(
            format!("{path} is longer than {MAX_WHOLE} bytes"),
            "no request may be longer",
        ));
    }
    Ok(bytes)
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(length: Option<u64>) -> ProgressBar {
    let Some(length) = length.filter(|_| std::io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What to say about a file that cannot be read.
pub(crate) fn cannot_read(path: &str, e: &std::io::Error) -> CliError {
    CliError::failed("IO", format!("{path} cannot be read: {e}"), "")
}
