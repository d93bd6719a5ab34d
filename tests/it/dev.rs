//! `millstream dev` as somebody uses it who works on a function: records in, the function edited, Ctrl-C.

use crate::cli::text;
use crate::server::binary;
use crate::wait::{SOON, until};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Writes down what it gets, and by which version of itself. Slow where it is told to be.
const APP: &str = r#"
import base64, json, os, time

print("loading VERSION")

def handler(event, context):
    for record in event["Records"]:
        of_stream = record.get("kinesis")
        text = base64.b64decode(of_stream["data"]).decode() if of_stream else record["body"]
        print(f"{text} seen by VERSION")
        if text.startswith("slow"):
            time.sleep(1)
        if text.startswith("bad"):
            raise ValueError("cannot take this")
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(json.dumps({"text": text, "by": "VERSION", "request": context.aws_request_id,
                                   "event": event}) + "\n")
"#;

/// Where somebody works.
struct Desk {
    dir: TempDir,
}

/// A running `millstream dev`.
struct Dev {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What the function wrote down of one record.
#[derive(Clone, Debug)]
struct Seen {
    text: String,
    by: String,
    request: String,
    event: Value,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            dir: TempDir::new().unwrap(),
        };
        for name in ["app", "tmp"] {
            std::fs::create_dir(desk.path(name)).unwrap();
        }
        desk.edit("one");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Saves another version, as editors do: another file takes the place of the first.
    fn edit(&self, version: &str) {
        std::fs::write(self.path("app/app.py.new"), APP.replace("VERSION", version)).unwrap();
        std::fs::rename(self.path("app/app.py.new"), self.path("app/app.py")).unwrap();
    }

    fn seen(&self) -> Vec<Seen> {
        let text = std::fs::read_to_string(self.path("seen")).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines
            .map(|line| {
                let value: Value = serde_json::from_str(line).unwrap();
                let of = |key: &str| value[key].as_str().unwrap().to_owned();
                Seen {
                    text: of("text"),
                    by: of("by"),
                    request: of("request"),
                    event: value["event"].clone(),
                }
            })
            .collect()
    }

    /// The version that saw a record, once it is seen.
    async fn seen_by(&self, text: &str) -> Seen {
        until(text, SOON, async || {
            self.seen().into_iter().find(|seen| seen.text == text)
        })
        .await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("MILLSTREAM_") || name.starts_with("OTEL_") {
                command.env_remove(&*name);
            }
        }
        command
            .args(args)
            .current_dir(self.path("app"))
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it, and waits until it is ready.
    async fn dev(&self, args: &[&str]) -> Dev {
        let seen = format!("SEEN={}", self.path("seen").display());
        let python = std::env::var("MILLSTREAM_PYTHON").expect("run `make test`, or eval \"$(make -s env)\"");
        let function = format!("'{python}' -m awslambdaric app.handler");
        let all = [
            &["dev", "--function", &function, "--env", &seen, "--timeout", "20s"][..],
            &[
                "--grpc-addr",
                "127.0.0.1:0",
                "--ops-addr",
                "off",
                "--aws-addr",
                "off",
            ],
            args,
        ];
        let mut child = self.command(&all.concat()).process_group(0).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        for pipe in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn tokio::io::AsyncRead + Send + Unpin>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let lines = lines.clone();
            tokio::spawn(async move {
                let mut read = BufReader::new(pipe).lines();
                while let Ok(Some(line)) = read.next_line().await {
                    lines.lock().unwrap().push(line);
                }
            });
        }
        let mut dev = Dev { child, lines };
        dev.says("listening grpc=").await;
        dev
    }

    /// Another command, in a second terminal.
    async fn cli(&self, dev: &Dev, args: &[&str]) -> String {
        let run = self
            .command(args)
            .env("MILLSTREAM_SERVER", dev.address())
            .output();
        let Output {
            status,
            stdout,
            stderr,
        } = timeout(SOON, run).await.unwrap().unwrap();
        assert!(status.success(), "{args:?}: {}", text(&stderr));
        text(&stdout)
    }

    async fn json(&self, dev: &Dev, args: &[&str]) -> Value {
        let out = self.cli(dev, &[args, &["-o", "json"]].concat()).await;
        serde_json::from_str(&out).unwrap()
    }
}

impl Dev {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The first line with this text, once it is there.
    async fn says(&mut self, part: &str) -> String {
        let lines = self.lines.clone();
        let look = async || {
            let lines = lines.lock().unwrap();
            lines.iter().find(|line| line.contains(part)).cloned()
        };
        let found = timeout(SOON, until(part, 2 * SOON, look)).await;
        found.unwrap_or_else(|_| panic!("never said '{part}', but:\n{}", self.lines().join("\n")))
    }

    fn address(&self) -> String {
        let lines = self.lines();
        let found = lines.iter().find_map(|line| line.strip_prefix("listening grpc="));
        found.unwrap().to_owned()
    }

