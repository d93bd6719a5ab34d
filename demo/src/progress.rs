//! Shows how far everything is: bars on a terminal, a line every few seconds elsewhere.

use crate::scene::FUNCTIONS;
use crate::watch::Look;
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The bars' names and lengths.
fn bars(flights: u64, documents: u64) -> [(&'static str, u64); FUNCTIONS.len() + 2] {
    [
        ("flights put", flights),
        (FUNCTIONS[0], flights),
        (FUNCTIONS[1], flights),
        ("failure stream", documents),
    ]
}

/// The progress of the whole demo; ends when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: MultiProgress,
    put: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows what `looks` bring until dropped.
    pub(crate) fn start(flights: u64, documents: u64, looks: watch::Receiver<Look>) -> Self {
        let screen = MultiProgress::new();
        let put = Arc::new(AtomicU64::new(0));
        let lengths = bars(flights, documents);
        let task = if stderr().is_terminal() {
            tokio::spawn(draw(
                lengths.map(|(name, length)| bar(&screen, name, length)),
                looks,
                Arc::clone(&put),
            ))
        } else {
            tokio::spawn(write_lines(lengths, looks, Arc::clone(&put)))
        };
        Self { screen, put, task }
    }

    /// How many flights are stored.
    pub(crate) fn stored(&self, flights: usize) {
        self.put.store(flights as u64, Ordering::Relaxed);
    }

    /// Writes a line without disturbing the bars.
    pub(crate) fn say(&self, text: &str) {
        self.screen.suspend(|| println!("{text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn bar(screen: &MultiProgress, name: &'static str, length: u64) -> ProgressBar {
    let template = "{prefix:>14} {bar:40} {human_pos:>7} of {human_len} ({percent} %, {elapsed})";
    // The template is a constant; without it the default style would do.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length)
        .with_style(style.progress_chars("=> "))
        .with_prefix(name);
    screen.add(bar.with_finish(ProgressFinish::Abandon)) // stays where it is when the task ends
}

async fn draw(
    bars: [ProgressBar; FUNCTIONS.len() + 2],
    mut looks: watch::Receiver<Look>,
    put: Arc<AtomicU64>,
) {
    let mut shown = [0; FUNCTIONS.len() + 2];
    while looks.changed().await.is_ok() {
        shown = positions(shown, &looks.borrow_and_update(), put.load(Ordering::Relaxed));
        for (bar, position) in bars.iter().zip(shown) {
            bar.set_position(position);
        }
    }
}

async fn write_lines(
    lengths: [(&'static str, u64); FUNCTIONS.len() + 2],
    mut looks: watch::Receiver<Look>,
    put: Arc<AtomicU64>,
) {
    let (began, mut written) = (Instant::now(), None::<Instant>);
    let mut shown = [0; FUNCTIONS.len() + 2];
    while looks.changed().await.is_ok() {
        shown = positions(shown, &looks.borrow_and_update(), put.load(Ordering::Relaxed));
        if written.is_none_or(|written| written.elapsed() >= LINE_INTERVAL) {
            let parts = lengths
                .iter()
                .zip(shown)
                .map(|((name, length), position)| format!("{name} {position}/{length}"));
            println!(
                "{:>4} s  {}",
                began.elapsed().as_secs(),
                parts.collect::<Vec<_>>().join(", ")
            );
            written = Some(Instant::now());
        }
    }
}

/// Where the bars stand; one whose value is not known stays where it was.
fn positions(last: [u64; 4], look: &Look, put: u64) -> [u64; 4] {
    let done = |mapping: usize| match look.mappings[mapping].lag {
        Some(lag) => put.saturating_sub(lag).max(last[mapping + 1]),
        None => last[mapping + 1],
    };
    [put, done(0), done(1), look.documents]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::MappingLook;

    #[test]
    fn bars_never_go_back_and_wait_where_nothing_is_known() {
        let look = |lags: [Option<u64>; 2], documents| Look {
            mappings: lags.map(|lag| MappingLook { lag, idle: false }),
            documents,
            ..Default::default()
        };
        let first = positions([0; 4], &look([Some(10), Some(100)], 3), 100);
        assert_eq!(first, [100, 90, 0, 3]);
        assert_eq!(
            positions(first, &look([None, Some(20)], 4), 110),
            [110, 90, 90, 4]
        );
        assert_eq!(positions(first, &look([Some(60), None], 4), 110), [110, 90, 0, 4]);
    }
}
