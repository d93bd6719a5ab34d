//! A mapping as a row.

use crate::cli::names::short;
use crate::cli::output::Columns;
use crate::cli::when;
use millstream_api::v1;

/// The columns of mappings.
pub(crate) const COLUMNS: Columns = Columns {
    narrow: &[
        "NAME",
        "STATE",
        "SOURCE",
        "FUNCTION",
        "DONE",
        "DISCARDED",
        "FAILURES",
        "AGE",
        "CONDITIONS",
    ],
    wide: &[
        "BATCH",
        "FACTOR",
        "WINDOW",
        "BISECT",
        "RETRIES",
        "ON-FAILURE",
        "CONCURRENCY",
        "LAST-RESULT",
        "GENERATION",
        "UID",
    ],
};

/// Which of the columns changes by itself.
pub(crate) const AGE: usize = 7;

/// The cells of a mapping.
pub(crate) fn row(m: &v1::Mapping) -> Vec<String> {
    let counters = m.counters.unwrap_or_default();
    let generation = if m.generation == m.observed_generation {
        m.generation.to_string()
    } else {
        format!("{} (runs {})", m.generation, m.observed_generation)
    };
    vec![
        short(&m.name).to_owned(),
        state(m).to_owned(),
        short(&m.source_arn).to_owned(),
        m.function.clone(),
        counters.records_done.to_string(),
        counters.records_discarded.to_string(),
        counters.failures.to_string(),
        when::age(m.create_time.as_ref()),
        m.conditions
            .iter()
            .map(|c| c.r#type.as_str())
            .collect::<Vec<_>>()
            .join(","),
        m.batch_size().to_string(),
        text(m.parallelization_factor),
        format!("{}s", m.maximum_batching_window_seconds()),
        text(m.bisect_batch_on_function_error),
        m.maximum_retry_attempts.map_or_else(String::new, unlimited),
        short(on_failure(m)).to_owned(),
        text(m.scaling_config.and_then(|c| c.maximum_concurrency)),
        m.last_processing_result.clone(),
        generation,
        m.uid.clone(),
    ]
}

/// A setting that only some kinds of sources have; empty if this one has not.
fn text<T: ToString>(setting: Option<T>) -> String {
    setting.map_or_else(String::new, |value| value.to_string())
}

/// Whether its source is a queue.
pub(crate) fn of_queue(m: &v1::Mapping) -> bool {
    m.source_arn.split(':').nth(2) == Some("sqs")
}

/// The state in one word.
pub(crate) fn state(m: &v1::Mapping) -> &'static str {
    m.state().as_str_name().trim_start_matches("MAPPING_STATE_")
}

/// The failure destination, empty if there is none.
pub(crate) fn on_failure(m: &v1::Mapping) -> &str {
    m.destination_config
        .as_ref()
        .and_then(|d| d.on_failure.as_ref())
        .map_or("", |f| f.destination.as_str())
}

/// A limit of which −1 means none.
pub(crate) fn unlimited(n: i32) -> String {
    if n < 0 {
        "no limit".to_owned()
    } else {
        n.to_string()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cli::output::{Paint, Table};

    pub(crate) fn mapping(name: &str, state: v1::MappingState) -> v1::Mapping {
        v1::Mapping {
            name: format!("namespaces/default/mappings/{name}"),
            uid: "6f9619ff-8b86-4d11-b42d-00c04fc964ff".to_owned(),
            source_arn: "arn:aws:kinesis:us-east-1:000000000000:stream/flights".to_owned(),
            function: "delays".to_owned(),
            batch_size: Some(100),
            parallelization_factor: Some(4),
            maximum_retry_attempts: Some(-1),
            generation: 2,
            observed_generation: 1,
            state: state.into(),
            last_processing_result: "OK".to_owned(),
            conditions: vec![v1::Condition {
                r#type: "FunctionMissing".to_owned(),
                ..Default::default()
            }],
            counters: Some(v1::MappingCounters {
                records_done: 1_234,
                failures: 5,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn the_table_is_golden() {
        let mut table = Table::new(COLUMNS, false);
        table.row(row(&mapping("totals", v1::MappingState::Active)));
        table.row(row(&v1::Mapping {
            conditions: Vec::new(),
            ..mapping("b", v1::MappingState::Paused)
        }));
        let mut lines = vec![table.head_line()];
        lines.extend(table.take_lines(Paint::PLAIN));
        assert_eq!(
            lines,
            [
                "NAME    STATE   SOURCE   FUNCTION  DONE  DISCARDED  FAILURES  AGE  CONDITIONS",
                "totals  ACTIVE  flights  delays    1234  0          5         -    FunctionMissing",
                "b       PAUSED  flights  delays    1234  0          5         -    -",
            ]
        );
    }

    #[test]
    fn the_column_of_ages_is_known() {
        assert_eq!(COLUMNS.narrow[AGE], "AGE");
    }

    #[test]
    fn wide_tells_the_settings_and_a_change_being_taken_up() {
        let cells = row(&mapping("totals", v1::MappingState::Updating));
        assert_eq!(cells.len(), COLUMNS.narrow.len() + COLUMNS.wide.len());
        assert!(cells.contains(&"no limit".to_owned()) && cells.contains(&"2 (runs 1)".to_owned()));
    }

    #[test]
    fn settings_that_a_queue_has_not_are_not_shown_as_zero() {
        let m = v1::Mapping {
            source_arn: "arn:aws:sqs:us-east-1:000000000000:jobs.fifo".to_owned(),
            parallelization_factor: None,
            maximum_retry_attempts: None,
            scaling_config: Some(v1::ScalingConfig {
                maximum_concurrency: Some(2),
            }),
            ..mapping("work", v1::MappingState::Active)
        };
        assert!(of_queue(&m) && !of_queue(&mapping("totals", v1::MappingState::Active)));
        let cells = row(&m);
        assert_eq!(cells[2], "jobs.fifo");
        assert_eq!(cells[9..15], ["100", "", "0s", "", "", ""]);
        assert_eq!(cells[15], "2");
    }
}
