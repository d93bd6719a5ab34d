//! The exact check of a queue: what its function wrote down, and what is left in the queue and its dead-letter queue,
//! against the file itself. Pure functions; nothing here asks the server.

use super::QueueScene;
use super::log::{self, Line};
use super::sender::{Receipt, Sent};
use crate::check::{Check, out_of_order};
use crate::flights::Flight;
use millstream_api::v1;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A queue and its dead-letter queue when all is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remains {
    pub(crate) queue: v1::Queue,
    /// Everything in the dead-letter queue.
    pub(crate) dead: Vec<v1::QueueMessage>,
}

/// What all checks of a queue look at.
pub(crate) struct Evidence<'a> {
    pub(crate) scene: &'a QueueScene,
    pub(crate) flights: &'a [Flight],
    pub(crate) sent: &'a Sent,
    pub(crate) lines: &'a [Line<'a>],
    pub(crate) remains: &'a Remains,
}

/// Every check of a queue.
pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut checks = vec![evidence.processed()];
    if evidence.scene.fifo {
        checks.push(evidence.order());
    }
    checks.extend([evidence.ids(), evidence.dead_letters(), evidence.empty()]);
    checks
}

/// The number in a message's body.
#[derive(Deserialize)]
struct Numbered {
    n: usize,
}

