//! The writer thread: the only place that writes, syncs, and opens the database again.

use super::batch::{Applied, Op};
use super::errors::{GuardedError, NotApplied};
use super::queue::{Request, Taken};
use super::view::View;
use super::{Health, Shared};
use millstream_ports::Durability;
use rocksdb::{WriteBatch, WriteOptions};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The first pause between two attempts to open the database again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pauses between two attempts to write while RocksDB wants writers to wait: from the first, doubled, to the
/// last.
const FIRST_STALL: Duration = Duration::from_micros(200);
const LAST_STALL: Duration = Duration::from_millis(5);
/// After so long a stall the database is opened again.
const LONGEST_STALL: Duration = Duration::from_secs(30);

pub(super) fn spawn(shared: Arc<Shared>, sync_interval: Duration) -> std::io::Result<JoinHandle<()>> {
    let writer = Writer {
        shared,
        sync_interval,
        view: View::default(),
        unsynced_since: None,
    };
    std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || writer.run())
}

struct Writer {
    shared: Arc<Shared>,
    sync_interval: Duration,
    view: View,
    /// When the oldest write was made that is not synced yet.
    unsynced_since: Option<Instant>,
}

/// Leaves nothing waiting for ever, however the thread ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.queue.close();
        for request in self.0.queue.take_all_to_refuse() {
            request.answer(Err(GuardedError::NotWritten(NotApplied::Closed)));
        }
        self.0.cell.close();
        self.0.health.send_replace(Health::Closed);
    }
}

impl Writer {
    fn run(mut self) {
        let _ending = Ending(Arc::clone(&self.shared));
        loop {
            let sync_due = self.unsynced_since.map(|since| since + self.sync_interval);
            match self.shared.queue.take(sync_due) {
                Taken::Group(group) => {
                    self.shared.counters.begin();
                    self.write_group(group);
                    self.shared.counters.end(true);
                }
                Taken::Nothing => {}
                Taken::Closed => break,
            }
            if self
                .unsynced_since
                .is_some_and(|since| since.elapsed() >= self.sync_interval)
            {
                self.shared.counters.begin();
                self.sync();
                self.shared.counters.end(false);
            }
        }
        if self.unsynced_since.is_some() {
            self.sync();
        }
    }

    /// Judges, writes and answers one group.
    fn write_group(&mut self, group: Vec<Request>) {
        self.shared.faults.wait_while_held();
        self.view
            .learn(group.iter().map(|request| &request.guard), &self.shared.cell);
        let (mut accepted, mut refused) = (Vec::with_capacity(group.len()), Vec::new());
        for request in group {
            match self.judge(&request) {
                Ok(()) => {
                    request.batch.ops.iter().for_each(|op| self.view.accept(op));
                    accepted.push(request);
                }
                Err(e) => refused.push((request, e)),
            }
        }
        let written = self.write(&accepted);
        for (request, e) in refused {
            request.answer(Err(e));
        }
        match written {
            Ok(()) => self.succeed(accepted),
            Err(e) => self.fail(accepted, &e),
        }
    }

    fn judge(&self, request: &Request) -> Result<(), GuardedError> {
        let verdict = if self.shared.queue.is_broken(&request.guard) {
            Err(GuardedError::NotWritten(NotApplied::Fenced))
        } else {
            self.view.judge(&request.guard)
        };
        if matches!(verdict, Err(GuardedError::NotWritten(_))) {
            self.shared.queue.break_token(&request.guard);
        }
        verdict
    }

