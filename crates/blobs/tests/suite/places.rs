//! The places that the conformance suite runs on, each with a way to take it away.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use blobs::{Addressing, Blobs, BucketSettings, Checksums, Limits, Place, Settings};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testkit::s3::{Fault, S3Server};
use testkit::seaweedfs::{self, SeaweedFs};

use crate::samples::until;

/// A place that nothing else uses.
pub struct Fixture {
    pub blobs: Blobs,
    kind: Kind,
}

enum Kind {
    Folder(TempDir),
    InProcess(S3Server),
    /// One server for all tests, each with its own prefix.
    Shared,
    Own(SeaweedFs),
}

/// Short enough to wait for in a test.
pub fn impatient() -> Limits {
    let second = Duration::from_secs(1);
    Limits { turn: second, connect: second, attempt: second, attempts: 2, call: 3 * second, idle: second, ..Limits::default() }
}

pub fn bucket_at(endpoint: String) -> BucketSettings {
    BucketSettings {
        bucket: testkit::s3::BUCKET.into(),
        region: "us-east-1".into(),
        endpoint: Some(endpoint),
        access_key_id: testkit::s3::ACCESS_KEY_ID.into(),
        secret_access_key: seaweedfs::SECRET_ACCESS_KEY.into(),
        addressing: Addressing::Path,
        prefix: String::new(),
        checksums: Checksums::WhenRequired,
        more_certificates: String::new(),
    }
}

pub async fn bucket(settings: BucketSettings, limits: Limits) -> Blobs {
    Blobs::open(Settings { place: Place::Bucket(settings), limits }).await.unwrap()
}

pub async fn folder_at(path: PathBuf, limits: Limits) -> Blobs {
    Blobs::open(Settings { place: Place::Folder(path), limits }).await.unwrap()
}

pub async fn folder(limits: Limits) -> Option<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    Some(Fixture { blobs: folder_at(folder.path().join("blobs"), limits).await, kind: Kind::Folder(folder) })
}

pub async fn in_process(limits: Limits) -> Option<Fixture> {
    let server = S3Server::start().unwrap();
    Some(Fixture { blobs: bucket(bucket_at(server.endpoint()), limits).await, kind: Kind::InProcess(server) })
}

/// The real server; nothing where it is not installed.
pub async fn real(limits: Limits) -> Option<Fixture> {
    static SERVER: OnceLock<Option<SeaweedFs>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(SeaweedFs::start).as_ref()?;
    let prefix = format!("test-{}/", NEXT.fetch_add(1, Ordering::Relaxed));
    let blobs = bucket(BucketSettings { prefix, ..bucket_at(server.endpoint()) }, limits).await;
    answering(&blobs, server).await;
    Some(Fixture { blobs, kind: Kind::Shared })
}

/// The real server, for a test that takes it away.
pub async fn real_alone(limits: Limits) -> Option<Fixture> {
    let server = SeaweedFs::start()?;
    let blobs = bucket(bucket_at(server.endpoint()), limits).await;
    answering(&blobs, &server).await;
    Some(Fixture { blobs, kind: Kind::Own(server) })
}

async fn answering(blobs: &Blobs, server: &SeaweedFs) {
    let log = || async { blobs.probe_writing().await.is_ok() };
    until(&format!("SeaweedFS at {} takes bytes; its log: {}", server.endpoint(), server.log()), log).await;
}

impl Fixture {
    pub fn take_away(&self) {
        match &self.kind {
            Kind::Folder(folder) => std::fs::rename(folder.path().join("blobs"), folder.path().join("elsewhere")).unwrap(),
            Kind::InProcess(server) => server.set_fault(Fault::Silent),
            Kind::Own(server) => signal(server, Signal::STOP),
            Kind::Shared => panic!("others use it"),
        }
    }

    pub fn bring_back(&self) {
        match &self.kind {
            Kind::Folder(folder) => std::fs::rename(folder.path().join("elsewhere"), folder.path().join("blobs")).unwrap(),
            Kind::InProcess(server) => server.set_fault(Fault::None),
            Kind::Own(server) => signal(server, Signal::CONT),
            Kind::Shared => {}
        }
    }

    /// What is not complete and not removed, as far as one can see.
    pub fn left_behind(&self) -> usize {
        match &self.kind {
            Kind::Folder(folder) => std::fs::read_dir(folder.path().join("blobs/.incoming")).unwrap().count(),
            Kind::InProcess(server) => server.open_uploads(),
            Kind::Shared | Kind::Own(_) => 0,
        }
    }
}

fn signal(server: &SeaweedFs, signal: Signal) {
    kill_process(Pid::from_raw(server.process().cast_signed()).unwrap(), signal).unwrap();
}
