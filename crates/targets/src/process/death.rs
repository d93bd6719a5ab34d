//! What the end of a process means for the attempt it held. Pure: every way to end is told apart here.

use crate::event::Event;
use millstream_types::Outcome;
use millstream_types::invocation::{FunctionError, FunctionErrorKind, cut};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How much of the process's last output goes into an error's message, in bytes.
pub(super) const TAIL: usize = 2_048;

/// Why a process was ended by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    /// Its invocation took too long.
    Timeout,
    /// It did not ask for its first work in time.
    InitTimeout,
    /// It answered, and did not ask for more work in time.
    Late,
    /// It broke the protocol.
    Broken(String),
    /// It reported that it cannot start.
    InitError(FunctionError),
    /// It has been idle for long.
    Retired,
    /// The pool is being closed.
    Closed,
}

/// What the process had to do with an invocation when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It was started for it and had not asked for work yet.
    Starting,
    /// It was meant to get it next; the function's code has not seen it.
    Waiting,
    /// It had it.
    Running,
}

/// What is known of an end.
#[derive(Debug)]
pub(super) struct Death<'a> {
    pub(super) program: &'a str,
    pub(super) init_timeout: Duration,
    pub(super) status: Option<ExitStatus>,
    pub(super) doom: Option<&'a Doom>,
    /// The process's last output.
    pub(super) tail: &'a str,
}

impl Death<'_> {
    /// The outcome of the attempt; none if its code did not run and another process can take it.
    pub(super) fn outcome(&self, held: Held, event: &Event) -> Option<Outcome> {
        let error = match (self.doom, held) {
            (Some(Doom::Closed), _) => {
                return Some(Outcome::Unreachable {
                    reason: "the function is being closed or changed".to_owned(),
                });
            }
            (_, Held::Waiting) => return None,
            (Some(Doom::Timeout), _) => return Some(Outcome::Timeout { after: event.timeout }),
            (Some(Doom::InitError(error)), Held::Starting) => error.clone(),
            (Some(Doom::InitTimeout), _) => self.error(
                FunctionErrorKind::InitTimeout,
                "Runtime.InitTimeout",
                &format!(
                    "{} did not ask for work within {:?} of its start",
                    self.program, self.init_timeout
                ),
            ),
            (Some(Doom::Broken(how)), _) => self.error(
                FunctionErrorKind::Garbage,
                "Runtime.ProtocolError",
                &format!("the runtime {how}"),
            ),
            // A process that holds work is neither retired nor late; if it came to that it ended unasked.
            (_, Held::Starting) => {
                let text = format!("{} {} before it asked for work", self.program, self.how());
                self.error(FunctionErrorKind::Init, "Runtime.ExitError", &text)
            }
            (_, Held::Running) => {
                let text = format!(
                    "RequestId: {} Error: Runtime exited with error: {}",
                    event.id_text,
                    self.how()
                );
                self.error(self.kind(), "Runtime.ExitError", &text)
            }
        };
        Some(Outcome::FunctionError(error))
    }

    fn kind(&self) -> FunctionErrorKind {
        let signalled = self.status.is_some_and(|status| status.signal().is_some());
        if signalled {
            FunctionErrorKind::Crashed
        } else {
            FunctionErrorKind::Exited
        }
    }

    /// How the process ended, in words.
    pub(super) fn how(&self) -> String {
        let Some(status) = self.status else {
            return "ended in an unknown way".to_owned();
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => match Signal::try_from(signal) {
                Ok(name) => format!("signal {name}"),
                Err(_) => format!("signal {signal}"),
            },
            (None, None) => status.to_string(),
        }
    }

    fn error(&self, kind: FunctionErrorKind, error_type: &str, text: &str) -> FunctionError {
        if self.tail.is_empty() {
            return FunctionError::new(kind, error_type, text);
        }
        // The text is cut first, so that the tail's end, which says most, is kept.
        FunctionError::new(
            kind,
            error_type,
            &format!("{}; last output: {}", cut(text, 1_024), self.tail),
        )
    }
}

/// The error of a process that could not be started at all.
pub(super) fn not_started(program: &str, why: &std::io::Error) -> FunctionError {
    FunctionError::new(
        FunctionErrorKind::Init,
        "Runtime.InvalidEntrypoint",
        &format!("cannot start {program}: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::invocation;

    #[test]
    fn every_end_is_told_apart() {
        use FunctionErrorKind::{Crashed, Exited, Garbage, Init, InitTimeout};
        let event = Event::new(invocation(1)).unwrap();
        let exit = ExitStatus::from_raw(3 << 8);
        let kill = ExitStatus::from_raw(9);
        let broken = Doom::Broken("sang".to_owned());
        let init_error = Doom::InitError(FunctionError::new(Init, "T", "m"));
        for (doom, held, status, kind, part) in [
            (None, Held::Running, exit, Exited, "exit status 3"),
            (None, Held::Running, kill, Crashed, "signal SIGKILL"),
            (None, Held::Starting, exit, Init, "exit status 3 before it asked"),
            (None, Held::Starting, kill, Init, "signal SIGKILL before it asked"),
            (
                Some(&Doom::InitTimeout),
                Held::Starting,
                kill,
                InitTimeout,
                "within 10s",
            ),
            (Some(&broken), Held::Running, kill, Garbage, "the runtime sang"),
            (Some(&broken), Held::Starting, kill, Garbage, "the runtime sang"),
            (Some(&init_error), Held::Starting, exit, Init, "m"),
        ] {
            let death = Death {
                program: "./boot",
                init_timeout: Duration::from_secs(10),
                status: Some(status),
                doom,
                tail: "",
            };
            match death.outcome(held, &event) {
                Some(Outcome::FunctionError(e)) => {
                    assert_eq!(e.kind, kind, "{death:?}");
                    assert!(e.message.contains(part), "{}", e.message);
                }
                other => panic!("{other:?} for {death:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_failure_of_the_function_is_none() {
        let event = Event::new(invocation(1)).unwrap();
        let death = |doom| Death {
            program: "b",
            init_timeout: Duration::ZERO,
            status: Some(ExitStatus::from_raw(9)),
            doom,
            tail: "said",
        };
        assert_eq!(death(None).outcome(Held::Waiting, &event), None);
        assert_eq!(death(Some(&Doom::Retired)).outcome(Held::Waiting, &event), None);
        let timeout = Outcome::Timeout { after: event.timeout };
        assert_eq!(
            death(Some(&Doom::Timeout)).outcome(Held::Running, &event),
            Some(timeout)
        );
        for held in [Held::Waiting, Held::Running, Held::Starting] {
            let outcome = death(Some(&Doom::Closed)).outcome(held, &event);
            assert!(
                matches!(outcome, Some(Outcome::Unreachable { .. })),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn the_last_output_is_part_of_the_message() {
        let event = Event::new(invocation(1)).unwrap();
        let death = Death {
            program: "b",
            init_timeout: Duration::ZERO,
            status: Some(ExitStatus::from_raw(9)),
            doom: None,
            tail: "out of coffee",
        };
        let Some(Outcome::FunctionError(e)) = death.outcome(Held::Running, &event) else {
            panic!("no error")
        };
        assert!(e.message.ends_with("last output: out of coffee"), "{}", e.message);
    }
}
