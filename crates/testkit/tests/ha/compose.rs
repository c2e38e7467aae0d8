//! The stack of `docker-compose.ha.yml` that `scripts/ha-validate.sh` has started.

use std::process::Command;

use crate::stack::Act;

/// Where replicas listen in their containers.
const PORT: u16 = 3000;

/// The names of the containers. What is stopped stays known.
pub struct Compose {
    project: String,
    url: String,
    admin_key: String,
    metrics_token: String,
    balancer: String,
    pub replicas: Vec<String>,
}

impl Compose {
    /// The stack of the project that `HA_PROJECT` names, with the secrets in the file that `HA_SECRETS` names; nothing without.
    ///
    /// # Panics
    /// When it does not run.
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
    pub fn running() -> Option<Self> {
        let project = std::env::var("HA_PROJECT").ok()?;
        let secrets = std::env::var("HA_SECRETS").expect("HA_SECRETS names the file with the secrets of the stack");
        let secrets = std::fs::read_to_string(&secrets).unwrap_or_else(|error| panic!("{secrets}: {error}"));
        let secret = |name: &str| secrets.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let needed = |name: &str| secret(name).unwrap_or_else(|| panic!("{name} in HA_SECRETS"));
        let mut replicas = containers(&project, "api");
        replicas.sort();
        assert!(replicas.len() >= 3, "three replicas are needed (--scale api=3); there are {replicas:?}");
        Some(Self {
            url: format!("http://127.0.0.1:{}", needed("LB_PORT")),
            admin_key: needed("API_KEY_ADMIN"),
            metrics_token: needed("METRICS_TOKEN"),
            balancer: containers(&project, "lb").pop().expect("the container of the balancer"),
            replicas,
            project,
        })
    }

    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    pub fn metrics_token(&self) -> &str {
        &self.metrics_token
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// By its own address, which it may have another one of after each start.
    pub fn replica_url(&self, number: usize, path: &str) -> String {
        format!("http://{}:{PORT}{path}", self.address(&self.replicas[number]))
    }

    pub fn signal(&self, number: usize, name: &str) {
        let container = &self.replicas[number];
        match name {
            "STOP" => docker(&["pause", container]),
            "CONT" => docker(&["unpause", container]),
            _ => docker(&["kill", "--signal", name, container]),
        };
    }

    pub fn is_alive(&self, number: usize) -> bool {
        docker(&["inspect", "--format", "{{.State.Running}}", &self.replicas[number]]).trim() == "true"
    }

    pub fn start_again(&self, number: usize) {
        docker(&["start", &self.replicas[number]]);
    }

    pub fn log(&self, number: usize) -> String {
        docker(&["logs", "--tail", "200", &self.replicas[number]])
    }

    pub fn service(&self, name: &str, act: Act) {
        let container = containers(&self.project, name).pop().unwrap_or_else(|| panic!("the container of {name}"));
        docker(&[if matches!(act, Act::Stop) { "stop" } else { "start" }, &container]);
    }

    pub fn query(&self, sql: &str) -> String {
        let container = containers(&self.project, "postgres").pop().expect("the container of the database");
        docker(&["exec", &container, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "pulp", "-d", "pulp", "-c", sql])
            .trim()
            .to_owned()
    }

    fn address(&self, container: &str) -> String {
        let path = format!("{{{{(index .NetworkSettings.Networks \"{}_front\").IPAddress}}}}", self.project);
        docker(&["inspect", "--format", &path, container]).trim().to_owned()
    }

    /// What the balancer's own metrics say.
    pub fn servers_up(&self) -> Option<usize> {
        let request = format!("http://{}:8404/metrics?scope=backend", self.address(&self.balancer));
        let told = Command::new("curl").args(["-sS", "--max-time", "5", &request]).output().ok()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let line = told.lines().find(|line| line.starts_with("haproxy_backend_active_servers{proxy=\"ready\"}"))?;
        line.rsplit(' ').next()?.trim().parse().ok()
    }
}

fn containers(project: &str, service: &str) -> Vec<String> {
    let project = format!("label=com.docker.compose.project={project}");
    let service = format!("label=com.docker.compose.service={service}");
    let told = docker(&["ps", "--all", "--filter", &project, "--filter", &service, "--format", "{{.Names}}"]);
    told.lines().map(str::to_owned).collect()
}

/// What a command of Docker prints, errors of the container's own included.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap_or_else(|error| panic!("docker: {error}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "docker {}: {complaint}", arguments.join(" "));
    if arguments[0] == "logs" { told + &complaint } else { told }
}
