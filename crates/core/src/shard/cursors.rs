//! Who reads what next: the main cursor, and one that reads again for lanes that fell behind.

use super::config::Limits;
use super::lane::Lane;
use crate::route::Entry;
use bytes::Bytes;
use millstream_types::{Mark, Position, Wall};

/// Which of the two cursors of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cursor {
    /// Reads every record once.
    Main,
    /// Reads again, for lagging lanes only, until it meets the main cursor.
    CatchUp,
}

/// Read a page, and answer with [`super::ShardMachine::on_page`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOrder {
    /// For which cursor.
    pub cursor: Cursor,
    /// Identifies the order; an answer to an older one is ignored.
    pub serial: u64,
    /// From where. If it is where the cursor's last page ended, its reader can go on.
    pub from: Position,
    /// Most records.
    pub records: usize,
    /// Most bytes.
    pub bytes: usize,
}

/// A page that was read and routed.
#[derive(Clone, Debug)]
pub struct PageIn {
    /// Which cursor's.
    pub cursor: Cursor,
    /// The order's number.
    pub serial: u64,
    /// The records by lane, as [`crate::route::route_page`] gives them.
    pub lanes: Vec<Vec<Entry>>,
    /// How far the page looked; none if nothing was ever read.
    pub through: Option<Mark>,
    /// The shard is closed and nothing follows.
    pub end: bool,
    /// The source had nothing to return: all there is has been read.
    pub tip: bool,
    /// Behind the newest record, in ms.
    pub lag_ms: u64,
    /// Records not yet read, where known.
    pub lag_records: Option<u64>,
    /// The mapping's generation with whose filters it was filtered.
    pub generation: u64,
    /// Records that matched no filter: they are in no lane.
    pub filtered: u64,
    /// Those of them that are to be kept as discards, in order.
    pub quarantined: Vec<Quarantined>,
}

/// Records that matched no filter, next to each other but for some that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The event that carries them.
    pub payload: Bytes,
    /// The first of them, and when it arrived.
    pub first: (Mark, Wall),
    /// The last of them, and when it arrived.
    pub last: (Mark, Wall),
    /// How many.
    pub records: u32,
}

/// A read of the catch-up cursor on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct CatchingUp {
    pub(super) serial: u64,
    pub(super) from: Option<Mark>,
    /// Where the main cursor stood when it was ordered: a read that comes later and finds nothing says that
    /// there is nothing left up to here.
    pub(super) main_was_at: Option<Mark>,
}

/// Where the two cursors stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursors {
    pub(super) read_through: Option<Mark>,
    pub(super) at_end: bool,
    pub(super) main: Option<u64>,
    pub(super) catch_up: Option<CatchingUp>,
    pub(super) serial: u64,
    pub(super) lag_ms: Option<u64>,
    pub(super) lag_records: Option<u64>,
    /// The main cursor found nothing new when it looked last, and it is told when something comes.
    pub(super) caught_up: bool,
}

impl Cursors {
    /// The main cursor reads while a lane that is up to date has room.
    pub(super) fn want_main(
        &mut self,
        lanes: &[Lane],
        start: Position,
        limits: &Limits,
    ) -> Option<ReadOrder> {
        let useful = lanes.iter().any(|l| l.lagging.is_none() && l.has_room(limits));
        if self.main.is_some() || self.at_end || !useful {
            return None;
        }
        self.serial += 1;
        self.main = Some(self.serial);
        Some(self.order(Cursor::Main, after(self.read_through, start), limits))
    }

    /// The catch-up cursor reads from the lowest lagging lane that has room.
    pub(super) fn want_catch_up(
        &mut self,
        lanes: &[Lane],
        start: Position,
        limits: &Limits,
    ) -> Option<ReadOrder> {
        if self.catch_up.is_some() {
            return None;
        }
        let from = lanes
            .iter()
            .filter(|l| l.wants_catch_up(limits))
            .filter_map(|l| l.lagging)
            .min()?;
        self.serial += 1;
        self.catch_up = Some(CatchingUp {
            serial: self.serial,
            from,
            main_was_at: self.read_through,
        });
        Some(self.order(Cursor::CatchUp, after(from, start), limits))
    }

    /// The answer to an order is of no use.
    pub(super) fn disregard(&mut self, serial: u64) {
        self.main = self.main.filter(|main| *main != serial);
        self.catch_up = self.catch_up.filter(|order| order.serial != serial);
    }

    fn order(&self, cursor: Cursor, from: Position, limits: &Limits) -> ReadOrder {
        ReadOrder {
            cursor,
            serial: self.serial,
            from,
            records: limits.page_records,
            bytes: limits.page_bytes,
        }
    }
}

fn after(mark: Option<Mark>, start: Position) -> Position {
    mark.map_or(start, Position::After)
}
