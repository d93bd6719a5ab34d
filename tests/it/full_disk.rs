//! A full disk stops puts and nothing else, and goes by without a restart (design, section 4).
//!
//! The disk is a small tmpfs in a mount namespace of its own, which ends with the process that holds it; the
//! server reaches it through that process's entry in `/proc`.

use crate::client::{Client, entry, mapping, stream_name, test_function};
use crate::function;
use crate::server::{Server, Settings};
use crate::wait::{SOON, until};
use millstream_api::v1;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STREAM: &str = "orders";
const SIZE: &str = "96m";
/// Less than the reserve, which is 5 % of the disk.
const ROOM: u64 = 3 << 20;
/// The id of records that are refused.
const REFUSED: usize = 900;

/// A small file system of its own.
struct SmallDisk {
    holder: Child,
    root: PathBuf,
}

impl SmallDisk {
    /// # Panics
    /// If the system does not allow a mount namespace.
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let script = r#"mount -t tmpfs -o size="$1" none "$2" && echo ready && exec sleep infinity"#;
        let held = |unshare: &[&str]| {
            let mut holder = Command::new("unshare")
                .args(unshare)
                .args(["sh", "-c", script, "sh", SIZE])
                .arg(at)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("unshare cannot be started: install util-linux");
            let mut line = String::new();
            // The end of the output comes when the mount did not work: then the line is empty.
            let _ = BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line);
            let disk = Self {
                root: format!("/proc/{}/root{}", holder.id(), at.display()).into(),
                holder,
            };
            (line.trim() == "ready").then_some(disk)
        };
        // As root directly; otherwise as root of a user namespace of our own.
        let disk = held(&["--mount"]).or_else(|| held(&["--map-root-user", "--mount"]));
        disk.expect(
            "this system allows no mount namespace: run as root, or allow unprivileged user namespaces",
        )
    }

    /// Writes until only so many bytes are free.
    fn fill(&self, room: u64) {
        let mut filler = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        while self.free_bytes() > room && filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn free_bytes(&self) -> u64 {
        let fs = nix::sys::statvfs::statvfs(&self.root).unwrap();
        fs.blocks_available() * fs.fragment_size()
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.root.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.holder.kill().and_then(|()| self.holder.wait().map(drop));
    }
}

async fn put(client: &Client, ids: std::ops::Range<usize>, flag: &Path) -> v1::PutRecordsResponse {
    let records = ids
        .map(|n| {
            entry(
                &format!("key-{}", n % 40),
                format!("{n} throw {}", flag.display()),
            )
        })
        .collect();
    let request = v1::PutRecordsRequest {
        stream: stream_name(STREAM),
        records,
    };
    client
        .streams
        .clone()
        .put_records(request)
        .await
        .unwrap()
        .into_inner()
}

fn done(journal: &Path) -> BTreeSet<usize> {
    function::calls(journal)
        .iter()
        .flat_map(function::Call::done)
        .map(|id| id.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn a_full_disk_stops_puts_and_nothing_else_and_goes_by_without_a_restart() {
    const PUT: usize = 400;
    let mut server = Server::new(Settings::flags(&["--write-buffer", "1MiB"]));
    let disk = SmallDisk::mount(&server.dir().join("disk"));
    server.settings().data_dir = Some(disk.root.join("data"));
    server.restart().await;
    let (pid, client) = (server.pid(), server.client());
    let (journal, go) = (server.dir().join("journal"), server.dir().join("go"));
    client.create_stream(STREAM, 2).await;
    client
        .create_function("f", &test_function(&journal, "id"), Duration::from_secs(10), 2)
        .await;
    let settings = v1::Mapping {
        parallelization_factor: Some(4),
        batch_size: Some(10),
        bisect_batch_on_function_error: Some(true),
        ..mapping(STREAM, "f")
    };
    client.create_mapping("m", settings).await;

    // Everything put so far fails until `go` is there, so that there is work to do on the full disk.
    assert_eq!(put(&client, 0..PUT, &go).await.failed_record_count, 0);
    disk.fill(ROOM);
    refused_for_want_of_room(&client, &go).await;
    File::create(&go).unwrap();
    until("work on the full disk", SOON, async || {
        (done(&journal).len() >= PUT).then_some(())
    })
    .await;
    checkpoints_reach_the_end(&client).await;
    assert_eq!(server.pid(), pid, "the same process goes on");

    // What was stored on the full disk is still known there after a crash.
    server.kill9().await;
    let calls = function::calls(&journal).len();
    server.restart().await;
    let (pid, client) = (server.pid(), server.client());
    checkpoints_reach_the_end(&client).await;
    assert_eq!(function::calls(&journal).len(), calls, "nothing is done again");
    // The restart may have given back the space of old logs.
    disk.fill(ROOM);
    refused_for_want_of_room(&client, &go).await;

    // Not a byte is left; then somebody makes room.
    disk.fill(0);
    refused_for_want_of_room(&client, &go).await;
    disk.free();
    until("a put that works again", SOON, async || {
        (put(&client, 1_000..1_100, &go).await.failed_record_count == 0).then_some(())
    })
    .await;
    let wanted: BTreeSet<usize> = (0..PUT).chain(1_000..1_100).collect();
    until("everything done", SOON, async || {
        done(&journal).is_superset(&wanted).then_some(())
    })
    .await;
    assert_eq!(server.pid(), pid, "the same process went on");
    let mut stored = 0;
    for shard in client.stream(STREAM).await.unwrap().shards {
        stored += client.read_shard(STREAM, &shard.shard_id).await.len();
    }
    assert_eq!(
        stored,
        wanted.len(),
        "everything that was acknowledged, and nothing that was refused"
    );
}

async fn refused_for_want_of_room(client: &Client, flag: &Path) {
    let result = until("a put that is refused for want of room", SOON, async || {
        let answer = put(client, REFUSED..REFUSED + 1, flag).await;
        answer.results.into_iter().find(|r| !r.error_code.is_empty())
    })
    .await;
    assert_eq!(result.error_code, "DISK_FULL", "{}", result.error_message);
    for word in ["full", "free"] {
        assert!(result.error_message.contains(word), "{}", result.error_message);
    }
}

/// Waits until the mapping has stored that all of its shards are finished as far as they go.
async fn checkpoints_reach_the_end(client: &Client) {
    until("checkpoints at the newest records", SOON, async || {
        let newest = client.stream(STREAM).await.ok()?.shards;
        let shards = client.inspect("m").await.ok()?.shards;
        let reached = |s: &v1::ShardInspection| {
            let end = newest
                .iter()
                .find(|n| n.shard_id == s.shard_id)
                .map(|n| n.newest_sequence_number.clone());
            let kind = s.checkpoint.as_ref().and_then(|c| c.kind.clone());
            end.as_deref() == Some("") || kind == end.map(v1::position::Kind::AfterSequenceNumber)
        };
        (!shards.is_empty() && shards.iter().all(reached)).then_some(())
    })
    .await;
}
