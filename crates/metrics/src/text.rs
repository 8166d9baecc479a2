//! A status in Prometheus' text format.
//!
//! Why `prometheus` and not `prometheus-client`, the official crate: the latter writes `OpenMetrics` only, whose counters `promtool
//! check metrics` does not know, and asks for its own counters; this one writes any family that it is given.

use crate::{From, Kind, Metric, TABLE};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, TextEncoder};
use serde_json::Value;

/// `Content-Type` of the text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// A status as Prometheus reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposition {
    /// The text.
    pub text: String,
    /// Paths of the table that the status has not: they read as 0. While the process begins some are missing; afterwards the
    /// table and the status do not fit.
    pub missing: Vec<&'static str>,
}

/// What a process of this role says, every metric of the role, zeros too.
pub fn exposition(role: &str, status: &Value) -> Exposition {
    let mut exposition = Exposition::default();
    let families: Vec<MetricFamily> = TABLE
        .iter()
        .flat_map(|part| part.iter())
        .filter(|metric| metric.is_of(role))
        .map(|metric| family(metric, status, &mut exposition.missing))
        // a family needs a series: that of an array comes with its first item
        .filter(|family| !family.get_metric().is_empty())
        .collect();
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&families, &mut text)
        .expect("every family has a name and series, and memory takes the text");
    exposition.text = String::from_utf8(text).expect("the text is made of texts");
    exposition
}

fn family(metric: &Metric, status: &Value, missing: &mut Vec<&'static str>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    let mut series = Vec::new();
    match metric.each {
        None => series_of(metric, status, &[], missing, &mut series),
        Some(each) => {
            let items = found(status, each.array, missing).as_array().map(Vec::as_slice).unwrap_or_default();
            for item in items {
                let label =
                    label(each.label, &text_of(&item.pointer(each.value).unwrap_or(&Value::Null).clone()));
                series_of(metric, item, &[label], missing, &mut series);
            }
        }
    }
    family.set_metric(series);
    family
}

fn series_of(
    metric: &Metric,
    item: &Value,
    labels: &[LabelPair],
    missing: &mut Vec<&'static str>,
    series: &mut Vec<Sample>,
) {
    let mut add = |labels: Vec<LabelPair>, value: f64| series.push(sample(metric.kind, labels, value));
    match metric.from {
        From::Number(path, factor) => add(labels.to_vec(), number(found(item, path, missing)) * factor),
        From::Is(path, text) => add(labels.to_vec(), f64::from(found(item, path, missing) == text)),
        From::There(path) => {
            let value = item.pointer(path).unwrap_or(&Value::Null);
            add(labels.to_vec(), f64::from(!value.is_null()));
        }
        From::ByLabel(name, values) => {
            for (value, path) in values {
                let labels = labels.iter().cloned().chain([label(name, value)]).collect();
                add(labels, number(found(item, path, missing)));
            }
        }
        From::Info(name, path) => {
            let text = text_of(found(item, path, missing));
            add(labels.iter().cloned().chain([label(name, &text)]).collect(), 1.0);
        }
        From::Buckets(path) => series.push(buckets(found(item, path, missing), labels.to_vec())),
    }
}

/// What stands at a path; null, and a note, where nothing does. What is `null` there is meant so.
fn found<'a>(value: &'a Value, path: &'static str, missing: &mut Vec<&'static str>) -> &'a Value {
    value.pointer(path).unwrap_or_else(|| {
        missing.push(path);
        &Value::Null
    })
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(flag) => f64::from(*flag),
        other => other.as_f64().unwrap_or(0.0),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn sample(kind: Kind, labels: Vec<LabelPair>, value: f64) -> Sample {
    let mut sample = Sample::from_label(labels);
    if kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        sample.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        sample.set_gauge(gauge);
    }
    sample
}

fn buckets(value: &Value, labels: Vec<LabelPair>) -> Sample {
    let pairs = value["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bucket = |pair: &Value| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(number(&pair[0]));
        bucket.set_cumulative_count(pair[1].as_u64().unwrap_or(0));
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_sample_count(value["count"].as_u64().unwrap_or(0));
    histogram.set_sample_sum(number(&value["sum_seconds"]));
    histogram.set_bucket(pairs.iter().map(bucket).collect());
    let mut sample = Sample::from_label(labels);
    sample.set_histogram(histogram);
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_becomes_series() {
        let status = json!({
            "version": "0.1.0", "memory_bytes": 5, "cpu_seconds": 1.5, "market": "open", "disk": { "free_bytes": 7 },
            "sockets": [{ "socket": 0, "expects_data": true, "source": { "state": "connected", "frames": 12, "queue_stalled_ms": 1_500 },
                "publisher": { "connected": false } }],
            "journal": { "sockets": [{ "socket": 0, "records": 13, "fault": "full" }] },
            "histograms": { "socket_to_redis": { "count": 3, "sum_seconds": 0.25, "buckets": [[0.001, 1], [0.1, 2]] } },
        });
        let found = exposition("record", &status);
        for line in [
            "# TYPE tickhouse_source_frames_total counter",
            "tickhouse_source_frames_total{socket=\"0\"} 12",
            "tickhouse_source_connected{socket=\"0\"} 1",
            "tickhouse_source_data_expected{socket=\"0\"} 1",
            "tickhouse_source_queue_stalled_seconds_total{socket=\"0\"} 1.5",
            "tickhouse_source_market_open 1",
            "tickhouse_stream_connected{socket=\"0\"} 0",
            "tickhouse_journal_faulted{socket=\"0\"} 1",
            "tickhouse_stream_latency_seconds_bucket{le=\"0.1\"} 2",
            "tickhouse_stream_latency_seconds_bucket{le=\"+Inf\"} 3",
            "tickhouse_stream_latency_seconds_sum 0.25",
            "tickhouse_build_info{version=\"0.1.0\"} 1",
            "tickhouse_disk_free_bytes 7",
            // zeros are shown
            "tickhouse_source_login_wanted_keys 0",
            "tickhouse_journal_latency_seconds_count 0",
        ] {
            assert!(found.text.lines().any(|found| found == line), "{line}\n{}", found.text);
        }
        assert!(!found.text.contains("tickhouse_load_"), "another process'");
        assert!(found.missing.contains(&"/keys_wanting_login") && !found.missing.contains(&"/market"));
    }

    #[test]
    fn a_process_that_says_nothing_shows_zeros_and_a_hostile_label_is_escaped() {
        let nothing = exposition("load", &json!(null));
        assert!(
            nothing.text.contains("tickhouse_store_rows_total{table=\"tick_data\"} 0\n"),
            "{}",
            nothing.text
        );
        let status = json!({ "stores": { "streams": [{ "stream": "a\"b\n", "entries": 1 }] } });
        let found = exposition("load", &status).text;
        assert!(found.contains("tickhouse_load_stream_entries{stream=\"a\\\"b\\n\"} 1\n"), "{found}");
    }
}
