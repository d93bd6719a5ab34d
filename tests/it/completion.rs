//! Completion of command lines: real shells on terminals, with names that a running server has.

use crate::cli::{ok, text};
use crate::server::{Server, binary};
use crate::wait::SOON;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;
use tokio::time::timeout;

/// What the server under test has, and no other.
const SETUP: [&str; 6] = [
    "stream create orders-of-today",
    "queue create jobs.fifo",
    "queue create jars",
    "function create totals-of-today --url http://127.0.0.1:1/",
    "mapping create a-live-mapping --stream orders-of-today --function totals-of-today --from trim",
    "mapping create another --queue jars --function totals-of-today",
];

async fn with_names() -> Server {
    let server = Server::start().await;
    for line in SETUP {
        ok(&server, &line.split(' ').collect::<Vec<_>>()).await;
    }
    server
}

/// Types in a shell; `expected` must come of it within a minute.
async fn tab(server: &Server, shell: &[&str], setup: &[&str], typed: &str, expected: &str) {
    let python =
        std::env::var("MILLSTREAM_PYTHON").expect("run `make test`, or eval \"$(make -s env)\" first");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/tab.py");
    let commands = binary().parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    let run = Command::new(python)
        .arg(script)
        .args([expected, typed])
        .args(setup)
        .arg("--")
        .args(shell)
        .env("PATH", format!("{commands}:{path}"))
        .env("MILLSTREAM_SERVER", server.address())
        .env("HOME", server.dir())
        .env("XDG_CONFIG_HOME", server.dir())
        .env("XDG_DATA_HOME", server.dir())
        .current_dir(server.dir())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(3 * SOON, run).await.expect("no end").unwrap();
    assert!(
        status.success(),
        "{shell:?} {typed}: {}{}",
        text(&stdout),
        text(&stderr)
    );
}

const BASH: (&[&str], &[&str]) = (
    &["bash", "--norc", "--noprofile", "-i"],
    &["source <(millstream completion bash)"],
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bash_completes_what_there_is() {
    let server = with_names().await;
    for (typed, expected) in [
        ("millstream mapping get a-l", "a-live-mapping"),
        ("millstream m wait another a-", "a-live-mapping"),
        ("millstream mapping create new --stream o", "orders-of-today"),
        ("millstream mapping create new --queue jobs", "jobs.fifo"),
        ("millstream function invoke to", "totals-of-today"),
        ("millstream get mapping a-", "a-live-mapping"),
        ("millstream get queue/job", "queue/jobs.fifo"),
        ("millstream ledger list a-", "a-live-mapping"),
        // The grammar's own words too.
        ("millstream generate-ev", "generate-event"),
        (
            "millstream mapping create new --starting-pos",
            "--starting-position",
        ),
    ] {
        tab(&server, BASH.0, BASH.1, &format!("{typed}\t"), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zsh_completes_what_there_is() {
    let server = with_names().await;
    let setup = [
        "autoload -U compinit; compinit -u -D",
        "source <(millstream completion zsh)",
    ];
    let shell = ["zsh", "-f", "-i"];
    for (typed, expected) in [
        ("millstream mapping get a-l", "mappings/a-live-mapping"),
        ("millstream queue get jobs", "queues/jobs.fifo"),
    ] {
        // Run, because what is shown while one types is drawn in pieces.
        tab(&server, &shell, &setup, &format!("{typed}\t -o name\r"), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fish_completes_what_there_is() {
    let server = with_names().await;
    let setup = ["millstream completion fish | source"];
    let shell = ["fish", "--no-config", "-i"];
    for (typed, expected) in [
        ("millstream mapping get a-l", "mappings/a-live-mapping"),
        ("millstream stream get ord", "streams/orders-of-today"),
    ] {
        tab(&server, &shell, &setup, &format!("{typed}\t -o name\r"), expected).await;
    }
}

/// What the script of a shell asks, and what it gets.
async fn asked(shell: &str, server: &str, words: &[&str]) -> Vec<String> {
    let run = Command::new(binary())
        .arg("--")
        .arg("millstream")
        .args(words)
        .env("_MILLSTREAM_COMPLETE", shell)
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_IFS", "\n")
        .env("MILLSTREAM_SERVER", server)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(SOON, run).await.expect("no end").unwrap();
    assert!(
        status.success() && stderr.is_empty(),
        "{shell}: {}",
        text(&stderr)
    );
    text(&stdout).lines().map(str::to_owned).collect()
}

/// No PowerShell runs here: what its script calls is called instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn powershell_is_told_what_there_is() {
    let server = with_names().await;
    let script = ok(&server, &["completion", "powershell"]).await;
    assert!(
        script.contains("Register-ArgumentCompleter") && script.contains("_MILLSTREAM_COMPLETE"),
        "{script}"
    );
    let address = server.address();
    for (words, want) in [
        (&["mapping", "get", "a"][..], &["a-live-mapping", "another"][..]),
        (&["queue", "get", ""], &["jars", "jobs.fifo"]),
        (&["mapping", "get", "-n", "other", ""], &[]),
        (
            &["mapping", "create", "m", "--on-failure", "o"],
            &["orders-of-today"],
        ),
        (
            &["mapping", "create", "m", "--on-failure", "q"],
            &["queue/jars", "queue/jobs.fifo"],
        ),
    ] {
        let got = asked("powershell", &address, words).await;
        let names: Vec<&str> = got.iter().map(|line| line.split('\t').next().unwrap()).collect();
        let names: Vec<&str> = names.into_iter().filter(|n| !n.starts_with('-')).collect();
        assert_eq!(names, want, "{words:?}");
    }
    // The command line may name its server itself.
    let named = ["mapping", "get", "--server", &address, "a-"];
    assert_eq!(
        asked("powershell", "127.0.0.1:1", &named).await,
        ["a-live-mapping"]
    );
}

/// Whoever presses Tab is not told why there is nothing, and does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_there_is_silence() {
    // Takes connections and never says a word.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = mute.local_addr().unwrap().to_string();
    for address in ["127.0.0.1:1", "no address", mute.as_str()] {
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let got = asked(shell, address, &["mapping", "get", "a"]).await;
            assert_eq!(got, Vec::<String>::new(), "{shell} {address}");
        }
    }
}
