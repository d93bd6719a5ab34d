//! Every setting of the server: name, default, form and meaning.

/// One setting. Its flag is `--` and the name with hyphens, its environment variable `MILLSTREAM_` and the name
/// in capitals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// The key in the file.
    pub(crate) name: &'static str,
    /// The text used if nobody sets it.
    pub(crate) default: &'static str,
    /// The form of its values, in capitals, for help.
    pub(crate) form: &'static str,
    /// One sentence, for help and reference.
    pub(crate) summary: &'static str,
    /// What else there is to know, for the reference; may be empty.
    pub(crate) detail: &'static str,
}

impl Key {
    /// The flag, without its hyphens.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether its value is a list, which the file may spread over lines; all others are single values.
    pub(crate) fn is_list(&self) -> bool {
        self.name == "connections"
    }

    /// The environment variable.
    pub(crate) fn env(&self) -> String {
        format!("MILLSTREAM_{}", self.name.to_ascii_uppercase())
    }
}

const CONNECTIONS: &str = "\
An ordered list; the first whose `match` fits the ARN of a source, a function or a failure destination serves it. ARNs of
account 000000000000 that none fits belong to the built-in broker, all others are refused. What works with each kind, what
permissions it needs and what it costs: [sources-sqs.md](sources-sqs.md), [targets-lambda.md](targets-lambda.md),
[destinations-aws.md](destinations-aws.md).

| member | what |
|---|---|
| `match` | an ARN, in which `*` stands for any text, also across colons: `arn:aws:sqs:*:123456789012:*` |
| `region` | the region that requests are signed for; default: that of the ARN, which buckets and bare names of functions have not |
| `endpoint_url` | where the service is, `http://…` or `https://…`; default: AWS's own endpoint for the region. `millstream dev` refuses what is not on this machine, unless `--allow-remote` is given |
| `credentials` | a reference: `env:PREFIX` for the variables `PREFIX_ACCESS_KEY_ID`, `PREFIX_SECRET_ACCESS_KEY` and `PREFIX_SESSION_TOKEN`; `file:PATH#PROFILE` for a profile of a credentials file (`default` without `#PROFILE`), read again at least every 15 minutes; default: the default chain of the AWS SDK (environment, profile, web identity, container, machine). Never a key itself |

In the file:

```yaml
connections:
  - match: arn:aws:sqs:*:123456789012:*
    credentials: file:/run/secrets/aws#orders
  - match: arn:aws:sqs:us-east-1:000000000000:emulated-*
    endpoint_url: http://127.0.0.1:4566
    credentials: env:EMULATOR
```

As a variable or flag, the same as one text of YAML or JSON: `[{match: \"arn:aws:sqs:*:123456789012:*\"}]`.

A connection is made within 3 seconds or fails, an operation is tried up to 3 times, and the engine tries again after
pauses of up to a minute for as long as the mapping exists; meanwhile the mapping has the condition `SourceUnavailable`
with what the service said. Endpoints, regions and proxies of the environment (`AWS_ENDPOINT_URL` and the like) are not used.";

