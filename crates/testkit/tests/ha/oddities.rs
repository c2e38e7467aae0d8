//! Replicas with something wrong about them, among others that are well: a clock, a disk, a browser without memory.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::load::Load;
use crate::processes::Odd;
use crate::report::found;
use crate::stack::{Stack, answer, said, wait_for};

/// What lies to a process about the time.
const LIARS: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];
/// Bytes that each process of the starved browser may write to: enough for letters, not for a table of tens of thousands of rows.
const STARVED: u64 = 800 << 20;
const BROWSERS: [&str; 2] = ["/usr/lib/chromium/chromium-headless-shell", "/opt/pulp-engine/chromium/chromium-headless-shell"];
const BACK: Duration = Duration::from_mins(2);
const WRONG: usize = 0;
const FULL: usize = 1;
const HUNGRY: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_a_full_disk_and_a_starved_browser_of_one_replica_are_nobody_elses_trouble() {
    let liar = LIARS.into_iter().find(|path| Path::new(path).exists());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let starved = starved(folder.path());
    let odd = |number| match (number, liar) {
        (WRONG, Some(path)) => Odd {
            settings: vec![
                ("LD_PRELOAD", path.to_owned()),
                ("FAKETIME", "-1h".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ],
        },
        (HUNGRY, _) => Odd { settings: starved.iter().map(|path| ("CHROMIUM_PATH", path.clone())).collect() },
        _ => Odd::default(),
    };
    let Some(mut stack) = Stack::of_processes(3, &[], odd).await else { return };
    let template = stack.make_template("odd", "in spite of all").await;
    if liar.is_some() {
        a_wrong_clock(&stack, &template).await;
    } else {
        println!("LEFT OUT: there is no libfaketime; scripts/test installs it");
    }
    if starved.is_some() {
        a_starved_browser(&stack, &template).await;
    } else {
        println!("LEFT OUT: the browser is at none of {BROWSERS:?}");
    }
    a_full_disk(&mut stack, &template).await;
}

/// A program that is the browser with little memory.
fn starved(folder: &Path) -> Option<String> {
    let browser = BROWSERS.iter().find(|path| Path::new(path).exists())?;
    let program = folder.join("starved-browser");
    fs::write(&program, format!("#!/bin/sh\nexec prlimit --data={STARVED} {browser} \"$@\"\n")).ok()?;
    // The browser may be another user's.
    fs::set_permissions(&program, Permissions::from_mode(0o755)).ok()?;
    fs::set_permissions(folder, Permissions::from_mode(0o755)).ok()?;
    program.to_str().map(str::to_owned)
}

/// An hour slow: renders, jobs and the view of the cluster are as ever, what it signs is good elsewhere.
async fn a_wrong_clock(stack: &Stack, template: &str) {
    let load = Load::of(stack, template);
    let health = said(200, stack.ask_replica(WRONG, "GET", "/health")).await["timestamp"].as_str().expect("a time").to_owned();
    let right = said(200, stack.ask_replica(FULL, "GET", "/health")).await["timestamp"].as_str().expect("a time").to_owned();
    assert!(health < right, "the clock is slow: {health} and {right}");
    let mut tokens = Vec::new();
    for (minted_on, used_on) in [(WRONG, FULL), (FULL, WRONG)] {
        let minted =
            stack.client.post(stack.replica_url(minted_on, "/auth/editor-token")).json(&json!({"key": stack.key(), "actor": "ann"}));
        let minted = said(200, minted).await;
        let asked =
            stack.client.get(stack.replica_url(used_on, "/templates")).header("X-Editor-Token", minted["token"].as_str().expect("a token"));
        tokens.push(answer(asked).await.0);
    }
    let view = said(200, stack.ask_replica(FULL, "GET", "/api/cluster/info")).await;
    let items: Vec<_> = (0..60).map(|n| json!({"template": template, "data": {"name": n}})).collect();
    let job = said(202, stack.ask_replica(WRONG, "POST", "/render/jobs").json(&json!({"format": "html", "items": items}))).await;
    let path = format!("/render/jobs/{}", job["jobId"].as_str().expect("an id"));
    let ended = async || {
        let job = said(200, stack.ask("GET", &path)).await;
        (job["progress"]["completed"] == json!(60)).then_some(job)
    };
    let (job, took) = wait_for("the job ends", ended).await;
    let came = load.end_after(100).await;
    found(
        "15",
        "the clock of one replica is an hour slow",
        &format!(
            "{came}; {} of 3 alive in the cluster view; its tokens are good on the others ({}), theirs not on it ({}): clocks may differ by 60 s; a job of 60 documents `{}` after {took:.1?}",
            view["replicasAlive"],
            tokens[0],
            tokens[1],
            job["status"].as_str().unwrap_or_default()
        ),
    );
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);
    // What was issued later than now, by more than the minute that clocks may differ, is nothing that it signs itself.
    assert_eq!((tokens, &view["replicasAlive"]), (vec![200, 401], &json!(3)));
}

