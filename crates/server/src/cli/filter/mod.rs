//! `millstream filter …`: tries filters on events, here, without a server.

mod input;
mod report;

use super::error::{CliError, exit};
use super::input::whole;
use super::output::{Format, Screen};
use clap::{Args, Subcommand, ValueEnum};
use input::{Filters, records, shape_of};
use millstream::filter::{DocumentFilter, Explanation, Shape};

const TEST_HELP: &str = "\
Exit codes:
    0  a record matches
    1  none does
    2  there is an error: the command line, a pattern or an event cannot be read

Example:
    millstream filter test -f pattern.json -e event.json";

/// Everything behind `millstream filter`.
#[derive(Args, Debug)]
pub(crate) struct FilterArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Tell which pattern the records of an event match, or which field of a pattern is not as wanted, and why.
    #[command(after_help = TEST_HELP)]
    Test(Test),
}

/// `test`.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The patterns: a file with one pattern, a list of them, or a FilterCriteria object; `-`: standard input.
    #[arg(long, short, value_name = "FILE")]
    filter: String,
    /// The records: a file with an event, a list of records, or one of them; `-`: standard input.
    #[arg(long, short, value_name = "FILE")]
    event: String,
    /// What kind of source the records are of [default: as they look].
    #[arg(long, value_name = "KIND")]
    source: Option<Source>,
    /// Patterns may use operators that Lambda does not have: wildcard, cidr, anything-but of another.
    #[arg(long)]
    extended: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Print::Text)]
    output: Print,
}

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as AWS names them
enum Source {
    Kinesis,
    Sqs,
    Dynamodb,
}

