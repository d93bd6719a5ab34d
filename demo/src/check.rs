//! The exact check: what the functions wrote down and what the failure stream holds, against the file itself.
//! Pure functions; nothing here asks the server.

use crate::flights::Flight;
use crate::producer::Receipt;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Findings of one kind that are shown; the rest is counted.
const SHOWN: usize = 5;

/// The outcome of one check: what was found to be so, or what was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) problems: Vec<String>,
}

impl Check {
    pub(crate) fn new(what: impl Display, problems: Vec<String>) -> Self {
        Self {
            what: what.to_string(),
            problems,
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems that are worth a line, and how many there are besides.
    pub(crate) fn shown(&self) -> (&[String], usize) {
        let shown = self.problems.len().min(SHOWN);
        (&self.problems[..shown], self.problems.len() - shown)
    }
}

/// One line of a function's log: a flight it processed successfully, at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) n: usize,
    pub(crate) tail: &'a str,
    pub(crate) arr_delay: Option<i32>,
    pub(crate) sequence: &'a str,
}

/// Reads a function's log: `n tail arr_delay sequence`, where an unknown delay is `-`.
///
/// # Errors
/// The first line that is not of this form.
pub(crate) fn parse_log(text: &str) -> Result<Vec<Line<'_>>, String> {
    text.lines()
        .map(|line| parse_line(line).ok_or_else(|| format!("not a log line: {line:?}")))
        .collect()
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    let (n, tail, delay, sequence) = (next()?.parse().ok()?, next()?, next()?, next()?);
    let arr_delay = if delay == "-" {
        None
    } else {
        Some(delay.parse().ok()?)
    };
    words.next().is_none().then_some(Line {
        n,
        tail,
        arr_delay,
        sequence,
    })
}

/// The first line of each flight, in the order of the log, and how many lines were repeats.
pub(crate) fn first_successes<'a, 'b>(lines: &'b [Line<'a>], flights: usize) -> (Vec<&'b Line<'a>>, usize) {
    let mut seen = vec![false; flights];
    let is_first = |line: &&Line<'_>| match seen.get_mut(line.n) {
        Some(seen) => !std::mem::replace(seen, true),
        None => true, // a flight that does not exist: the other checks name it
    };
    let firsts: Vec<_> = lines.iter().filter(is_first).collect();
    let repeats = lines.len() - firsts.len();
    (firsts, repeats)
}

/// Flights and minutes of one aircraft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    flights: u64,
    minutes: i64,
}

fn sums<'a>(entries: impl Iterator<Item = (&'a str, Option<i32>)>) -> BTreeMap<&'a str, Sum> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for (tail, delay) in entries {
        let sum = sums.entry(tail).or_default();
        sum.flights += 1;
        sum.minutes += i64::from(delay.unwrap_or(0));
    }
    sums
}

/// Flights and delay per aircraft, as the function saw them, are those of the file.
pub(crate) fn check_sums(function: &str, flights: &[Flight], firsts: &[&Line<'_>]) -> Check {
    let flown = flights.iter().filter(|flight| !flight.is_cancelled());
    let want = sums(flown.map(|flight| (flight.tail.as_str(), flight.arr_delay)));
    let have = sums(firsts.iter().map(|line| (line.tail, line.arr_delay)));
    let mut problems = Vec::new();
    for (tail, want) in &want {
        let have = have.get(tail).copied().unwrap_or_default();
        if have != *want {
            problems.push(format!(
                "{tail}: {} flights and {} minutes in the file, {} and {} in the function",
                want.flights, want.minutes, have.flights, have.minutes
            ));
        }
    }
    let unknown = have.keys().filter(|tail| !want.contains_key(*tail));
    problems.extend(unknown.map(|tail| format!("{tail}: no such aircraft flew")));
    let total: u64 = want.values().map(|sum| sum.flights).sum();
    Check::new(
        format_args!(
            "{function}: flights and delays of {} aircraft ({total} flights) add up",
            want.len()
        ),
        problems,
    )
}

/// Each aircraft's flights were first processed in the order in which they were put.
pub(crate) fn check_order(function: &str, firsts: &[&Line<'_>]) -> Check {
    Check::new(
        format_args!("{function}: the order of every aircraft's flights was kept"),
        out_of_order(firsts.iter().map(|line| (line.tail, line.n))),
    )
}

/// The flights, given with their keys, that came after a later one of the same key.
pub(crate) fn out_of_order<'a>(flights: impl Iterator<Item = (&'a str, usize)>) -> Vec<String> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, n) in flights {
        if let Some(before) = last.insert(key, n)
            && before > n
        {
            problems.push(format!("{key}: flight {n} came after flight {before}"));
        }
    }
    problems
}