/// A document that does not fit ends in an error of its own, and the replica serves on.
async fn a_starved_browser(stack: &Stack, template: &str) {
    let load = Load::of(stack, template);
    let rows: Vec<_> = (0..60_000).map(|row| json!({"n": row})).collect();
    let html = "<table>{{#each rows}}<tr><td>Row {{n}}</td><td>{{n}}</td><td>{{n}}</td></tr>{{/each}}</table>";
    let body = json!({"definition": {"key": "k", "name": "n", "html": html}, "data": {"rows": rows}});
    let began = Instant::now();
    let (status, told) = answer(stack.ask_replica(HUNGRY, "POST", "/render/pdf").json(&body)).await;
    let took = began.elapsed();
    let small = async || {
        let render = stack.ask_replica(HUNGRY, "POST", "/render/pdf").json(&json!({"template": template, "data": {"name": "x"}}));
        (render.send().await.ok()?.status() == 200).then_some(())
    };
    let ((), back) = wait_for("it prints small documents", small).await;
    let came = load.end_after(100).await;
    let code = told["code"].as_str().unwrap_or("none").to_owned();
    found(
        "17",
        "a browser without memory",
        &format!(
            "a table of 60,000 rows is answered {status} `{code}` after {took:.1?}, and a letter is printed {back:.1?} later; beside it {came}"
        ),
    );
    assert!(status >= 400 && code != "none" && code != "internal_error", "{status} {told}");
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);
}

/// A small file system in the place of a folder, for root; it goes with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=96m,mode=0711", "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Until nothing more fits.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).expect("a file on the small disk");
        while file.write_all(&[0; 8 * 1024]).is_ok() {}
        while file.write_all(&[0; 256]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Uploads there are refused; renders go on, there and everywhere.
async fn a_full_disk(stack: &mut Stack, template: &str) {
    let Some(processes) = stack.processes() else { return };
    let replica = &mut processes.replicas[FULL];
    let data = replica.folder().join("data");
    replica.signal("INT");
    while replica.is_alive() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let Some(disk) = SmallDisk::at(&data) else {
        println!("LEFT OUT: this user may not mount a small file system");
        return;
    };
    let runtime = data.join("chromium");
    replica.set("PULP_RUNTIME_DIR", runtime.to_str().expect("a path in UTF-8"));
    replica.start_again();
    stack.wait_until_up(stack.replicas(), BACK).await;

    let load = Load::of(stack, template);
    load.go_on_for(50).await;
    let upload = async |name: &str| {
        let bytes = vec![b'<'; 300_000];
        let svg = [b"<svg xmlns='http://www.w3.org/2000/svg'><!--".as_slice(), &bytes, b"--></svg>"].concat();
        let file = Part::bytes(svg).file_name(format!("{name}.svg")).mime_str("image/svg+xml").expect("a type");
        answer(stack.ask_replica(FULL, "POST", "/assets/upload").multipart(Form::new().part("file", file))).await
    };
    let filler = disk.fill();
    let (status, told) = upload(&stack.named("large")).await;
    let render = stack.ask_replica(FULL, "POST", "/render/pdf").json(&json!({"template": template, "data": {"name": "x"}}));
    let (rendered, envelope) = answer(render).await;
    load.go_on_for(200).await;
    fs::remove_file(filler).expect("the file that filled it");
    let works = async || (upload(&stack.named("fits")).await.0 == 201).then_some(());
    let ((), back) = wait_for("an upload works again", works).await;
    let came = load.end_after(100).await;
    found(
        "16",
        "the disk of one replica is full",
        &format!(
            "an upload there is answered {status} `{}`, a PDF {rendered}; with space again, uploads work after {back:.1?}; meanwhile {came}",
            told["code"].as_str().unwrap_or("none")
        ),
    );
    assert!(status == 503 || status == 507, "{told}");
    assert_eq!(rendered, 200, "{envelope}");
    assert_eq!(came.failures(), 0, "{:#?}", came.failed);
    if let Some(processes) = stack.processes() {
        processes.replicas[FULL].signal("KILL");
    }
}
