//! The connections of the proxy.

use super::chance::{Fate, Fault};
use super::http::{Kind, Message, read};
use super::{Shared, Weather};
use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Most connections at once.
const MOST_CONNECTIONS: usize = 1_000;
/// Shortest and longest delay, in ms.
const DELAYS: (u64, u64) = (20, 1_000);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// Serves until it is aborted, which ends every connection.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                if connections.len() >= MOST_CONNECTIONS {
                    reset(&client);
                } else {
                    connections.spawn(serve(client, shared.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Dropped next, the connection ends with a reset: the other side loses what it has not read yet.
fn reset(client: &TcpStream) {
    // Gone already is as good.
    let _ = client.set_zero_linger();
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut weather = shared.weather.subscribe();
    let mut client = BufReader::new(client);
    let end = tokio::select! {
        biased;
        _ = weather.wait_for(|weather| *weather == Weather::CutOff) => End::Reset,
        end = requests(&mut client, &shared) => end.unwrap_or(End::Reset),
    };
    if end == End::Reset {
        reset(client.get_ref());
    }
}

/// Answers what comes on a connection until it ends.
async fn requests(client: &mut BufReader<TcpStream>, shared: &Arc<Shared>) -> Result<End> {
    while let Some(request) = read(client, Kind::Request).await? {
        let operation = request.target().rsplit('.').next().unwrap_or_default();
        let fate = fate(shared, operation);
        let on_its_way = OnItsWay::begin(shared, operation);
        match fate.fault {
            Some(Fault::ResetBefore) => return Ok(End::Reset),
            Some(Fault::ServerError) => {
                client.write_all(&broken(fate.detail).bytes("keep-alive")).await?;
                continue;
            }
            Some(Fault::Throttle) => {
                let answer = throttled(request.target(), fate.detail);
                client.write_all(&answer.bytes("keep-alive")).await?;
                continue;
            }
            _ => {}
        }
        let delay = delay(fate);
        let is_early = fate.detail.is_multiple_of(2);
        if is_early {
            sleep(delay).await;
        }
        let answer = tokio::select! {
            answer = forward(&shared.component, &request) => answer?,
            () = gone(client.get_ref()) => return Ok(End::Closed),
        };
        if !is_early {
            sleep(delay).await;
        }
        // Whoever has the answer may ask again at once.
        drop(on_its_way);
        match fate.fault {
            Some(Fault::ResetAfter) => return Ok(End::Reset),
            Some(Fault::CutAnswer) => {
                client.write_all(&answer.half()).await?;
                return Ok(End::Closed);
            }
            _ => client.write_all(&answer.bytes("keep-alive")).await?,
        }
    }
    Ok(End::Closed)
}

fn fate(shared: &Shared, operation: &str) -> Fate {
    let mut fate = Fate {
        fault: None,
        detail: 0,
    };
    if *shared.weather.borrow() == Weather::Rough {
        fate = shared.decks.lock().unwrap().draw(operation);
    }
    let mut counts = shared.counts();
    *counts.requests.entry(operation.to_owned()).or_default() += 1;
    if let Some(fault) = fate.fault {
        let of = counts.faults.entry(fault).or_default();
        *of.entry(operation.to_owned()).or_default() += 1;
    }
    fate
}

fn delay(fate: Fate) -> Duration {
    if fate.fault != Some(Fault::Delay) {
        return Duration::ZERO;
    }
    let (shortest, longest) = DELAYS;
    Duration::from_millis(shortest + fate.detail % (longest - shortest))
}

/// Asks the component, on a connection of its own.
async fn forward(component: &str, request: &Message) -> Result<Message> {
    let mut component = BufReader::new(TcpStream::connect(component).await?);
    component.write_all(&request.bytes("close")).await?;
    let answer = read(&mut component, Kind::Answer).await?;
    answer.ok_or_else(|| Error::other("the component gave no answer"))
}

/// Whoever asked does not wait any more: the component is to see that, too.
async fn gone(client: &TcpStream) {
    // A client that goes on to write before it has its answer is there.
    if matches!(client.peek(&mut [0]).await, Ok(n) if n > 0) {
        std::future::pending::<()>().await;
    }
}

/// As a service has it, or a balancer before it.
fn broken(detail: u64) -> Message {
    if detail.is_multiple_of(2) {
        let body = r#"{"__type":"InternalFailure","message":"injected"}"#;
        Message::answer(500, "application/x-amz-json-1.1", body)
    } else {
        Message::answer(503, "text/html", "<html>injected</html>")
    }
}

fn throttled(target: &str, detail: u64) -> Message {
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let is_first = detail.is_multiple_of(2);
    let (status, code) = match (service, operation) {
        ("AmazonSQS", _) if is_first => (403, "com.amazonaws.sqs#RequestThrottled"),
        ("Kinesis_20131202", "GetRecords" | "GetShardIterator") => {
            (400, "ProvisionedThroughputExceededException")
        }
        ("Kinesis_20131202", _) => (400, "LimitExceededException"),
        ("DynamoDBStreams_20120810", _) if is_first => (400, "LimitExceededException"),
        _ => (400, "ThrottlingException"),
    };
    let body = format!(r#"{{"__type":"{code}","message":"injected"}}"#);
    Message::answer(status, "application/x-amz-json-1.0", &body)
}

/// Counts a request as on its way as long as it lives.
struct OnItsWay<'a> {
    shared: &'a Shared,
    operation: &'a str,
}

impl<'a> OnItsWay<'a> {
    fn begin(shared: &'a Shared, operation: &'a str) -> Self {
        let mut counts = shared.counts();
        let now = counts.outstanding.entry(operation.to_owned()).or_default();
        *now += 1;
        let now = *now;
        let most = counts.most_outstanding.entry(operation.to_owned()).or_default();
        *most = now.max(*most);
        Self { shared, operation }
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if let Some(now) = self.shared.counts().outstanding.get_mut(self.operation) {
            *now -= 1;
        }
    }
}
