//! How much room the file system has.

use super::Faults;
use super::errors::DiskFull;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old an answer may be while there is plenty of room: a put must not cost a system call each. Near the reserve
/// every call asks: a fast disk could fill a small reserve within this time.
const FRESH: Duration = Duration::from_millis(100);
/// Plenty: so many times the reserve.
const PLENTY: u64 = 4;

/// Room on the file system of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that this process may still use.
    pub free: u64,
    /// The reserve for checkpoints, deletes and compaction: below it puts are refused. Up to twice the configured
    /// one while compaction is behind, as its output exists beside its input for a while.
    pub floor: u64,
}

#[derive(Debug)]
pub(super) struct Space {
    path: PathBuf,
    floor_bytes: u64,
    faults: Faults,
    newest: Mutex<Option<(Instant, FreeSpace)>>,
}

impl Space {
    pub(super) fn new(path: &Path, floor_bytes: u64, faults: Faults) -> Self {
        Self {
            path: path.to_owned(),
            floor_bytes,
            faults,
            newest: Mutex::default(),
        }
    }

    /// The room now. `behind` tells how many bytes compaction is behind; asked only if the last answer is old.
    /// `queued` bytes count as written.
    pub(super) fn get(&self, queued: u64, behind: impl FnOnce() -> u64) -> Result<FreeSpace, std::io::Error> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let space = match *newest {
            Some((at, space)) if space.free > PLENTY * space.floor && at.elapsed() < FRESH => space,
            _ => {
                let space = self.ask(behind())?;
                *newest = Some((Instant::now(), space));
                space
            }
        };
        let free = self
            .faults
            .free_bytes()
            .unwrap_or(space.free)
            .saturating_sub(queued);
        Ok(FreeSpace { free, ..space })
    }

    pub(super) fn check_room(&self, queued: u64, behind: impl FnOnce() -> u64) -> Result<(), DiskFull> {
        match self.get(queued, behind) {
            Ok(FreeSpace { free, floor }) if free < floor => Err(DiskFull { free, floor }),
            // A file system that does not say how full it is may have room: the write will tell.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn ask(&self, behind: u64) -> Result<FreeSpace, std::io::Error> {
        let fs = nix::sys::statvfs::statvfs(&self.path)?;
        let total = fs.blocks() * fs.fragment_size();
        let floor = self.floor_bytes.min(total / 20);
        Ok(FreeSpace {
            free: fs.blocks_available() * fs.fragment_size(),
            floor: floor + behind.min(floor),
        })
    }
}
