//! The servers under test: how each is started, when it is ready, and what a request to it looks like.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::args::Places;
use crate::error::{BenchError, Result, While as _};
use crate::groups::{Group, Groups, Launch};
use crate::http::{Connection, request};
use crate::load::described;

/// The server makes a database from nothing first; a cold start was seen to take up to 10 s on two busy cores.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A server that runs, and the request that prints each document.
pub struct HttpVariant {
    /// Its processes.
    pub group: Arc<Group>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request of one's own needs.
    pub headers: Vec<String>,
    requests: HashMap<String, Arc<Vec<u8>>>,
}

impl HttpVariant {
    /// The request that prints `document`.
    pub fn request(&self, document: &str) -> Result<Arc<Vec<u8>>> {
        let unknown = || BenchError::Usage(format!("there is no document `{document}`"));
        self.requests.get(document).cloned().ok_or_else(unknown)
    }

    /// The same server with other requests.
    pub fn with_requests(&self, documents: &[String], request_of: impl Fn(&str) -> Vec<u8>) -> Self {
        let requests = documents.iter().map(|name| (name.clone(), Arc::new(request_of(name)))).collect();
        Self { group: Arc::clone(&self.group), address: self.address, headers: self.headers.clone(), requests }
    }

    /// One PDF of `document`.
    pub async fn print(&self, document: &str) -> Result<Vec<u8>> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.exchange(&self.request(document)?).await?;
        if answer.status == 200 {
            return Ok(answer.body.to_vec());
        }
        Err(BenchError::Answer { what: format!("rendering `{document}`"), answer: described(answer.status, answer.body) })
    }
}

/// Starts the product with nothing configured but its place, stores one template per document.
pub async fn start_product(groups: &Groups, places: &Places, documents: &[String]) -> Result<HttpVariant> {
    let port = free_port()?;
    let key = random_key()?;
    let data_dir = groups.scratch().join("server");
    let temporary = temporary_of_product(groups);
    for folder in [&data_dir, &temporary] {
        fs::create_dir_all(folder).while_doing(|| format!("making {}", folder.display()))?;
    }
    let program = fs::canonicalize(&places.server).while_doing(|| format!("looking for {}", places.server.display()))?;
    // Started as root, the server's browser is another user's, who has to reach its folder.
    let runtime_dir = groups.scratch().join("server-browser");
    fs::set_permissions(groups.scratch(), fs::Permissions::from_mode(0o711)).while_doing(|| "opening the scratch folder".to_owned())?;
    let set = |name, value: &str| (name, Some(OsString::from(value)));
    let environment = vec![
        set("HOST", "127.0.0.1"),
        set("PORT", &port.to_string()),
        set("API_KEY_ADMIN", &key),
        ("PULP_DATA_DIR", Some(data_dir.into_os_string())),
        ("PULP_RUNTIME_DIR", Some(runtime_dir.into_os_string())),
        ("TMPDIR", Some(temporary.into_os_string())),
        ("CHROMIUM_PATH", Some(places.chromium.clone().into_os_string())),
        ("DATABASE_URL", None),
        ("STORAGE_MODE", None),
        ("RENDER_MAX_CONCURRENT_PAGES", None),
        ("RENDER_MAX_QUEUE_DEPTH", None),
    ];
    let folder = groups.scratch().to_owned();
    let group = groups.start(Launch { name: "server", words: vec![program.into_os_string()], environment, folder })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until_ready(&group, "the server", address, "/health/ready").await?;
    let headers = [format!("X-Api-Key: {key}"), "Content-Type: application/json".to_owned()];
    let mut connection = Connection::open(address).await?;
    for name in documents {
        let file = places.documents_dir.join(format!("{name}.html"));
        let html = fs::read_to_string(&file).while_doing(|| format!("reading {}", file.display()))?;
        let definition = json!({"key": template_key(name), "name": format!("Benchmark: {name}"), "html": html}).to_string();
        let answer = connection.exchange(&request("POST", "/templates/", &headers, definition.as_bytes())).await?;
        if answer.status != 201 {
            let answer = described(answer.status, answer.body);
            return Err(BenchError::Answer { what: format!("storing template `{name}`"), answer });
        }
    }
    let bare = HttpVariant { group, address, headers: headers.to_vec(), requests: HashMap::new() };
    Ok(bare.with_requests(documents, |name| {
        let body = json!({"template": template_key(name), "data": {}}).to_string();
        request("POST", "/render/pdf", &headers, body.as_bytes())
    }))
}

