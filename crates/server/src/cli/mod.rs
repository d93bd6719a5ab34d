//! The command line: nouns, then verbs. Everything but `server`, `config`, `completion` and `filter` talks gRPC only.
//!
//! The only module that writes to standard output and error; the server itself logs.

mod completion;
mod config;
mod confirm;
mod declared;
mod dev;
mod env;
mod error;
mod filter;
mod function;
mod generate;
mod health;
mod history;
mod input;
mod mapping;
mod names;
mod output;
mod paging;
mod queue;
mod server;
mod session;
mod stream;
mod tally;
mod when;

use clap::{CommandFactory, Parser, Subcommand};
use error::CliError;
use output::Paint;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

const EXIT_CODES: &str = "\
Exit codes:
    0  done; `server`: stopped, everything drained
    1  failed
    2  wrong usage, configuration or value
    3  not found
    4  conflict: exists already, was changed meanwhile, or not in a state for this
    5  unavailable: no server, no capacity, no disk space
  124  not in time; `server`: stopped at the drain deadline
  130, 143  `server`: ended at once by a second SIGINT or SIGTERM

Start here: millstream server --data-dir ./data";

/// Event source mappings that run anywhere: reads streams and queues, batches their records and calls functions, with
/// the semantics of AWS Lambda's.
#[derive(Parser, Debug)]
#[command(name = "millstream", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the server: durable streams and queues, mappings, functions, and the gRPC API.
    Server(server::ServerArgs),
    /// Run a server and a function that is restarted when its files change, with streams and queues to feed it.
    #[command(after_help = dev::HELP)]
    Dev(Box<dev::DevArgs>),
    /// Make and change objects so that they are as files declare them.
    #[command(after_help = declared::apply::HELP)]
    Apply(declared::apply::ApplyArgs),
    /// Show what `apply` would change.
    #[command(after_help = declared::diff::HELP)]
    Diff(declared::diff::DiffArgs),
    /// Delete the objects that files declare.
    #[command(after_help = declared::delete::HELP)]
    Delete(declared::delete::DeleteArgs),
    /// Show objects; as YAML or JSON in a form that can be applied.
    #[command(after_help = declared::get::HELP)]
    Get(declared::get::GetArgs),
    /// Create, watch, change, pause and inspect mappings of a stream or queue to a function.
    #[command(visible_alias = "m", alias = "mappings")]
    Mapping(mapping::MappingArgs),
    /// Register, change and call functions.
    #[command(visible_alias = "f", alias = "functions")]
    Function(function::FunctionArgs),
    /// Make, fill, read and reshape durable streams.
    #[command(visible_alias = "s", alias = "streams")]
    Stream(stream::StreamArgs),
    /// Make, fill, receive from and look into durable queues, standard and FIFO.
    #[command(visible_alias = "q", alias = "queues")]
    Queue(queue::QueueArgs),
    /// Show the history of attempts.
    Ledger(history::LedgerArgs),
    /// Show records that were given up.
    #[command(visible_alias = "d", alias = "discards")]
    Discard(history::DiscardArgs),
    /// Ask a server whether it serves: exit code 0 if so, 5 if not.
    Health(health::HealthArgs),
    /// Print an event as a mapping would send it, to call functions with.
    #[command(after_help = generate::HELP)]
    GenerateEvent(generate::GenerateArgs),
    /// Try event filters on events, without a server.
    Filter(filter::FilterArgs),
    /// Check and show the server's configuration.
    Config(config::ConfigArgs),
    /// Print the variables by which clients of AWS find the server: eval "$(millstream env)".
    Env(env::EnvArgs),
    /// Print a script that completes command lines in a shell, names of resources included.
    #[command(after_help = completion::HELP)]
    Completion(completion::CompletionArgs),
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    completion::answer(Cli::command);
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            report(&e);
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(command: Command) -> Result<u8, CliError> {
    match command {
        Command::Server(args) => return server::run(args),
        Command::Dev(args) => return dev::run(*args),
        Command::Apply(args) => client(declared::apply::run(args))?,
        Command::Diff(args) => return Ok(diff(args)),
        Command::Delete(args) => client(declared::delete::run(args))?,
        Command::Get(args) => client(declared::get::run(args))?,
        Command::Mapping(args) => client(mapping::run(args))?,
        Command::Function(args) => client(function::run(args))?,
        Command::Stream(args) => client(stream::run(args))?,
        Command::Queue(args) => client(queue::run(args))?,
        Command::Ledger(args) => client(history::ledger(args))?,
        Command::Discard(args) => client(history::discard(args))?,
        Command::Health(args) => client(health::run(args))?,
        Command::GenerateEvent(args) => generate::run(args)?,
        Command::Filter(args) => return filter::run(args),
        Command::Config(args) => config::run(args)?,
        Command::Env(args) => env::run(args)?,
        Command::Completion(args) => completion::run(&args)?,
    }
    Ok(0)
}

/// Any failure ends with 2: 1 means that there are differences.
fn diff(args: declared::diff::DiffArgs) -> u8 {
    client(declared::diff::run(args)).unwrap_or_else(|e| {
        report(&e);
        error::exit::USAGE
    })
}

