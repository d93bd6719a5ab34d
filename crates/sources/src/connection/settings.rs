//! The list of connections as people write it, and its check.

use super::credentials::{self, CredentialsAt};
use super::endpoint::{self, Endpoint};
use super::pattern::{self, Pattern};
use std::fmt;
use std::sync::Arc;

/// Most connections.
pub const MAX_CONNECTIONS: usize = 64;
const REGION_ALLOWED: &str =
    "1 to 32 lower-case letters, digits and hyphens; nothing for the region of the ARN";

/// One connection as it is written. Nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Which ARNs it serves: an ARN, in which `*` stands for any text.
    pub pattern: String,
    /// The region that requests are signed for; that of the ARN if none is given.
    pub region: Option<String>,
    /// Where the service is, `http://…` or `https://…`; AWS's own endpoint for the region if none is given.
    pub endpoint_url: Option<String>,
    /// Where credentials are: `env:PREFIX`, `file:PATH` or `file:PATH#PROFILE`; the default chain of the SDK if none
    /// is given.
    pub credentials: Option<String>,
}

/// What is wrong with one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionProblem {
    /// Which one, from 0.
    pub index: usize,
    /// Which part of it: `match`, `region`, `endpoint_url` or `credentials`.
    pub field: &'static str,
    /// The value; none where it might be a secret in the wrong place.
    pub value: Option<String>,
    /// What is allowed, or what is missing.
    pub allowed: String,
}

impl fmt::Display for ConnectionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            field,
            allowed,
            ..
        } = self;
        match &self.value {
            Some(value) => write!(
                f,
                "connections[{index}].{field}: '{value}' is not valid: {allowed}"
            ),
            None => write!(f, "connections[{index}].{field}: {allowed}"),
        }
    }
}

/// One connection, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub(super) pattern: Pattern,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) credentials: CredentialsAt,
}

impl Connection {
    /// Its pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// Whether it leads to this machine: to a loopback address, or to `localhost`.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.endpoint.as_ref().is_some_and(Endpoint::is_local)
    }
}

/// All connections, in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections(Arc<[Connection]>);

impl Connections {
    /// Checks a list.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(settings: &[ConnectionSettings]) -> Result<Self, Vec<ConnectionProblem>> {
        let mut problems = Vec::new();
        if settings.len() > MAX_CONNECTIONS {
            problems.push(ConnectionProblem {
                index: MAX_CONNECTIONS,
                field: "match",
                value: None,
                allowed: format!(
                    "{} are given; at most {MAX_CONNECTIONS} are allowed",
                    settings.len()
                ),
            });
        }
        let mut list: Vec<Connection> = Vec::new();
        for (index, written) in settings.iter().enumerate() {
            if let Some(twin) = settings[..index]
                .iter()
                .position(|s| s.pattern == written.pattern)
            {
                problems.push(ConnectionProblem {
                    index,
                    field: "match",
                    value: Some(written.pattern.clone()),
                    allowed: format!("connections[{twin}] matches the same: this one would never be used"),
                });
            }
            list.extend(read_one(index, written, &mut problems));
        }
        if problems.is_empty() {
            Ok(Self(list.into()))
        } else {
            Err(problems)
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first connection that serves `arn`, with its place in the list.
    #[must_use]
    pub fn find(&self, arn: &str) -> Option<(usize, &Connection)> {
        self.0.iter().enumerate().find(|(_, c)| c.pattern.fits(arn))
    }

    /// Those that lead away from this machine.
    pub fn remote(&self) -> impl Iterator<Item = &Connection> {
        self.0.iter().filter(|c| !c.is_local())
    }

    /// Credentials that cannot be read now. What the default chain finds is not asked: that may take its time.
    #[must_use]
    pub fn missing_credentials(&self) -> Vec<ConnectionProblem> {
        let problem = |(index, c): (usize, &Connection)| {
            Some(ConnectionProblem {
                index,
                field: "credentials",
                value: None,
                allowed: c.credentials.trouble()?,
            })
        };
        self.0.iter().enumerate().filter_map(problem).collect()
    }
}

fn read_one(
    index: usize,
    written: &ConnectionSettings,
    problems: &mut Vec<ConnectionProblem>,
) -> Option<Connection> {
    let before = problems.len();
    let mut problem = |field, value: Option<&str>, allowed: &str| {
        let value = value.map(|text| text.chars().take(128).collect());
        let allowed = allowed.to_owned();
        problems.push(ConnectionProblem {
            index,
            field,
            value,
            allowed,
        });
    };
    let pattern = Pattern::parse(&written.pattern);
    if pattern.is_none() {
        problem("match", Some(&written.pattern), pattern::ALLOWED);
    }
    if let Some(region) = written.region.as_deref().filter(|r| !is_region(r)) {
        problem("region", Some(region), REGION_ALLOWED);
    }
    let endpoint = written.endpoint_url.as_deref().map(Endpoint::parse);
    if endpoint == Some(None) {
        // A user with a password may stand in it.
        let shown = written.endpoint_url.as_deref().filter(|text| !text.contains('@'));
        problem("endpoint_url", shown, endpoint::ALLOWED);
    }
    let credentials = written.credentials.as_deref().map(CredentialsAt::parse);
    if credentials == Some(None) {
        // Whoever wrote a key here must not see it repeated in a log.
        let allowed = format!("what is set is no reference: {}", credentials::ALLOWED);
        problem("credentials", None, &allowed);
    }
    let connection = Connection {
        pattern: pattern?,
        region: written.region.clone(),
        endpoint: endpoint.flatten(),
        credentials: credentials.flatten().unwrap_or_default(),
    };
    (problems.len() == before).then_some(connection)
}

/// Part of a host's name, where AWS is reached: nothing else may be in it.
pub(super) fn is_region(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pattern: &str) -> ConnectionSettings {
        ConnectionSettings {
            pattern: pattern.to_owned(),
            ..ConnectionSettings::default()
        }
    }