impl From<Source> for Shape {
    fn from(source: Source) -> Self {
        match source {
            Source::Kinesis => Self::Kinesis,
            Source::Sqs => Self::Sqs,
            Source::Dynamodb => Self::DynamoDb,
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // they speak for themselves
enum Print {
    Text,
    Json,
}

/// Runs the command, and tells with which code it ends.
///
/// # Errors
/// What cannot be read.
pub(crate) fn run(args: FilterArgs) -> Result<u8, CliError> {
    let Verb::Test(test) = args.verb;
    let mut screen = Screen::new(Format::Table, false);
    test.run(&mut screen)
}

impl Test {
    fn run(&self, screen: &mut Screen) -> Result<u8, CliError> {
        if self.filter == "-" && self.event == "-" {
            let next = "name a file for one of them";
            return Err(CliError::usage(
                "filter and event cannot both be standard input",
                next,
            ));
        }
        let (filters, event) = (read(&self.filter)?, read(&self.event)?);
        let mut filters = Filters::read(&filters).map_err(|why| wrong(&self.filter, &why))?;
        filters.criteria.extended |= self.extended;
        let records = records(&event).map_err(|why| wrong(&self.event, &why))?;
        let mut explained = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let shape = match self.source {
                Some(source) => source.into(),
                None => shape_of(record).map_err(|why| wrong(&self.event, &format!("record {at}: {why}")))?,
            };
            explained.push(self.explain(&filters, shape, record, at)?);
        }
        match self.output {
            Print::Text => report::text(&explained)
                .iter()
                .try_for_each(|line| screen.line(line))?,
            Print::Json => screen.line(&report::json(&explained))?,
        }
        let any = explained.iter().any(|e| e.matched.is_some());
        Ok(if any { 0 } else { exit::FAILED })
    }

    fn explain(
        &self,
        filters: &Filters,
        shape: Shape,
        record: &str,
        at: usize,
    ) -> Result<Explanation, CliError> {
        let filter = DocumentFilter::new(&filters.criteria, shape).map_err(|refused| {
            let why = format!(
                "pattern {}: {refused} Allowed: {}",
                refused.index + 1,
                refused.allowed
            );
            wrong(&self.filter, &why)
        })?;
        let Some(filter) = filter else {
            // Without a pattern every record is wanted.
            return Ok(Explanation {
                matched: Some(0),
                patterns: Vec::new(),
            });
        };
        let explained = filter.explain(record);
        explained.map_err(|e| wrong(&self.event, &format!("record {at} is {e}")))
    }
}

fn read(path: &str) -> Result<String, CliError> {
    // Whatever is wrong with a file is an error of its own here, not "no match".
    let bytes = whole(path).map_err(|e| wrong(path, &e.lines().join("; ")))?;
    String::from_utf8(bytes).map_err(|_| wrong(path, "it is not UTF-8"))
}

fn wrong(path: &str, why: &str) -> CliError {
    CliError::usage(format!("{path}: {why}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is printed, and the code; for an error its text.
    fn test(filter: &str, event: &str, change: impl FnOnce(&mut Test)) -> (String, u8) {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let mut test = Test {
            filter: file("filter.json", filter),
            event: file("event.json", event),
            source: None,
            extended: false,
            output: Print::Text,
        };
        change(&mut test);
        let page = Page::default();
        let mut screen = Screen::to(Box::new(page.clone()), Format::Table);
        let code = match test.run(&mut screen) {
            Ok(code) => code,
            Err(e) => return (e.lines().join("\n"), e.exit_code()),
        };
        let printed = page.0.lock().unwrap().clone();
        (String::from_utf8(printed).unwrap(), code)
    }

    const PATTERN: &str = r#"{"body":{"kind":["order"],"n":[{"numeric":[">",5]}]}}"#;

    fn message(body: &str) -> String {
        serde_json::json!({"eventSource": "aws:sqs", "body": body}).to_string()
    }

    #[test]
    fn a_match_a_mismatch_and_an_error_have_their_codes() {
        let good = message(r#"{"kind":"order","n":6}"#);
        assert_eq!(
            test(PATTERN, &good, |_| {}),
            ("record 0: matches pattern 1\n".to_owned(), 0)
        );
        let bad = message(r#"{"kind":"order","n":5}"#);
        let expect = "record 0: matches none\n  pattern 1:\n    body.n: wanted [{\"numeric\":[\">\",5]}], found 5: \
                      none of its values is wanted\n";
        assert_eq!(test(PATTERN, &bad, |_| {}), (expect.to_owned(), 1));
        for (filter, event) in [
            ("{", good.as_str()),
            (r#"{"body":"x"}"#, &good),
            (PATTERN, "{"),
            (PATTERN, "5"),
            (PATTERN, r#"{"who":"knows"}"#),
            (PATTERN, "[]"),
        ] {
            let (text, code) = test(filter, event, |_| {});
            assert_eq!(code, 2, "{filter} {event}: {text}");
        }
        let (text, code) = test(PATTERN, &good, |t| t.event = "/no/such/file".to_owned());
        assert_eq!(code, 2, "{text}");
    }

    #[test]
    fn whole_events_and_criteria() {
        let records = [message(r#"{"kind":"x"}"#), message(r#"{"kind":"order","n":6}"#)];
        let event = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        let aws = serde_json::json!({"Filters": [{"Pattern": r#"{"body":["text"]}"#}, {"Pattern": PATTERN}]});
        let (text, code) = test(&aws.to_string(), &event, |_| {});
        assert_eq!(code, 0);
        assert!(text.contains("record 1: matches pattern 2"), "{text}");
        let list = format!("[{PATTERN}, {}]", serde_json::json!(r#"{"x":[1]}"#));
        let (text, code) = test(&list, &format!("[{}]", records.join(",")), |_| {});
        assert_eq!(code, 0);
        assert!(text.contains("record 1: matches pattern 1"), "{text}");
        assert_eq!(
            test(r#"{"Filters":[]}"#, &event, |_| {}).1,
            0,
            "without a filter all is wanted"
        );
    }

    #[test]
    fn the_kind_of_source_is_seen_or_said() {
        let kinesis = r#"{"kinesis":{"partitionKey":"k","data":"eyJhIjoxfQ=="},"eventSource":"aws:kinesis"}"#;
        assert_eq!(test(r#"{"data":{"a":[1]}}"#, kinesis, |_| {}).1, 0);
        let dynamodb = r#"{"eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"1"}}}}"#;
        assert_eq!(
            test(r#"{"dynamodb":{"Keys":{"id":{"S":["1"]}}}}"#, dynamodb, |_| {}).1,
            0
        );
        let bare = r#"{"partitionKey":"k","data":{"a":1}}"#;
        assert_eq!(
            test(r#"{"data":{"a":[1]}}"#, bare, |t| t.source =
                Some(Source::Kinesis))
            .1,
            0
        );
        assert_eq!(
            test(r#"{"data":["x"]}"#, kinesis, |_| {}).1,
            2,
            "streams filter JSON only"
        );
    }

    #[test]
    fn operators_that_lambda_does_not_have_are_asked_for() {
        let wildcard = r#"{"body":[{"wildcard":"a*c"}]}"#;
        let (text, code) = test(wildcard, &message("abc"), |_| {});
        assert_eq!(code, 2);
        assert!(
            text.contains("Invalid filter pattern definition.") && text.contains("extended"),
            "{text}"
        );
        assert_eq!(test(wildcard, &message("abc"), |t| t.extended = true).1, 0);
    }

    #[test]
    fn json_tells_the_same() {
        let (text, code) = test(PATTERN, &message("plain"), |t| t.output = Print::Json);
        assert_eq!(code, 1);
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        let record = &told["records"][0];
        assert_eq!(record["matched"], serde_json::Value::Null);
        assert_eq!(record["patterns"][0]["fields"][0]["path"], "body.kind");
        assert_eq!(
            record["patterns"][0]["fields"][0]["reason"],
            "the data is not a JSON object or array"
        );
    }
}