/// The folder the product is given for temporary files.
pub fn temporary_of_product(groups: &Groups) -> PathBuf {
    groups.scratch().join("server-tmp")
}

fn template_key(document: &str) -> String {
    format!("bench-{document}")
}

/// Which browser the puppeteer server drives.
#[derive(Debug, Clone, Copy)]
pub enum PuppeteerBrowser<'a> {
    /// The headless shell, the same executable as everyone else's.
    Shell(&'a Path),
    /// The full browser in its new headless mode, which is what puppeteer downloads by default.
    Full(&'a Path),
}

/// Starts the puppeteer server; its request makes a new page for every document.
pub async fn start_puppeteer(groups: &Groups, places: &Places, documents: &[String], browser: PuppeteerBrowser<'_>) -> Result<HttpVariant> {
    let (name, headless, executable) = match browser {
        PuppeteerBrowser::Shell(executable) => ("puppeteer", "shell", executable),
        PuppeteerBrowser::Full(executable) => ("puppeteer-full", "new", executable),
    };
    let port = free_port()?;
    let temporary = groups.scratch().join(format!("{name}-tmp"));
    fs::create_dir_all(&temporary).while_doing(|| format!("making {}", temporary.display()))?;
    let documents_dir =
        fs::canonicalize(&places.documents_dir).while_doing(|| format!("looking for {}", places.documents_dir.display()))?;
    let environment = vec![
        ("PORT", Some(port.to_string().into())),
        ("CHROMIUM", Some(executable.into())),
        ("HEADLESS", Some(headless.into())),
        ("DOCUMENTS", Some(documents_dir.into_os_string())),
        ("TMPDIR", Some(temporary.into_os_string())),
    ];
    let words = vec!["node".into(), "server.mjs".into()];
    let group = groups.start(Launch { name, words, environment, folder: places.puppeteer_dir.clone() })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until_ready(&group, "the puppeteer server", address, "/health").await?;
    let bare = HttpVariant { group, address, headers: Vec::new(), requests: HashMap::new() };
    Ok(bare.with_requests(documents, |name| request("POST", &format!("/pdf/{name}"), &[], b"")))
}

/// The puppeteer server's other way: one page, kept.
pub fn tuned(puppeteer: &HttpVariant, documents: &[String]) -> HttpVariant {
    puppeteer.with_requests(documents, |name| request("POST", &format!("/pdf-reused/{name}"), &[], b""))
}

async fn until_ready(group: &Group, what: &str, address: SocketAddr, path: &str) -> Result<()> {
    let asked = request("GET", path, &[], b"");
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        if !group.runs() {
            return Err(BenchError::Start { what: what.to_owned(), why: group.last_words() });
        }
        if let Ok(mut connection) = Connection::open(address).await
            && connection.exchange(&asked).await.is_ok_and(|answer| answer.status == 200)
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(BenchError::Start { what: what.to_owned(), why: format!("not ready in time\n{}", group.last_words()) })
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).while_doing(|| "looking for a free port".to_owned())?;
    Ok(listener.local_addr().while_doing(|| "looking for a free port".to_owned())?.port())
}

fn random_key() -> Result<String> {
    let mut bytes = [0_u8; 20];
    let source = "/dev/urandom";
    let mut file = fs::File::open(source).while_doing(|| format!("opening {source}"))?;
    file.read_exact(&mut bytes).while_doing(|| format!("reading {source}"))?;
    Ok(bytes.iter().fold("bench-".to_owned(), |key, byte| format!("{key}{byte:02x}")))
}
