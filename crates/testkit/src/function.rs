//! A function that fails as told, record by record.

use async_trait::async_trait;
use bytes::Bytes;
use millstream_ports::{Body, InvokeFactory, Invoker, PoolStatus};
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use millstream_types::{Function, Invocation, Mark, Message, Outcome, Payload, Record, WindowEnvelope};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong when a record is handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The function throws.
    Error,
    /// It does not return in time.
    Timeout,
    /// There is no capacity.
    Throttle(Option<Duration>),
    /// It cannot be reached.
    Unreachable,
    /// It reports the record in `batchItemFailures`.
    Report,
    /// It answers this, whatever the batch holds.
    Answer(Bytes),
}

/// How often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The first so many times that the record is the first one at fault in a batch.
    Times(u32, Fault),
    /// For ever.
    Always(Fault),
}

/// Which records, by what their payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A payload that contains this is meant; an empty text means every record.
    pub payload_contains: String,
    /// What becomes of it.
    pub behaviour: Behaviour,
}

/// Rules and what was used up of them. The first rule that fits a record counts.
#[derive(Clone, Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
    used: BTreeMap<String, u32>,
}

/// A record or message, as a script sees it.
struct Item<'a> {
    /// Tells it from all others.
    key: String,
    /// What a report calls it.
    id: String,
    data: &'a [u8],
}

impl Script {
    /// A function that always succeeds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule for payloads that contain `text`.
    #[must_use]
    pub fn with(mut self, text: &str, behaviour: Behaviour) -> Self {
        self.rules.push(Rule {
            payload_contains: text.to_owned(),
            behaviour,
        });
        self
    }

    /// What comes of one attempt with these records: the first record at fault decides.
    pub fn answer(&mut self, records: &[Record]) -> Outcome {
        let item = |r: &'_ Record| (r.mark.to_string(), r.mark.seq.to_string());
        let items: Vec<Item<'_>> = records
            .iter()
            .map(|r| {
                let (key, id) = item(r);
                Item {
                    key,
                    id,
                    data: &r.data,
                }
            })
            .collect();
        self.decide(&items)
    }

    /// The same of messages.
    pub fn answer_messages(&mut self, messages: &[Message]) -> Outcome {
        let items: Vec<Item<'_>> = messages
            .iter()
            .map(|m| Item {
                key: m.id.to_string(),
                id: m.id.to_string(),
                data: &m.body,
            })
            .collect();
        self.decide(&items)
    }

