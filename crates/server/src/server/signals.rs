//! SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// A signal that stops the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// What service managers send.
    Terminate,
    /// Ctrl-C.
    Interrupt,
}

impl Signal {
    /// The exit code of a process that this signal ended, as shells tell it.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Resolves at the first signal. The second ends the process, from wherever it hangs.
///
/// # Errors
/// If the handlers cannot be installed.
pub(super) fn watch() -> std::io::Result<oneshot::Receiver<Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, stop) = oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            let signal = tokio::select! {
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = interrupt.recv() => Signal::Interrupt,
                else => return,
            };
            match first.take() {
                // Nobody waits any more if the server is stopping by itself: the next signal ends it.
                Some(first) => drop(first.send(signal)),
                None => {
                    tracing::warn!(?signal, "second signal: ending at once");
                    std::process::exit(signal.exit_code());
                }
            }
        }
    });
    Ok(stop)
}
