//! An ordinary AWS Lambda function for a standard queue, one arrival per message. It knows nothing of Millstream.
//!
//! - An arrival without a delay (the flight was diverted) is refused: its message id is returned in
//!   `batchItemFailures`, and the others of the batch are done.
//! - `FLIGHTS_OUT_DIR`: where the file `arrivals.log` goes, one line per arrival,
//!   `n tail arr_delay messageId receives sent handled`, one appending write per batch, before the function returns.
//!   A standard queue delivers at least once: who reads the file counts an arrival once, by its `n`. `receives` is how
//!   often the message was received so far; `sent` and `handled` are milliseconds since 1970: when it was sent, and
//!   when this batch came here.
//! - `FLIGHTS_WORK_MS`, if set: how long a batch takes after that, as if another service were told; a crash then
//!   brings back what was written already.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What of a flight matters here; the delay in minutes, negative when early.
#[derive(Deserialize)]
struct Arrival<'a> {
    n: u64,
    #[serde(borrow)]
    tail: &'a str,
    arr_delay: Option<f64>,
}

struct Function {
    out: File,
    work: Duration,
}

impl Function {
    fn from_environment() -> Result<Self, Error> {
        let dir = std::env::var("FLIGHTS_OUT_DIR").map_err(|_| "FLIGHTS_OUT_DIR is not set")?;
        let path = Path::new(&dir).join("arrivals.log");
        let out = OpenOptions::new().create(true).append(true).open(path)?;
        let work = match std::env::var("FLIGHTS_WORK_MS") {
            Ok(millis) => millis.parse()?,
            Err(_) => 0,
        };
        Ok(Self {
            out,
            work: Duration::from_millis(work),
        })
    }

    async fn handle(&self, event: &SqsEvent) -> Result<SqsBatchResponse, Error> {
        let handled = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let mut lines = String::new();
        let mut response = SqsBatchResponse::default();
        for message in &event.records {
            let id = message.message_id.as_deref().ok_or("a message without id")?;
            let body = message.body.as_deref().ok_or("a message without body")?;
            let arrival: Arrival = serde_json::from_str(body)?;
            let Some(delay) = arrival.arr_delay else {
                response.add_failure(id);
                continue;
            };
            let Arrival { n, tail, .. } = arrival;
            let receives = attribute(message, "ApproximateReceiveCount")?;
            let sent = attribute(message, "SentTimestamp")?;
            writeln!(lines, "{n} {tail} {delay} {id} {receives} {sent} {handled}")?;
        }
        (&self.out).write_all(lines.as_bytes())?;
        tokio::time::sleep(self.work).await;
        Ok(response)
    }
}

fn attribute<'a>(message: &'a SqsMessage, name: &str) -> Result<&'a str, Error> {
    let value = message.attributes.get(name).map(String::as_str);
    value.ok_or_else(|| format!("a message without {name}").into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = &Function::from_environment()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        function.handle(&event.payload).await
    }))
    .await
}
