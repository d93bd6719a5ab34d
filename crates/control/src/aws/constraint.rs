//! Constraints of AWS's model, in AWS's words: all that a request breaks, counted and joined.

use super::Result;
use super::error::{AwsError, Exception};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// Longest value that is repeated, in characters.
const MAX_VALUE: usize = 1_024;

/// What a request breaks, none to begin with.
#[derive(Debug, Default)]
pub(super) struct Constraints(Vec<String>);

impl Constraints {
    fn add(&mut self, value: impl Display, at: &str, constraint: impl Display) {
        let value: String = value.to_string().chars().take(MAX_VALUE).collect();
        self.0.push(format!(
            "Value '{value}' at '{at}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    /// It must be there.
    pub(super) fn required<T>(&mut self, at: &str, value: Option<&T>) {
        if value.is_none() {
            self.0.push(format!(
                "Value null at '{at}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    /// A number within bounds.
    pub(super) fn range(&mut self, at: &str, value: Option<i64>, allowed: &RangeInclusive<i64>) {
        let Some(n) = value else { return };
        if n < *allowed.start() {
            self.add(
                n,
                at,
                format_args!("have value greater than or equal to {}", allowed.start()),
            );
        } else if n > *allowed.end() {
            self.add(
                n,
                at,
                format_args!("have value less than or equal to {}", allowed.end()),
            );
        }
    }

    /// A text of a length within bounds, in characters.
    pub(super) fn length(&mut self, at: &str, value: Option<&str>, allowed: &RangeInclusive<usize>) {
        let Some(text) = value else { return };
        self.size(at, text, text.chars().count(), allowed);
    }

    /// A list or map of a size within bounds; `shown` is how it is repeated.
    pub(super) fn size(&mut self, at: &str, shown: impl Display, n: usize, allowed: &RangeInclusive<usize>) {
        if n < *allowed.start() {
            self.add(
                shown,
                at,
                format_args!("have length greater than or equal to {}", allowed.start()),
            );
        } else if n > *allowed.end() {
            self.add(
                shown,
                at,
                format_args!("have length less than or equal to {}", allowed.end()),
            );
        }
    }

    /// A text of a form; `pattern` is AWS's regular expression, of which `matches` tells.
    pub(super) fn pattern(
        &mut self,
        at: &str,
        value: Option<&str>,
        pattern: &str,
        matches: impl Fn(&str) -> bool,
    ) {
        if let Some(text) = value.filter(|text| !matches(text)) {
            self.add(
                text,
                at,
                format_args!("satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    /// One of a few texts.
    pub(super) fn one_of(&mut self, at: &str, value: Option<&str>, known: &[&str]) {
        if let Some(text) = value.filter(|text| !known.contains(text)) {
            self.add(
                text,
                at,
                format_args!("satisfy enum value set: [{}]", known.join(", ")),
            );
        }
    }

    /// A list of at most `most` of a few texts.
    pub(super) fn some_of(&mut self, at: &str, value: Option<&[String]>, known: &[&str], most: usize) {
        let Some(list) = value else { return };
        let shown = format!("[{}]", list.join(", "));
        if list.len() > most {
            self.size(at, &shown, list.len(), &(0..=most));
        }
        if list.iter().any(|text| !known.contains(&text.as_str())) {
            let set = known.join(", ");
            let member = format!(
                "satisfy constraint: [Member must satisfy enum value set: [{set}], Member must not be null]"
            );
            self.add(&shown, at, member);
        }
    }

    /// An error, if anything is broken.
    pub(super) fn check(self) -> Result<()> {
        let n = self.0.len();
        if n == 0 {
            return Ok(());
        }
        let errors = if n == 1 { "error" } else { "errors" };
        let message = format!("{n} validation {errors} detected: {}", self.0.join("; "));
        Err(AwsError::new(Exception::Validation, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(break_it: impl FnOnce(&mut Constraints)) -> String {
        let mut constraints = Constraints::default();
        break_it(&mut constraints);
        constraints.check().map_or_else(|e| e.message, |()| String::new())
    }

    #[test]
    fn each_constraint_in_awss_words() {
        type Break = fn(&mut Constraints);
        let rows: [(Break, &str); 12] = [
            (|c| c.range("n", Some(1), &(1..=2)), ""),
            (|c| c.range("n", None, &(1..=2)), ""),
            (
                |c| c.range("n", Some(0), &(1..=2)),
                "Value '0' at 'n' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ),
            (
                |c| c.range("n", Some(3), &(1..=2)),
                "Value '3' at 'n' failed to satisfy constraint: Member must have value less than or equal to 2",
            ),
            (
                |c| c.length("t", Some(""), &(1..=2)),
                "Value '' at 't' failed to satisfy constraint: Member must have length greater than or equal to 1",
            ),
            (
                |c| c.length("t", Some("ääz"), &(1..=2)),
                "Value 'ääz' at 't' failed to satisfy constraint: Member must have length less than or equal to 2",
            ),
            (
                |c| c.required::<String>("t", None),
                "Value null at 't' failed to satisfy constraint: Member must not be null",
            ),
            (
                |c| c.one_of("e", Some("C"), &["A", "B"]),
                "Value 'C' at 'e' failed to satisfy constraint: Member must satisfy enum value set: [A, B]",
            ),
            (
                |c| c.pattern("p", Some("x"), "[a]*", |_| false),
                "Value 'x' at 'p' failed to satisfy constraint: Member must satisfy regular expression pattern: [a]*",
            ),
            (
                |c| c.some_of("l", Some(&["Bad".to_owned()]), &["A"], 1),
                "Value '[Bad]' at 'l' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [A], Member must not be null]",
            ),
            (
                |c| c.some_of("l", Some(&["A".to_owned(), "A".to_owned()]), &["A"], 1),
                "Value '[A, A]' at 'l' failed to satisfy constraint: Member must have length less than or equal to 1",
            ),
            (|c| c.some_of("l", Some(&[]), &["A"], 1), ""),
        ];
        for (break_it, expected) in rows {
            let expected = if expected.is_empty() {
                String::new()
            } else {
                format!("1 validation error detected: {expected}")
            };
            assert_eq!(message(break_it), expected);
        }
    }

    #[test]
    fn several_are_counted_and_joined() {
        let both = message(|c| {
            c.range("a", Some(0), &(1..=2));
            c.range("b", Some(3), &(1..=2));
        });
        assert_eq!(
            both,
            "2 validation errors detected: Value '0' at 'a' failed to satisfy constraint: Member must have value \
             greater than or equal to 1; Value '3' at 'b' failed to satisfy constraint: Member must have value less \
             than or equal to 2"
        );
    }
}