/// All settings, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        default: "millstream-data",
        form: "DIR",
        summary: "Where everything durable lives; made if it is missing",
        detail: "One server at a time. A relative path counts from the server's working directory.",
    },
    Key {
        name: "grpc_addr",
        default: "127.0.0.1:7400",
        form: "IP:PORT",
        summary: "Where the gRPC API listens; port 0 takes a free one",
        detail: "Loopback addresses only: this build has neither TLS nor authentication, and whoever may register \
                 a function may run a program. The address in use is printed when the server is ready.",
    },
    Key {
        name: "aws_addr",
        default: "127.0.0.1:7401",
        form: "IP:PORT|off",
        summary: "Where the AWS-compatible HTTP API listens; port 0 takes a free one",
        detail: "Lambda's event source mappings, for the AWS CLI, the AWS SDKs, Terraform and SAM; `millstream env` prints \
                 the variables by which they find it. Loopback addresses only, as for `grpc_addr`. `off` leaves it out.",
    },
    Key {
        name: "aws_keys",
        default: "",
        form: "env:NAME|file:PATH",
        summary: "Where the access keys are that requests of the AWS API must be signed with",
        detail: "A variable or a file with `ID:SECRET`, one a line or between commas; read when the server starts, and never \
                 shown. With keys, a request without a valid signature (Signature Version 4), or with one that is more than \
                 five minutes off, is answered with 403. Without, any signature is accepted, and none.",
    },
    Key {
        name: "aws_hosts",
        default: "",
        form: "NAME,...",
        summary: "Names of this server that requests of the AWS API may use in their header Host, besides those of loopback",
        detail: "For a proxy or a container in front of it. Requests that name another host are refused, as are those that \
                 come from a page in a browser: a page can make a name of its own point to this machine.",
    },
    Key {
        name: "connections",
        default: "",
        form: "LIST",
        summary: "Which streams, queues, functions, topics and buckets of AWS are used, where they are reached, and as whom",
        detail: CONNECTIONS,
    },
    Key {
        name: "ops_addr",
        default: "127.0.0.1:7402",
        form: "IP:PORT|off",
        summary: "Where probes and metrics are served by HTTP; port 0 takes a free one",
        detail: "`/livez`, `/readyz` and `/metrics`, described in [telemetry.md](telemetry.md). Loopback addresses only, \
                 as for `grpc_addr`. `off` serves none of them.",
    },
    Key {
        name: "metrics_per_shard",
        default: "false",
        form: "true|false",
        summary: "Whether lag is told of every shard besides every mapping",
        detail: "Two time series more for each shard of each mapping, for as long as it is worked on.",
    },
    Key {
        name: "drain_timeout",
        default: "30s",
        form: "DURATION",
        summary: "How long a stop waits for running invocations to end",
        detail: "What has not ended by then is abandoned, and sent again after the next start. Give whatever \
                 supervises the server (systemd, Kubernetes) at least five seconds more.",
    },
    Key {
        name: "byte_budget",
        default: "256MiB",
        form: "SIZE",
        summary: "Most memory for records that were read ahead, over all mappings; at least 16MiB",
        detail: "",
    },
    Key {
        name: "free_floor",
        default: "256MiB",
        form: "SIZE",
        summary: "Free disk space below which puts are refused, while work on what is stored goes on",
        detail: "This, or 5 % of the file system if that is less.",
    },
    Key {
        name: "block_cache",
        default: "256MiB",
        form: "SIZE",
        summary: "Memory for blocks read from disk; at least 1MiB",
        detail: "",
    },
    Key {
        name: "write_buffer",
        default: "64MiB",
        form: "SIZE",
        summary: "Memory for data on its way to a table file, of which up to three exist; at least 1MiB",
        detail: "",
    },
    Key {
        name: "discards_max_age",
        default: "14d",
        form: "DURATION",
        summary: "How long records that were given up are kept with their payload, 1m to 365d",
        detail: "Removed once an hour, but never while the document about them is on its way to a failure destination.",
    },
    Key {
        name: "discards_max_bytes",
        default: "1GiB",
        form: "SIZE",
        summary: "Most bytes of records that were given up, kept of each mapping; at least 1MiB",
        detail: "The oldest go first, once an hour, but never while the document about them is on its way.",
    },
    Key {
        name: "documents_max_age",
        default: "1d",
        form: "DURATION",
        summary: "How long the delivery of a document to a failure destination is tried before it counts as failed, 1s to 14d",
        detail: "Tried with pauses of 100 ms to 30 s. Behind that the document is given up: the discard it is about stays, \
                 an error is logged, and `millstream_records_undeliverable_total` counts its records.",
    },
    Key {
        name: "http_targets",
        default: "private",
        form: "private|public-only",
        summary: "Which addresses http functions may be at",
        detail: "`private` allows this machine and private networks as well as public addresses; `public-only` allows \
                 public addresses only, for servers whose users must not reach what is behind its firewall. \
                 Link-local addresses, the metadata services of clouds, multicast and unspecified addresses are \
                 refused in any case. What counts is the address that is connected to, checked for every new \
                 connection, whatever a name resolves to.",
    },
    Key {
        name: "http_ca_file",
        default: "",
        form: "PATH",
        summary: "A file of PEM certificates of authorities that are trusted besides the system's, for https functions",
        detail: "Read when the first https function is used.",
    },
    Key {
        name: "log_level",
        default: "info",
        form: "FILTER",
        summary: "What is logged: error, warn, info, debug or trace, or a filter by module",
        detail: "A filter like `info,millstream_engine=debug` sets levels by module. Logs go to standard error.",
    },
    Key {
        name: "log_format",
        default: "text",
        form: "text|json",
        summary: "How log lines look",
        detail: "`json` writes one object a line.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_distinct() {
        let names: std::collections::BTreeSet<_> = KEYS.iter().map(|k| k.name).collect();
        assert_eq!(names.len(), KEYS.len());
        for key in KEYS {
            assert!(
                key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{}",
                key.name
            );
            assert!(
                !key.summary.is_empty() && !key.summary.ends_with('.'),
                "{}",
                key.name
            );
        }
    }
}
