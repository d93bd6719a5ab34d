//! The filter of a shard at work on whole pages.

use super::{InvalidPattern, RecordFilter, Scratch};
use crate::event::EventShape;
use crate::shard::Quarantined;
use bytes::Bytes;
use millstream_types::filter::MAX_FILTERS;
use millstream_types::{MappingSpec, OnUnmatched, Record, ShardId};
use std::sync::Arc;

/// Lets through what a mapping wants of a shard.
#[derive(Clone, Debug)]
pub struct Screen {
    filter: RecordFilter,
    keeps: bool,
    /// Most records that are kept together.
    batch_size: usize,
    shape: Arc<EventShape>,
}

/// What became of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screened {
    /// The records that match, in order.
    pub matched: Vec<Record>,
    /// How many of them by the first pattern that they match.
    pub by_pattern: [u64; MAX_FILTERS],
    /// How many records match none.
    pub filtered: u64,
    /// Those records, if they are to be kept: at most as many together as the mapping has in a batch.
    pub quarantined: Vec<Quarantined>,
}

impl Screen {
    /// The filters of a mapping for one shard; none without filters. `shape` is that of the shard's events.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn of(
        spec: &MappingSpec,
        shard: &ShardId,
        shape: Arc<EventShape>,
    ) -> Result<Option<Self>, InvalidPattern> {
        Ok(RecordFilter::of(spec, shard)?.map(|filter| Self {
            filter,
            keeps: spec.filter_criteria.on_unmatched == OnUnmatched::Quarantine,
            batch_size: spec.batch_size.max(1) as usize,
            shape,
        }))
    }

    /// Screens a page.
    #[must_use]
    pub fn page(&self, records: Vec<Record>, scratch: &mut Scratch) -> Screened {
        let mut screened = Screened::default();
        let mut unmatched = Vec::new();
        screened.matched.reserve_exact(records.len());
        for record in records {
            match self.filter.matches(&record, scratch) {
                Some(pattern) => {
                    if let Some(count) = screened.by_pattern.get_mut(pattern) {
                        *count += 1;
                    }
                    screened.matched.push(record);
                }
                None => {
                    screened.filtered += 1;
                    if self.keeps {
                        unmatched.push(record);
                    }
                }
            }
        }
        let kept = unmatched.chunks(self.batch_size);
        screened.quarantined = kept.filter_map(|records| self.keep(records)).collect();
        screened
    }

    fn keep(&self, records: &[Record]) -> Option<Quarantined> {
        let (first, last) = (records.first()?, records.last()?);
        let mut payload = Vec::new();
        self.shape.encode(records, None, &mut payload);
        Some(Quarantined {
            payload: Bytes::from(payload),
            first: (first.mark, first.arrival),
            last: (last.mark, last.arrival),
            records: records.len() as u32,
        })
    }
}
