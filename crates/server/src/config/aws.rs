//! The settings of the AWS-compatible API.

use millstream_control::aws::AccessKeys;
use std::path::PathBuf;

/// Most bytes of a file of access keys.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Longest name of a host, and most of them.
const MAX_HOST: usize = 253;
const MAX_HOSTS: usize = 32;

/// Where access keys are; they themselves are never part of a setting, and never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeysAt {
    /// There are none: signatures are not looked at.
    #[default]
    Nowhere,
    /// In a variable of the environment.
    Env(String),
    /// In a file.
    File(PathBuf),
}

impl KeysAt {
    /// Reads `env:NAME` or `file:PATH`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            _ if text.is_empty() => Ok(Self::Nowhere),
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            // Whoever wrote a key here must not see it repeated in a log.
            _ => {
                Err("what is set is no reference: write env:NAME or file:PATH, never a key itself".to_owned())
            }
        }
    }

    /// The keys.
    ///
    /// # Errors
    /// Why there are none, without repeating any of them.
    pub(crate) fn load(&self) -> Result<AccessKeys, String> {
        let (place, text) = match self {
            Self::Nowhere => return Ok(AccessKeys::default()),
            Self::Env(name) => {
                let text =
                    std::env::var(name).map_err(|e| format!("aws_keys: ${name} cannot be read: {e}"))?;
                (format!("${name}"), text)
            }
            Self::File(path) => {
                let shown = path.display().to_string();
                let text = read(path).map_err(|e| format!("aws_keys: {shown} cannot be read: {e}"))?;
                (shown, text)
            }
        };
        AccessKeys::parse(&text).map_err(|e| format!("aws_keys: {place}: {e}"))
    }
}

fn read(path: &PathBuf) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other("it has more than 64 KiB"));
    }
    Ok(text)
}

/// Names of hosts, between commas.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if names.len() > MAX_HOSTS {
        return Err(format!("{} names: at most {MAX_HOSTS} are allowed", names.len()));
    }
    let ok = |c: u8| c.is_ascii_alphanumeric() || b"-._[]:".contains(&c);
    if let Some(name) = names
        .iter()
        .find(|name| name.len() > MAX_HOST || !name.bytes().all(ok))
    {
        return Err(format!(
            "'{name}' is not the name of a host: write names without ports between commas, no patterns"
        ));
    }
    Ok(names.into_iter().map(str::to_ascii_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_by_reference_only() {
        for (text, expected) in [
            ("", Some(KeysAt::Nowhere)),
            ("env:KEYS", Some(KeysAt::Env("KEYS".to_owned()))),
            ("file:/run/keys", Some(KeysAt::File("/run/keys".into()))),
            ("env:", None),
            ("AKIDONE:secret-one", None),
            ("secret-one", None),
        ] {
            let found = KeysAt::parse(text);
            assert_eq!(found.clone().ok(), expected, "{text}");
            if let Err(why) = found {
                assert!(!why.contains("secret"), "{why}");
            }
        }
    }

    #[test]
    fn keys_are_loaded_or_the_reason_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let at = KeysAt::File(path.clone());
        assert!(at.load().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "AKIDONE:secret-one\n").unwrap();
        assert_eq!(
            at.load().unwrap(),
            AccessKeys::parse("AKIDONE:secret-one").unwrap()
        );
        std::fs::write(&path, "secret-one\n").unwrap();
        let why = at.load().unwrap_err();
        assert!(
            why.contains("is not of the form") && !why.contains("secret-one"),
            "{why}"
        );
        assert_eq!(KeysAt::Nowhere.load().unwrap(), AccessKeys::default());
    }

    #[test]
    fn hosts_are_names() {
        assert_eq!(hosts("").unwrap(), Vec::<String>::new());
        assert_eq!(
            hosts("Millstream, host.docker.internal").unwrap(),
            ["millstream", "host.docker.internal"]
        );
        assert!(hosts("*").is_err() && hosts("a b").is_err() && hosts(&"a,".repeat(33)).is_err());
    }
}
