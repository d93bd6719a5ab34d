//! The documents stay true: commands of the README's tour run as they stand there, links lead somewhere, and every
//! test that docs/semantics.md names as a proof is a test.

use crate::server::{Server, binary};
use crate::wait::SOON;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// What the tour does once before it begins, and the fixture instead of it.
const SET_UP: [&str; 4] = ["make ", "eval ", "export ", "target/release/millstream server"];
/// The default of `--server`, where the tour names it.
const DEFAULT_ADDRESS: &str = "127.0.0.1:7400";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The documents for people: the READMEs, the change log, and all that lies in `docs`.
fn documents() -> Vec<String> {
    let mut found = ["README.md", "CHANGELOG.md", "deploy/README.md"]
        .map(str::to_owned)
        .to_vec();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

/// The shell commands of a section, block by block.
fn shell_blocks(document: &str, heading: &str) -> Vec<String> {
    let section = document.split("\n## ").find(|s| s.starts_with(heading)).unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|b| b.split("```").next().unwrap().to_owned())
        .collect()
}

async fn run(block: &str, server: &Server) -> String {
    let path = std::env::var("PATH").unwrap();
    let commands = binary().parent().unwrap().display().to_string();
    let output = Command::new("bash")
        .args(["-eu", "-c", &block.replace(DEFAULT_ADDRESS, &server.address())])
        .env("PATH", format!("{commands}:{path}"))
        .env("MILLSTREAM_SERVER", server.address())
        .current_dir(root())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(3 * SOON, output)
        .await
        .expect("the block takes too long")
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned());
    assert!(
        output.status.success(),
        "{block}\n{}\n{out}\n{err}",
        output.status
    );
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_tour_works() {
    assert!(
        std::env::var_os("MILLSTREAM_PYTHON").is_some(),
        "run `make test`, or eval \"$(make -s env)\" first"
    );
    let mut server = Server::start().await;
    let mut seen = String::new();
    let mut blocks = 0;
    for block in shell_blocks(&read("README.md"), "A five-minute tour") {
        let kept: Vec<&str> = block
            .lines()
            .filter(|l| !SET_UP.iter().any(|s| l.starts_with(s)))
            .collect();
        if kept.is_empty() {
            continue;
        }
        if kept
            .iter()
            .any(|line| line.starts_with("millstream mapping resume"))
        {
            server.kill9().await;
            server.restart().await;
        }
        seen += &run(&kept.join("\n"), &server).await;
        blocks += 1;
    }
    assert!(
        blocks >= 6,
        "{blocks} blocks: is the tour still where this test looks for it?"
    );
    for expected in [
        "SPLIT",
        "DISCARDED",
        "RETRY_ATTEMPTS_EXHAUSTED",
        "requestContext",
        "PauseMapping",
    ] {
        assert!(seen.contains(expected), "{expected} is not shown:\n{seen}");
    }
    server.terminate().await;
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{document} links to {link}");
            checked += 1;
        }
    }
    assert!(
        checked > 10,
        "{checked} links: are they still written in a way that this test finds?"
    );
}

#[test]
fn every_decision_record_is_listed() {
    let map = read("docs/architecture.md");
    let records: Vec<String> = documents()
        .into_iter()
        .filter(|d| d.starts_with("docs/adr/"))
        .collect();
    assert!(!records.is_empty());
    for record in records {
        assert!(
            map.contains(&format!("]({})", &record["docs/".len()..])),
            "{record} is not in the code map"
        );
    }
}

/// `short::name` in code quotes, wherever it stands.
fn proofs(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    quoted
        .filter_map(|q| q.split_once("::"))
        .filter(|(file, name)| is_name(file) && is_name(name))
        .collect()
}

/// The files behind the short names: rows `| short | [path](link) |` of the document's last table.
fn files(document: &str) -> BTreeMap<&str, String> {
    let table = document.split("\n## Where the tests are").nth(1).unwrap();
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    rows.map(|(short, path)| (short, read(path.trim_end_matches(" |").trim_end_matches('`'))))
        .collect()
}

fn is_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with(&head) || line.starts_with(&format!("async {head}")));
    at.is_some_and(|at| {
        let above = &lines[at.saturating_sub(3)..at];
        above
            .iter()
            .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// Every member of create, update and the configuration of an event source mapping.
const FIELDS_OF_AWS: [&str; 37] = [
    "FunctionName",
    "EventSourceArn",
    "Enabled",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "StartingPosition",
    "StartingPositionTimestamp",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "FunctionResponseTypes",
    "DestinationConfig.OnFailure.Destination",
    "DestinationConfig.OnSuccess",
    "FilterCriteria",
    "KMSKeyArn",
    "FilterCriteriaError",
    "ScalingConfig.MaximumConcurrency",
    "ProvisionedPollerConfig",
    "MetricsConfig",
    "LoggingConfig",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "SelfManagedEventSource",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "Tags",
    "State",
    "StateTransitionReason",
    "LastProcessingResult",
    "LastModified",
    "UUID",
    "EventSourceMappingArn",
    "FunctionArn",
];

#[test]
fn every_field_of_awss_api_has_a_row_with_a_status_for_every_kind_of_source() {
    let document = read("docs/semantics.md");
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 7)
        .collect();
    for field in FIELDS_OF_AWS {
        let named = format!("`{field}`");
        let row = rows.iter().find(|cells| cells[0] == named);
        let row = row.unwrap_or_else(|| panic!("{field} has no row"));
        for status in &row[1..5] {
            assert!(
                ["honoured", "differs", "refused", "absent", "n/a"].contains(status),
                "{field}: {status}"
            );
        }
    }
    assert_eq!(rows.len(), FIELDS_OF_AWS.len(), "a row is of no field");
}

#[test]
fn every_proof_in_the_conformance_table_is_a_test() {
    let document = read("docs/semantics.md");
    let files = files(&document);
    let proofs = proofs(&document);
    assert!(proofs.len() > 50, "{} proofs", proofs.len());
    for (file, name) in &proofs {
        let source = files
            .get(file)
            .unwrap_or_else(|| panic!("no file is named {file} at the end of the document"));
        assert!(is_test(source, name), "{file}::{name} is no test");
    }
    for file in files.keys() {
        assert!(
            proofs.iter().any(|(used, _)| used == file),
            "no row names a test of {file}"
        );
    }
    for row in document
        .lines()
        .filter(|line| line.starts_with('|') && line.contains("| honoured"))
    {
        assert!(!self::proofs(row).is_empty(), "honoured without a proof: {row}");
    }
}
