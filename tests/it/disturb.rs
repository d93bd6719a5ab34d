//! What goes wrong in the middle of a run over sources that are not ours, and the line that a run is summed up in.

use crate::client::Client;
use crate::proxy::{Proxy, Weather};
use crate::server::Server;
use crate::wait::until;
use millstream_testkit::Rng;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio::time::sleep;

/// Nanoseconds since the Unix epoch: the clock that producers, functions and server share.
pub(crate) type Nanos = u128;

/// A source that is gone is looked for ever less often.
const FOUND_AGAIN: Duration = Duration::from_secs(180);
/// Shortest and longest stop of a component, and how long it stays cut off once that was noticed, in s.
const STOPS: (f64, f64) = (2.0, 8.0);
const STAYS_CUT: (f64, f64) = (0.2, 2.0);

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `kill -9` of the server under test, and a start.
    Kill,
    /// The components are stopped for seconds (SIGSTOP), then go on.
    Stop,
    /// Nothing reaches the components until every mapping says so; and it goes on by itself afterwards.
    CutOff,
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// By kills alone.
    Kills,
    /// By stops of the components.
    Stops,
    /// By a bad network all the time, a stretch without any, and kills after that.
    Network,
}

impl Disturbance {
    fn acts(self) -> &'static [Act] {
        match self {
            Self::Kills => &[Act::Kill; 5],
            Self::Stops => &[Act::Stop; 4],
            Self::Network => &[Act::CutOff, Act::Kill, Act::Kill],
        }
    }
}

/// What is disturbed.
pub(crate) struct Middle<'a> {
    pub(crate) server: &'a mut Server,
    /// Sends a signal to every component.
    pub(crate) signal: &'a dyn Fn(Signal),
    pub(crate) mappings: &'a [&'a str],
    /// The one before the component of each mapping, if there are any.
    pub(crate) proxies: &'a [Proxy],
}

impl Middle<'_> {
    /// Lets everything go wrong, one thing whenever another part of `total` has been sent; when the server's memory was
    /// surely gone.
    pub(crate) async fn disturb(
        &mut self,
        how: Disturbance,
        total: u64,
        rng: &mut Rng,
        mut sent: watch::Receiver<u64>,
    ) -> Vec<Nanos> {
        let (acts, mut lost, began) = (how.acts(), Vec::new(), Instant::now());
        for (n, act) in (1..).zip(acts) {
            let enough = total * n / (acts.len() as u64 + 1);
            sent.wait_for(|n| *n >= enough).await.unwrap();
            sleep(Duration::from_secs_f64(rng.log_uniform(0.010, 1.0))).await;
            let at = began.elapsed();
            println!("{at:.1?}: {act:?}, {} of {total} had been sent", *sent.borrow());
            match act {
                Act::Kill => {
                    self.server.kill9().await;
                    lost.push(now());
                    self.server.restart().await;
                }
                Act::Stop => {
                    (self.signal)(Signal::SIGSTOP);
                    let (shortest, longest) = STOPS;
                    sleep(Duration::from_secs_f64(rng.log_uniform(shortest, longest))).await;
                    (self.signal)(Signal::SIGCONT);
                }
                Act::CutOff => self.cut_off(rng).await,
            }
            println!("{:.1?}: over", began.elapsed());
        }
        lost
    }

    /// Each mapping's weather is calm until it has noticed that it is not cut off any more, so that one fault is not taken
    /// for that.
    async fn cut_off(&self, rng: &mut Rng) {
        self.weather(Weather::CutOff);
        let client = self.server.client();
        for mapping in self.mappings {
            unavailable(&client, mapping, true).await;
        }
        let (shortest, longest) = STAYS_CUT;
        sleep(Duration::from_secs_f64(rng.log_uniform(shortest, longest))).await;
        self.weather(Weather::Calm);
        for (mapping, proxy) in self.mappings.iter().zip(self.proxies) {
            unavailable(&client, mapping, false).await;
            proxy.set(Weather::Rough);
        }
    }

    pub(crate) fn weather(&self, weather: Weather) {
        for proxy in self.proxies {
            proxy.set(weather);
        }
    }
}

/// Waits until a mapping says so, or no more, that its source cannot be read.
pub(crate) async fn unavailable(client: &Client, mapping: &str, is: bool) {
    until("the condition of the mapping", FOUND_AGAIN, async || {
        let mapping = client.mapping(mapping).await.ok()?;
        let found = mapping.conditions.iter().any(|c| c.r#type == "SourceUnavailable");
        (found == is).then_some(())
    })
    .await;
}

/// What a run came to, for the table of all runs.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) source: &'static str,
    pub(crate) records: usize,
    pub(crate) repetitions: usize,
    /// From the first send to the last success.
    pub(crate) took: Duration,
}

impl Outcome {
    /// Prints the one line.
    pub(crate) fn print(&self, how: Disturbance, proxy: Option<&Proxy>) {
        let of = |act: Act| how.acts().iter().filter(|a| **a == act).count();
        let faults = proxy.map_or_else(|| "{}".to_owned(), |proxy| proxy.counts().to_string());
        let (kills, stops, cuts) = (of(Act::Kill), of(Act::Stop), of(Act::CutOff));
        let rate = self.records as f64 / self.took.as_secs_f64();
        println!(
            "{}: {} records, {} repetitions, {kills} kills, {stops} stops, {cuts} cuts, faults {faults}, {rate:.0} records/s",
            self.source, self.records, self.repetitions
        );
    }
}

pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_nanos()
}

/// The number in a variable of the environment, if it is set.
///
/// # Panics
/// If it is set to something else.
pub(crate) fn from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}
