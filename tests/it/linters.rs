//! What linters say about everything that is not Rust: scripts, `proto/`, and what `deploy/` holds. Each test also
//! seeds faults and sees them found, so that a linter that checks nothing is a failure; so is one that is missing.

use crate::server::{Server, binary};
use saphyr::{LoadableYamlNode, Yaml};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Most exposure that `systemd-analyze security` may see, in tenths: 0 is a service that can do nothing, 100 one
/// that can do all. Functions need the network, and memory that is written and executed.
const EXPOSURE: &str = "20";
/// What closing the database after a drain may take, as docs/configuration.md asks of whatever stops the server.
const CLOSING: Duration = Duration::from_secs(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A linter that set-up installed beside the Python of the tests.
fn installed(name: &str) -> Command {
    let python = std::env::var_os("MILLSTREAM_PYTHON")
        .unwrap_or_else(|| panic!("no {name}: run `make test`, or `make setup` and eval \"$(make -s env)\""));
    let program = Path::new(&python).with_file_name(name);
    assert!(
        program.is_file(),
        "{} is missing: run `make setup`",
        program.display()
    );
    Command::new(program)
}

/// What a linter finds: nothing if it is content. One that cannot run is a failed test.
fn found(command: &mut Command) -> Option<String> {
    let output = command
        .current_dir(root())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; run `make setup`"));
    let text = [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned());
    (!output.status.success()).then(|| text.concat())
}

#[track_caller]
fn content(command: &mut Command) {
    if let Some(found) = found(command) {
        panic!("{command:?}:\n{found}");
    }
}

/// A linter's find in the seeded text has to name the fault, so that nothing else is taken for it.
#[track_caller]
fn finds(fault: &str, command: &mut Command) {
    let found = found(command).unwrap_or_else(|| panic!("not found: {fault}"));
    assert!(found.contains(fault), "instead of {fault}:\n{found}");
}

/// The text with one thing wrong.
#[track_caller]
fn seeded(text: &str, right: &str, wrong: &str) -> String {
    assert!(text.contains(right), "no '{right}' to make wrong");
    text.replacen(right, wrong, 1)
}

/// A file of its own with this text.
fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn scripts() -> Vec<PathBuf> {
    let mut found = vec![root().join(".ci/run")];
    for entry in std::fs::read_dir(root().join("scripts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sh") {
            found.push(path);
        }
    }
    assert!(
        found.len() > 3,
        "{found:?}: are scripts still where this test looks?"
    );
    found
}

#[test]
fn scripts_are_clean() {
    let shellcheck = || {
        let mut command = installed("shellcheck");
        command.arg("--external-sources");
        command
    };
    content(shellcheck().args(scripts()));
    let dir = TempDir::new().unwrap();
    let lib = read("scripts/lib.sh");
    let bad = seeded(&lib, r#"|| printf 'setup: try: %s\n' "$2""#, "|| echo $2");
    finds("SC2086", shellcheck().arg(file(&dir, "lib.sh", &bad)));
}

#[test]
fn the_api_definition_is_clean() {
    let buf = |dir: &Path| {
        let mut command = installed("buf");
        command.arg("lint").arg(dir).env("HOME", dir);
        command
    };
    content(&mut buf(&root().join("proto")));
    let dir = TempDir::new().unwrap();
    file(&dir, "buf.yaml", &read("proto/buf.yaml"));
    std::fs::create_dir_all(dir.path().join("millstream/v1")).unwrap();
    let bad = r#"syntax = "proto3"; package millstream.v1; message Bad { string camelCase = 1; }"#;
    file(&dir, "millstream/v1/bad.proto", bad);
    finds("lower_snake_case", &mut buf(dir.path()));
}

#[test]
fn the_dockerfile_is_clean() {
    let hadolint = || {
        let mut command = installed("hadolint");
        command.args(["--config", "deploy/hadolint.yaml"]);
        command
    };
    let right = read("deploy/Dockerfile");
    content(hadolint().arg("deploy/Dockerfile"));
    let dir = TempDir::new().unwrap();
    for (fault, text) in [
        ("DL3020", seeded(&right, "COPY . .", "ADD . .")),
        (
            "SC2086",
            seeded(&right, "\"$rocksdb\"", "$rocksdb && echo $rocksdb"),
        ),
        ("DL3025", seeded(&right, r#"CMD ["server"]"#, "CMD server")),
        (
            "DL3026",
            seeded(&right, "FROM debian:", "FROM example.invalid/debian:"),
        ),
        (
            "DL3049",
            seeded(&right, "org.opencontainers.image.title=", "title="),
        ),
        (
            "missing whitespace",
            seeded(&right, "WORKDIR /src", "WORKDIRS /src"),
        ),
    ] {
        finds(fault, hadolint().arg(file(&dir, "Dockerfile", &text)));
    }
}

/// The instructions of a Dockerfile's last stage.
fn last_stage(dockerfile: &str) -> &str {
    dockerfile.rsplit("\nFROM ").next().unwrap()
}

fn argument<'a>(dockerfile: &'a str, name: &str) -> &'a str {
    let lines = &mut dockerfile.lines();
    lines
        .find_map(|line| line.strip_prefix(&format!("ARG {name}=")))
        .unwrap_or_else(|| panic!("no ARG {name}"))
}

#[test]
fn the_image_is_built_for_this_workspace() {
    let (dockerfile, manifest) = (read("deploy/Dockerfile"), read("Cargo.toml"));
    let setting = |name: &str| {
        let line = manifest
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name} = \"")));
        line.unwrap().trim_end_matches('"').to_owned()
    };
    assert_eq!(argument(&dockerfile, "RUST"), setting("rust-version"));
    assert_eq!(argument(&dockerfile, "VERSION"), setting("version"));
    let compose = compose("deploy/compose.yaml");
    let image = compose["services"]["millstream"]["image"].as_str().unwrap();
    assert_eq!(image, format!("millstream:{}", setting("version")));

    // Cargo reads all members of the workspace, whichever it builds.
    let let_in = read(".dockerignore");
    let let_in: Vec<&str> = let_in.lines().filter_map(|l| l.strip_prefix('!')).collect();
    let members = manifest
        .split("members = [")
        .nth(1)
        .unwrap()
        .split(']')
        .next()
        .unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let top = member.split('/').next().unwrap();
        assert!(
            let_in.contains(&top),
            "{member} is not let into the image's build by .dockerignore"
        );
    }
}