impl Evidence<'_> {
    /// Every flight that is sent and not refused was processed as what it is, and no other was.
    fn processed(&self) -> Check {
        let scene = self.scene;
        let is_wanted = |flight: &&Flight| scene.takes(flight) && !scene.is_refused(flight);
        let wanted: BTreeMap<usize, &Flight> = self
            .flights
            .iter()
            .filter(is_wanted)
            .map(|flight| (flight.n, flight))
            .collect();
        let mut missing: BTreeSet<usize> = wanted.keys().copied().collect();
        let mut problems = Vec::new();
        // All lines, not only the first ones: a repetition must say the same.
        for line in self.lines {
            missing.remove(&line.n);
            let expected = wanted
                .get(&line.n)
                .map(|flight| ((scene.key)(flight), (scene.minutes)(flight)));
            match expected {
                None => problems.push(format!("flight {} should not have been processed", line.n)),
                Some(expected) if expected != (line.key, line.minutes) => problems.push(format!(
                    "flight {}: {} and {:?} minutes in the file, {} and {:?} in the function",
                    line.n, expected.0, expected.1, line.key, line.minutes
                )),
                Some(_) => {}
            }
        }
        problems.extend(missing.iter().map(|n| format!("flight {n} was not processed")));
        let what = format!(
            "{}: each of the {} {} that it does not refuse was processed, and nothing else",
            scene.function,
            wanted.len(),
            scene.what
        );
        Check::new(what, problems)
    }

    /// Each group's flights were first processed in the order in which they were sent.
    fn order(&self) -> Check {
        let firsts = log::firsts(self.lines);
        let groups: BTreeSet<&str> = firsts.iter().map(|line| line.key).collect();
        let what = format!(
            "{}: the order of each of {} message groups was kept",
            self.scene.function,
            groups.len()
        );
        Check::new(what, out_of_order(firsts.iter().map(|line| (line.key, line.n))))
    }

    /// What the function saw as id or sequence number is what the send was told. A standard queue has a second
    /// message for a flight at most if it had to be sent twice; a FIFO queue never has.
    fn ids(&self) -> Check {
        let receipts = self.receipts();
        let mut seen: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for line in self.lines {
            seen.entry(line.n).or_default().insert(line.id);
        }
        let mut problems = Vec::new();
        for (n, ids) in seen {
            let Some(receipt) = receipts.get(&n) else {
                problems.push(format!("flight {n} was never sent"));
                continue;
            };
            let told = if self.scene.fifo {
                &receipt.sequence
            } else {
                &receipt.id
            };
            let others = ids.iter().filter(|id| **id != told.as_str()).count();
            if !ids.contains(told.as_str()) || others > self.copies(n) {
                problems.push(format!("flight {n}: sent as {told}, seen as {ids:?}"));
            }
        }
        let what = if self.scene.fifo {
            "sequence numbers are those of the receipts, repeated sends included"
        } else {
            "message ids are those of the receipts, or of sends that were not answered"
        };
        Check::new(format!("{}: {what}", self.scene.function), problems)
    }

    /// Every flight that the function refuses, and nothing else, is in the dead-letter queue, once.
    fn dead_letters(&self) -> Check {
        let receipts = self.receipts();
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        let mut problems = Vec::new();
        for message in &self.remains.dead {
            match self.judge(message, &receipts) {
                Ok(n) => *times.entry(n).or_default() += 1,
                Err(problem) => problems.push(problem),
            }
        }
        let refused = self.flights.iter().filter(|flight| self.scene.is_refused(flight));
        let mut count = 0;
        for flight in refused {
            let times = times.get(&flight.n).copied().unwrap_or(0);
            if times == 0 || times > 1 + self.copies(flight.n) {
                problems.push(format!(
                    "flight {}: {times} dead letters instead of one",
                    flight.n
                ));
            }
            count += 1;
        }
        let what = format!(
            "{}: exactly the {count} {} that the function refuses are dead letters",
            self.scene.dead_letters, self.scene.what
        );
        Check::new(what, problems)
    }

    /// The flight of a dead letter, if it is one and came the right way.
    fn judge(
        &self,
        message: &v1::QueueMessage,
        receipts: &BTreeMap<usize, &Receipt>,
    ) -> Result<usize, String> {
        let id = &message.message_id;
        let Numbered { n } =
            serde_json::from_str(&message.body).map_err(|error| format!("{id}: not ours: {error}"))?;
        let flight = self.flights.get(n).filter(|flight| self.scene.is_refused(flight));
        let flight = flight.ok_or_else(|| format!("flight {n} should not be a dead letter"))?;
        let receipt = receipts
            .get(&n)
            .ok_or_else(|| format!("flight {n} was never sent"))?;
        if receipt.id != *id && self.copies(n) == 0 {
            return Err(format!(
                "flight {n}: sent as {}, dead-lettered as {id}",
                receipt.id
            ));
        }
        let group = if self.scene.fifo { flight.dest.as_str() } else { "" };
        if message.message_group_id != group {
            return Err(format!("flight {n}: of group {:?}", message.message_group_id));
        }
        if message.dead_letter_source_arn != self.remains.queue.arn {
            return Err(format!(
                "flight {n}: came from {:?}",
                message.dead_letter_source_arn
            ));
        }
        Ok(n)
    }

    fn empty(&self) -> Check {
        let problems = match &self.remains.queue.depth {
            None => vec!["the server does not say how much is in it".to_owned()],
            Some(depth) => [
                ("visible", depth.visible_messages),
                ("hidden", depth.hidden_messages),
                ("delayed", depth.delayed_messages),
            ]
            .into_iter()
            .filter(|(_, count)| *count != 0)
            .map(|(kind, count)| format!("{count} {kind} messages"))
            .collect(),
        };
        Check::new(
            format!("{}: nothing is left in the queue", self.scene.queue),
            problems,
        )
    }

    fn receipts(&self) -> BTreeMap<usize, &Receipt> {
        let receipts = self.sent.receipts.iter();
        receipts.map(|receipt| (receipt.n, receipt)).collect()
    }

    /// How many messages of a flight there may be beyond the one.
    fn copies(&self, n: usize) -> usize {
        usize::from(!self.scene.fifo && self.sent.again.contains(&n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QUEUES;
    use crate::queue::tests::flights;

    /// Sequence numbers are 100 and more, ids the same behind an `m`.
    fn sent(scene: &QueueScene, again: &[usize]) -> Sent {
        let receipts = scene.messages(&flights()).into_iter().map(|n| Receipt {
            n,
            id: format!("m{}", 100 + n),
            sequence: if scene.fifo {
                format!("{}", 100 + n)
            } else {
                String::new()
            },
        });
        Sent {
            receipts: receipts.collect(),
            again: again.iter().copied().collect(),
        }
    }

    fn letter(scene: &QueueScene, n: usize) -> v1::QueueMessage {
        let group = if scene.fifo {
            flights()[n].dest.clone()
        } else {
            String::new()
        };
        v1::QueueMessage {
            message_id: format!("m{}", 100 + n),
            body: format!(r#"{{"n":{n}}}"#),
            message_group_id: group,
            dead_letter_source_arn: "arn".to_owned(),
            ..Default::default()
        }
    }

    fn remains(dead: Vec<v1::QueueMessage>, left: [i64; 3]) -> Remains {
        let [visible_messages, hidden_messages, delayed_messages] = left;
        Remains {
            queue: v1::Queue {
                arn: "arn".to_owned(),
                depth: Some(v1::QueueDepth {
                    visible_messages,
                    hidden_messages,
                    delayed_messages,
                    ..Default::default()
                }),
                ..Default::default()
            },
            dead,
        }
    }

    fn problems(scene: &QueueScene, again: &[usize], log: &str, remains: &Remains) -> Vec<String> {
        let (flights, sent) = (flights(), sent(scene, again));
        let checks = all(&Evidence {
            scene,
            flights: &flights,
            sent: &sent,
            lines: &log::parse(log).unwrap(),
            remains,
        });
        checks.into_iter().flat_map(|check| check.problems).collect()
    }

    const ARRIVALS: &str = "5 B -3 m105 1 1 1\n0 A 5 m100 1 1 1\n0 A 5 m100 2 1 1\n";
    const DEPARTURES: &str =
        "0 IAH 5 100 1 1 1\n1 IAH -2 101 1 1 1\n5 IAH -3 105 1 1 1\n1 IAH -2 101 2 1 1\n";

    #[test]
    fn all_is_well_when_each_was_processed_or_dead_lettered() {
        let [arrivals, departures] = &QUEUES;
        for (scene, log, refused) in [(arrivals, ARRIVALS, 1), (departures, DEPARTURES, 2)] {
            let remains = remains(vec![letter(scene, refused)], [0; 3]);
            assert_eq!(problems(scene, &[], log, &remains), Vec::<String>::new());
        }
    }

    #[test]
    fn what_the_function_did_wrong_is_seen() {
        let [arrivals, departures] = &QUEUES;
        for (scene, log, problem) in [
            (
                arrivals,
                ARRIVALS.replace("5 B -3 m105 1 1 1\n", ""),
                "flight 5 was not processed",
            ),
            (
                arrivals,
                ARRIVALS.replace("0 A 5 m100 2", "0 A 6 m100 2"),
                "flight 0: A and Some(5) minutes in the file, A and Some(6) in the function",
            ),
            (
                arrivals,
                format!("{ARRIVALS}2 A - m102 1 1 1\n"),
                "flight 2 should not have been processed",
            ),
            (
                arrivals,
                ARRIVALS.replace("m100 2", "m999 2"),
                r#"flight 0: sent as m100, seen as {"m100", "m999"}"#,
            ),
            (
                departures,
                format!("1 IAH -2 101 1 1 1\n{DEPARTURES}"),
                "IAH: flight 0 came after flight 1",
            ),
            (
                departures,
                DEPARTURES.replace("105", "106"),
                r#"flight 5: sent as 105, seen as {"106"}"#,
            ),
        ] {
            let refused = usize::from(scene.fifo) + 1;
            let remains = remains(vec![letter(scene, refused)], [0; 3]);
            assert_eq!(problems(scene, &[], &log, &remains)[0], problem, "{log}");
        }
    }

    #[test]
    fn an_unanswered_send_may_have_left_a_second_message_on_a_standard_queue_only() {
        let [arrivals, departures] = &QUEUES;
        let log = ARRIVALS.replace("m100 2", "m999 1");
        let mut copy = letter(arrivals, 1);
        copy.message_id = "m998".to_owned();
        let both = remains(vec![letter(arrivals, 1), copy], [0; 3]);
        assert_eq!(problems(arrivals, &[0, 1], &log, &both), Vec::<String>::new());
        assert_eq!(problems(arrivals, &[], &log, &both).len(), 2);
        let log = format!("{DEPARTURES}1 IAH -2 199 1 1 1\n");
        let one = remains(vec![letter(departures, 2)], [0; 3]);
        assert_eq!(problems(departures, &[1], &log, &one).len(), 1);
    }

    #[test]
    fn what_the_queues_hold_is_exactly_what_they_should() {
        let scene = &QUEUES[1];
        let good = letter(scene, 2);
        let changed = |change: fn(&mut v1::QueueMessage)| {
            let mut letter = letter(scene, 2);
            change(&mut letter);
            vec![letter]
        };
        for (dead, left, problem) in [
            (vec![], [0; 3], "flight 2: 0 dead letters instead of one"),
            (
                vec![good.clone(); 2],
                [0; 3],
                "flight 2: 2 dead letters instead of one",
            ),
            (
                vec![good.clone(), letter(scene, 0)],
                [0; 3],
                "flight 0 should not be a dead letter",
            ),
            (vec![good.clone()], [0, 3, 0], "3 hidden messages"),
            (
                changed(|m| m.message_id = "x".to_owned()),
                [0; 3],
                "flight 2: sent as m102, dead-lettered as x",
            ),
            (
                changed(|m| m.message_group_id = "X".to_owned()),
                [0; 3],
                r#"flight 2: of group "X""#,
            ),
            (
                changed(|m| m.dead_letter_source_arn.clear()),
                [0; 3],
                r#"flight 2: came from """#,
            ),
        ] {
            assert_eq!(problems(scene, &[], DEPARTURES, &remains(dead, left))[0], problem);
        }
    }
}
