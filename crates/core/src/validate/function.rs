//! Settings of functions.

use super::{Violation, Violations};
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
