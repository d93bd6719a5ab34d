//! What processes print: read line by line, tagged, bounded in length and rate, the end kept for messages.

use super::ring::{Lines, Rate, Ring};
use crate::text::visible;
use millstream_types::RequestId;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::unix::pipe::Receiver;

/// Longest line passed on, in bytes; the rest of a longer one is dropped.
const LONGEST_LINE: usize = 16 * 1024;
/// How much of a process's last output is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// Lines passed on per second and process, and at once after a silence.
const LINES_PER_SECOND: u32 = 200;
const LINES_AT_ONCE: u32 = 1_000;
/// How much is read in one go before others get their turn.
const READ_AT_ONCE: usize = 64 * 1024;

/// Both outputs of one process.
pub(super) struct Output {
    function: Arc<str>,
    pid: u32,
    pipes: [Option<Receiver>; 2],
    state: Mutex<State>,
}

struct State {
    lines: [Lines; 2],
    ring: Ring,
    tap: Tap,
}

/// Whose output it is, and how much of it may still pass.
struct Tap {
    request: Option<RequestId>,
    rate: Rate,
    dropped: u64,
}

const NAMES: [&str; 2] = ["stdout", "stderr"];

impl Output {
    /// Takes the pipes over. Needs the async runtime.
    pub(super) fn new(
        function: Arc<str>,
        pid: u32,
        out: (Option<ChildStdout>, Option<ChildStderr>),
    ) -> io::Result<Self> {
        let receiver = |fd: Option<OwnedFd>| fd.map(Receiver::from_owned_fd).transpose();
        Ok(Self {
            function,
            pid,
            pipes: [
                receiver(out.0.map(OwnedFd::from))?,
                receiver(out.1.map(OwnedFd::from))?,
            ],
            state: Mutex::new(State {
                lines: [Lines::new(LONGEST_LINE), Lines::new(LONGEST_LINE)],
                ring: Ring::new(KEPT),
                tap: Tap {
                    request: None,
                    rate: Rate::new(LINES_PER_SECOND, LINES_AT_ONCE, Instant::now()),
                    dropped: 0,
                },
            }),
        })
    }

    /// Reads until both pipes are closed by all who hold them.
    pub(super) async fn pump(&self) {
        futures::join!(self.pump_one(0), self.pump_one(1));
    }

    async fn pump_one(&self, which: usize) {
        let Some(Some(pipe)) = self.pipes.get(which) else {
            return;
        };
        while pipe.readable().await.is_ok() {
            if !self.drain(which, pipe) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let State { lines, tap, .. } = &mut *self.state();
        if let Some(lines) = lines.get_mut(which) {
            lines.finish(|line, cut| self.emit(which, line, cut, tap));
        }
    }

    /// From now on output belongs to `request`. What was printed before is read first, so that it keeps the
    /// tag of the request before.
    pub(super) fn begin(&self, request: RequestId) {
        for (which, pipe) in self.pipes.iter().enumerate() {
            if let Some(pipe) = pipe {
                self.drain(which, pipe);
            }
        }
        self.state().tap.request = Some(request);
    }

    /// The last `max` bytes printed, as text.
    pub(super) fn tail(&self, max: usize) -> String {
        self.state().ring.tail(max)
    }

    /// Reads what is there; false at the end of the pipe. Under the lock, so that bytes keep their order.
    fn drain(&self, which: usize, pipe: &Receiver) -> bool {
        let State { lines, ring, tap } = &mut *self.state();
        let Some(lines) = lines.get_mut(which) else {
            return false;
        };
        let mut buffer = [0_u8; 8 * 1024];
        for _ in 0..READ_AT_ONCE / buffer.len() {
            let bytes = match pipe.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(n) => buffer.get(..n).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            ring.push(bytes);
            lines.push(bytes, |line, cut| self.emit(which, line, cut, tap));
        }
        true
    }

    fn emit(&self, which: usize, line: &str, cut: bool, tap: &mut Tap) {
        if !tap.rate.take(Instant::now()) {
            tap.dropped += 1;
            return;
        }
        let (function, pid) = (&*self.function, self.pid);
        let stream = NAMES.get(which).copied().unwrap_or_default();
        let request_id = tap.request.map(tracing::field::display);
        let lost = std::mem::take(&mut tap.dropped);
        if lost > 0 {
            tracing::info!(target: "millstream::function", function, pid, lost, "lines beyond the rate were dropped");
        }
        let line = visible(line);
        tracing::info!(target: "millstream::function", function, pid, request_id, stream, cut, "{line}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
