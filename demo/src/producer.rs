//! Puts the flights, in order, and remembers the receipt of each: the shard and sequence number it got.
//!
//! After a crash in the middle of a put nobody knows which of its records were stored. Putting them again could
//! store them twice, so the producer reads what came after its last receipts, as any careful producer would.

use crate::client::{Client, stream_name};
use crate::error::DemoError;
use crate::flights::Flight;
use crate::scene::FLIGHTS;
use millstream_api::v1;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of one put, the most the API takes.
pub(crate) const BATCH: usize = 500;

/// Where a flight was stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Receipt {
    pub(crate) shard: Arc<str>,
    pub(crate) sequence: Arc<str>,
}

/// The producer and what it has put so far.
#[derive(Debug)]
pub(crate) struct Producer {
    client: Client,
    flights: Arc<Vec<Flight>>,
    receipts: Vec<Option<Receipt>>,
    /// Every flight before this one has its receipt.
    next: usize,
    /// The last receipt of each shard; a shard without one has an empty text.
    last: BTreeMap<Arc<str>, Arc<str>>,
}

impl Producer {
    /// A producer that has put nothing yet to the stream of flights.
    pub(crate) async fn new(client: Client, flights: Arc<Vec<Flight>>) -> Result<Self, DemoError> {
        let shards = client.stream(FLIGHTS).await?.shards;
        let last = shards
            .into_iter()
            .map(|shard| (shard.shard_id.into(), "".into()))
            .collect();
        let receipts = vec![None; flights.len()];
        Ok(Self {
            client,
            flights,
            receipts,
            next: 0,
            last,
        })
    }

    /// How many flights are stored for certain.
    pub(crate) fn stored(&self) -> usize {
        self.next
    }

    /// Puts the next batch, without those of its flights that are known to be stored.
    ///
    /// # Errors
    /// If the call fails or a record is refused; then [`Producer::recover`] finds out what was stored.
    pub(crate) async fn put_next(&mut self) -> Result<(), DemoError> {
        let end = (self.next + BATCH).min(self.flights.len());
        let missing: Vec<usize> = (self.next..end).filter(|n| self.receipts[*n].is_none()).collect();
        if !missing.is_empty() {
            let records = missing.iter().map(|n| entry(&self.flights[*n])).collect();
            let request = v1::PutRecordsRequest {
                stream: stream_name(FLIGHTS),
                records,
            };
            let answer = self.client.streams.clone().put_records(request).await;
            let results = answer
                .map_err(DemoError::call("PutRecords"))?
                .into_inner()
                .results;
            for (n, result) in missing.into_iter().zip(results) {
                if !result.error_code.is_empty() {
                    let why = format!("{}: {}", result.error_code, result.error_message);
                    return Err(DemoError::Refused { n, why });
                }
                self.note(n, &result.shard_id, result.sequence_number);
            }
        }
        self.advance();
        Ok(())
    }

    /// Reads what was stored after the last receipts and notes it. Returns how many flights that were.
    pub(crate) async fn recover(&mut self) -> Result<usize, DemoError> {
        let mut found = 0;
        for (shard, last) in self.last.clone() {
            let after = (!last.is_empty()).then(|| last.to_string());
            for record in self.client.read_shard(FLIGHTS, &shard, after).await? {
                self.note(number_of(&record)?, &shard, record.sequence_number);
                found += 1;
            }
        }
        self.advance();
        Ok(found)
    }

    /// Where every flight went, in the order of the flights.
    pub(crate) fn into_receipts(self) -> Vec<Receipt> {
        self.receipts.into_iter().flatten().collect()
    }

    fn note(&mut self, n: usize, shard: &str, sequence: String) {
        // The shards' names are shared: there are few of them and many receipts.
        let shard: Arc<str> = match self.last.get_key_value(shard) {
            Some((known, _)) => Arc::clone(known),
            None => shard.into(),
        };
        let sequence: Arc<str> = sequence.into();
        let last = self.last.entry(Arc::clone(&shard)).or_insert_with(|| "".into());
        if is_later(&sequence, last) {
            *last = Arc::clone(&sequence);
        }
        self.receipts[n] = Some(Receipt { shard, sequence });
    }

    fn advance(&mut self) {
        while self.receipts.get(self.next).is_some_and(Option::is_some) {
            self.next += 1;
        }
    }
}

fn entry(flight: &Flight) -> v1::PutRecordsEntry {
    // A flight is plain values: it always has a JSON form.
    let data = serde_json::to_vec(flight).unwrap_or_default();
    v1::PutRecordsEntry {
        partition_key: flight.tail.clone(),
        data: data.into(),
        ..Default::default()
    }
}

#[derive(Deserialize)]
struct Numbered {
    n: usize,
}

fn number_of(record: &v1::StreamRecord) -> Result<usize, DemoError> {
    let numbered: Numbered = serde_json::from_slice(&record.data).map_err(|error| DemoError::Flights {
        line: 0,
        what: format!("a stored record is not ours: {error}"),
    })?;
    Ok(numbered.n)
}

/// Sequence numbers are decimal numbers without leading zeros, too long for an integer.
fn is_later(a: &str, b: &str) -> bool {
    (a.len(), a) > (b.len(), b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::tests::flight;

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        for (a, b, later) in [
            ("10", "9", true),
            ("9", "10", false),
            ("12", "11", true),
            ("1", "", true),
            ("7", "7", false),
        ] {
            assert_eq!(is_later(a, b), later, "{a} after {b}");
        }
    }

    #[test]
    fn a_stored_record_tells_its_number() {
        let entry = entry(&flight(17, "N1", Some(3)));
        assert_eq!(entry.partition_key, "N1");
        let record = |data| v1::StreamRecord {
            data,
            ..Default::default()
        };
        assert_eq!(number_of(&record(entry.data)).unwrap(), 17);
        assert!(number_of(&record("{}".into())).is_err());
    }
}
