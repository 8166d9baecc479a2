//! The one table.

mod load;
mod record;
mod rest;

/// What a number means to Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rises while its process lives.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations in cumulative buckets.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What of a status becomes the value. Paths are JSON pointers; what is not there is 0.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// A number times a factor, which brings it to its base unit; `true` is 1.
    Number(&'static str, f64),
    /// 1 while this text stands there.
    Is(&'static str, &'static str),
    /// 1 while anything stands there.
    There(&'static str),
    /// A histogram as `LatencyHistogram` is written.
    Buckets(&'static str),
    /// A number each for these values of a label: label, (value, path).
    ByLabel(&'static str, &'static [(&'static str, &'static str)]),
    /// Always 1, with the text of a path as a label.
    Info(&'static str, &'static str),
}

/// A series for each item of an array; the path of the value begins at the item.
#[derive(Clone, Copy, Debug)]
pub struct Each {
    /// The array.
    pub array: &'static str,
    /// The label that tells its items apart,
    pub label: &'static str,
    /// and where its value stands in an item.
    pub value: &'static str,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// `tickhouse_<stage>_<thing>_<unit>[_total]`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// In one sentence, for people.
    pub help: &'static str,
    /// The processes that have it; empty: all.
    pub roles: &'static [&'static str],
    /// Whether there are several of it.
    pub each: Option<Each>,
    /// Where its value comes from.
    pub from: From,
}

const fn counter(name: &'static str, path: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help, roles: &[], each: None, from: From::Number(path, 1.0) }
}

const fn gauge(name: &'static str, path: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help, roles: &[], each: None, from: From::Number(path, 1.0) }
}

const fn histogram(name: &'static str, path: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help, roles: &[], each: None, from: From::Buckets(path) }
}

impl Metric {
    const fn of(mut self, roles: &'static [&'static str]) -> Self {
        self.roles = roles;
        self
    }

    const fn each(mut self, each: Each) -> Self {
        self.each = Some(each);
        self
    }

    const fn from(mut self, from: From) -> Self {
        self.from = from;
        self
    }

    /// Whether processes of this role have it.
    pub fn is_of(&self, role: &str) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// Names of its labels.
    pub fn labels(&self) -> Vec<&'static str> {
        let own = match self.from {
            From::ByLabel(label, _) | From::Info(label, _) => Some(label),
            _ => None,
        };
        self.each.map(|each| each.label).into_iter().chain(own).collect()
    }
}

/// Every metric, in the way of a tick.
pub const TABLE: &[&[Metric]] = &[
    record::SOURCE,
    record::JOURNAL,
    record::STREAM,
    load::LOAD,
    load::STORE,
    rest::SERVE,
    rest::PROCESS,
    rest::SIMULATOR,
];