    /// What a terminal does to all that runs in it.
    fn ctrl_c(&self) {
        killpg(self.group(), Signal::SIGINT).unwrap();
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().cast_signed())
    }

    async fn ended(&mut self) -> ExitStatus {
        match timeout(SOON, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("does not end:\n{}", self.lines().join("\n")),
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            // Gone already is as good.
            let _ = killpg(self.group(), Signal::SIGKILL);
        }
        if std::thread::panicking() {
            eprintln!("--- what it said ---\n{}\n---", self.lines().join("\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_delivered_and_the_function_is_restarted_when_it_is_edited() {
    let desk = Desk::new();
    let mut dev = desk.dev(&["--source", "stream", "queue", "queue.fifo"]).await;
    desk.cli(&dev, &["stream", "put", "dev", "--key", "k", "first"])
        .await;
    desk.cli(&dev, &["queue", "send", "dev", "second"]).await;
    let fifo = [
        "queue",
        "send",
        "dev.fifo",
        "--group",
        "g",
        "--deduplication-id",
        "1",
        "third",
    ];
    desk.cli(&dev, &fifo).await;
    for record in ["first", "second", "third"] {
        let seen = desk.seen_by(record).await;
        assert_eq!(seen.by, "one");
        // Its output is tagged by the id of its request, and how it ended is told with all of that.
        let tag = &seen.request[..8];
        dev.says(&format!("{tag} | {record} seen by one")).await;
        let ended = dev.says(&format!("request {}", seen.request)).await;
        assert!(ended.starts_with(&format!("{tag} DONE 1 record of ")), "{ended}");
    }
    assert!(dev.lines().iter().any(|line| line == "         | loading one"));

    // Edited while records are under way: each is seen once, by the one or the other, and none fails for it.
    let slow: Vec<String> = (0..3).map(|n| format!("slow {n}")).collect();
    let put: Vec<&str> = slow.iter().map(String::as_str).collect();
    for record in &put {
        desk.cli(&dev, &["queue", "send", "dev", record]).await;
    }
    dev.says("slow 0 seen by one").await;
    // Of another length: Python takes a file of the same second and length for the same.
    desk.edit("three");
    dev.says(" changed: function dev restarted").await;
    desk.cli(&dev, &["stream", "put", "dev", "--key", "k", "next"])
        .await;
    assert_eq!(desk.seen_by("next").await.by, "three");
    for record in put {
        desk.seen_by(record).await;
    }
    desk.cli(
        &dev,
        &["mapping", "wait", "stream-dev", "queue-dev", "--for", "idle"],
    )
    .await;
    let mut texts: Vec<String> = desk.seen().into_iter().map(|seen| seen.text).collect();
    texts.sort();
    assert_eq!(
        texts,
        ["first", "next", "second", "slow 0", "slow 1", "slow 2", "third"]
    );
    let ended: Vec<String> = dev
        .lines()
        .into_iter()
        .filter(|l| l.contains(", request "))
        .collect();
    let done = ended.iter().filter(|line| line.contains(" DONE ")).count();
    let unspent = |line: &String| line.contains(", attempt 1,") && !line.contains(" FAILED ");
    assert!(done >= 5 && ended.iter().all(unspent), "{ended:?}");

    // What is not edited does not count: Python has written its cache by now.
    assert!(desk.path("app/__pycache__").is_dir());
    let restarts = dev
        .lines()
        .iter()
        .filter(|line| line.contains(" changed: "))
        .count();
    assert_eq!(restarts, 1);

    // Ctrl-C lets what runs end, and leaves nothing behind.
    desk.cli(&dev, &["queue", "send", "dev", "slow last"]).await;
    dev.says("slow last seen by three").await;
    dev.ctrl_c();
    assert_eq!(dev.ended().await.code(), Some(0));
    dev.says("stopping").await;
    assert!(desk.seen().iter().any(|seen| seen.text == "slow last"));
    assert_eq!(std::fs::read_dir(desk.path("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_function_is_told_and_the_next_version_gets_the_record() {
    let desk = Desk::new();
    let data = desk.path("data").display().to_string();
    let args = ["--data-dir", &data, "--source", "queue/jobs", "--batch-size", "3"];
    let mut dev = desk.dev(&args).await;
    // Hidden for six times the function's timeout; so that the test need not wait for that:
    assert_eq!(
        desk.json(&dev, &["queue", "get", "jobs"]).await["visibility_timeout_seconds"],
        120
    );
    let mapping = desk.json(&dev, &["mapping", "get", "queue-jobs"]).await;
    assert_eq!(mapping["batch_size"], 3);
    desk.cli(&dev, &["queue", "update", "jobs", "--visibility-timeout", "20s"])
        .await;
    desk.cli(&dev, &["queue", "send", "jobs", "bad luck"]).await;
    let failed = dev.says(" FAILED 1 record of queue-jobs, attempt 1").await;
    assert!(failed.ends_with(": ValueError"), "{failed}");
    dev.says(&format!("{} | Traceback (most recent call last):", &failed[..8]))
        .await;
    dev.ctrl_c();
    assert_eq!(dev.ended().await.code(), Some(0));

    // The next run in the same place goes on, with the function as it is now.
    let good = APP.replace("\"bad\"", "\"worse\"").replace("VERSION", "two");
    std::fs::write(desk.path("app/app.py"), good).unwrap();
    let args = ["--data-dir", &data, "--source", "queue/jobs", "--batch-size", "2"];
    let dev = desk.dev(&args).await;
    for line in [
        "function dev, as told now",
        "queue jobs, as it was",
        "mapping queue-jobs, as told now",
    ] {
        assert!(dev.lines().iter().any(|l| l == line), "{line}: {:?}", dev.lines());
    }
    let mapping = desk.json(&dev, &["mapping", "get", "queue-jobs"]).await;
    assert_eq!(mapping["batch_size"], 2);
    let seen = desk.seen_by("bad luck").await;
    assert_eq!(seen.by, "two");
    let record = &seen.event["Records"][0];
    assert_ne!(record["attributes"]["ApproximateReceiveCount"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused() {
    let desk = Desk::new();
    let here = [
        "--grpc-addr",
        "127.0.0.1:0",
        "--ops-addr",
        "off",
        "--aws-addr",
        "off",
    ];
    for (args, code, part) in [
        (&["--source", "queue"][..], 2, "no function is named"),
        (
            &["--function", "'unfinished"],
            2,
            "--function ''unfinished' is not valid",
        ),
        (
            &["--watch", "nosuch", "--", "true"],
            2,
            "there is no such file or directory",
        ),
        (
            &[
                "--source",
                "arn:aws:sqs:eu-west-1:123456789012:jobs",
                "--",
                "true",
            ],
            2,
            "source_arn",
        ),
        (
            &["--source", "queue", "--batch-size", "10001", "--", "true"],
            2,
            "mapping.batch_size",
        ),
    ] {
        // Before --, behind which all is the program.
        let split = args.iter().position(|a| *a == "--").unwrap_or(args.len());
        let all = [&["dev"][..], &args[..split], &here, &args[split..]].concat();
        let run = desk.command(&all).output();
        let Output {
            status,
            stdout,
            stderr,
        } = timeout(SOON, run).await.expect("no end").unwrap();
        let said = text(&stderr);
        assert_eq!(status.code(), Some(code), "{args:?}: {}{said}", text(&stdout));
        assert!(said.contains(part), "{args:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(desk.path("tmp")).unwrap().count(), 0);
}

/// The form of a value: names of members, and types.
fn form(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), form(v))).collect(),
        Value::Array(items) => items.iter().map(form).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "truth".into(),
        Value::Null => Value::Null,
    }
}

/// What is generated has the form of what is delivered, and a function can be called with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_events_are_like_delivered_ones() {
    let desk = Desk::new();
    let dev = desk.dev(&["--source", "stream", "queue", "queue.fifo"]).await;
    let attribute = ["--attribute", "n:Number=1.5"];
    let fifo = [
        "queue",
        "send",
        "dev.fifo",
        "--group",
        "g",
        "--deduplication-id",
        "1",
        "of fifo",
    ];
    desk.cli(&dev, &["stream", "put", "dev", "--key", "k", "of stream"])
        .await;
    desk.cli(
        &dev,
        &[&["queue", "send", "dev", "of queue"], &attribute[..]].concat(),
    )
    .await;
    desk.cli(&dev, &fifo).await;
    for (delivered, generate) in [
        (
            "of stream",
            &["kinesis", "--stream", "dev", "--data", "of stream", "--key", "k"][..],
        ),
        (
            "of queue",
            &[
                "sqs",
                "--queue",
                "dev",
                "--body",
                "of queue",
                "--attribute",
                "n:Number=1.5",
            ],
        ),
        (
            "of fifo",
            &["sqs", "--queue", "dev.fifo", "--body", "of fifo", "--group", "g"],
        ),
    ] {
        let event = desk.seen_by(delivered).await.event;
        let generated = desk
            .cli(&dev, &[&["generate-event"][..], generate].concat())
            .await;
        assert_eq!(generated.trim_end().lines().count(), 1);
        let generated: Value = serde_json::from_str(&generated).unwrap();
        assert_eq!(form(&generated), form(&event), "{delivered}");
        let (real, made) = (&event["Records"][0], &generated["Records"][0]);
        for same in [
            "/kinesis/partitionKey",
            "/kinesis/data",
            "/invokeIdentityArn",
            "/body",
            "/md5OfBody",
            "/md5OfMessageAttributes",
            "/messageAttributes",
            "/eventSourceARN",
            "/attributes/SenderId",
            "/attributes/MessageGroupId",
        ] {
            assert_eq!(real.pointer(same), made.pointer(same), "{delivered}: {same}");
        }
    }
    let pipe = format!(
        "'{0}' generate-event sqs --body piped --records 2 | '{0}' function invoke dev --payload -",
        binary().display()
    );
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &pipe])
        .env("MILLSTREAM_SERVER", dev.address())
        .output();
    let Output { status, stderr, .. } = timeout(SOON, run).await.unwrap().unwrap();
    assert!(status.success(), "{}", text(&stderr));
    let piped = desk
        .seen()
        .into_iter()
        .filter(|seen| seen.text == "piped")
        .count();
    assert_eq!(piped, 2);
}