#[test]
fn the_image_runs_without_rights() {
    let dockerfile = read("deploy/Dockerfile");
    let run = last_stage(&dockerfile);
    let user = run
        .lines()
        .rfind(|l| l.starts_with("USER "))
        .expect("no USER: it would run as root");
    let ids: Vec<u32> = user["USER ".len()..]
        .split(':')
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id > 0), "{user}");
    assert!(
        run.contains("\nSTOPSIGNAL SIGTERM\n"),
        "the server drains on SIGTERM"
    );

    let compose = compose("deploy/compose.yaml");
    let service = &compose["services"]["millstream"];
    assert_eq!(service["read_only"].as_bool(), Some(true));
    assert_eq!(strings(&service["cap_drop"]), ["ALL"]);
    assert_eq!(strings(&service["security_opt"]), ["no-new-privileges:true"]);
    for limit in ["cpus", "memory", "pids"] {
        assert!(
            !service["deploy"]["resources"]["limits"][limit].is_badvalue(),
            "no limit of {limit}"
        );
    }
    let volume = strings(&service["volumes"])[0];
    assert_eq!(
        volume.split_once(':').unwrap().1,
        variable(run, "ENV MILLSTREAM_DATA_DIR=")
    );
    // Ports that nothing answers on would promise what the server refuses to do.
    assert!(service.as_mapping_get("ports").is_none());
}

fn compose(path: &str) -> Yaml<'static> {
    // Leaked: a few kilobytes in a test.
    let text: &'static str = Box::leak(read(path).into_boxed_str());
    Yaml::load_from_str(text).unwrap().remove(0)
}

fn strings<'a>(list: &'a Yaml<'_>) -> Vec<&'a str> {
    list.as_sequence()
        .unwrap()
        .iter()
        .map(|s| s.as_str().unwrap())
        .collect()
}

fn variable<'a>(text: &'a str, head: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(head))
        .unwrap_or_else(|| panic!("no {head}"))
}

#[test]
fn compose_files_are_valid() {
    let check = || {
        let mut command = installed("check-jsonschema");
        command.args(["--builtin-schema", "vendor.compose-spec"]);
        command
    };
    content(check().args(["deploy/compose.yaml", "deploy/compose.host.yaml"]));
    let right = read("deploy/compose.yaml");
    let dir = TempDir::new().unwrap();
    for (fault, text) in [
        (
            "stop_grace_periods",
            seeded(&right, "stop_grace_period:", "stop_grace_periods:"),
        ),
        ("cap_drop", seeded(&right, "cap_drop: [ALL]", "cap_drop: ALL")),
        (
            "read_only",
            seeded(&right, "read_only: true", "read_only: [true]"),
        ),
    ] {
        finds(fault, check().arg(file(&dir, "compose.yaml", &text)));
    }
}

