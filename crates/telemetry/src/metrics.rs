//! Values under their names, as Prometheus' text.
//!
//! Nothing is registered: whoever is asked for metrics collects what is there at that moment, from counts that are
//! kept anyway, and writes it into a [`Scrape`]. What is not known is not written, so that zero and unknown differ.

use crate::names::metric::{ALL, Kind, Metric};
use prometheus::core::Metric as _;
use prometheus::proto::{Counter, Gauge, LabelPair, MetricFamily, MetricType};
use prometheus::{HistogramOpts, TextEncoder};
use std::collections::BTreeMap;

/// The content type of [`Scrape::text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Counts values by size; cheap, and callable from anywhere.
#[derive(Clone, Debug)]
pub struct Histogram(Option<prometheus::Histogram>);

impl Histogram {
    /// An empty one for a metric that is a histogram; for others one that counts nothing.
    #[must_use]
    pub fn new(metric: &Metric) -> Self {
        let Kind::Histogram(buckets) = metric.kind else {
            return Self(None);
        };
        let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
        Self(prometheus::Histogram::with_opts(options).ok())
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        if let Some(histogram) = &self.0 {
            histogram.observe(value);
        }
    }
}

/// The values of one moment.
#[derive(Debug, Default)]
pub struct Scrape {
    families: BTreeMap<&'static str, Vec<prometheus::proto::Metric>>,
}

impl Scrape {
    /// Adds a value of a counter or a gauge. `labels` are the values of the metric's labels, in their order.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let mut sample = sample(metric, labels);
        match metric.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
            Kind::Histogram(_) => return,
        }
        self.families.entry(metric.name).or_default().push(sample);
    }

    /// As [`Scrape::add`], of a count.
    pub fn count(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        // Beyond 2^53 a count loses its last digits, as all of Prometheus' numbers do.
        self.add(metric, labels, value as f64);
    }

    /// As [`Scrape::count`]; nothing if it is not known.
    pub fn known(&mut self, metric: &Metric, labels: &[&str], value: Option<u64>) {
        if let Some(value) = value {
            self.count(metric, labels, value);
        }
    }

    /// Adds a histogram as it stands.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], histogram: &Histogram) {
        let Some(histogram) = &histogram.0 else { return };
        let mut sample = sample(metric, labels);
        sample.set_histogram(histogram.metric().get_histogram().clone());
        self.families.entry(metric.name).or_default().push(sample);
    }

    /// The text, in the order of [`crate::names::metric::ALL`].
    #[must_use]
    pub fn text(mut self) -> String {
        let mut text = String::new();
        for metric in ALL {
            let Some(samples) = self.families.remove(metric.name) else {
                continue;
            };
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
                Kind::Histogram(_) => MetricType::HISTOGRAM,
            });
            family.set_metric(samples);
            // Fails only for a family without samples or name, which this is not.
            let _ = TextEncoder::new().encode_utf8(&[family], &mut text);
        }
        text
    }
}

fn sample(metric: &Metric, labels: &[&str]) -> prometheus::proto::Metric {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
    let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    prometheus::proto::Metric::from_label(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::metric;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut scrape = Scrape::default();
        let labels = ["default", "m\"1\"", "arn", "f\n"];
        scrape.count(&metric::RECORDS_READ, &labels, 3);
        scrape.known(&metric::QUEUE_VISIBLE, &labels, None);
        scrape.count(&metric::BUILD, &["0.1"], 1);
        let seconds = Histogram::new(&metric::ATTEMPT_SECONDS);
        seconds.observe(0.5);
        scrape.histogram(&metric::ATTEMPT_SECONDS, &labels, &seconds);
        let text = scrape.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines[..2],
            [
                "# TYPE millstream_build_info gauge",
                r#"millstream_build_info{version="0.1"} 1"#
            ]
        );
        let of = r#"namespace="default",mapping="m\"1\"",source="arn",function="f\n""#;
        for line in [
            "# TYPE millstream_attempt_duration_seconds histogram".to_owned(),
            format!("millstream_attempt_duration_seconds_bucket{{{of},le=\"0.25\"}} 0"),
            format!("millstream_attempt_duration_seconds_bucket{{{of},le=\"1\"}} 1"),
            format!("millstream_attempt_duration_seconds_bucket{{{of},le=\"+Inf\"}} 1"),
            format!("millstream_attempt_duration_seconds_sum{{{of}}} 0.5"),
            "# TYPE millstream_records_read_total counter".to_owned(),
            format!("millstream_records_read_total{{{of}}} 3"),
        ] {
            assert!(lines.contains(&line.as_str()), "{line}\n{text}");
        }
        assert!(!text.contains("visible"), "{text}");
    }

    #[test]
    fn what_is_no_histogram_counts_nothing() {
        let none = Histogram::new(&metric::RECORDS_READ);
        none.observe(1.0);
        let mut scrape = Scrape::default();
        scrape.histogram(&metric::RECORDS_READ, &[], &none);
        scrape.add(&metric::ATTEMPT_SECONDS, &["", "", "", ""], 1.0);
        assert_eq!(scrape.text(), "");
    }
}
