//! What keeps a mapping from its work, by kind and, within a kind, by shard.

use crate::view::Condition;
use millstream_types::{ShardId, Wall};
use std::collections::BTreeMap;

/// The source cannot be read.
pub(super) const SOURCE_UNAVAILABLE: &str = "SourceUnavailable";
/// A shard ended by a fault and is started again.
pub(super) const SHARD_RESTARTING: &str = "ShardRestarting";
/// The function cannot be called.
pub(super) const FUNCTION_UNAVAILABLE: &str = "FunctionUnavailable";
/// The store cannot be used.
pub(super) const STORE_UNAVAILABLE: &str = "StoreUnavailable";
/// Records fell out of retention before they were read.
pub(super) const RECORDS_LOST: &str = "RecordsLostToRetention";

/// All conditions of a mapping.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    kinds: BTreeMap<&'static str, BTreeMap<Option<ShardId>, (String, Wall)>>,
}

impl Conditions {
    /// Sets it, or clears it with none. Returns whether that is new.
    pub(super) fn set(
        &mut self,
        kind: &'static str,
        shard: Option<&ShardId>,
        message: Option<String>,
        now: Wall,
    ) -> bool {
        let by_shard = self.kinds.entry(kind).or_default();
        let key = shard.cloned();
        match message {
            Some(message) => {
                let before = by_shard.get(&key).cloned();
                let since = before.as_ref().map_or(now, |b| b.1);
                let changed = before.is_none_or(|b| b.0 != message);
                by_shard.insert(key, (message, since));
                changed
            }
            None => by_shard.remove(&key).is_some(),
        }
    }

    /// For people: one entry per kind, naming the shards it holds for.
    pub(super) fn list(&self) -> Vec<Condition> {
        let entry = |(kind, by_shard): (&&'static str, &BTreeMap<Option<ShardId>, (String, Wall)>)| {
            let (shard, (message, _)) = by_shard.iter().next()?;
            let since = by_shard.values().map(|v| v.1).min()?;
            let others = by_shard.len() - 1;
            let message = match (shard, others) {
                (None, _) => message.clone(),
                (Some(shard), 0) => format!("{shard}: {message}"),
                (Some(shard), n) => format!("{shard} and {n} more: {message}"),
            };
            Some(Condition { kind, message, since })
        };
        self.kinds.iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_shown_once_and_keeps_its_beginning() {
        let (a, b) = (ShardId::new("a").unwrap(), ShardId::new("b").unwrap());
        let mut c = Conditions::default();
        assert!(c.set(SOURCE_UNAVAILABLE, Some(&a), Some("down".into()), Wall(5)));
        assert!(c.set(SOURCE_UNAVAILABLE, Some(&b), Some("down".into()), Wall(9)));
        assert!(
            !c.set(SOURCE_UNAVAILABLE, Some(&a), Some("down".into()), Wall(10)),
            "nothing new"
        );
        let shown = c.list();
        assert_eq!(shown.len(), 1);
        assert_eq!(
            (shown[0].message.as_str(), shown[0].since),
            ("a and 1 more: down", Wall(5))
        );
        assert!(c.set(SOURCE_UNAVAILABLE, Some(&a), None, Wall(11)));
        assert!(c.set(SOURCE_UNAVAILABLE, Some(&b), None, Wall(11)));
        assert!(c.list().is_empty());
    }
}
