//! The end of the program that hosts a pool, and what a pool leaves behind. The host is this test binary,
//! run again with the test that plays it.

use crate::rig::{alive, event, invoke, pool, response, until};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Starts this binary with one ignored test, and reads its output up to the first line with `mark`. Its
/// output must stay open until it has ended.
fn host(test: &str, mark: &str) -> (Child, String, impl Sized) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let line = out.find_map(|line| {
        let at = line.find(mark)?;
        line.get(at + mark.len()..).map(str::to_owned)
    });
    (child, line.expect("the host says what it has"), out)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by the host process of the test below"]
async fn hosts_two_processes_until_killed() {
    let pool = pool(2);
    let idle = response(invoke(&*pool, json!({})).await)["pid"].clone();
    let busy = tempfile::NamedTempFile::new().unwrap();
    let hanging = event(&json!({"do": "grandchild", "file": busy.path()}));
    let _hanging = {
        let pool = std::sync::Arc::clone(&pool);
        tokio::spawn(async move { pool.invoke(hanging).await })
    };
    until("it hangs", || {
        std::fs::read_to_string(busy.path()).is_ok_and(|t| !t.is_empty())
    })
    .await;
    let second = response(invoke(&*pool, json!({})).await)["pid"].clone();
    say(&format!("PIDS {idle} {second}\n"));
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_host_kills_its_processes() {
    let (mut child, pids, _out) = host("parent::hosts_two_processes_until_killed", "PIDS ");
    let pids: Vec<u32> = pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| alive(*pid)));
    child.kill().unwrap();
    child.wait().unwrap();
    until("its processes are gone", || pids.iter().all(|pid| !alive(*pid))).await;
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by the host process of the test below: it counts the descriptors of its whole process"]
async fn uses_and_closes_pools() {
    let round = || async {
        let pool = pool(2);
        response(invoke(&*pool, json!({})).await);
        for what in ["exit", "not-http", "raise"] {
            invoke(&*pool, json!({"do": what})).await;
        }
        let mut late = event(&json!({"do": "hang"}));
        late.timeout = std::time::Duration::from_millis(300);
        pool.invoke(late).await;
        pool.close().await;
    };
    round().await; // what the runtime opens once
    let before = open_files();
    for _ in 0..3 {
        round().await;
    }
    until("as many files are open as before", || open_files() <= before).await;
    let children =
        std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap();
    say(&format!("CHILDREN {}\n", children.split_whitespace().count()));
}

#[test]
fn nothing_is_left_behind() {
    let (mut child, children, _out) = host("parent::uses_and_closes_pools", "CHILDREN ");
    assert_eq!(children, "0", "no zombies");
    assert!(child.wait().unwrap().success());
}

/// Past the test harness, which would hold it back.
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}