fn client<T>(command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

fn report(e: &CliError) {
    let paint = Paint::of(std::io::stderr().is_terminal());
    let mut err = std::io::stderr().lock();
    for (i, line) in e.lines().iter().enumerate() {
        let head = if i == 0 {
            paint.alarm("error:") + " "
        } else {
            String::new()
        };
        // Nothing can be said if standard error is closed.
        let _ = writeln!(err, "{head}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_of_the_tour_are_understood() {
        for line in [
            "stream create orders --shards 4 --retention 7d",
            "s put orders --key a x y",
            "stream put orders --key-field tail --file f.jsonl",
            "stream read orders --from latest --limit 5 -w",
            "stream split orders --shard shardId-000000000000",
            "function create totals --timeout 30s --env-pass PATH -- python3 totals.py --verbose",
            "f invoke totals --payload {}",
            "mapping create totals --stream orders --function totals --starting-position TRIM_HORIZON --factor 4 --bisect",
            "m ls -w -o json -n team",
            "mapping inspect totals -o wide",
            "mapping wait totals --for idle --timeout 5m",
            "mapping update totals --unset batch-size,on-failure --max-retries -1",
            "mapping delete totals --yes --server 127.0.0.1:1",
            "queue create jobs --visibility-timeout 60s --dead-letter-queue dead --max-receive-count 5",
            "q create jobs.fifo --content-based-deduplication --deduplication-scope message-group --dry-run",
            "queue update jobs --max-receive-count 3 --unset delay-seconds",
            "queue send jobs a b --attribute n:Number=1 --attribute k=v --delay 5s --trace-header Root=1",
            "queue send jobs.fifo --group-field dest --file f.jsonl",
            "queue send jobs.fifo --group g --deduplication-id d x",
            "queue send jobs --jsonl",
            "queue receive jobs --max 10 --wait 20s --visibility-timeout 0 --delete",
            "queue peek jobs --limit 5 -o wide",
            "queue delete-message jobs r1 r2",
            "queue change-visibility jobs r1 --timeout 0",
            "queue purge jobs --yes",
            "q ls -o name",
            "mapping create work --queue jobs --function f --max-concurrency 2 --batch-size 10",
            "mapping create work --source-arn arn:aws:sqs:us-east-1:000000000000:jobs --function f",
            "mapping update work --unset maximum-concurrency",
            "mapping create work --queue jobs --function f --filter {\"body\":[\"x\"]} --filter {} --on-unmatched keep",
            "mapping update work --unset filter",
            "filter test -f p.json -e - --source sqs -o json --extended",
            "ledger list totals --limit 10",
            "discard get 6f9619ff-8b86-4d11-b42d-00c04fc964ff --payload",
            "server --data-dir d --grpc-addr 127.0.0.1:0 --ops-addr off --log-format json --drain-timeout 5s --config x.yaml",
            "health --request-timeout 3s -q",
            "config print --grpc-addr 127.0.0.1:0",
            "apply -f a.yaml -f dir -R --dry-run=client -n team",
            "apply -f - --dry-run",
            "diff -f a.yaml",
            "delete -f a.yaml --ignore-not-found --yes --timeout 1m",
            "get all -o yaml",
            "get mapping totals -o json",
            "function restart totals",
            "generate-event kinesis --stream s --records 3 --data a --partition-key k",
            "generate-event sqs --queue q.fifo --body a --group g --attribute n:Number=1 --window",
            "dev --function x --source stream queue.fifo",
            "dev --source queue/jobs --watch src --watch lib --timeout 30s --batch-size 5 --data-dir d -- ./bootstrap -v",
            "dev --url http://127.0.0.1:1/ -s arn:aws:sqs:us-east-1:000000000000:jobs --grpc-addr 127.0.0.1:0",
            "completion powershell",
            "env --aws-addr 127.0.0.1:7501",
            "server --aws-addr off --aws-keys env:KEYS --aws-hosts millstream,other",
            "mapping create work --queue jobs --function f --min-pollers 2 --max-pollers 20 --metrics event-count --tag a=b --tag c=",
            "completion zsh",
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("millstream").chain(line.split_whitespace()));
            assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
        }
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for line in [
            "mapping create totals --stream orders --function f",
            "stream put orders data-without-key",
            "stream put orders --key a x --file f",
            "mapping wait totals --for happy",
            "mapping list -o xml",
            "stream read orders --limit 0",
            "mapping create m --queue q --stream s --function f",
            "mapping create m --queue q --function f --starting-position trim",
            "queue send q x --file f",
            "queue send q --jsonl --group-field g",
            "queue receive q --max 11",
            "queue change-visibility q r",
            "queue delete-messages q",
            "dev --function x -- y",
            "dev --source topic -- y",
            "generate-event kinesis --records 0",
            "apply",
            "apply -f a.yaml --dry-run=maybe",
            "get",
        ] {
            assert!(
                Cli::try_parse_from(std::iter::once("millstream").chain(line.split_whitespace())).is_err(),
                "{line}"
            );
        }
    }
}
