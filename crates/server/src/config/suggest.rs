//! What somebody who mistyped a name probably meant.

/// The candidate nearest to `text`, if it is near enough to be what was meant: at most two edits, and at most a
/// third of its letters.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|c| (distance(text, c), c)).min()?;
    (near.0 <= 2 && 3 * near.0 <= near.1.len()).then_some(near.1)
}

/// `; did you mean 'x'?`, or nothing.
pub(crate) fn hint<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, candidates).map_or_else(String::new, |c| format!("; did you mean '{c}'?"))
}

/// The least number of letters to insert, remove or exchange (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let keys = ["data_dir", "grpc_addr", "log_level"];
        for (text, want) in [
            ("data_dri", Some("data_dir")),
            ("grpcaddr", Some("grpc_addr")),
            ("loglevel", Some("log_level")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, keys), want, "{text}");
        }
        assert_eq!(hint("data_dri", keys), "; did you mean 'data_dir'?");
        assert_eq!(hint("x", keys), "");
    }
}
