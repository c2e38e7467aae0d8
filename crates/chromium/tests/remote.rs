//! Printing by render workers: the same documents, and what becomes of them when workers refuse, die, drain or are somebody else.
#![cfg(test)]

mod support;
#[path = "support/worker.rs"]
mod worker;

use std::time::Duration;

use chromium::remote::{Address, Listener, RemoteError, RemoteOptions, Security, Standing};
use chromium::{ChromiumError, Phase, Pool, PrintJob, Printed, Priority};
use support::{job, scripted, soon, text, undated};
use testkit::certificates::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use worker::{TestWorker, any_port, certificates, path, replica, secret, socket};

const SECRET: &str = "a secret of the tests, long enough";

/// A job that keeps its tab until its deadline.
fn endless() -> PrintJob {
    scripted("<!DOCTYPE html><p>busy<script>while(true){}</script>")
}

fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

fn spawn(pool: &Pool, job: PrintJob, deadline: Instant) -> JoinHandle<Result<Printed, ChromiumError>> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.print(job, deadline).await })
}

fn standing(pool: &Pool) -> Standing {
    pool.workers().remove(0).standing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_the_same_whichever_way_it_goes_to_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ways = [
        (socket(folder.path(), "s"), Security::default()),
        (any_port(), secret(SECRET)),
        (any_port(), certificates(&authority, "DNS:localhost")),
    ];
    let large: String = support::each(20_000, |row| format!("<p>row {row} of a document that is larger than one piece"));
    let here = support::start(|options| options.tabs = 1).await;
    let documents = ["<p>Grüße aus dem <b>Worker</b>".to_owned(), large];
    let mut wanted = Vec::new();
    for html in &documents {
        wanted.push(here.print(job(html), soon()).await.unwrap());
    }
    here.close().await;
    for (address, security) in ways {
        let worker = TestWorker::start(&address, &security).await;
        let pool = replica(&[&worker], &security).await;
        assert_eq!(standing(&pool), Standing::Ready, "{address}");
        for (html, wanted) in documents.iter().zip(&wanted) {
            let printed = pool.print(job(html), soon()).await.unwrap();
            assert!(undated(&printed.pdf) == undated(&wanted.pdf), "{address}: another PDF");
            assert_eq!((printed.lane, printed.attempts), (wanted.lane, wanted.attempts));
            assert!(printed.timings.print > Duration::ZERO && printed.timings.load > Duration::ZERO, "{:?}", printed.timings);
        }
        let status = pool.status();
        assert_eq!((status.tabs, status.healthy_tabs), (1, 1), "{status:?}");
        assert!(status.version.contains("Chrome"), "{status:?}");
        assert!(pool.installed_fonts().await.unwrap().draws('A'));
        pool.close(soon()).await;
        assert_eq!(pool.print(job("late"), soon()).await.unwrap_err(), ChromiumError::Closed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_print_frees_its_tab_and_a_deadline_says_in_which_phase_it_passed() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let worker = TestWorker::start(&socket(folder.path(), "s"), &none).await;
    let pool = replica(&[&worker], &none).await;
    let busy = spawn(&pool, endless(), soon());
    support::eventually("the tab is taken", || worker.pool.status().in_use == 1).await;
    let waiting = pool.print(job("x"), within(300)).await;
    assert!(matches!(waiting, Err(ChromiumError::DeadlineExceeded { phase: Phase::Queue })), "{waiting:?}");
    busy.abort();
    support::eventually("the tab is free", || worker.pool.status().in_use == 0).await;
    let loading = pool.print(endless(), within(700)).await;
    assert!(matches!(loading, Err(ChromiumError::DeadlineExceeded { phase: Phase::Load })), "{loading:?}");
    assert_eq!(text(&pool.print(job("<p>well"), soon()).await.unwrap().pdf), "well");
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_refusals_of_a_worker_are_those_of_a_browser_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let worker = TestWorker::start_with(&socket(folder.path(), "s"), &none, |options| {
        options.tabs = 1;
        options.budgets.output_bytes = 100_000;
    })
    .await;
    let mut options = RemoteOptions::new(vec![worker.address.clone()], none);
    options.html_bytes = 1_000_000;
    let pool = Pool::connect(options).await.unwrap();
    let size_bytes = 1_000_001;
    let refused = pool.print(job(&"x".repeat(size_bytes)), soon()).await.unwrap_err();
    assert_eq!(refused, ChromiumError::PageTooLarge { limit_bytes: 1_000_000, size_bytes });
    let pages: String = support::each(400, |page| format!("<p style='break-after:page'>page {page} <b>and</b> more"));
    assert_eq!(pool.print(job(&pages), soon()).await.unwrap_err(), ChromiumError::OutputTooLarge { limit_bytes: 100_000 });
    let refused = pool.print(scripted("<script>location='https://elsewhere.example/'</script>"), soon()).await;
    assert!(matches!(refused, Err(ChromiumError::Refused { .. })), "{refused:?}");
    assert_eq!(text(&pool.print(job("<p>fine"), soon()).await.unwrap().pdf), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_another_secret_or_none_gets_nothing_and_learns_why_from_its_own_log() {
    let worker = TestWorker::start(&any_port(), &secret(SECRET)).await;
    let authority = Authority::new();
    for (security, reason) in [
        (secret("another secret of the tests, as long"), "RENDER_WORKER_SECRET is another one there"),
        (certificates(&authority, "DNS:localhost"), ""),
    ] {
        let pool = replica(&[&worker], &security).await;
        let Standing::Unreachable(why) = standing(&pool) else { panic!("{:?}", standing(&pool)) };
        assert!(why.contains(reason), "{why}");
        let refused = pool.print(job("x"), soon()).await.unwrap_err();
        assert!(matches!(refused, ChromiumError::NoWorker { .. }), "{refused:?}");
    }
    let open = Pool::connect(RemoteOptions::new(vec![worker.address.clone()], Security::default())).await.unwrap_err();
    assert!(matches!(open, RemoteError::Unprotected { .. }), "{open}");
    assert_eq!(text(&replica(&[&worker], &secret(SECRET)).await.print(job("<p>ours"), soon()).await.unwrap().pdf), "ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_certificates_both_sides_need_one_of_the_authority_and_the_worker_its_name() {
    let (ours, others) = (Authority::new(), Authority::new());
    let worker = TestWorker::start(&any_port(), &certificates(&ours, "DNS:localhost")).await;
    let stranger = replica(&[&worker], &certificates(&others, "DNS:localhost")).await;
    assert!(matches!(standing(&stranger), Standing::Unreachable(_)), "an authority of its own");
    // The client trusts our authority, and shows a certificate of another.
    let mut mixed = certificates(&others, "DNS:somebody");
    if let Some(tls) = &mut mixed.tls {
        tls.authority = ours.file();
    }
    let stranger = replica(&[&worker], &mixed).await;
    assert!(matches!(standing(&stranger), Standing::Unreachable(_)), "a certificate that nobody here gave");
    let Address::Tcp { port, .. } = worker.address else { panic!("{}", worker.address) };
    let by_number = Address::Tcp { host: "127.0.0.1".to_owned(), port };
    let pool = Pool::connect(RemoteOptions::new(vec![by_number], certificates(&ours, "DNS:a-replica"))).await.unwrap();
    let Standing::Unreachable(why) = standing(&pool) else { panic!("the certificate has no such name") };
    assert!(why.contains("127.0.0.1"), "{why}");
    let pool = replica(&[&worker], &certificates(&ours, "DNS:a-replica")).await;
    assert_eq!(text(&pool.print(job("<p>ours"), soon()).await.unwrap().pdf), "ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_its_own_connection_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let worker = TestWorker::start(&socket(folder.path(), "s"), &none).await;
    let introduction = br#"{"protocol":1,"nonce":"0000000000000000000000000000000000000000000000000000000000000000","proof":null}"#;
    let print = r#"{"ask":"print","tenant":"t","priority":"interactive","scripts":"off","print":{},"leftMs":1000}"#;
    let nonsense: [Vec<u8>; 6] = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 64],
        frame(b"{}", b""),
        frame(br#"{"ask":"status"}"#, &[b'x'; 100]),
        // A body that nobody will send: no memory is kept for it.
        [&u32::try_from(print.len()).unwrap().to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat(),
        frame(print.as_bytes(), b"\xFF\xFE is no UTF-8"),
    ];
    for bytes in nonsense {
        let mut stream = UnixStream::connect(path(&worker.address)).await.unwrap();
        let greeting = read_frame(&mut stream).await.unwrap();
        assert!(greeting.contains("nonce"), "{greeting}");
        stream.write_all(&frame(introduction, b"")).await.unwrap();
        read_frame(&mut stream).await.expect("a welcome");
        stream.write_all(&bytes).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {:?}", String::from_utf8_lossy(&bytes));
    }
    // Whoever is no replica at all.
    let mut stream = UnixStream::connect(path(&worker.address)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await.is_ok());
    let pool = replica(&[&worker], &none).await;
    assert_eq!(text(&pool.print(job("<p>as ever"), soon()).await.unwrap().pdf), "as ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_are_bounded_and_cut() {
    let worker = TestWorker::start(&any_port(), &secret(SECRET)).await;
    let Address::Tcp { port, .. } = worker.address else { panic!("{}", worker.address) };
    let pool = replica(&[&worker], &secret(SECRET)).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(("localhost", port)).await.unwrap());
    }
    // Whoever says who it is at once gets through between them.
    assert_eq!(text(&pool.print(job("<p>served"), soon()).await.unwrap().pdf), "served");
    let began = Instant::now();
    for stream in &mut silent {
        let ended = timeout(Duration::from_secs(15), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a silent connection is still open");
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(text(&replica(&[&worker], &secret(SECRET)).await.print(job("<p>new"), soon()).await.unwrap().pdf), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_under_load_loses_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let deep = |options: &mut chromium::PoolOptions| {
        options.tabs = 2;
        options.queue_depth = 200;
    };
    let one = TestWorker::start_with(&socket(folder.path(), "one"), &none, deep).await;
    let two = TestWorker::start_with(&socket(folder.path(), "two"), &none, deep).await;
    let pool = replica(&[&one, &two], &none).await;
    assert_eq!(pool.status().tabs, 4);
    let mut jobs = JoinSet::new();
    for number in 0..80 {
        let pool = pool.clone();
        let rows: String = support::each(150, |row| format!("<p>row {row} of {number}"));
        jobs.spawn(async move { (number, pool.print(job(&format!("{rows}<p>document {number} ends")), soon()).await) });
    }
    support::eventually("both are at work", || one.pool.status().in_use > 0 && two.pool.status().in_use > 0).await;
    one.kill();
    while let Some(done) = timeout(Duration::from_mins(1), jobs.join_next()).await.expect("a job hangs") {
        let (number, printed) = done.unwrap();
        let words = text(&printed.unwrap_or_else(|error| panic!("{number}: {error}")).pdf);
        assert!(words.ends_with(&format!("document {number} ends")), "{words}");
    }
    support::eventually("the dead one is missed", || pool.status().tabs == 2).await;
    let back = TestWorker::start_with(&socket(folder.path(), "one"), &none, deep).await;
    support::eventually("its successor is found", || pool.status().healthy_tabs == 4).await;
    drop(back);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_worker_has_enough_to_do_the_shortest_wait_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let narrow = |options: &mut chromium::PoolOptions| {
        options.tabs = 1;
        options.queue_depth = 0;
    };
    let one = TestWorker::start_with(&socket(folder.path(), "one"), &none, narrow).await;
    let two = TestWorker::start_with(&socket(folder.path(), "two"), &none, narrow).await;
    let pool = replica(&[&one, &two], &none).await;
    let busy = [spawn(&pool, endless(), within(4000)), spawn(&pool, endless(), within(4000))];
    support::eventually("both are busy", || one.pool.status().in_use + two.pool.status().in_use == 2).await;
    match pool.print(job("x"), soon()).await {
        Err(ChromiumError::Saturated { retry_after, .. }) => {
            assert!((Duration::from_secs(1)..=Duration::from_mins(1)).contains(&retry_after));
        }
        other => panic!("{other:?}"),
    }
    for busy in busy {
        assert!(busy.await.unwrap().is_err());
    }
    let batch = PrintJob { priority: Priority::Batch, ..job("<p>after") };
    assert_eq!(text(&pool.print(batch, soon()).await.unwrap().pdf), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_finishes_what_it_has_and_the_rest_goes_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let none = Security::default();
    let mut one = TestWorker::start(&socket(folder.path(), "one"), &none).await;
    let pool = replica(&[&one], &none).await;
    let long = spawn(&pool, scripted("<p>slow<script>const end=Date.now()+1500;while(Date.now()<end){}</script>"), soon());
    support::eventually("it is at work", || one.pool.status().in_use == 1).await;
    one.drain.cancel();
    support::eventually("it is seen to drain", || standing(&pool) == Standing::Draining && pool.status().healthy_tabs == 0).await;
    let two = TestWorker::start(&socket(folder.path(), "two"), &none).await;
    let both = replica(&[&one, &two], &none).await;
    assert_eq!(text(&both.print(job("<p>elsewhere"), soon()).await.unwrap().pdf), "elsewhere");
    assert_eq!(text(&long.await.unwrap().unwrap().pdf), "slow");
    one.ended().await;
    assert!(!path(&one.address).exists(), "its socket file is gone");
    support::eventually("it is missed", || matches!(standing(&pool), Standing::Unreachable(_))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_worker_a_document_waits_a_little_and_then_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (address, none) = (socket(folder.path(), "s"), Security::default());
    let pool = Pool::connect(RemoteOptions::new(vec![address.clone()], none.clone())).await.unwrap();
    assert_eq!(pool.status().healthy_tabs, 0);
    let asked = Instant::now();
    let refused = pool.print(job("x"), soon()).await.unwrap_err();
    assert!(matches!(refused, ChromiumError::NoWorker { retry_after } if retry_after >= Duration::from_secs(1)), "{refused:?}");
    assert!((Duration::from_millis(1900)..Duration::from_secs(8)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    let worker = TestWorker::start(&address, &none).await;
    support::eventually("it is found", || pool.status().healthy_tabs == 1).await;
    assert_eq!(text(&pool.print(job("<p>back"), soon()).await.unwrap().pdf), "back");
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_kills_workers_does_not_walk_through_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = Vec::new();
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for (number, name) in ["one", "two", "three"].into_iter().enumerate() {
        let address = socket(folder.path(), name);
        let listener = tokio::net::UnixListener::bind(path(&address)).unwrap();
        let taken = taken.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(die_of_documents(stream, number, taken.clone()));
            }
        });
        addresses.push(address);
    }
    let pool = Pool::connect(RemoteOptions::new(addresses, Security::default())).await.unwrap();
    assert_eq!(pool.status().tabs, 3);
    let crashed = pool.print(job("poison"), soon()).await.unwrap_err();
    assert_eq!(crashed, ChromiumError::Crashed { attempts: 2 });
    assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), 2);
}

/// A worker that takes a document and goes away with it.
async fn die_of_documents(mut stream: UnixStream, number: usize, taken: std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let greeting = format!(r#"{{"protocol":1,"nonce":"{}","asksProof":false}}"#, "0".repeat(64));
    stream.write_all(&frame(greeting.as_bytes(), b"")).await.unwrap();
    read_frame(&mut stream).await.unwrap();
    stream.write_all(&frame(br#"{"proof":null}"#, b"")).await.unwrap();
    while let Some(asked) = read_frame(&mut stream).await {
        if asked.contains("status") {
            let pool = r#"{"tabs":1,"healthyTabs":1,"inUse":0,"queued":0,"browsers":1,"restarts":0,"recycles":0,"version":"x"}"#;
            let status = format!(r#"{{"say":"status","instance":{number},"pool":{pool},"draining":false,"retryAfterMs":1000}}"#);
            stream.write_all(&frame(status.as_bytes(), b"")).await.unwrap();
        } else {
            taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            stream.write_all(&frame(br#"{"say":"begun"}"#, b"")).await.unwrap();
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_file_of_a_dead_worker_is_replaced_and_that_of_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let address = socket(&folder.path().join("made"), "s");
    let first = Listener::bind(&address).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path(&address)).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660, "{mode:o}");
    let refused = Listener::bind(&address).await.unwrap_err().to_string();
    assert!(refused.contains("a worker that runs listens there"), "{refused}");
    drop(first);
    assert!(!path(&address).exists());
    // A worker that was killed leaves its file.
    drop(std::os::unix::net::UnixListener::bind(path(&address)).unwrap());
    assert!(path(&address).exists());
    let second = Listener::bind(&address).await.unwrap();
    assert!(UnixStream::connect(path(&address)).await.is_ok());
    drop(second);
    std::fs::write(path(&address), "somebody's notes").unwrap();
    let refused = Listener::bind(&address).await.unwrap_err().to_string();
    assert!(refused.contains("no socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(path(&address)).unwrap(), "somebody's notes");
}

fn frame(head: &[u8], body: &[u8]) -> Vec<u8> {
    let lengths = [head.len(), body.len()].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    [&lengths[0][..], &lengths[1], head, body].concat()
}

/// The head of the next frame; none when there is no more.
async fn read_frame(stream: &mut UnixStream) -> Option<String> {
    let head = stream.read_u32().await.ok()? as usize;
    let body = stream.read_u32().await.ok()? as usize;
    let mut bytes = vec![0; head + body];
    stream.read_exact(&mut bytes).await.ok()?;
    bytes.truncate(head);
    Some(String::from_utf8(bytes).unwrap())
}

/// Processor ticks (10 ms) of this process and of those browsers, so far.
fn ticks(browsers: &[i32]) -> u64 {
    let of = |pid: String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        after_name.get(11..13).map_or(0, |times| times.iter().map(|time| time.parse::<u64>().unwrap()).sum())
    };
    let groups = browsers.iter().flat_map(|leader| support::group(*leader));
    groups.map(|pid| of(pid.to_string())).chain([of("self".to_owned())]).sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints what a worker costs beside a browser of one's own; needs a quiet machine"]
async fn what_a_worker_costs() {
    // In small turns, so that whatever else the machine does is shared by all.
    const LETTERS: usize = 25;
    const ROUNDS: usize = 40;
    let letter = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/letter.html")).unwrap();
    let here = support::start(|options| options.tabs = 1).await;
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let mut ways = vec![("child-process", Pool::clone(&here), here.browsers(), None)];
    for (name, address, security) in [
        ("unix", socket(folder.path(), "s"), Security::default()),
        ("tcp, secret", any_port(), secret(SECRET)),
        ("tcp, certificates", any_port(), certificates(&authority, "DNS:localhost")),
    ] {
        let worker = TestWorker::start(&address, &security).await;
        let pool = replica(&[&worker], &security).await;
        ways.push((name, pool, support::browsers_in(&worker.run()), Some(worker)));
    }
    let mut figures = vec![(Vec::new(), 0); ways.len()];
    for round in 0..ROUNDS {
        for (at, (_, pool, browsers, _)) in ways.iter().enumerate() {
            let before = ticks(browsers);
            for _ in 0..LETTERS {
                let began = Instant::now();
                pool.print(job(&letter), soon()).await.unwrap();
                figures[at].0.push(began.elapsed());
            }
            figures[at].1 += ticks(browsers) - before;
            // The first rounds warm up.
            if round < 4 {
                figures[at] = (Vec::new(), 0);
            }
        }
    }
    for ((name, ..), (times, ticks)) in ways.iter().zip(&mut figures) {
        times.sort_unstable();
        let cpu_us = *ticks * 10_000 / u64::try_from(times.len()).unwrap();
        println!(
            "{name}: median {:?}, 95 % {:?}, {cpu_us} µs of processor time a letter",
            times[times.len() / 2],
            times[times.len() * 95 / 100]
        );
    }
}