fn analyze(what: &[&str]) -> Command {
    let mut command = Command::new("systemd-analyze");
    command.args(what).env("SYSTEMD_PAGER", "cat");
    command
}

/// The unit, with the binary that was built in place of the one that will be installed: it has to be there.
fn unit() -> String {
    let built = binary().display().to_string();
    seeded(
        &read("deploy/systemd/millstream.service"),
        "/usr/local/bin/millstream",
        &built,
    )
}

#[test]
fn the_unit_is_valid() {
    let verify = || analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    let dir = TempDir::new().unwrap();
    content(verify().arg(file(&dir, "millstream.service", &unit())));
    for (fault, text) in [
        (
            "ProtectSystems",
            seeded(&unit(), "ProtectSystem=", "ProtectSystems="),
        ),
        (
            "sometimes",
            seeded(&unit(), "KillMode=mixed", "KillMode=sometimes"),
        ),
        (
            "not executable",
            read("deploy/systemd/millstream.service").replace("/usr/local/bin/", "/nonexistent/"),
        ),
    ] {
        finds(fault, verify().arg(file(&dir, "millstream.service", &text)));
    }
}

#[test]
fn the_unit_is_hardened() {
    let security = || analyze(&["security", "--offline=yes", &format!("--threshold={EXPOSURE}")]);
    let dir = TempDir::new().unwrap();
    content(security().arg(file(&dir, "millstream.service", &unit())));
    let open = seeded(&unit(), "CapabilityBoundingSet=\n", "");
    let open = seeded(&open, "SystemCallFilter=@system-service\n", "");
    finds(
        "Overall exposure level",
        security().arg(file(&dir, "millstream.service", &open)),
    );
}

/// Seconds of `45s`, the one form that deploy/ uses for a stop.
fn seconds(text: &str) -> Duration {
    let number = text.strip_suffix('s').and_then(|n| n.parse().ok());
    Duration::from_secs(number.unwrap_or_else(|| panic!("'{text}' is no number of seconds")))
}

#[test]
fn whatever_stops_the_server_waits_for_its_drain() {
    let compose = compose("deploy/compose.yaml");
    let service = &compose["services"]["millstream"];
    let grace = seconds(service["stop_grace_period"].as_str().unwrap());
    let drain = seconds(
        service["environment"]["MILLSTREAM_DRAIN_TIMEOUT"]
            .as_str()
            .unwrap(),
    );
    assert!(
        grace >= drain + CLOSING,
        "compose: {grace:?} for a drain of {drain:?}"
    );

    let reference = read("docs/configuration.md");
    let row = variable(&reference, "| [`drain_timeout`]");
    let drain = seconds(row.rsplit('`').nth(1).unwrap());
    let unit = read("deploy/systemd/millstream.service");
    let stop = seconds(variable(&unit, "TimeoutStopSec="));
    assert!(
        stop >= drain + CLOSING,
        "systemd: {stop:?} for a drain of {drain:?}"
    );
    // SIGTERM to the whole group would end functions in the middle of their work.
    assert_eq!(variable(&unit, "KillMode="), "mixed");
}

#[test]
fn deploy_sets_only_what_there_is_to_set() {
    let reference = read("docs/configuration.md");
    let known = |name: &str| reference.contains(&format!("`{name}`"));
    let mut checked = 0;
    for path in [
        "deploy/Dockerfile",
        "deploy/compose.yaml",
        "deploy/systemd/millstream.service",
        "deploy/README.md",
    ] {
        let text = read(path);
        for rest in text.split("MILLSTREAM_").skip(1) {
            let end = rest
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(rest.len());
            // `MILLSTREAM_…` stands for all of them.
            if end > 0 {
                assert!(
                    known(&format!("MILLSTREAM_{}", &rest[..end])),
                    "{path}: MILLSTREAM_{}",
                    &rest[..end]
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "{checked} variables");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_check_tells_whether_the_server_serves() {
    let compose = compose("deploy/compose.yaml");
    let probe = strings(&compose["services"]["millstream"]["healthcheck"]["test"]);
    assert_eq!(probe[..2], ["CMD", "/usr/local/bin/millstream"]);
    let dockerfile = read("deploy/Dockerfile");
    assert!(
        last_stage(&dockerfile).contains(&format!("CMD [\"{}\"]", probe[1..].join("\", \""))),
        "the image's own check differs from that of compose: {probe:?}"
    );
    let mut server = Server::start().await;
    let healthy = server.cli(&probe[2..]).await;
    assert_eq!(
        healthy.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&healthy.stderr)
    );
    server.terminate().await;
    let gone = server.cli(&probe[2..]).await;
    assert_eq!(
        gone.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&gone.stderr)
    );
}
