//! What the HTML of the example invoice costs, and what one more row of it costs: processor time, in `cargo bench -p document`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{BenchmarkId, Criterion, Throughput};
use document::{Bindings, Compiled, Input, Limits, write_html};
use domain::options::RenderOptions;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// The moment of every document here.
const NOW: &str = "2026-11-21T22:30:00Z";
/// Rows of the invoices that are compared.
const ROWS: [usize; 4] = [10, 100, 1_000, 10_000];

/// Time that this thread spent on a processor.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let spent = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(spent.tv_sec.unsigned_abs(), u32::try_from(spent.tv_nsec).expect("less than a second of nanoseconds"))
    }

    fn end(&self, from: Duration) -> Duration {
        self.start().saturating_sub(from)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    #[expect(clippy::cast_precision_loss, reason = "a benchmark ends long before nanoseconds are too many for 53 bits")]
    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &PerRow
    }
}

/// Microseconds for a document, nanoseconds for a row.
struct PerRow;

impl PerRow {
    fn scaled(values: &mut [f64], factor: f64, unit: &'static str) -> &'static str {
        for value in values {
            *value *= factor;
        }
        unit
    }
}

impl ValueFormatter for PerRow {
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        Self::scaled(values, 1e-3, "µs")
    }

    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        #[expect(clippy::cast_precision_loss, reason = "rows are few")]
        let rows = if let Throughput::Elements(rows) = throughput { *rows as f64 } else { 1.0 };
        Self::scaled(values, 1.0 / rows, "ns/row")
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ns"
    }
}

fn example(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/invoice").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The data with its rows repeated up to this number.
fn with_rows(mut data: Value, count: usize) -> Value {
    let rows = data["items"].as_array_mut().expect("the invoice has items");
    *rows = rows.iter().cycle().take(count).cloned().collect();
    data
}

fn main() {
    let mut criterion = Criterion::default().with_measurement(ProcessorTime).configure_from_args();
    let (limits, options) = (Limits::default(), RenderOptions::default());
    let definition = example("template.json");
    let compiled = Compiled::compile(&definition, &limits).expect("the example is a template");
    let data = example("request.json")["data"].take();
    let write = |data: &Value| {
        let input = Input {
            data,
            fixed_data: None,
            options: &options,
            now: NOW.parse().expect("a moment"),
            bindings: Bindings::Lenient,
            cancelled: None,
            assets: None,
        };
        write_html(&compiled, &input, &limits).expect("the example is written")
    };

    criterion.bench_function("invoice/compile", |bench| bench.iter(|| Compiled::compile(&definition, &limits)));
    criterion.bench_function("invoice/write", |bench| bench.iter(|| write(&data)));
    let mut group = criterion.benchmark_group("invoice/rows");
    group.sample_size(20);
    for count in ROWS {
        let data = with_rows(data.clone(), count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bench| bench.iter(|| write(&data)));
    }
    group.finish();
    criterion.final_summary();
}
