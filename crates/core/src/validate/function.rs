//! Settings of functions.

use super::{Violation, Violations};
use http::Uri;
use millstream_types::lambda::{LambdaName, MAX_LAMBDA_NAME};
use millstream_types::net::{AddressKind, host_address, host_kind};
use millstream_types::{FunctionSpec, ProcessTarget, Target};

const COMMAND: &str = "process.command";
const ENV: &str = "process.env";
const ENV_PASS: &str = "process.env_pass";
/// Most parts of a command, and most variables of each kind.
const MAX_WORDS: usize = 256;
/// Most bytes of one of them, and of all together: below what Linux takes (128 KiB and 2 MiB), so that no
/// process fails to start for its size.
const MAX_WORD_BYTES: usize = 32_768;
const MAX_TOTAL_BYTES: usize = 262_144;
const URL: &str = "http.url";
/// Longest URL; the rest of a request's first line and headers is ours to bound.
const MAX_URL_BYTES: usize = 2_048;
const LAMBDA: &str = "lambda.function";
const LAMBDA_ALLOWED: &str = "what names a function of Lambda: a name of 1 to 64 characters, or an ARN, whole or in part, of at most 256, \
     each with or without :VERSION or :ALIAS, e.g. arn:aws:lambda:us-east-1:123456789012:function:orders:live";
/// Where a process finds its Runtime API; setting it would cut the process off.
const RESERVED: &str = "AWS_LAMBDA_RUNTIME_API";

/// Checks a function's settings.
///
/// # Errors
/// All rules they break.
pub fn function(spec: &FunctionSpec) -> Result<(), Violations> {
    let mut found = Violations::default();
    found.extend(Violation::outside(
        "timeout",
        spec.timeout_ms,
        &(1..=900_000),
        "ms",
    ));
    found.extend(Violation::outside(
        "concurrency",
        spec.concurrency,
        &(1..=1_000),
        "",
    ));
    match &spec.target {
        Target::InProcess => {}
        Target::Process(process) => target(process, &mut found),
        Target::Http(http) => found.extend(url(&http.url)),
        Target::Lambda(lambda) => found.extend(lambda_name(&lambda.function)),
    }
    found.into_result()
}

fn target(process: &ProcessTarget, found: &mut Violations) {
    found.extend(Violation::outside(
        "process.init_timeout",
        process.init_timeout_ms,
        &(100..=300_000),
        "ms",
    ));
    found.extend(Violation::outside(
        "process.memory_mb",
        process.memory_mb,
        &(128..=10_240),
        "MB",
    ));
    command(&process.command, found);
    if let Some(dir) = &process.working_dir
        && (dir.is_empty() || !is_word(dir))
    {
        found.add(Violation::own(
            "process.working_dir",
            dir,
            "a path without NUL, or not set",
        ));
    }
    variables(process, found);
    let env = process.env.iter().map(|(name, value)| name.len() + value.len());
    let total = process.command.iter().map(String::len).chain(env).sum::<usize>();
    if total > MAX_TOTAL_BYTES {
        found.add(Violation::own(
            "process",
            total,
            format!("at most {MAX_TOTAL_BYTES} bytes of command and env together"),
        ));
    }
}

fn command(command: &[String], found: &mut Violations) {
    if command.first().is_none_or(String::is_empty) {
        found.add(Violation::own(COMMAND, "", "at least the program"));
    }
    if command.len() > MAX_WORDS {
        found.add(Violation::own(
            COMMAND,
            command.len(),
            format!("at most {MAX_WORDS} words"),
        ));
    }
    found.extend(
        command
            .iter()
            .filter(|word| !is_word(word))
            .map(|word| Violation::own(COMMAND, word, WORD)),
    );
}

fn variables(process: &ProcessTarget, found: &mut Violations) {
    for (field, count) in [(ENV, process.env.len()), (ENV_PASS, process.env_pass.len())] {
        if count > MAX_WORDS {
            found.add(Violation::own(
                field,
                count,
                format!("at most {MAX_WORDS} variables"),
            ));
        }
    }
    found.extend(process.env.keys().filter_map(|name| variable_name(ENV, name)));
    found.extend(
        process
            .env_pass
            .iter()
            .filter_map(|name| variable_name(ENV_PASS, name)),
    );
    // The value may be a secret: only the name is repeated.
    let bad_value =
        |(name, _): (&String, &String)| Violation::own(ENV, name, format!("a value that is {WORD}"));
    found.extend(
        process
            .env
            .iter()
            .filter(|(_, value)| !is_word(value))
            .map(bad_value),
    );
}

fn variable_name(field: &'static str, name: &str) -> Option<Violation> {
    if name == RESERVED {
        return Some(Violation::own(field, name, "set by Millstream for every process"));
    }
    let valid = !name.is_empty() && !name.contains('=') && is_word(name);
    (!valid).then(|| Violation::own(field, name, format!("a name without '=', {WORD}")))
}

const WORD: &str = "a text without NUL of at most 32768 bytes";

/// Whether an operating system can hand the text to a process.
fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD_BYTES && !text.contains('\0')
}

/// The rule of what names a function of Lambda.
fn lambda_name(text: &str) -> Option<Violation> {
    let fits = LambdaName::parse(text).is_some_and(|name| name.fits(text));
    (!fits).then(|| {
        let shown: String = text.chars().take(MAX_LAMBDA_NAME).collect();
        Violation::own(LAMBDA, shown, LAMBDA_ALLOWED)
    })
}

/// The first rule that a URL breaks.
fn url(text: &str) -> Option<Violation> {
    let broken = |allowed: &str| Some(Violation::own(URL, text, allowed));
    if text.is_empty() || text.len() > MAX_URL_BYTES || !text.bytes().all(|c| c.is_ascii_graphic()) {
        return broken(
            "a URL of 1 to 2048 ASCII characters without blanks; write others as % and two digits",
        );
    }
    let Some(uri) = text.parse::<Uri>().ok().filter(|uri| uri.authority().is_some()) else {
        return broken("a whole URL, e.g. http://127.0.0.1:8080/events");
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        // What stands before the @ may be a password: it is not repeated.
        let allowed = "a URL without user and password, as everybody who may read the function sees it";
        return Some(Violation::own(URL, "…@…", allowed));
    }
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return broken("a URL that begins with http:// or https://");
    }
    if text.contains('#') {
        return broken("a URL without a fragment, which no server would see");
    }
    host_and_port(&uri).and_then(|allowed| broken(&allowed))
}

/// What is allowed instead of the host or the port, if they are not.
fn host_and_port(uri: &Uri) -> Option<String> {
    let authority = uri.authority()?;
    let host = authority.host();
    let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    if host_address(host).is_none() && (host.is_empty() || host.len() > 253 || !host.bytes().all(is_name)) {
        return Some("a URL whose host is a name or an IP address, one of IPv6 in brackets".to_owned());
    }
    let port = authority.as_str().strip_prefix(host).unwrap_or_default();
    let in_range =
        |port: &str| port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(in_range) {
        return Some("a URL whose port is 1 to 65535".to_owned());
    }
    match host_kind(host) {
        Some(AddressKind::Forbidden(why)) => Some(format!("a URL of another host: this address is {why}")),
        _ => None,
    }
}
