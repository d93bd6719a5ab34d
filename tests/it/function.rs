//! What the test function wrote down.

use std::path::Path;

/// How an invocation ended, as its function saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Result {
    /// All records done.
    Done,
    /// The first so many done.
    Before(usize),
    /// All done but these messages of a queue.
    But(Vec<usize>),
    /// None done.
    Failed,
}

/// One invocation.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// When it began, in nanoseconds since the Unix epoch.
    pub(crate) began: u128,
    /// The id of the request.
    pub(crate) request: String,
    /// Which attempt it was told it is.
    pub(crate) attempt: u32,
    /// Under which epoch of the lease.
    pub(crate) epoch: u64,
    /// The shard of its records.
    pub(crate) shard: String,
    /// Its records, by what the journal names them by.
    pub(crate) records: Vec<String>,
    /// When it was about to return, and with what; none if it never was.
    pub(crate) ended: Option<(u128, Result)>,
}

impl Call {
    /// The records it finished.
    pub(crate) fn done(&self) -> Vec<&String> {
        let all = self.records.iter().enumerate();
        let is_done = |at: usize| match &self.ended {
            Some((_, Result::Done)) => true,
            Some((_, Result::Before(n))) => at < *n,
            Some((_, Result::But(failed))) => !failed.contains(&at),
            Some((_, Result::Failed)) | None => false,
        };
        all.filter(|(at, _)| is_done(*at))
            .map(|(_, record)| record)
            .collect()
    }
}

/// All invocations of all processes that ever wrote to `dir`, by the time they began. A line that a killed process
/// could not finish is left out.
pub(crate) fn calls(dir: &Path) -> Vec<Call> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut of_process: Vec<Call> = Vec::new();
        for line in whole.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["S", began, request, attempt, epoch, shard, records] => of_process.push(Call {
                    began: began.parse().unwrap(),
                    request: request.to_owned(),
                    attempt: attempt.parse().unwrap(),
                    epoch: epoch.parse().unwrap(),
                    shard: shard.to_owned(),
                    records: records.split(',').map(str::to_owned).collect(),
                    ended: None,
                }),
                ["E", at, request, _, result] => {
                    let call = of_process.last_mut().filter(|c| c.request == request).unwrap();
                    call.ended = Some((at.parse().unwrap(), result_of(result)));
                }
                _ => panic!("a journal has the line {line}"),
            }
        }
        all.extend(of_process);
    }
    all.sort_by_key(|c| c.began);
    all
}

fn result_of(text: &str) -> Result {
    match text.split_once(':') {
        Some(("but", failed)) => Result::But(failed.split(',').map(|n| n.parse().unwrap()).collect()),
        Some((_, n)) => Result::Before(n.parse().unwrap()),
        None if text == "done" => Result::Done,
        None => Result::Failed,
    }
}
