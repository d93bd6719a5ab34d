//! An ordinary AWS Lambda function: it sums nothing itself, but writes down which flights it has processed,
//! in order, so that a checker can. It knows nothing of Millstream.
//!
//! - A flight without a departure time (a cancelled one) is refused: its sequence number is returned in
//!   `batchItemFailures`.
//! - Only flights before the first refused one count as processed and are written: the batch comes again from
//!   the first refused one.
//! - `DELAYS_OUT_DIR`: where the file `rust.log` goes, one line `n tail arr_delay sequence` per flight, one
//!   appending write per batch, before the function returns. All processes share the file, so that its order is
//!   the order in which they finished.
//! - `DELAYS_THROW_DIR`, if set: the first batch that holds a flight whose `n` ends a run of 50,000 from 5,000
//!   (5,000, 55,000, …) throws, unless the flight is alone in it, once per such `n`: a marker file remembers.

use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::streams::{KinesisBatchItemFailure, KinesisEventResponse};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What of a flight matters here; delays in minutes, negative when early.
#[derive(Deserialize)]
struct Flight<'a> {
    n: u64,
    /// Unknown for some cancelled flights.
    #[serde(borrow)]
    tail: Option<&'a str>,
    arr_delay: Option<f64>,
    dep_time: Option<f64>,
}

struct Function {
    out: File,
    throw_dir: Option<PathBuf>,
}

impl Function {
    fn from_environment() -> Result<Self, Error> {
        let dir = std::env::var("DELAYS_OUT_DIR").map_err(|_| "DELAYS_OUT_DIR is not set")?;
        let path = Path::new(&dir).join("rust.log");
        let out = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            out,
            throw_dir: std::env::var_os("DELAYS_THROW_DIR").map(PathBuf::from),
        })
    }

    fn handle(&self, event: &KinesisEvent) -> Result<KinesisEventResponse, Error> {
        let mut lines = String::new();
        let mut refused = Vec::new();
        for record in &event.records {
            let seq = record.kinesis.sequence_number.as_str();
            let flight: Flight = serde_json::from_slice(&record.kinesis.data)?;
            // A batch of one has no retry left that would save its flight.
            if event.records.len() > 1 {
                self.throw_once(flight.n)?;
            }
            if flight.dep_time.is_none() {
                let mut failure = KinesisBatchItemFailure::default();
                failure.item_identifier = Some(seq.to_owned());
                refused.push(failure);
            } else if refused.is_empty() {
                let tail = flight.tail.unwrap_or("-");
                match flight.arr_delay {
                    Some(delay) => writeln!(lines, "{} {tail} {delay} {seq}", flight.n)?,
                    None => writeln!(lines, "{} {tail} - {seq}", flight.n)?,
                }
            }
        }
        (&self.out).write_all(lines.as_bytes())?;
        let mut response = KinesisEventResponse::default();
        response.batch_item_failures = refused;
        Ok(response)
    }

    fn throw_once(&self, n: u64) -> Result<(), Error> {
        let Some(dir) = &self.throw_dir else { return Ok(()) };
        if n % 50_000 != 5_000 {
            return Ok(());
        }
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(dir.join(format!("rust-{n}")))
        {
            Ok(_) => Err(format!("thrown on purpose, once, for flight {n}").into()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &Function::from_environment()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<KinesisEvent>| async move {
        function.handle(&event.payload)
    }))
    .await
}