    fn decide(&mut self, items: &[Item<'_>]) -> Outcome {
        let Some((first, fault)) = items.iter().find_map(|i| Some((i, self.fault_of(i)?))) else {
            return Outcome::Response(Bytes::from_static(b"{}"));
        };
        let reported: Vec<&str> = match fault {
            Fault::Report => items
                .iter()
                .filter(|i| self.fault_of(i) == Some(Fault::Report))
                .map(|i| i.id.as_str())
                .collect(),
            _ => Vec::new(),
        };
        let report = report_of_ids(&reported);
        *self.used.entry(first.key.clone()).or_default() += 1;
        match fault {
            Fault::Error => raised("Scripted"),
            Fault::Timeout => Outcome::Timeout {
                after: Duration::from_secs(3),
            },
            Fault::Throttle(retry_after) => Outcome::Throttled { retry_after },
            Fault::Unreachable => Outcome::Unreachable {
                reason: "scripted".to_owned(),
            },
            Fault::Report => report,
            Fault::Answer(body) => Outcome::Response(body),
        }
    }

    fn fault_of(&self, item: &Item<'_>) -> Option<Fault> {
        let fits =
            |text: &str| text.is_empty() || item.data.windows(text.len()).any(|w| w == text.as_bytes());
        match &self.rules.iter().find(|r| fits(&r.payload_contains))?.behaviour {
            Behaviour::Always(fault) => Some(fault.clone()),
            Behaviour::Times(times, fault) => {
                (self.used.get(&item.key).copied().unwrap_or(0) < *times).then(|| fault.clone())
            }
        }
    }
}

/// A response that reports these records as failed (semantics, section 8).
#[must_use]
pub fn report_of(failed: &[Mark]) -> Outcome {
    let ids: Vec<String> = failed.iter().map(|m| m.seq.to_string()).collect();
    report_of_ids(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A response that reports what has these ids as failed.
#[must_use]
pub fn report_of_ids(failed: &[&str]) -> Outcome {
    let items: Vec<String> = failed
        .iter()
        .map(|id| format!(r#"{{"itemIdentifier":"{id}"}}"#))
        .collect();
    Outcome::Response(format!(r#"{{"batchItemFailures":[{}]}}"#, items.join(",")).into())
}

/// A response of a function in a tumbling window: its state is the list of the payloads of all records before the first
/// one that is reported, behind those it was given.
fn folded(outcome: Outcome, records: &[Record], window: &WindowEnvelope) -> Outcome {
    let Outcome::Response(body) = &outcome else {
        return outcome;
    };
    let text = String::from_utf8_lossy(body);
    let reported = |r: &&Record| !text.contains(&format!("\"{}\"", r.mark.seq));
    let quoted = |r: &Record| format!("{:?}", String::from_utf8_lossy(&r.data));
    let old = String::from_utf8_lossy(&window.state);
    let old = old.trim_matches(['[', ']', '{', '}']);
    let all: Vec<String> = (!old.is_empty())
        .then(|| old.to_owned())
        .into_iter()
        .chain(records.iter().take_while(reported).map(quoted))
        .collect();
    let rest = match text.trim_start_matches('{') {
        "}" => "}".to_owned(),
        rest => format!(",{rest}"),
    };
    Outcome::Response(format!("{{\"state\":[{}]{rest}", all.join(",")).into())
}

/// A function that throws an error of this type.
#[must_use]
pub fn raised(error_type: &str) -> Outcome {
    Outcome::FunctionError(FunctionError {
        kind: FunctionErrorKind::Raised,
        error_type: error_type.to_owned(),
        message: "as the test told it to".to_owned(),
    })
}

/// The [`Invoker`] port over a [`Script`]; remembers what it was called with. Also a factory that gives itself.
#[derive(Clone, Debug)]
pub struct ScriptedFunction {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    calls: Vec<Invocation>,
}

impl ScriptedFunction {
    /// A function that follows `script`.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                script,
                calls: Vec::new(),
            })),
        }
    }

    /// All calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Invocation> {
        self.with(|s| s.calls.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Invoker for ScriptedFunction {
    fn body(&self) -> Body {
        Body::Records
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        self.with(|s| {
            let outcome = match &invocation.payload {
                Payload::Records(range) => {
                    let outcome = s.script.answer(range.as_slice());
                    match &invocation.window {
                        Some(window) => folded(outcome, range.as_slice(), window),
                        None => outcome,
                    }
                }
                Payload::Json(_) | Payload::Messages(_) => raised("AskedForRecords"),
            };
            s.calls.push(invocation);
            outcome
        })
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    async fn close(&self) {}
}

impl InvokeFactory for ScriptedFunction {
    fn invoker(&self, _function: &Function) -> Result<Arc<dyn Invoker>, String> {
        Ok(Arc::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Seq, Wall};

    fn batch(payloads: &[&str]) -> Vec<Record> {
        let record = |(n, data): (usize, &&str)| Record {
            mark: Mark::of(Seq::from_u128(n as u128)),
            arrival: Wall(0),
            partition_key: Bytes::from_static(b"k"),
            data: Bytes::copy_from_slice(data.as_bytes()),
            trace: None,
        };
        payloads.iter().enumerate().map(record).collect()
    }

    #[test]
    fn a_record_fails_as_often_as_told_and_the_first_at_fault_decides() {
        let mut script = Script::new()
            .with("twice", Behaviour::Times(2, Fault::Error))
            .with("slow", Behaviour::Always(Fault::Timeout));
        let both = batch(&["ok", "twice", "slow"]);
        for expect in ["error", "error", "timeout", "timeout"] {
            let got = match script.answer(&both) {
                Outcome::FunctionError(_) => "error",
                Outcome::Timeout { .. } => "timeout",
                _ => "other",
            };
            assert_eq!(got, expect);
        }
        assert_eq!(
            script.answer(&both[..2]),
            Outcome::Response(Bytes::from_static(b"{}"))
        );
    }

    #[test]
    fn in_a_window_the_state_lists_what_is_done() {
        let records = batch(&["a", "b", "c"]);
        let window = |state: &'static str| WindowEnvelope {
            start: Wall(0),
            end: Wall(1),
            state: Bytes::from_static(state.as_bytes()),
            is_final: false,
            terminated_early: false,
        };
        let text = |outcome| match folded(outcome, &records, &window("[\"z\"]")) {
            Outcome::Response(body) => String::from_utf8(body.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(Script::new().answer(&records)),
            r#"{"state":["z","a","b","c"]}"#
        );
        let reported = text(report_of(&[records[1].mark]));
        assert_eq!(
            reported,
            r#"{"state":["z","a"],"batchItemFailures":[{"itemIdentifier":"1"}]}"#
        );
        let first = folded(Script::new().answer(&records[..1]), &records[..1], &window("{}"));
        assert_eq!(
            first,
            Outcome::Response(Bytes::from_static(br#"{"state":["a"]}"#))
        );
    }

    #[test]
    fn a_report_names_every_record_at_fault() {
        let mut script = Script::new().with("bad", Behaviour::Times(1, Fault::Report));
        let records = batch(&["bad", "ok", "bad"]);
        let named = |answer| match answer {
            Outcome::Response(body) => String::from_utf8(body.to_vec())
                .unwrap()
                .matches("itemIdentifier")
                .count(),
            _ => 99,
        };
        assert_eq!(named(script.answer(&records)), 2);
        assert_eq!(named(script.answer(&records)), 1);
        assert_eq!(named(script.answer(&records)), 0);
    }
}
