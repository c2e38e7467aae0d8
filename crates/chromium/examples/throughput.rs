//! Documents per second and our own CPU per document on the fast lane: `throughput [seconds] <file.html>…`.

use std::path::Path;
use std::time::{Duration, Instant};

use chromium::{Pool, PoolOptions, PrintJob, Sandbox, find_executable};

const TABS: usize = 3;
const SCANS: u32 = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let seconds = match arguments.peek().and_then(|first| first.parse().ok()) {
        Some(seconds) => {
            arguments.next();
            seconds
        }
        None => 4,
    };
    let runtime_dir = std::env::temp_dir().join("chromium-throughput");
    let mut options = PoolOptions::new(find_executable(None)?.path, runtime_dir);
    options.tabs = TABS;
    options.sandbox = Sandbox::Off;
    let started = Instant::now();
    let pool = Pool::start(options).await?;
    println!("start: {:?}, {}", started.elapsed(), pool.status().version);
    for file in arguments {
        measure(&pool, Path::new(&file), Duration::from_secs(seconds)).await?;
    }
    pool.close(tokio::time::Instant::now() + Duration::from_secs(5)).await;
    Ok(())
}

async fn measure(pool: &Pool, file: &Path, length: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let html = std::fs::read_to_string(file)?;
    let scanning = Instant::now();
    for _ in 0..SCANS {
        std::hint::black_box(chromium::scan(std::hint::black_box(&html)));
    }
    println!("{}: {} bytes, scanned in {:?}", file.display(), html.len(), scanning.elapsed() / SCANS);
    for _ in 0..10 {
        pool.print(job(&html), soon()).await?;
    }
    println!("{}: {} bytes of PDF", file.display(), pool.print(job(&html), soon()).await?.pdf.len());
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let clients: Vec<_> = (0..TABS)
        .map(|_| {
            let (pool, html) = (pool.clone(), html.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < length {
                    let asked = Instant::now();
                    pool.print(job(&html), soon()).await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, chromium::ChromiumError>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await??);
    }
    if latencies.is_empty() {
        return Ok(());
    }
    let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    latencies.sort();
    let documents = u32::try_from(latencies.len())?;
    println!(
        "{}: {:.1} documents/s, p50 {:?}, p99 {:?}, own CPU {:.3} ms per document",
        file.display(),
        f64::from(documents) / elapsed,
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
        cpu * 1000.0 / f64::from(documents),
    );
    Ok(())
}

fn job(html: &str) -> PrintJob {
    PrintJob::new(html.to_owned(), "bench".to_owned())
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(20)
}

/// CPU seconds of this process so far, from the nanoseconds of its threads in `schedstat`.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let schedstat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let running: f64 = schedstat.split_whitespace().next().ok_or("empty schedstat")?.parse()?;
        nanoseconds += running;
    }
    Ok(nanoseconds / 1e9)
}
