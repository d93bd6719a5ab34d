//! How many invocations per second a process function takes: `invoke_rate LANES SECONDS OUT_DIR COMMAND...`.
//! Events are Kinesis events of 100 flights, as the example functions of this repository expect them.
#![allow(clippy::print_stdout)] // a program for people

use bytes::Bytes;
use millstream_ports::InvokeFactory;
use millstream_targets::{Factory, InProcess, PoolOptions};
use millstream_types::{
    Function, FunctionName, FunctionSpec, Invocation, Namespace, Outcome, Payload, ProcessTarget, RequestId,
    Target, Wall,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORDS: usize = 100;

fn base64(data: &[u8]) -> String {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let wanted = place <= chunk.len();
            text.push(if wanted {
                char::from(CHARS[bits >> (18 - 6 * place) & 63])
            } else {
                '='
            });
        }
    }
    text
}

fn event() -> Bytes {
    let records: Vec<String> = (0..RECORDS)
        .map(|n| {
            let flight = format!(
                "{{\"n\":{n},\"tail\":\"N14228\",\"dep_delay\":2.0,\"arr_delay\":11.0,\"dep_time\":517,\
                 \"carrier\":\"UA\",\"origin\":\"EWR\",\"dest\":\"IAH\"}}"
            );
            format!(
                "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"N14228\",\
                 \"sequenceNumber\":\"4959033827149025660855969254{n:028}\",\"data\":\"{}\",\
                 \"approximateArrivalTimestamp\":1607497475.000}},\"eventSource\":\"aws:kinesis\",\
                 \"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000000:{n}\",\
                 \"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::0:role/r\",\
                 \"awsRegion\":\"us-east-1\",\"eventSourceARN\":\"arn:aws:kinesis:us-east-1:0:stream/s\"}}",
                base64(flight.as_bytes())
            )
        })
        .collect();
    Bytes::from(format!("{{\"Records\":[{}]}}", records.join(",")))
}

fn function(command: Vec<String>, out: String, lanes: u32) -> Result<Function, Box<dyn Error>> {
    let target = ProcessTarget {
        command,
        working_dir: None,
        env: BTreeMap::from([("DELAYS_OUT_DIR".to_owned(), out)]),
        env_pass: vec!["PATH".to_owned(), "PYTHONPATH".to_owned()],
        init_timeout_ms: 10_000,
        memory_mb: 128,
    };
    Ok(Function {
        namespace: Namespace::default(),
        name: FunctionName::new("measured")?,
        spec: FunctionSpec {
            target: Target::Process(target),
            timeout_ms: 3_000,
            concurrency: lanes,
        },
        generation: 1,
        revision: 1,
        created: Wall(0),
        modified: Wall(0),
        request_id: None,
        applied: Default::default(),
        tags: Default::default(),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || {
        args.next()
            .ok_or("usage: invoke_rate LANES SECONDS OUT_DIR COMMAND...")
    };
    let (lanes, seconds, out) = (next()?.parse::<u32>()?, next()?.parse()?, next()?);
    let factory = Factory::new(Arc::new(InProcess::new()), PoolOptions::default())?;
    let invoker = factory.invoker(&function(args.collect(), out, lanes)?)?;
    let event = event();
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks = (0..lanes).map(|lane| {
        let (invoker, event) = (Arc::clone(&invoker), event.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let id = (u128::from(lane) << 64) + times.len() as u128;
                let start = Instant::now();
                let outcome = invoker
                    .invoke(Invocation {
                        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:measured".into(),
                        payload: Payload::Json(event.clone()),
                        window: None,
                        request_id: RequestId::from_random(id),
                        attempt: 1,
                        timeout: Duration::from_secs(3),
                        trace: None,
                        idempotency_key: "m/s/1-100".into(),
                        mapping: None,
                        lease: None,
                    })
                    .await;
                if !matches!(outcome, Outcome::Response(_)) {
                    return Err(format!("{outcome:?}"));
                }
                times.push(start.elapsed());
            }
            Ok(times)
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await??);
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let rate = times.len() as u64 / seconds;
    println!(
        "{lanes} lanes, event of {} bytes: {rate} invocations/s, {} records/s, p50 {:?}, p99 {:?}, {} processes",
        event.len(),
        rate * RECORDS as u64,
        at(50),
        at(99),
        invoker.status().started
    );
    invoker.close().await;
    Ok(())
}
