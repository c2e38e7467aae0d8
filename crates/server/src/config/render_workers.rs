//! Where documents are printed: in a browser of this server's own, or by render workers; and what a worker is started with.

use std::path::PathBuf;
use std::time::Duration;

use chromium::remote::{ADDRESS_FORM, Address, Security, TlsFiles};

use super::browser::BrowserSettings;
use super::declaration::Setting;
use super::problems::{Problem, Problems};
use super::reader::{Values, shown};
use super::settings as known;
use super::{LogFormat, Variables, unknown};

/// Where documents are printed.
#[derive(Debug)]
pub enum RenderMode {
    /// By a browser that this server starts.
    ChildProcess,
    /// By render workers; this server starts no browser.
    Socket {
        /// Where they listen.
        workers: Vec<Address>,
        /// By what both sides know each other.
        security: Security,
    },
    /// In containers that print one document each.
    Container(Containers),
}

/// How containers are started.
#[derive(Debug)]
pub struct Containers {
    /// The program that runs them.
    pub runtime: PathBuf,
    /// The product's own image.
    pub image: String,
    /// The most memory of one, in MiB.
    pub memory_mb: u64,
    /// The most processors of one.
    pub cpus: Option<String>,
    /// A profile of system calls.
    pub seccomp: Option<PathBuf>,
}

/// How servers reach a worker.
#[derive(Debug)]
pub enum Door {
    /// It listens.
    Listen {
        /// Where.
        address: Address,
        /// By what both sides know each other.
        security: Security,
    },
    /// One server has its standard input and output, and wants one document.
    Stdio,
}

/// What a render worker is started with.
#[derive(Debug)]
pub struct WorkerConfig {
    /// Its browser.
    pub browser: BrowserSettings,
    /// How servers reach it.
    pub door: Door,
    /// How long documents under way may take once it is to end.
    pub grace: Duration,
    /// How much is logged.
    pub log_level: String,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// What the operator should know, though it stops nothing.
    pub warnings: Vec<String>,
}

/// All that a worker reads. What else is wrong in its environment is no concern of its.
const OF_A_WORKER: [&Setting; 16] = [
    &known::RENDER_WORKER_LISTEN,
    &known::RENDER_WORKER_SECRET,
    &known::RENDER_WORKER_TLS_CERT,
    &known::RENDER_WORKER_TLS_KEY,
    &known::RENDER_WORKER_TLS_CA,
    &known::RENDER_MAX_CONCURRENT_PAGES,
    &known::RENDER_MAX_QUEUE_DEPTH,
    &known::RENDER_PREVIEW_RESERVED_SLOTS,
    &known::RENDER_MAX_OUTPUT_BYTES,
    &known::CHROMIUM_PATH,
    &known::PULP_ENGINE_DISABLE_SANDBOX,
    &known::PULP_RUNTIME_DIR,
    &known::PULP_DATA_DIR,
    &known::SHUTDOWN_GRACE_MS,
    &known::LOG_LEVEL,
    &known::LOG_FORMAT,
];

impl WorkerConfig {
    /// Checks the variables that concern a worker; `cores` is the number of processors that defaults are worked out from.
    pub fn read(variables: &Variables, cores: usize) -> Result<Self, Problems> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let values = Values::read(variables, &mut problems);
        problems.retain(|problem| is_of_a_worker(&problem.name));
        unknown::check(variables, &mut problems, &mut warnings);
        let security = security(&values, &mut problems);
        let setting = &known::RENDER_WORKER_LISTEN;
        let listen = values.text(setting).and_then(|text| addresses(setting, text, &mut problems).pop());
        if !values.was_given(setting) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: "not set".to_owned(),
                accepted: format!("where this worker listens: {ADDRESS_FORM}"),
            });
        }
        if let Some(listen) = &listen {
            tcp_needs_protection(setting, std::slice::from_ref(listen), &security, &mut problems);
        }
        match listen {
            Some(address) if problems.is_empty() => {
                Ok(Self::with(Door::Listen { address, security }, BrowserSettings::read(&values, cores), &values, warnings))
            }
            _ => Err(Problems(problems)),
        }
    }

    /// The same for a worker that prints one document for whoever has its standard input and output.
    pub fn for_one_document(variables: &Variables) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let values = Values::read(variables, &mut problems);
        problems.retain(|problem| is_of_a_worker(&problem.name));
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let one = BrowserSettings { max_concurrent_pages: 1, reserved_slots: 0, max_queue_depth: 0, ..BrowserSettings::read(&values, 1) };
        Ok(Self::with(Door::Stdio, one, &values, Vec::new()))
    }

    fn with(door: Door, browser: BrowserSettings, values: &Values, warnings: Vec<String>) -> Self {
        Self {
            door,
            browser,
            grace: Duration::from_millis(values.required(&known::SHUTDOWN_GRACE_MS)),
            log_level: values.required(&known::LOG_LEVEL),
            log_format: LogFormat::read(values),
            warnings,
        }
    }
}

fn is_of_a_worker(name: &str) -> bool {
    OF_A_WORKER.iter().any(|setting| setting.name == name || setting.file_variable().as_deref() == Some(name))
}