/// What the function saw as a flight's sequence number is what the put was told.
pub(crate) fn check_receipts(function: &str, receipts: &[Receipt], firsts: &[&Line<'_>]) -> Check {
    let problem = |line: &&&Line<'_>| match receipts.get(line.n) {
        Some(receipt) if *receipt.sequence == *line.sequence => None,
        Some(receipt) => Some(format!(
            "flight {}: put as {}, seen as {}",
            line.n, receipt.sequence, line.sequence
        )),
        None => Some(format!("flight {} was never put", line.n)),
    };
    let problems = firsts.iter().filter_map(|line| problem(&line)).collect();
    Check::new(
        format_args!("{function}: sequence numbers are those of the receipts"),
        problems,
    )
}

/// What the demo needs of a failure document.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    request_context: RequestContext,
    #[serde(rename = "KinesisBatchInfo")]
    batch: BatchInfo,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    function_arn: String,
    condition: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    batch_size: u64,
}

/// Reads a failure document.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_document(data: &[u8]) -> Result<Document, String> {
    serde_json::from_slice(data).map_err(|error| format!("not a failure document: {error}"))
}

/// Every cancelled flight, and nothing else, is in the failure stream exactly once on behalf of the function.
pub(crate) fn check_failures(
    function: &str,
    flights: &[Flight],
    receipts: &[Receipt],
    documents: &[Document],
) -> Check {
    let places = flights
        .iter()
        .zip(receipts)
        .map(|(flight, receipt)| ((&*receipt.shard, &*receipt.sequence), flight));
    let by_place: BTreeMap<(&str, &str), &Flight> = places.collect();
    let mut problems = Vec::new();
    let mut times: BTreeMap<usize, u32> = BTreeMap::new();
    let suffix = format!(":{function}");
    for document in documents
        .iter()
        .filter(|document| document.request_context.function_arn.ends_with(&suffix))
    {
        match judge_document(document, &by_place) {
            Ok(n) => *times.entry(n).or_default() += 1,
            Err(problem) => problems.push(problem),
        }
    }
    let cancelled: Vec<usize> = flights
        .iter()
        .filter(|flight| flight.is_cancelled())
        .map(|flight| flight.n)
        .collect();
    for n in &cancelled {
        let times = times.get(n).copied().unwrap_or(0);
        if times != 1 {
            problems.push(format!("flight {n}: {times} documents instead of one"));
        }
    }
    let what = format!(
        "{function}: each of {} cancelled flights is in the failure stream once",
        cancelled.len()
    );
    Check::new(what, problems)
}