    #[test]
    fn the_first_that_fits_serves() {
        let list = ["arn:aws:sqs:*:1*:orders", "arn:aws:sqs:eu-*", "arn:aws:*"].map(settings);
        let connections = Connections::read(&list).unwrap();
        for (arn, index) in [
            ("arn:aws:sqs:eu-west-1:123456789012:orders", Some(0)),
            ("arn:aws:sqs:eu-west-1:123456789012:bills", Some(1)),
            ("arn:aws:kinesis:us-east-1:123456789012:stream/s", Some(2)),
            ("arn:aws-cn:sqs:cn-north-1:123456789012:bills", None),
        ] {
            assert_eq!(connections.find(arn).map(|(i, _)| i), index, "{arn}");
        }
        assert_eq!(Connections::default().find("arn:aws:sqs:a:1:b"), None);
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_no_secret_with_it() {
        let list = [
            ConnectionSettings {
                region: Some("eu-west-1/evil".into()),
                endpoint_url: Some("http://user:hunter2@localhost".into()),
                credentials: Some("AKIAEXAMPLE:hunter2".into()),
                ..settings("sqs")
            },
            ConnectionSettings {
                endpoint_url: Some("localhost:4566".into()),
                ..settings("arn:*")
            },
            settings("arn:*"),
        ];
        let problems: Vec<String> = Connections::read(&list)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        let want = [
            "connections[0].match: 'sqs' is not valid: an ARN, in which * stands",
            "connections[0].region: 'eu-west-1/evil' is not valid: 1 to 32",
            "connections[0].endpoint_url: http://HOST",
            "connections[0].credentials: what is set is no reference: env:PREFIX",
            "connections[1].endpoint_url: 'localhost:4566' is not valid: http://HOST",
            "connections[2].match: 'arn:*' is not valid: connections[1] matches the same",
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for (want, problem) in want.iter().zip(&problems) {
            assert!(problem.starts_with(want), "{problem}\nwanted {want}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        let many: Vec<_> = (0..65).map(|n| settings(&format!("arn:{n}"))).collect();
        let problems = Connections::read(&many).unwrap_err();
        assert!(problems[0].to_string().contains("at most 64"), "{problems:?}");
    }

    #[test]
    fn without_an_endpoint_of_this_machine_a_connection_is_remote() {
        let at = |url: Option<&str>, pattern: &str| ConnectionSettings {
            endpoint_url: url.map(str::to_owned),
            ..settings(pattern)
        };
        let list = [
            at(Some("http://127.0.0.1:4566"), "arn:a"),
            at(None, "arn:b"),
            at(Some("https://example.com"), "arn:c"),
        ];
        let connections = Connections::read(&list).unwrap();
        let remote: Vec<&str> = connections.remote().map(Connection::pattern).collect();
        assert_eq!(remote, ["arn:b", "arn:c"]);
    }

    #[test]
    fn credentials_that_are_not_there_are_told() {
        let list = [
            settings("arn:a"),
            ConnectionSettings {
                credentials: Some("file:/nonexistent/keys".into()),
                ..settings("arn:b")
            },
        ];
        let missing = Connections::read(&list).unwrap().missing_credentials();
        assert_eq!(missing.len(), 1);
        let text = missing[0].to_string();
        assert!(
            text.starts_with("connections[1].credentials: /nonexistent/keys cannot be read"),
            "{text}"
        );
    }
}
