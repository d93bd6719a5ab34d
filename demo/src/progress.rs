//! Shows how far everything is: bars on a terminal, a line every few seconds elsewhere.

use crate::queue::QUEUES;
use crate::scene::FUNCTIONS;
use crate::watch::{Goal, Look};
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How many bars there are.
const BARS: usize = 7;

/// The bars' names and lengths.
fn bars(goal: &Goal) -> [(&'static str, u64); BARS] {
    [
        ("flights put", goal.flights),
        (FUNCTIONS[0], goal.flights),
        (FUNCTIONS[1], goal.flights),
        ("failure stream", goal.documents),
        (QUEUES[0].what, goal.messages[0]),
        (QUEUES[1].what, goal.messages[1]),
        ("dead letters", goal.refused.iter().sum()),
    ]
}

/// The progress of the whole demo; ends when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: MultiProgress,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows what `looks` bring until dropped.
    pub(crate) fn start(goal: &Goal, looks: watch::Receiver<Look>) -> Self {
        let screen = MultiProgress::new();
        let lengths = bars(goal);
        let task = if stderr().is_terminal() {
            let bars = lengths.map(|(name, length)| bar(&screen, name, length));
            tokio::spawn(draw(bars, looks))
        } else {
            tokio::spawn(write_lines(lengths, looks))
        };
        Self { screen, task }
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

async fn draw(bars: [ProgressBar; BARS], mut looks: watch::Receiver<Look>) {
    let mut shown = [0; BARS];
    while looks.changed().await.is_ok() {
        shown = positions(shown, &looks.borrow_and_update());
        for (bar, position) in bars.iter().zip(shown) {
            bar.set_position(position);
        }
    }
}

async fn write_lines(lengths: [(&'static str, u64); BARS], mut looks: watch::Receiver<Look>) {
    let (began, mut written) = (Instant::now(), None::<Instant>);
    let mut shown = [0; BARS];
    while looks.changed().await.is_ok() {
        shown = positions(shown, &looks.borrow_and_update());
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

/// Where the bars stand; one whose value is not known stays where it was, and none goes back.
fn positions(last: [u64; BARS], look: &Look) -> [u64; BARS] {
    // A dead letter has left its queue, too: the queues' bars end with it.
    let mapped = look
        .mappings
        .map(|mapping| mapping.lag.map_or(0, |lag| look.put.saturating_sub(lag)));
    let received = look.queues.map(|queue| queue.sent.saturating_sub(queue.left));
    let dead = look.queues.iter().map(|queue| queue.dead).sum();
    let now = [
        look.put,
        mapped[0],
        mapped[1],
        look.documents,
        received[0],
        received[1],
        dead,
    ];
    std::array::from_fn(|bar| now[bar].max(last[bar]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{MappingLook, QueueLook};

    #[test]
    fn bars_never_go_back_and_wait_where_nothing_is_known() {
        let look = |put, lags: [Option<u64>; 2], documents, left: [u64; 2]| Look {
            put,
            mappings: lags.map(|lag| MappingLook { lag, idle: false }),
            documents,
            queues: left.map(|left| QueueLook {
                sent: 50,
                left,
                dead: 2,
            }),
            ..Default::default()
        };
        let first = positions([0; BARS], &look(100, [Some(10), Some(100)], 3, [0, 40]));
        assert_eq!(first, [100, 90, 0, 3, 50, 10, 4]);
        assert_eq!(
            positions(first, &look(110, [None, Some(20)], 4, [7, 60])),
            [110, 90, 90, 4, 50, 10, 4]
        );
        assert_eq!(
            positions(first, &look(110, [Some(60), None], 4, [0, 0])),
            [110, 90, 0, 4, 50, 50, 4]
        );
    }
}