/// The cancelled flight that a document tells of.
fn judge_document(document: &Document, by_place: &BTreeMap<(&str, &str), &Flight>) -> Result<usize, String> {
    let BatchInfo {
        shard_id,
        start_sequence_number: first,
        end_sequence_number: last,
        batch_size,
    } = &document.batch;
    let place = format!("{shard_id} {first}");
    if *batch_size != 1 || first != last {
        return Err(format!(
            "{place}: {batch_size} records were given up at once, up to {last}"
        ));
    }
    if document.request_context.condition != "RetryAttemptsExhausted" {
        return Err(format!(
            "{place}: given up for {}",
            document.request_context.condition
        ));
    }
    match by_place.get(&(shard_id.as_str(), first.as_str())) {
        None => Err(format!("{place}: no such record was put")),
        Some(flight) if !flight.is_cancelled() => {
            Err(format!("flight {}: given up though it flew", flight.n))
        }
        Some(flight) => Ok(flight.n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::tests::flight;

    fn flights() -> Vec<Flight> {
        vec![
            flight(0, "A", Some(5)),
            flight(1, "B", Some(-2)),
            flight(2, "A", None),
            flight(3, "A", Some(7)),
            Flight {
                arr_delay: None,
                ..flight(4, "B", Some(0))
            },
        ]
    }

    fn receipts() -> Vec<Receipt> {
        (0..5)
            .map(|n| Receipt {
                shard: "s".into(),
                sequence: format!("{}", 100 + n).into(),
            })
            .collect()
    }

    const LOG: &str = "0 A 5 100\n1 B -2 101\n0 A 5 100\n3 A 7 103\n4 B - 104\n";

    fn checks(log: &str) -> [Check; 3] {
        let lines = parse_log(log).unwrap();
        let (firsts, _) = first_successes(&lines, 5);
        [
            check_sums("f", &flights(), &firsts),
            check_order("f", &firsts),
            check_receipts("f", &receipts(), &firsts),
        ]
    }

    #[test]
    fn a_log_is_read_line_by_line() {
        let lines = parse_log("4 NA-4 - 104\n").unwrap();
        assert_eq!(
            lines,
            [Line {
                n: 4,
                tail: "NA-4",
                arr_delay: None,
                sequence: "104"
            }]
        );
        for bad in ["1 A 5", "x A 5 1", "1 A y 1", "1 A 5 1 more", ""] {
            assert!(parse_log(&format!("{bad}\n")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn repeats_are_counted_and_do_not_count() {
        let lines = parse_log(LOG).unwrap();
        let (firsts, repeats) = first_successes(&lines, 5);
        assert_eq!((firsts.len(), repeats), (4, 1));
        for check in checks(LOG) {
            assert_eq!(check.problems, Vec::<String>::new(), "{}", check.what);
        }
    }

    #[test]
    fn what_is_wrong_is_seen() {
        for (log, which, problem) in [
            (
                LOG.replace("3 A 7 103\n", ""),
                0,
                "A: 2 flights and 12 minutes in the file, 1 and 5 in the function",
            ),
            (
                LOG.replace("3 A 7", "3 A 8"),
                0,
                "A: 2 flights and 12 minutes in the file, 2 and 13 in the function",
            ),
            (
                LOG.replace("3 A 7", "3 C 7"),
                0,
                "A: 2 flights and 12 minutes in the file, 1 and 5 in the function",
            ),
            (
                format!("2 A - 102\n{LOG}"),
                0,
                "A: 2 flights and 12 minutes in the file, 3 and 12 in the function",
            ),
            (format!("{LOG}9 X 1 109\n"), 0, "X: no such aircraft flew"),
            (format!("3 A 7 103\n{LOG}"), 1, "A: flight 0 came after flight 3"),
            (
                LOG.replace("3 A 7 103", "3 A 7 999"),
                2,
                "flight 3: put as 103, seen as 999",
            ),
            (format!("{LOG}9 X 1 109\n"), 2, "flight 9 was never put"),
        ] {
            let check = &checks(&log)[which];
            assert!(!check.passed());
            assert_eq!(check.problems[0], problem, "{log}");
        }
    }

    fn document(function: &str, sequence: u32) -> Document {
        let text = format!(
            r#"{{"requestContext":{{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:{function}",
            "condition":"RetryAttemptsExhausted","approximateInvokeCount":1}},"version":"1.0",
            "KinesisBatchInfo":{{"shardId":"s","startSequenceNumber":"{sequence}","endSequenceNumber":"{sequence}",
            "batchSize":1,"streamArn":"a"}}}}"#
        );
        parse_document(text.as_bytes()).unwrap()
    }

    fn failure_problems(documents: &[Document]) -> Vec<String> {
        check_failures("f", &flights(), &receipts(), documents).problems
    }

    #[test]
    fn each_cancelled_flight_must_be_in_the_failure_stream_once() {
        let good = document("f", 102);
        assert_eq!(
            failure_problems(&[good.clone(), document("g", 100)]),
            Vec::<String>::new()
        );
        assert_eq!(failure_problems(&[]), ["flight 2: 0 documents instead of one"]);
        assert_eq!(
            failure_problems(&[good.clone(), good.clone()]),
            ["flight 2: 2 documents instead of one"]
        );
        assert_eq!(
            failure_problems(&[good.clone(), document("f", 100)]),
            ["flight 0: given up though it flew"]
        );
        assert_eq!(
            failure_problems(&[good.clone(), document("f", 999)]),
            ["s 999: no such record was put"]
        );
        let mut two = good.clone();
        two.batch.batch_size = 2;
        assert_eq!(
            failure_problems(&[good.clone(), two]),
            ["s 102: 2 records were given up at once, up to 102"]
        );
        let mut old = good.clone();
        old.request_context.condition = "RecordAgeExceeded".to_owned();
        assert_eq!(
            failure_problems(&[good, old]),
            ["s 102: given up for RecordAgeExceeded"]
        );
    }

    #[test]
    fn many_problems_are_counted_rather_than_shown() {
        let check = Check::new("x", (0..8).map(|n| n.to_string()).collect());
        let (shown, more) = check.shown();
        assert_eq!((shown.len(), more), (5, 3));
    }
}