/// Where this server has documents printed.
pub(super) fn mode(values: &Values, problems: &mut Vec<Problem>) -> RenderMode {
    let (mode, workers) = (&known::RENDER_MODE, &known::RENDER_WORKERS);
    if values.text(mode) != Some("socket") {
        // A mode that was refused may well have been meant as this one.
        if values.text(mode).is_some() && values.was_given(workers) {
            problems.push(Problem {
                name: workers.name.to_owned(),
                found: format!("set, and {} is not socket", mode.name),
                accepted: format!("{}=socket beside it, or no {}", mode.name, workers.name),
            });
        }
        return if values.text(mode) == Some("container") { containers(values, problems) } else { RenderMode::ChildProcess };
    }
    let security = security(values, problems);
    let Some(text) = values.text(workers) else {
        problems.push(Problem {
            name: workers.name.to_owned(),
            found: format!("not set, and {} is socket", mode.name),
            accepted: workers.form.accepted(),
        });
        return RenderMode::ChildProcess;
    };
    let addresses = addresses(workers, text, problems);
    tcp_needs_protection(workers, &addresses, &security, problems);
    RenderMode::Socket { workers: addresses, security }
}

fn containers(values: &Values, problems: &mut Vec<Problem>) -> RenderMode {
    let (image, cpus) = (&known::RENDER_CONTAINER_IMAGE, &known::RENDER_CONTAINER_CPUS);
    let Some(name) = values.text(image).filter(|name| !name.starts_with('-')) else {
        let found = if values.was_given(image) { "it begins with -" } else { "not set" };
        problems.push(Problem {
            name: image.name.to_owned(),
            found: format!("{found}, and {} is container", known::RENDER_MODE.name),
            accepted: "this product's own image, such as pulp-engine:0.1.0, which the runtime has already".to_owned(),
        });
        return RenderMode::ChildProcess;
    };
    if let Some(text) = values.text(cpus)
        && !text.parse::<f64>().is_ok_and(|number| (0.1..=1024.0).contains(&number))
    {
        problems.push(Problem { name: cpus.name.to_owned(), found: shown(text), accepted: cpus.form.accepted() });
    }
    RenderMode::Container(Containers {
        runtime: values.required(&known::RENDER_CONTAINER_RUNTIME),
        image: name.to_owned(),
        memory_mb: values.required(&known::RENDER_CONTAINER_MEMORY_MB),
        cpus: values.text(cpus).map(str::to_owned),
        seccomp: values.path(&known::RENDER_CONTAINER_SECCOMP),
    })
}

fn addresses(setting: &Setting, text: &str, problems: &mut Vec<Problem>) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    let parts = if setting.name == known::RENDER_WORKERS.name { text.split(',').collect() } else { vec![text] };
    for part in parts {
        match part.trim().parse() {
            Ok(address) if found.contains(&address) => problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("{address} stands there twice"),
                accepted: "each address once; a name may lead to several workers".to_owned(),
            }),
            Ok(address) => found.push(address),
            Err(_) => {
                problems.push(Problem { name: setting.name.to_owned(), found: shown(part.trim()), accepted: setting.form.accepted() });
            }
        }
    }
    found
}

/// Who reaches a port could have everything printed, and read what others have printed.
fn tcp_needs_protection(setting: &Setting, addresses: &[Address], security: &Security, problems: &mut Vec<Problem>) {
    let open = addresses.iter().find(|address| matches!(address, Address::Tcp { .. }));
    let refused_already = problems.iter().any(|problem| problem.name.starts_with("RENDER_WORKER_"));
    if let Some(open) = open.filter(|_| security.secret.is_none() && security.tls.is_none() && !refused_already) {
        problems.push(Problem {
            name: setting.name.to_owned(),
            found: format!("{open}, and nothing says who may connect"),
            accepted: format!(
                "{} with the same secret on both sides; or {}, {} and {} on both sides, which also encrypts; or a unix:// address",
                known::RENDER_WORKER_SECRET.name,
                known::RENDER_WORKER_TLS_CERT.name,
                known::RENDER_WORKER_TLS_KEY.name,
                known::RENDER_WORKER_TLS_CA.name
            ),
        });
    }
}

/// By what both sides know each other.
fn security(values: &Values, problems: &mut Vec<Problem>) -> Security {
    let files = [&known::RENDER_WORKER_TLS_CERT, &known::RENDER_WORKER_TLS_KEY, &known::RENDER_WORKER_TLS_CA];
    let [certificate, key, authority] = files.map(|setting| values.path(setting));
    let missing: Vec<&str> = files.iter().filter(|setting| !values.was_given(setting)).map(|setting| setting.name).collect();
    if let (1 | 2, Some(first)) = (missing.len(), missing.first()) {
        problems.push(Problem {
            name: (*first).to_owned(),
            found: "not set, and the others of TLS are".to_owned(),
            accepted: format!("{} together, or none of them", files.map(|setting| setting.name).join(", ")),
        });
    }
    let tls = certificate.zip(key).zip(authority);
    let tls = tls.map(|((certificate, key), authority)| TlsFiles { certificate, key, authority });
    Security { secret: values.secret(&known::RENDER_WORKER_SECRET), tls }
}
