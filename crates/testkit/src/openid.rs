//! A real OpenID provider: a process of its own, started by a test and ended with it.
//!
//! The process is the test program itself, called again for the one test that [`crate::openid_provider_process`]
//! declares; so there is nothing to build or to find beforehand. `cargo run -p testkit --features openid --bin
//! openid-provider` starts the same provider by hand.

mod http;
mod keys;
mod service;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

pub use service::Service;

const START_DEADLINE: Duration = Duration::from_secs(30);
/// Tells the child that it is one, and which port to take.
const PORT_VARIABLE: &str = "TESTKIT_OPENID_PORT";
const PROCESS_TEST: &str = "the_openid_provider_of_the_other_tests";
const GREETING: &str = "openid provider at ";

/// Declares the process that [`OpenIdProvider::start`] starts. Once in the root of every test program that does.
#[macro_export]
macro_rules! openid_provider_process {
    () => {
        #[test]
        #[ignore = "not a test: the process of the OpenID provider"]
        fn the_openid_provider_of_the_other_tests() {
            $crate::openid::serve_as_child();
        }
    };
}

/// What the transport does to the answers of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Takes the request and never answers.
    Slow,
    /// 64 MiB of JSON.
    Huge,
    /// Sends the caller to `/elsewhere`.
    Redirect,
    /// 503.
    Unavailable,
    /// A web page instead of JSON.
    Text,
}

/// What is wrong with the signature of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// `alg` is none, and there is no signature.
    Unsigned,
    /// HS256 with the public key as the secret.
    PublicKeyAsSecret,
    /// The honest signature under the id of a key that does not exist.
    UnknownKey,
    /// One bit of the signature is wrong.
    Broken,
}

impl Forgery {
    fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "none",
            Self::PublicKeyAsSecret => "hs256",
            Self::UnknownKey => "unknown_kid",
            Self::Broken => "broken",
        }
    }
}

/// A running provider. Dropping it ends the process.
#[derive(Debug)]
pub struct OpenIdProvider {
    address: SocketAddr,
    process: Option<Child>,
    lies: Value,
}

impl OpenIdProvider {
    /// Starts one on a port of its own. The test program must have called [`crate::openid_provider_process`].
    pub fn start() -> Self {
        let (address, process) = spawn(0);
        Self { address, process: Some(process), lies: json!({}) }
    }