    /// One RocksDB batch, synced if one of the requests wants it.
    fn write(&mut self, accepted: &[Request]) -> Result<(), String> {
        let synced = accepted
            .iter()
            .any(|request| request.durability == Durability::Synced);
        if accepted.iter().all(|request| request.batch.is_empty()) {
            return if synced && self.unsynced_since.is_some() {
                self.try_sync()
            } else {
                Ok(())
            };
        }
        if let Some(e) = self.shared.faults.before_write() {
            return Err(e);
        }
        self.write_when_possible(accepted, synced)?;
        if let Some(e) = self.shared.faults.after_write() {
            return Err(e);
        }
        self.shared.counters.group(accepted.len(), synced);
        if synced {
            self.unsynced_since = None;
        } else {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Writes, and waits itself while flushes or compaction are behind. RocksDB must not do the waiting: when a
    /// flush meets a full disk, its own recovery waits for the stalled writer, and that for the recovery, for ever.
    fn write_when_possible(&self, accepted: &[Request], synced: bool) -> Result<(), String> {
        let mut options = WriteOptions::default();
        options.set_sync(synced);
        options.set_no_slowdown(true);
        let started = Instant::now();
        let mut pause = FIRST_STALL;
        while !self.shared.cell.try_write(merge(accepted), &options)? {
            if started.elapsed() > LONGEST_STALL {
                return Err(format!(
                    "flushes and compaction did not make room in {LONGEST_STALL:?}"
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_STALL);
        }
        if started.elapsed() > Duration::from_secs(1) {
            tracing::warn!(
                took_ms = started.elapsed().as_millis(),
                "writing waited for flushes and compaction"
            );
        }
        Ok(())
    }

    fn succeed(&mut self, accepted: Vec<Request>) {
        self.view.group_written();
        self.shared
            .queue
            .mend(accepted.iter().flat_map(|request| &request.batch.ops));
        for mut request in accepted {
            request.batch.callbacks.drain(..).for_each(|f| f(Applied::Yes));
            request.answer(Ok(()));
        }
    }

    fn fail(&mut self, accepted: Vec<Request>, error: &str) {
        // Before the answers: who gets one and asks sees why.
        let since = Instant::now();
        self.shared.health.send_replace(Health::Reopening {
            since,
            error: error.to_owned(),
        });
        for request in &accepted {
            self.shared.queue.break_token(&request.guard);
        }
        for mut request in accepted {
            request.batch.callbacks.drain(..).for_each(|f| f(Applied::Maybe));
            request.answer(Err(GuardedError::Unknown(error.to_owned())));
        }
        self.reopen(error);
    }

    /// Syncs what was written without.
    fn sync(&mut self) {
        if let Err(e) = self.try_sync() {
            self.reopen(&e);
        }
    }

    fn try_sync(&mut self) -> Result<(), String> {
        if let Some(e) = self.shared.faults.sync() {
            return Err(e);
        }
        self.shared.cell.with(|db| db.flush_wal(true))?;
        self.shared.counters.sync();
        self.unsynced_since = None;
        Ok(())
    }

    /// Closes the database and opens it again, until that works or the queue is closed. What waits is written
    /// afterwards if the first attempt works, and refused after each that does not.
    fn reopen(&mut self, error: &str) {
        tracing::error!(
            error,
            "the database has an I/O error: it is closed and opened again"
        );
        let since = Instant::now();
        self.view.forget_all();
        // What was written is in the log, and recovery syncs what it reads from there.
        self.unsynced_since = None;
        self.shared.health.send_replace(Health::Reopening {
            since,
            error: error.to_owned(),
        });
        let mut pause = FIRST_PAUSE;
        while let Err(e) = self.shared.cell.reopen() {
            let error = e.to_string();
            for request in self.shared.queue.take_all_to_refuse() {
                request.answer(Err(GuardedError::NotWritten(NotApplied::Reopening(
                    error.clone(),
                ))));
            }
            self.shared
                .health
                .send_replace(Health::Reopening { since, error });
            if self.shared.queue.closed_within(pause) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.shared.counters.reopen();
        self.shared.health.send_replace(Health::Healthy);
        tracing::info!(took_ms = since.elapsed().as_millis(), "the database works again");
    }
}

fn merge(requests: &[Request]) -> WriteBatch {
    let bytes: usize = requests.iter().map(|request| request.batch.bytes).sum();
    let mut merged = WriteBatch::with_capacity_bytes(bytes);
    for op in requests.iter().flat_map(|request| &request.batch.ops) {
        match op {
            Op::Put(key, value) => merged.put(key, value),
            Op::Delete(key) => merged.delete(key),
            Op::DeleteRange(range) => merged.delete_range(&range.from, &range.to),
        }
    }
    merged
}
