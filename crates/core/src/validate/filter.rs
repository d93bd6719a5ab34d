//! Filters of mappings (semantics, sections 2.3 and 13).

use super::Violation;
use crate::filter::{InvalidPattern, Shape, check};
use millstream_types::arn::SourceKind;
use millstream_types::filter::{MAX_FILTERS, MAX_PATTERN_CHARS};
use millstream_types::{MappingSpec, OnUnmatched};

const FILTERS: &str = "filter_criteria.filters";
/// One per filter that there may be.
const PATTERNS: [&str; MAX_FILTERS] = [
    "filter_criteria.filters[0].pattern",
    "filter_criteria.filters[1].pattern",
    "filter_criteria.filters[2].pattern",
    "filter_criteria.filters[3].pattern",
    "filter_criteria.filters[4].pattern",
];
const UNMATCHED: &str = "filter_criteria.on_unmatched";

pub(super) fn filters(spec: &MappingSpec) -> Vec<Violation> {
    let criteria = &spec.filter_criteria;
    if criteria.filters.len() > MAX_FILTERS {
        let found = criteria.filters.len();
        return vec![Violation::own(FILTERS, found, format!("at most {MAX_FILTERS}"))];
    }
    let too_long = |(text, &field): (&String, &&'static str)| {
        let is_long = text.len() > MAX_PATTERN_CHARS && text.chars().count() > MAX_PATTERN_CHARS;
        is_long.then(|| long(field, text))
    };
    let mut found: Vec<Violation> = criteria
        .filters
        .iter()
        .zip(&PATTERNS)
        .filter_map(too_long)
        .collect();
    if found.is_empty()
        && let Err(refused) = check(criteria, Shape::of(spec.source.kind()))
    {
        found.extend(
            refused
                .into_iter()
                .filter_map(|InvalidPattern { index, allowed }| {
                    let (field, text) = (PATTERNS.get(index).copied()?, criteria.filters.get(index)?);
                    Some(Violation::aws(field, text, allowed, InvalidPattern::MESSAGE))
                }),
        );
    }
    found.extend(beyond_aws(spec));
    found
}

fn long(field: &'static str, text: &str) -> Violation {
    let member = "filterCriteria.filters.member.pattern";
    let message = format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: \
         Member must have length less than or equal to {MAX_PATTERN_CHARS}"
    );
    Violation::aws(
        field,
        text,
        format!("at most {MAX_PATTERN_CHARS} characters"),
        message,
    )
}

