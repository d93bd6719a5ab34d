//! What a command line that is not yet whole says about where names are to be asked for.

use super::live;
use crate::manifest::Kind;

/// The words of a command line so far.
#[derive(Clone, Debug)]
pub(super) struct Line {
    words: Vec<String>,
}

impl Line {
    /// Those that a shell gave to this process, behind `--`.
    pub(super) fn of_process() -> Self {
        let all = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        // The dashes, and the program's name.
        Self::of(all.skip_while(|word| word != "--").skip(2))
    }

    /// These.
    pub(super) fn of(words: impl IntoIterator<Item = String>) -> Self {
        Self {
            words: words.into_iter().collect(),
        }
    }

    /// The names of all resources of a kind; none if no server answers soon.
    pub(super) fn names(&self, kind: Kind) -> Vec<String> {
        let text = |given: Option<&str>, variable: &str, default: &str| {
            let set = || std::env::var(variable).ok().filter(|text| !text.is_empty());
            given
                .map(str::to_owned)
                .or_else(set)
                .unwrap_or_else(|| default.to_owned())
        };
        let server = text(self.option(&["--server"]), "MILLSTREAM_SERVER", "127.0.0.1:7400");
        let namespace = text(
            self.option(&["--namespace", "-n"]),
            "MILLSTREAM_NAMESPACE",
            "default",
        );
        live::names(&server, &namespace, kind)
    }

    /// The kind that the words name before the last one.
    pub(super) fn kind(&self) -> Option<Kind> {
        let (_, before) = self.words.split_last()?;
        before.iter().skip(1).find_map(|word| Kind::parse(word))
    }

    /// The value of the last of these options, as `--option value` or `--option=value`.
    fn option(&self, names: &[&str]) -> Option<&str> {
        let mut apart = self.words.windows(2).filter_map(|pair| match pair {
            [name, value] if names.contains(&name.as_str()) => Some(value.as_str()),
            _ => None,
        });
        let mut joined = self.words.iter().filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            names.contains(&name).then_some(value)
        });
        joined.next_back().or_else(|| apart.next_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::of(text.split(' ').map(str::to_owned))
    }

    #[test]
    fn options_are_found_in_both_forms() {
        for (text, server, namespace) in [
            ("mapping get t", None, None),
            ("mapping get --server a:1 -n team t", Some("a:1"), Some("team")),
            ("m --namespace=team --server=b:2 get ", Some("b:2"), Some("team")),
        ] {
            let line = line(text);
            assert_eq!(line.option(&["--server"]), server, "{text}");
            assert_eq!(line.option(&["--namespace", "-n"]), namespace, "{text}");
        }
    }

    #[test]
    fn a_kind_before_the_last_word_is_found() {
        for (text, kind) in [
            ("get ", None),
            ("get mapp", None),
            ("get mapping", None),
            ("get mapping t", Some(Kind::Mapping)),
            ("get queues a b", Some(Kind::Queue)),
        ] {
            assert_eq!(line(text).kind(), kind, "{text}");
        }
    }
}
