//! Credentials by reference: where they are is a setting, they themselves are read when they are needed and never shown.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// What a reference is, for people.
pub(super) const ALLOWED: &str = "env:PREFIX for $PREFIX_ACCESS_KEY_ID, $PREFIX_SECRET_ACCESS_KEY and, if it is set, \
                                  $PREFIX_SESSION_TOKEN; file:PATH or file:PATH#PROFILE for a profile of a credentials file; \
                                  nothing for the default chain of the AWS SDK; never a key itself";

/// The profile of a file, where none is named.
const DEFAULT_PROFILE: &str = "default";

/// Where credentials are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum CredentialsAt {
    /// Where the SDK's default chain finds them: environment, profile, web identity, container, machine.
    #[default]
    DefaultChain,
    /// In variables of the environment that begin so.
    Env(String),
    /// In a profile of a file.
    File { path: PathBuf, profile: String },
}

impl CredentialsAt {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let word = |s: &str| !s.is_empty() && s.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        match text.split_once(':')? {
            ("env", prefix) if word(prefix) => Some(Self::Env(prefix.to_owned())),
            ("file", file) => {
                let (path, profile) = file.split_once('#').unwrap_or((file, DEFAULT_PROFILE));
                let found = !path.is_empty() && !profile.is_empty() && !file.contains('\0');
                found.then(|| Self::File {
                    path: path.into(),
                    profile: profile.to_owned(),
                })
            }
            _ => None,
        }
    }

    /// What keeps them from being read, as far as can be told without asking anybody.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::DefaultChain => None,
            Self::Env(prefix) => from_env(prefix, |name| std::env::var(name).ok()).err(),
            Self::File { path, .. } => std::fs::File::open(path)
                .err()
                .map(|e| format!("{} cannot be read: {e}", path.display())),
        }
    }
}

/// Reads three variables. The error names those that are missing.
fn from_env(prefix: &str, get: impl Fn(&str) -> Option<String>) -> std::result::Result<Credentials, String> {
    let read = |suffix: &str| {
        let name = format!("{prefix}_{suffix}");
        get(&name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .ok_or(name)
    };
    let token = read("SESSION_TOKEN").ok();
    match (read("ACCESS_KEY_ID"), read("SECRET_ACCESS_KEY")) {
        (Ok(id), Ok(secret)) => Ok(Credentials::new(id, secret, token, None, "millstream-env")),
        (id, secret) => {
            let missing: Vec<String> = [id, secret]
                .into_iter()
                .filter_map(std::result::Result::err)
                .map(|name| format!("${name}"))
                .collect();
            Err(format!("{} is not set, or is no text", missing.join(" and ")))
        }
    }
}

/// Reads credentials whenever the SDK asks, which keeps what it got until it expires, and for 15 minutes if that is not
/// told: so a file may be replaced while the server runs.
#[derive(Debug)]
pub(super) struct Provider {
    at: CredentialsAt,
    config: ProviderConfig,
    /// The default chain keeps what its links have learnt.
    chain: OnceCell<DefaultCredentialsChain>,
}

impl Provider {
    pub(super) fn new(at: CredentialsAt, config: ProviderConfig) -> Self {
        Self {
            at,
            config,
            chain: OnceCell::new(),
        }
    }

    async fn read(&self) -> Result {
        match &self.at {
            CredentialsAt::DefaultChain => {
                let make = || {
                    DefaultCredentialsChain::builder()
                        .configure(self.config.clone())
                        .build()
                };
                self.chain.get_or_init(make).await.provide_credentials().await
            }
            CredentialsAt::Env(prefix) => {
                from_env(prefix, |name| std::env::var(name).ok()).map_err(CredentialsError::not_loaded)
            }
            CredentialsAt::File { path, profile } => {
                let files = EnvConfigFiles::builder()
                    .with_file(EnvConfigFileKind::Credentials, path)
                    .build();
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&self.config)
                    .profile_files(files)
                    .profile_name(profile)
                    .build();
                provider.provide_credentials().await
            }
        }
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Write;

    #[test]
    fn only_references_are_taken() {
        let file = |path: &str, profile: &str| CredentialsAt::File {
            path: path.into(),
            profile: profile.into(),
        };
        for (text, expect) in [
            ("env:ORDERS", Some(CredentialsAt::Env("ORDERS".into()))),
            ("file:/run/keys", Some(file("/run/keys", "default"))),
            ("file:keys#orders", Some(file("keys", "orders"))),
            ("env:", None),
            ("env:A=B", None),
            ("file:", None),
            ("file:#a", None),
            ("file:a#", None),
            ("AKIAEXAMPLE:secret", None),
            ("default", None),
        ] {
            assert_eq!(CredentialsAt::parse(text), expect, "{text}");
        }
    }

    #[test]
    fn variables_are_read_and_those_missing_are_named() {
        let set = |names: &[(&str, &str)]| -> BTreeMap<String, String> {
            names
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let read = |names: &[(&str, &str)]| from_env("P", |name| set(names).get(name).cloned());
        let both = [("P_ACCESS_KEY_ID", "id"), ("P_SECRET_ACCESS_KEY", "secret\n")];
        let found = read(&both).unwrap();
        assert_eq!(
            (
                found.access_key_id(),
                found.secret_access_key(),
                found.session_token()
            ),
            ("id", "secret", None)
        );
        assert!(!format!("{found:?}").contains("secret\""), "{found:?}");
        let all = [both[0], both[1], ("P_SESSION_TOKEN", "token")];
        assert_eq!(read(&all).unwrap().session_token(), Some("token"));
        assert_eq!(
            read(&[both[0], ("P_SECRET_ACCESS_KEY", "")]).unwrap_err(),
            "$P_SECRET_ACCESS_KEY is not set, or is no text"
        );
        assert!(
            read(&[])
                .unwrap_err()
                .starts_with("$P_ACCESS_KEY_ID and $P_SECRET_ACCESS_KEY")
        );
    }

    #[tokio::test]
    async fn a_profile_is_read_anew_whenever_it_is_asked_for() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let at = CredentialsAt::parse(&format!("file:{}#orders", file.path().display())).unwrap();
        assert_eq!(at.trouble(), None);
        let http = aws_smithy_http_client::Builder::new().build_http();
        let provider = Provider::new(at, ProviderConfig::without_region().with_http_client(http));
        assert!(provider.provide_credentials().await.is_err(), "nothing is in it");
        for id in ["one", "two"] {
            file.as_file().set_len(0).unwrap();
            let text = format!("[orders]\naws_access_key_id = {id}\naws_secret_access_key = s\n");
            std::io::Seek::rewind(&mut file).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let found = provider.provide_credentials().await.unwrap();
            assert_eq!(found.access_key_id(), id);
        }
    }

    #[test]
    fn a_file_that_is_missing_is_told() {
        let at = CredentialsAt::parse("file:/nonexistent/keys").unwrap();
        assert!(at.trouble().unwrap().contains("/nonexistent/keys cannot be read"));
        let at = CredentialsAt::parse("env:MILLSTREAM_TEST_NOT_SET").unwrap();
        assert!(
            at.trouble()
                .unwrap()
                .contains("$MILLSTREAM_TEST_NOT_SET_ACCESS_KEY_ID")
        );
    }
}