    /// Ends the process, as a crash would. What it knew is gone.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            process.wait().expect("a killed process ends");
        }
    }

    /// Starts it again under the same address, with new keys and without clients.
    pub fn start_again(&mut self) {
        self.stop();
        let (address, process) = spawn(self.address.port());
        assert_eq!(address, self.address, "the provider took its old port");
        (self.process, self.lies) = (Some(process), json!({}));
    }

    /// Its name, and where its discovery document is below.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Enters a client. Without a secret it is a public one.
    pub fn add_client(&self, id: &str, secret: Option<&str>, redirect_uri: &str) {
        self.control("clients", &json!({"name": id, "secret": secret, "redirect_uris": [redirect_uri]}));
    }

    /// Enters a user or changes one. `claims` are in every token, `userinfo` is told only by that endpoint. The
    /// subject is `subject-of-` and the name; alice and bob exist already.
    pub fn add_user(&self, name: &str, claims: &Value, userinfo: &Value) {
        self.control("users", &json!({"name": name, "claims": claims, "userinfo": userinfo}));
    }

    /// Logs `user` in at the address that the server sent the browser to. Where the browser is sent back to.
    pub fn log_in(&self, authorization_url: &str, user: &str) -> String {
        let target = authorization_url.strip_prefix(&self.issuer()).expect("the login is at this provider");
        let (status, headers, body) = self.ask("GET", &format!("{target}&login_hint={user}"), "");
        assert_eq!(status, 302, "the login answered {body}");
        headers["location"].clone()
    }

    /// An access token for a user. `claims` and `header` are laid over the honest ones; null takes one away.
    pub fn access_token(&self, user: &str, audience: &str, claims: &Value, header: &Value) -> String {
        self.token_with(&json!({"user": user, "audience": audience, "claims": claims, "header": header}))
    }

    /// An access token of alice's with that wrong with its signature.
    pub fn forged_access_token(&self, audience: &str, forgery: Forgery) -> String {
        self.token_with(&json!({"audience": audience, "signature": forgery.name()}))
    }

    /// Signs with a new key from now on: RS256, PS256, ES256 or EdDSA. The old ones stay published.
    pub fn rotate(&self, algorithm: &str) {
        self.control("rotate", &json!({"algorithm": algorithm}));
    }

    /// The same, and the old keys are withdrawn.
    pub fn rotate_and_withdraw(&self, algorithm: &str) {
        self.control("rotate", &json!({"algorithm": algorithm, "withdraw": true}));
    }

    /// The key set as it is published now.
    pub fn keys(&self) -> Value {
        let (_, _, body) = self.ask("GET", "/jwks", "");
        serde_json::from_str(&body).expect("a key set is JSON")
    }

    /// Publishes this instead of the key set; null puts the honest one back.
    pub fn publish_keys(&self, keys: &Value) {
        self.control("keys", keys);
    }

    /// Lays these members over the discovery document.
    pub fn change_metadata(&self, members: &Value) {
        self.control("metadata", members);
    }

    /// Lays these claims over those of every ID token from now on; null takes one away.
    pub fn change_id_tokens(&mut self, claims: &Value) {
        self.lies["claims"] = claims.clone();
        self.control("lies", &self.lies);
    }

    /// Lays these fields over the header of every ID token from now on.
    pub fn change_id_token_headers(&mut self, header: &Value) {
        self.lies["header"] = header.clone();
        self.control("lies", &self.lies);
    }

    /// Forges the signature of every ID token from now on.
    pub fn forge_id_tokens(&mut self, forgery: Forgery) {
        self.lies["signature"] = forgery.name().into();
        self.control("lies", &self.lies);
    }

    /// Troubles every answer of that path (such as `/jwks` or `/token`) from now on.
    pub fn trouble(&mut self, path: &str, trouble: Trouble) {
        self.lies["transport"][path] = format!("{trouble:?}").to_lowercase().into();
        self.control("lies", &self.lies);
    }

    /// Ends all trouble, forgery and changes of ID tokens.
    pub fn behave(&mut self) {
        self.lies = json!({});
        self.control("lies", &self.lies);
    }

    /// How often that path was asked for since the start.
    pub fn requests(&self, path: &str) -> u64 {
        self.control("requests", &json!({}))[path].as_u64().unwrap_or(0)
    }

    fn token_with(&self, wish: &Value) -> String {
        self.control("access-token", wish)["token"].as_str().expect("a token is a text").to_owned()
    }

    fn control(&self, act: &str, wish: &Value) -> Value {
        let (status, _, body) = self.ask("POST", &format!("/control/{act}"), &wish.to_string());
        assert_eq!(status, 200, "the provider was asked for {act} {wish} and answered {body}");
        serde_json::from_str(&body).expect("the provider answers in JSON")
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> (u16, std::collections::HashMap<String, String>, String) {
        http::ask(self.address, method, target, body).unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(port: u16) -> (SocketAddr, Child) {
    let program = std::env::current_exe().expect("a test program knows its file");
    let mut process = Command::new(program)
        .args(["--ignored", "--exact", PROCESS_TEST, "--nocapture", "--test-threads=1"])
        .env(PORT_VARIABLE, port.to_string())
        // The child ends when this pipe does, so it outlives no test program, however that ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test program can be started again");
    let output = BufReader::new(process.stdout.take().expect("the output is a pipe"));
    let (found, address) = mpsc::channel();
    thread::spawn(move || {
        for text in output.lines().map_while(Result::ok) {
            if let Some((_, address)) = text.split_once(GREETING) {
                let _ = found.send(address.trim().to_owned());
            }
        }
    });
    match address.recv_timeout(START_DEADLINE) {
        Ok(address) => (address.parse().expect("the provider told its address"), process),
        Err(error) => {
            let _ = process.kill();
            panic!("no provider ({error}): is openid_provider_process!() in the root of this test program?");
        }
    }
}

/// The body of the test that [`crate::openid_provider_process`] declares. Called in any other way it does nothing.
#[expect(clippy::disallowed_methods, reason = "the arguments of a test program are the test harness's")]
pub fn serve_as_child() {
    let Ok(port) = std::env::var(PORT_VARIABLE) else { return };
    let listener = TcpListener::bind(("127.0.0.1", port.parse().expect("a port is a number"))).expect("the port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    let service = Service::new(&listener).expect("a key can be made");
    thread::spawn(move || service.serve(&listener));
    println!("{GREETING}{address}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
