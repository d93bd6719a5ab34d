//! `strace` on a running server: what it asked of the kernel, in order, and errors that the kernel did not have.

use crate::wait::SOON;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A trace that is being written.
pub(crate) struct Strace {
    child: Child,
    trace: PathBuf,
}

impl Strace {
    /// Traces every thread of a process from now on, with strace's own arguments. `dir` takes the trace.
    ///
    /// # Panics
    /// If strace is missing or may not trace.
    pub(crate) async fn attach(pid: Pid, dir: &Path, args: &[&str]) -> Self {
        let trace = dir.join("trace.txt");
        let mut child = Command::new("strace")
            .args(["-f", "-y", "-s", "600", "-o"])
            .arg(&trace)
            .args(args)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("strace cannot be started: install it (scripts/setup.sh does)");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut heard = Vec::new();
        let attached = async {
            while let Some(line) = said.next_line().await.unwrap() {
                if line.contains(" attached") {
                    return true;
                }
                heard.push(line);
            }
            false
        };
        let attached = timeout(SOON, attached).await == Ok(true);
        assert!(attached, "strace may not trace the server: {heard:?}");
        // What it says later is of no interest, but it must not be stopped by a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { child, trace }
    }

    /// Lets the process go and returns the lines of the trace.
    pub(crate) async fn detach(mut self) -> Vec<String> {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed());
        kill(pid, Signal::SIGINT).unwrap();
        timeout(SOON, self.child.wait())
            .await
            .expect("strace does not end")
            .unwrap();
        let text = std::fs::read(&self.trace).unwrap();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// Whether a line of a trace is a finished, successful sync of RocksDB's log.
fn is_sync_end(line: &str, thread: &str) -> bool {
    let of_thread = line.split(' ').next() == Some(thread);
    let whole = is_sync_start(line) && !line.contains("<unfinished");
    let resumed = line.contains("sync resumed>");
    of_thread && (whole || resumed) && line.ends_with("= 0")
}

fn is_sync_start(line: &str) -> bool {
    (line.contains(" fdatasync(") || line.contains(" fsync(")) && line.contains(".log>")
}

/// How many syncs of the log a trace shows, finished or not.
pub(crate) fn syncs(trace: &[String]) -> usize {
    trace.iter().filter(|l| is_sync_start(l)).count()
}

/// Whether a put whose record holds `payload` was answered with `sequence` only after a sync of the log that
/// began after the record was written to it.
///
/// # Errors
/// What happened instead.
pub(crate) fn acknowledged_after_sync(trace: &[String], payload: &str, sequence: &str) -> Result<(), String> {
    let at = |what: &str, from: usize, found: &dyn Fn(&str) -> bool| {
        let place = trace.iter().skip(from).position(|l| found(l)).map(|n| n + from);
        place.ok_or_else(|| format!("{payload}: no {what} after line {from}"))
    };
    let written = at("write to the log", 0, &|l| {
        l.contains(payload) && l.contains("write") && l.contains(".log>")
    })?;
    let thread = trace[written].split(' ').next().unwrap_or_default();
    let begun = at("sync", written + 1, &is_sync_start)?;
    let thread = if is_sync_start(&trace[begun]) {
        trace[begun].split(' ').next()
    } else {
        Some(thread)
    };
    let synced = at("end of the sync", begun, &|l| {
        is_sync_end(l, thread.unwrap_or_default())
    })?;
    let answered = at("answer", 0, &|l| l.contains("socket:") && l.contains(sequence))?;
    if answered < synced {
        return Err(format!(
            "{payload}: answered in line {answered}, synced in line {synced} of the trace"
        ));
    }
    Ok(())
}

/// The judge must be able to say no.
#[test]
fn an_answer_before_its_sync_is_found() {
    let write = r#"9 write(14</d/db/4.log>, "..kPAYLOAD", 72) = 72"#;
    let sync = "9 fdatasync(14</d/db/4.log>) = 0";
    let begun = "9 fdatasync(14</d/db/4.log> <unfinished ...>";
    let resumed = "9 <... fdatasync resumed>)            = 0";
    let failed = "9 fdatasync(14</d/db/4.log>) = -1 EIO (Input/output error) (INJECTED)";
    let answer = r#"7 writev(17<socket:[1]>, [{iov_base="..shardId-0..4900..", iov_len=9}], 1) = 9"#;
    for (lines, holds) in [
        (vec![write, sync, answer], true),
        (vec![write, begun, resumed, answer], true),
        (vec![write, begun, answer, resumed], false),
        (vec![write, answer, sync], false),
        (vec![sync, write, answer], false),
        (vec![write, failed, answer], false),
        (vec![write, failed, answer, sync], false),
        (vec![write, sync], false),
    ] {
        let trace: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        let judged = acknowledged_after_sync(&trace, "PAYLOAD", "4900");
        assert_eq!(judged.is_ok(), holds, "{lines:?}: {judged:?}");
    }
}
