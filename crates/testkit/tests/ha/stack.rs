//! Replicas behind a balancer with a database and a bucket: as processes of this machine, or as the compose stack that runs.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::compose::Compose;
use crate::processes::{KEY, Odd, Processes};

/// Three browsers and databases start beside other tests that do the same.
const START: Duration = Duration::from_mins(3);
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// One installation.
pub struct Stack {
    form: Form,
    key: String,
    /// Sets what a test makes apart from what others made.
    mark: String,
    pub client: Client,
}

enum Form {
    Processes(Box<Processes>),
    Compose(Compose),
}

impl Stack {
    /// Three replicas, all of them up; nothing where a part is not installed.
    pub async fn start() -> Option<Self> {
        match Compose::running() {
            Some(compose) => {
                let key = compose.admin_key().to_owned();
                Some(Self::with(Form::Compose(compose), key).await)
            }
            None => Self::of_processes(3, &[], |_| Odd::default()).await,
        }
    }

    /// So many replicas as processes with more settings (those that come later win), of which some are odd. Nothing where the compose
    /// stack is asked about.
    pub async fn of_processes(count: usize, more: &[(&str, &str)], odd: impl Fn(usize) -> Odd) -> Option<Self> {
        if Compose::running().is_some() {
            println!("LEFT OUT: this is asked of processes only");
            return None;
        }
        let processes = Processes::start(count, more, odd)?;
        Some(Self::with(Form::Processes(Box::new(processes)), KEY.to_owned()).await)
    }

    async fn with(form: Form, key: String) -> Self {
        let mark = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let stack = Self { form, key, mark, client: Client::new() };
        stack.wait_until_up(stack.replicas(), START).await;
        stack
    }

    /// A name that nobody else uses.
    pub fn named(&self, name: &str) -> String {
        format!("{name}-{}", self.mark)
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// The address of the balancer with a path.
    pub fn url(&self, path: &str) -> String {
        match &self.form {
            Form::Processes(processes) => processes.balancer.url(path),
            Form::Compose(compose) => compose.url(path),
        }
    }

    /// How many replicas there are, up or not.
    pub fn replicas(&self) -> usize {
        match &self.form {
            Form::Processes(processes) => processes.replicas.len(),
            Form::Compose(compose) => compose.replicas.len(),
        }
    }

    /// The own address of a replica.
    pub fn replica_url(&self, number: usize, path: &str) -> String {
        match &self.form {
            Form::Processes(processes) => processes.replicas[number].url(path),
            Form::Compose(compose) => compose.replica_url(number, path),
        }
    }

    /// Sends a signal: `TERM`, `KILL`, `STOP` or `CONT`.
    pub fn signal(&self, number: usize, name: &str) {
        match &self.form {
            Form::Processes(processes) => processes.replicas[number].signal(name),
            Form::Compose(compose) => compose.signal(number, name),
        }
    }

    pub fn is_alive(&self, number: usize) -> bool {
        match &self.form {
            Form::Processes(processes) => processes.replicas[number].is_alive(),
            Form::Compose(compose) => compose.is_alive(number),
        }
    }

    /// Starts a replica that has ended.
    pub fn start_again(&mut self, number: usize) {
        match &mut self.form {
            Form::Processes(processes) => processes.replicas[number].start_again(),
            Form::Compose(compose) => compose.start_again(number),
        }
    }

    /// What a replica has logged.
    pub fn log(&self, number: usize) -> String {
        match &self.form {
            Form::Processes(processes) => processes.replicas[number].log(),
            Form::Compose(compose) => compose.log(number),
        }
    }

    /// The last warnings of each replica, for a test that failed.
    pub fn complaints(&self) -> String {
        let of = |number: usize| {
            let log = self.log(number);
            let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
            warnings[warnings.len().saturating_sub(25)..].join("\n")
        };
        (0..self.replicas()).map(|number| format!("replica {number}:\n{}", of(number))).collect::<Vec<_>>().join("\n")
    }

    /// Ends the database, or starts it again.
    pub fn database(&self, act: Act) {
        match (&self.form, act) {
            (Form::Processes(processes), Act::Stop) => processes.database.stop(),
            (Form::Processes(processes), Act::Start) => processes.database.start(),
            (Form::Compose(compose), act) => compose.service("postgres", act),
        }
    }

    /// Ends the S3 server, or starts it again.
    pub fn bucket(&mut self, act: Act) {
        match (&mut self.form, act) {
            (Form::Processes(processes), Act::Stop) => processes.bucket.kill(),
            (Form::Processes(processes), Act::Start) => processes.bucket.start_again(),
            (Form::Compose(compose), act) => compose.service("s3", act),
        }
    }

    /// The rows of a statement as `psql -At` prints them.
    pub async fn query(&self, sql: &str) -> String {
        match &self.form {
            Form::Processes(processes) => processes.database.query(sql).await,
            Form::Compose(compose) => compose.query(sql),
        }
    }

    /// The parts, where they are processes of this test.
    pub fn processes(&mut self) -> Option<&mut Processes> {
        match &mut self.form {
            Form::Processes(processes) => Some(processes),
            Form::Compose(_) => None,
        }
    }

    fn servers_up(&self) -> Option<usize> {
        match &self.form {
            Form::Processes(processes) => processes.servers_up(),
            Form::Compose(compose) => compose.servers_up(),
        }
    }

    /// Waits until the balancer sends requests to so many replicas.
    pub async fn wait_until_up(&self, count: usize, patience: Duration) {
        let began = Instant::now();
        while self.servers_up() != Some(count) {
            if began.elapsed() > patience {
                let logs: Vec<_> = (0..self.replicas()).map(|number| self.log(number)).collect();
                panic!("{:?} replicas are up and not {count}:\n{}", self.servers_up(), logs.join("\n---\n"));
            }
            sleep(POLL).await;
        }
    }

    /// A request through the balancer.
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        self.with_key(method, &self.url(path), &self.key)
    }

    /// A request to one replica.
    pub fn ask_replica(&self, number: usize, method: &str, path: &str) -> RequestBuilder {
        self.with_key(method, &self.replica_url(number, path), &self.key)
    }

    /// What a replica measures.
    pub async fn metrics(&self, number: usize) -> Option<String> {
        let asked = self.client.get(self.replica_url(number, "/metrics"));
        let asked = match &self.form {
            Form::Processes(_) => asked,
            Form::Compose(compose) => asked.bearer_auth(compose.metrics_token()),
        };
        asked.send().await.ok()?.text().await.ok()
    }

    /// A request with whatever key.
    pub fn with_key(&self, method: &str, url: &str, key: &str) -> RequestBuilder {
        self.client.request(method.parse().expect("a method"), url).header("X-Api-Key", key)
    }

    /// Makes a template of one line, `Hello {{name}}` in front of `words`, and gives its key.
    pub async fn make_template(&self, name: &str, words: &str) -> String {
        let key = self.named(name);
        let template = json!({"key": key, "name": "A line", "html": format!("<p>Hello {{{{name}}}} {words}</p>")});
        said(201, self.ask("POST", "/templates").json(&template)).await;
        key
    }
}

/// What is done to a part.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Stop,
    Start,
}

/// The status and the JSON of an answer; null where it is none.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// What an answer says; panics when it has another status.
pub async fn said(status: u16, request: RequestBuilder) -> Value {
    let (found, body) = answer(request).await;
    assert_eq!(found, status, "{body}");
    body
}

/// Waits until asking gives something, and says how long that took.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> (T, Duration) {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return (found, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "after {PATIENCE:?} still not: {what}");
        sleep(POLL).await;
    }
}