/// What does not go together, and what AWS has not.
fn beyond_aws(spec: &MappingSpec) -> Vec<Violation> {
    let criteria = &spec.filter_criteria;
    let word = match criteria.on_unmatched {
        OnUnmatched::Drop => "drop",
        OnUnmatched::Keep => "keep",
        OnUnmatched::Quarantine => "quarantine",
    };
    let mut found = Vec::new();
    if criteria.filters.is_empty() {
        let without = "only together with filters";
        if criteria.extended {
            found.push(Violation::own("filter_criteria.extended", true, without));
        }
        if criteria.on_unmatched != OnUnmatched::Drop {
            found.push(Violation::own(UNMATCHED, word, without));
        }
        return found;
    }
    if spec.tumbling_window_seconds > 0 {
        let (field, seconds) = ("tumbling_window_in_seconds", spec.tumbling_window_seconds);
        found.push(Violation::own(field, seconds, "0 with filters"));
    }
    let refused = match (criteria.on_unmatched, spec.source.kind()) {
        (OnUnmatched::Keep, SourceKind::Kinesis | SourceKind::DynamoDb) => {
            Some("drop or quarantine for a stream, whose records stay where they are anyway")
        }
        (OnUnmatched::Keep, SourceKind::Sqs { fifo: true }) => {
            Some("drop or quarantine for a FIFO queue, where a message that is kept holds up its group")
        }
        _ => None,
    };
    found.extend(refused.map(|allowed| Violation::own(UNMATCHED, word, allowed)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{FilterCriteria, FunctionName, SourceArn, StartingPosition};

    const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:jobs";
    const FIFO: &str = "arn:aws:sqs:us-east-1:000000000000:jobs.fifo";

    fn found(source: &str, filter_criteria: FilterCriteria) -> Vec<(&'static str, String)> {
        let source: SourceArn = source.parse().unwrap();
        let start = (!source.kind().is_queue()).then_some(StartingPosition::TrimHorizon);
        let spec = MappingSpec {
            filter_criteria,
            ..MappingSpec::new(source, FunctionName::new("f").unwrap(), start)
        };
        let found = filters(&spec).into_iter().map(|v| (v.field, v.message));
        let found: Vec<_> = found.collect();
        let all = super::super::mapping(&spec, millstream_types::Wall(0));
        assert_eq!(all.is_err(), !found.is_empty(), "every way in asks here");
        found
    }

    fn criteria(patterns: &[&str]) -> FilterCriteria {
        FilterCriteria {
            filters: patterns.iter().map(|p| (*p).to_owned()).collect(),
            ..FilterCriteria::default()
        }
    }

    #[test]
    fn patterns_are_refused_in_awss_words() {
        let good = r#"{"body":{"a":[1]}}"#;
        assert_eq!(found(QUEUE, criteria(&[])), []);
        assert_eq!(found(QUEUE, criteria(&[good; 5])), []);
        let refused = found(QUEUE, criteria(&[good, "{", r#"{"body":"text"}"#]));
        let words = || "Invalid filter pattern definition.".to_owned();
        assert_eq!(
            refused,
            [
                ("filter_criteria.filters[1].pattern", words()),
                ("filter_criteria.filters[2].pattern", words())
            ]
        );
        let plain = r#"{"data":["text"]}"#;
        assert_eq!(found(QUEUE, criteria(&[plain])), []);
        assert_eq!(
            found(STREAM, criteria(&[plain])).len(),
            1,
            "streams filter JSON only"
        );
    }

    #[test]
    fn there_are_so_many_and_they_are_so_long() {
        let of_length = |n: usize| format!(r#"{{"body":["{}"]}}"#, "ä".repeat(n - r#"{"body":[""]}"#.len()));
        let longest = of_length(4_096);
        assert_eq!(longest.chars().count(), 4_096);
        assert_eq!(found(QUEUE, criteria(&[&longest])), []);
        let refused = found(QUEUE, criteria(&[&of_length(4_097)]));
        assert_eq!(refused[0].0, "filter_criteria.filters[0].pattern");
        assert!(
            refused[0]
                .1
                .ends_with("Member must have length less than or equal to 4096")
        );
        let refused = found(QUEUE, criteria(&[r#"{"a":["x"]}"#; 6]));
        assert_eq!(refused[0].0, "filter_criteria.filters");
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn what_aws_has_not_is_asked_for_by_name() {
        let wildcard = criteria(&[r#"{"body":{"a":[{"wildcard":"x*"}]}}"#]);
        assert_eq!(found(QUEUE, wildcard.clone()).len(), 1);
        let extended = FilterCriteria {
            extended: true,
            ..wildcard
        };
        assert_eq!(found(QUEUE, extended), []);
        let empty = FilterCriteria {
            extended: true,
            on_unmatched: OnUnmatched::Quarantine,
            ..FilterCriteria::default()
        };
        let fields: Vec<_> = found(QUEUE, empty).into_iter().map(|f| f.0).collect();
        assert_eq!(fields, ["filter_criteria.extended", UNMATCHED]);
    }

    #[test]
    fn filters_do_not_go_with_tumbling_windows() {
        let spec = |filter_criteria, tumbling_window_seconds| MappingSpec {
            filter_criteria,
            tumbling_window_seconds,
            ..MappingSpec::stream(
                STREAM.parse().unwrap(),
                FunctionName::new("f").unwrap(),
                StartingPosition::TrimHorizon,
            )
        };
        let some = || criteria(&[r#"{"partitionKey":["k"]}"#]);
        for (set, seconds, ok) in [(some(), 0, true), (criteria(&[]), 60, true), (some(), 60, false)] {
            let found = filters(&spec(set, seconds));
            let fields: Vec<_> = found.iter().map(|v| v.field).collect();
            let expect: &[&str] = if ok { &[] } else { &["tumbling_window_in_seconds"] };
            assert_eq!(fields, expect);
        }
    }

    #[test]
    fn what_cannot_be_kept_where_it_is() {
        for (source, on_unmatched, ok) in [
            (STREAM, OnUnmatched::Drop, true),
            (STREAM, OnUnmatched::Keep, false),
            (STREAM, OnUnmatched::Quarantine, true),
            (QUEUE, OnUnmatched::Keep, true),
            (QUEUE, OnUnmatched::Quarantine, true),
            (FIFO, OnUnmatched::Drop, true),
            (FIFO, OnUnmatched::Keep, false),
            (FIFO, OnUnmatched::Quarantine, true),
        ] {
            let set = FilterCriteria {
                on_unmatched,
                ..criteria(&[r#"{"x":[1]}"#])
            };
            let refused = found(source, set);
            assert_eq!(refused.is_empty(), ok, "{source} {on_unmatched:?}: {refused:?}");
            assert!(refused.iter().all(|r| r.0 == UNMATCHED));
        }
    }
}
