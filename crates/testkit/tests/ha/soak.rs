//! Some time of steady load: what grows, what is left over.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::load::Load;
use crate::proc::{self, kilobytes};
use crate::report::{Width, found};
use crate::stack::Stack;

/// Until buffers, caches and the allocator have what they need.
const WARM_UP: Duration = Duration::from_secs(8);
/// Of the memory after it; an allocator's own play, on a process of some 100 MB.
const GROWTH_PERCENT: u64 = 25;

/// What is looked at of one replica.
#[derive(Debug)]
struct Look {
    server_mb: u64,
    files: usize,
    open: usize,
    zombies: Vec<u32>,
}

fn look(pid: u32, folder: &Path) -> Look {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Look { server_mb: kilobytes(pid, "VmRSS").unwrap_or(0) / 1024, files: files(folder), open, zombies: zombies_below(pid) }
}

fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// Processes below this one that have ended and that nobody collects.
fn zombies_below(pid: u32) -> Vec<u32> {
    let all = proc::all();
    let parents: BTreeMap<u32, u32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let is_below = |mut process: u32| {
        while let Some(parent) = parents.get(&process) {
            if *parent == pid {
                return true;
            }
            process = *parent;
        }
        false
    };
    all.iter().filter(|process| process.is_zombie && is_below(process.pid)).map(|process| process.pid).collect()
}

/// Load for a while on a stack of processes.
pub async fn soak(stack: &mut Stack, template: &str) {
    let Some(processes) = stack.processes() else { return };
    let places: Vec<_> = processes.replicas.iter().map(|replica| (replica.pid(), replica.folder().to_owned())).collect();
    let looks = || places.iter().map(|(pid, folder)| look(*pid, folder)).collect::<Vec<_>>();
    let lasts = if Width::asked() == Width::Full { Duration::from_mins(30) } else { Duration::from_secs(20) };
    let load = Load::of(stack, template);
    sleep(WARM_UP).await;
    let (began, before) = (Instant::now(), looks());
    sleep(lasts).await;
    let lasted = began.elapsed();
    let came = load.end().await;
    // What the last requests left is cleared away in a moment; zombies that are there twice are nobody's.
    sleep(Duration::from_secs(1)).await;
    let (first, after) = (looks(), looks());
    let zombies: usize =
        after.iter().zip(&first).map(|(now, then)| now.zombies.iter().filter(|pid| then.zombies.contains(pid)).count()).sum();
    let memory = before.iter().zip(&after).map(|(before, after)| format!("{} → {}", before.server_mb, after.server_mb));
    let memory = memory.collect::<Vec<_>>().join(", ");
    let all = |looks: &[Look], what: fn(&Look) -> usize| looks.iter().map(what).sum::<usize>();
    let (files, open) = (
        (all(&before, |look| look.files), all(&after, |look| look.files)),
        (all(&before, |look| look.open), all(&after, |look| look.open)),
    );
    found(
        "18",
        "a soak",
        &format!(
            "{came} in {:.0} s after {WARM_UP:.0?} of warming up; memory of the servers in MB {memory}; {zombies} zombies; files in their folders {} → {}; open files {} → {}",
            lasted.as_secs_f64(),
            files.0,
            files.1,
            open.0,
            open.1
        ),
    );
    assert_eq!((came.failures(), zombies), (0, 0), "{:#?}", came.failed);
    assert!(files.1 <= files.0 + 20, "stray files: {files:?}");
    assert!(open.1 <= open.0 + 30, "open files: {open:?}");
    for (before, after) in before.iter().zip(&after) {
        assert!(after.server_mb <= before.server_mb * (100 + GROWTH_PERCENT) / 100 + 15, "{before:?} {after:?}");
    }
}
