//! RocksDB's settings, and what is checked before a database is used.

use super::errors::OpenError;
use super::options::DbOptions;
use crate::schema::{FORMAT_VERSION, Key};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, IteratorMode, Options, WriteOptions,
};
use std::path::Path;

/// How large a write buffer may be with a reserve of `floor` bytes: an eighth of it, as one compaction works on up
/// to eight (see [`settings`]) and must not fill the disk; but at least 512 KiB.
pub(super) fn write_buffer(wanted: usize, floor: u64) -> usize {
    let most = usize::try_from(floor / 8).unwrap_or(usize::MAX);
    wanted.min(most.max(512 << 10))
}

/// Settings for a node on 2 cores (limits.md, sections 1 and 3).
pub(super) fn settings(options: &DbOptions) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    blocks.set_block_cache(&Cache::new_lru_cache(options.block_cache_bytes));
    blocks.set_bloom_filter(10.0, false);

    let buffer = options.write_buffer_bytes as u64;
    let mut all = Options::default();
    all.create_if_missing(true);
    all.set_block_based_table_factory(&blocks);
    all.set_compression_type(DBCompressionType::Lz4);
    all.set_write_buffer_size(options.write_buffer_bytes);
    all.set_max_write_buffer_number(3);
    // The first compaction merges four flushed buffers into a level of four, later ones take as much at most.
    all.set_level_zero_file_num_compaction_trigger(4);
    all.set_max_bytes_for_level_base(4 * buffer);
    all.set_target_file_size_base(buffer / 2);
    all.set_max_compaction_bytes(8 * buffer);
    all.set_max_background_jobs(2);
    all.set_max_total_wal_size(4 * buffer);
    all.set_max_open_files(512);
    // Stops at the first record of the log that is not whole. After power loss that is in the part not yet
    // synced, whose pages may have reached the disk in any order; the stricter modes would refuse to open then.
    all.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // RocksDB's own diary.
    all.set_keep_log_file_num(4);
    all.set_max_log_file_size(4 << 20);
    all.set_stats_dump_period_sec(0);
    all
}

/// Opens the database, and marks it with the format version if it is new. What the log held is in table files
/// and synced when this returns: RocksDB flushes what it recovers.
pub(super) fn open(path: &Path, settings: &Options) -> Result<DB, OpenError> {
    let db = DB::open(settings, path).map_err(|e| classify(path, &e))?;
    match db.get(Key::Format.encode()).map_err(|e| classify(path, &e))? {
        Some(version) => check_version(path, &version)?,
        None => mark(path, &db)?,
    }
    Ok(db)
}

fn check_version(path: &Path, value: &[u8]) -> Result<(), OpenError> {
    let version = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<u32>().ok());
    match version {
        Some(found) if found > FORMAT_VERSION => Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found,
            known: FORMAT_VERSION,
        }),
        Some(_) => Ok(()),
        None => Err(OpenError::Foreign {
            path: path.to_owned(),
            why: format!("its format version reads {:?}", String::from_utf8_lossy(value)),
        }),
    }
}

fn mark(path: &Path, db: &DB) -> Result<(), OpenError> {
    if let Some(row) = db.iterator(IteratorMode::Start).next() {
        row.map_err(|e| classify(path, &e))?;
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "it has data but no format version".into(),
        });
    }
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    db.put_opt(Key::Format.encode(), FORMAT_VERSION.to_string(), &synced)
        .map_err(|e| classify(path, &e))
}

/// RocksDB tells a held lock only by its text: another process makes it `While lock file: …/LOCK`, this process
/// `lock hold by current process`.
fn classify(path: &Path, e: &rocksdb::Error) -> OpenError {
    let why = e.as_ref();
    if why.contains("While lock file") || why.contains("lock hold by current process") {
        OpenError::InUse {
            path: path.to_owned(),
        }
    } else {
        OpenError::Io {
            path: path.to_owned(),
            why: why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_reserve_bounds_the_write_buffer() {
        const MIB: usize = 1 << 20;
        for (wanted, floor, want) in [
            (32 * MIB, 256 << 20, 32 * MIB),
            (64 * MIB, 256 << 20, 32 * MIB),
            (32 * MIB, 64 << 20, 8 * MIB),
            (32 * MIB, 1 << 20, MIB / 2),
            (MIB, 256 << 20, MIB),
        ] {
            assert_eq!(write_buffer(wanted, floor), want, "{wanted} of {floor}");
        }
    }
}
