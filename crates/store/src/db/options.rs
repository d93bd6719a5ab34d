//! How a database is opened.

use super::Faults;
use std::time::Duration;

/// How a database is opened. The defaults suit a node on 2 cores with some GiB of memory.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// How long a write that nobody waits for may stay un-synced; default 50 ms (design, section 4).
    pub sync_interval: Duration,
    /// The free space below which puts are refused: this or 5 % of the file system, whichever is less; default
    /// 256 MiB.
    pub free_floor_bytes: u64,
    /// Memory for blocks read from disk; default 256 MiB.
    pub block_cache_bytes: usize,
    /// Memory for what is not yet in a table file, of which up to three exist; default 32 MiB, but at most an
    /// eighth of the reserve.
    pub write_buffer_bytes: usize,
    /// Most bytes that wait for the writer thread; default 128 MiB. One batch is taken when none waits, however
    /// large it is.
    pub queue_bytes: usize,
    /// Most batches that wait for the writer thread; default 65,536.
    pub queue_requests: usize,
    /// What tests make fail; by default nothing.
    pub faults: Faults,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_millis(50),
            free_floor_bytes: 256 << 20,
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 32 << 20,
            queue_bytes: 128 << 20,
            queue_requests: 65_536,
            faults: Faults::default(),
        }
    }
}
