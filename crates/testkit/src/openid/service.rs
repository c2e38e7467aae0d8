//! The provider itself: discovery, login, tokens, keys, and what `/control` makes it do.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use super::http::{Request, Response, form};
use super::keys::{SigningKey, challenge, lay_over, random};

const CODE_SECONDS: u64 = 60;
const TOKEN_SECONDS: u64 = 300;

/// An OpenID provider with the authorization code flow, PKCE and key rotation. It logs everybody in at once
/// whom `login_hint` names; its clients and users, and its lies, come in through `/control`.
#[derive(Clone)]
pub struct Service(Arc<Mutex<State>>);

struct State {
    issuer: String,
    /// The last one signs.
    keys: Vec<SigningKey>,
    published_keys: Option<Value>,
    clients: HashMap<String, Value>,
    users: HashMap<String, Value>,
    grants: HashMap<String, Grant>,
    access_tokens: HashMap<String, String>,
    metadata: Value,
    lies: Value,
    requests: HashMap<String, u64>,
}

/// What a code stands for, until it is used.
struct Grant {
    client: String,
    user: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    until: u64,
}

type Answer = Result<Response, Response>;

impl Service {
    /// A provider whose name is the address of `listener`. It knows the users alice and bob.
    pub fn new(listener: &TcpListener) -> io::Result<Self> {
        let users = [
            (
                "alice",
                json!({"claims": {"name": "Alice Example", "email": "alice@example.com", "email_verified": true, "groups": ["editors", "staff"]}}),
            ),
            ("bob", json!({"claims": {"name": "Bob Example", "email": "bob@example.com"}})),
        ];
        Ok(Self(Arc::new(Mutex::new(State {
            issuer: format!("http://{}", listener.local_addr()?),
            keys: vec![SigningKey::generate("RS256").map_err(io::Error::other)?],
            published_keys: None,
            clients: HashMap::new(),
            users: users.map(|(name, user)| (name.to_owned(), user)).into(),
            grants: HashMap::new(),
            access_tokens: HashMap::new(),
            metadata: json!({}),
            lies: json!({}),
            requests: HashMap::new(),
        }))))
    }

    /// Answers until the process ends.
    pub fn serve(&self, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let service = self.clone();
            thread::spawn(move || {
                // Whoever is cut off has left, or learns it from the broken connection.
                let _ = service.answer(&stream);
            });
        }
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let request = Request::read(stream)?;
        let how = {
            let mut state = self.state();
            *state.requests.entry(request.path.clone()).or_default() += 1;
            state.lies["transport"][&request.path].as_str().unwrap_or_default().to_owned()
        };
        match how.as_str() {
            "slow" => wait_for_the_end(stream),
            "huge" => write_without_end(stream),
            "redirect" => Response::redirect(&format!("{}/elsewhere", self.state().issuer)).write(stream),
            "unavailable" => Response::json("503 Service Unavailable", &json!({})).write(stream),
            "text" => Response { status: "200 OK", header: None, body: "<html>welcome</html>".into() }.write(stream),
            _ => self.state().route(&request).unwrap_or_else(|refusal| refusal).write(stream),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn route(&mut self, request: &Request) -> Answer {
        let ok = |body: &Value| Ok(Response::json("200 OK", body));
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/.well-known/openid-configuration") => ok(&self.discovery()),
            ("GET", "/jwks") => ok(&self.key_set()),
            ("GET", "/authorize") => self.authorize(&request.query),
            ("POST", "/token") => self.token(request),
            ("GET", "/userinfo") => self.userinfo(request),
            ("POST", path) if path.starts_with("/control/") => {
                let body = serde_json::from_str(&request.body).map_err(|error| bad_request("invalid_request", &error.to_string()))?;
                ok(&self.control(&path["/control/".len()..], &body)?)
            }
            _ => Err(Response::json("404 Not Found", &json!({}))),
        }
    }

    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "userinfo_endpoint": at("/userinfo"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        lay_over(&mut document, &self.metadata);
        document
    }

    fn key_set(&self) -> Value {
        let honest = || json!({"keys": self.keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
        self.published_keys.clone().unwrap_or_else(honest)
    }

    /// The login, which takes no longer than naming the user.
    fn authorize(&mut self, query: &HashMap<String, String>) -> Answer {
        let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let client = self.clients.get(field("client_id")).ok_or_else(|| bad_request("invalid_client", "unknown client"))?;
        let redirect_uri = field("redirect_uri");
        if !client["redirect_uris"].as_array().is_some_and(|known| known.iter().any(|uri| uri == redirect_uri)) {
            return Err(bad_request("invalid_request", "unknown redirect_uri"));
        }
        let back = |fields: &[(&str, &str)]| {
            let always = [("state", field("state")), ("iss", self.issuer.as_str())];
            let query: Vec<String> = fields
                .iter()
                .chain(&always)
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
                .collect();
            let separator = if redirect_uri.contains('?') { '&' } else { '?' };
            Ok(Response::redirect(&format!("{redirect_uri}{separator}{}", query.join("&"))))
        };
        if field("response_type") != "code" {
            return back(&[("error", "unsupported_response_type")]);
        }
        if !field("scope").split(' ').any(|scope| scope == "openid") {
            return back(&[("error", "invalid_scope")]);
        }
        if field("code_challenge_method") != "S256" || field("code_challenge").len() != 43 {
            return back(&[("error", "invalid_request"), ("error_description", "PKCE with S256 is required")]);
        }
        let user = Some(field("login_hint")).filter(|name| !name.is_empty()).unwrap_or("alice");
        if !self.users.contains_key(user) {
            return back(&[("error", "access_denied")]);
        }
        let code = random();
        let answer = back(&[("code", &code)]);
        let grant = Grant {
            client: field("client_id").to_owned(),
            user: user.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            challenge: field("code_challenge").to_owned(),
            nonce: query.get("nonce").cloned(),
            until: now() + CODE_SECONDS,
        };
        self.grants.insert(code, grant);
        answer
    }

    fn token(&mut self, request: &Request) -> Answer {
        let fields = form(&request.body);
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let client = self
            .authenticate(request, &fields)
            .map_err(|reason| Response::json("401 Unauthorized", &json!({"error": "invalid_client", "error_description": reason})))?;
        if field("grant_type") != "authorization_code" {
            return Err(bad_request("unsupported_grant_type", ""));
        }
        // Taken out whatever comes next: a code is used once.
        let grant = self.grants.remove(field("code")).ok_or_else(|| bad_request("invalid_grant", "unknown or used code"))?;
        if grant.until < now() || grant.client != client || grant.redirect_uri != field("redirect_uri") {
            return Err(bad_request("invalid_grant", "the code is not for this request"));
        }
        if challenge(field("code_verifier")) != grant.challenge {
            return Err(bad_request("invalid_grant", "the PKCE verifier is wrong"));
        }
        let access_token = self.access_token(&json!({"user": grant.user, "audience": client}))?;
        self.access_tokens.insert(access_token.clone(), grant.user.clone());
        let mut claims = self.claims_of(&grant.user, &client);
        let key = self.key();
        lay_over(&mut claims, &json!({"nonce": grant.nonce, "at_hash": key.half_hash(&access_token)}));
        lay_over(&mut claims, &self.lies["claims"]);
        let id_token = key.token("JWT", &claims, &self.lies["header"], self.lies["signature"].as_str().unwrap_or_default());
        let answer = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "id_token": id_token});
        Ok(Response::json("200 OK", &answer))
    }

    /// The client, by `client_secret_basic`, `client_secret_post`, or by name alone when it has no secret.
    fn authenticate(&self, request: &Request, fields: &HashMap<String, String>) -> Result<String, String> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let basic = request.headers.get("authorization").and_then(|value| value.strip_prefix("Basic "));
        let (id, secret) = match basic {
            Some(basic) => {
                let pair = BASE64_STANDARD.decode(basic).map_err(|error| error.to_string())?;
                let pair = String::from_utf8(pair).map_err(|error| error.to_string())?;
                let (id, secret) = pair.split_once(':').ok_or("no colon")?;
                (decoded(id), Some(decoded(secret)))
            }
            None => (fields.get("client_id").cloned().unwrap_or_default(), fields.get("client_secret").cloned()),
        };
        let client = self.clients.get(&id).ok_or("unknown client")?;
        if client["secret"].as_str() == secret.as_deref() { Ok(id) } else { Err("wrong secret".into()) }
    }

    fn userinfo(&self, request: &Request) -> Answer {
        let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let user = token.and_then(|token| self.access_tokens.get(token));
        let user = user.ok_or_else(|| Response::json("401 Unauthorized", &json!({"error": "invalid_token"})))?;
        let mut told = json!({"sub": subject(user)});
        lay_over(&mut told, &self.users[user]["claims"]);
        lay_over(&mut told, &self.users[user]["userinfo"]);
        Ok(Response::json("200 OK", &told))
    }

    /// A token for `user` and `audience`; `claims`, `header` and `signature` spoil it as wished.
    fn access_token(&self, wish: &Value) -> Result<String, Response> {
        let user = wish["user"].as_str().unwrap_or("alice");
        if !self.users.contains_key(user) {
            return Err(bad_request("invalid_request", "unknown user"));
        }
        let audience = wish["audience"].as_str().unwrap_or_default();
        let mut claims = self.claims_of(user, audience);
        lay_over(&mut claims, &json!({"client_id": audience, "jti": random()}));
        lay_over(&mut claims, &wish["claims"]);
        Ok(self.key().token("at+jwt", &claims, &wish["header"], wish["signature"].as_str().unwrap_or_default()))
    }

    fn claims_of(&self, user: &str, audience: &str) -> Value {
        let now = now();
        let mut claims = json!({"iss": self.issuer, "sub": subject(user), "aud": audience, "iat": now, "exp": now + TOKEN_SECONDS});
        lay_over(&mut claims, &self.users[user]["claims"]);
        claims
    }

    /// What the test wants: the last part of the path, and its arguments.
    fn control(&mut self, act: &str, wish: &Value) -> Result<Value, Response> {
        let name = || wish["name"].as_str().unwrap_or_default().to_owned();
        match act {
            "clients" => drop(self.clients.insert(name(), wish.clone())),
            "users" => drop(self.users.insert(name(), wish.clone())),
            "metadata" => self.metadata = wish.clone(),
            "lies" => self.lies = wish.clone(),
            "keys" => self.published_keys = Some(wish.clone()).filter(|keys| !keys.is_null()),
            "rotate" => {
                let key = SigningKey::generate(wish["algorithm"].as_str().unwrap_or("RS256"))
                    .map_err(|reason| bad_request("invalid_request", &reason))?;
                if wish["withdraw"] == true {
                    self.keys.clear();
                }
                self.keys.push(key);
            }
            "access-token" => return Ok(json!({"token": self.access_token(wish)?})),
            "requests" => return Ok(json!(self.requests)),
            _ => return Err(Response::json("404 Not Found", &json!({}))),
        }
        Ok(json!({"key": self.key().id}))
    }

    fn key(&self) -> &SigningKey {
        self.keys.last().expect("there is always a key")
    }
}

/// Not the login name, so that nobody takes one for the other.
fn subject(user: &str) -> String {
    format!("subject-of-{user}")
}

fn bad_request(error: &str, description: &str) -> Response {
    Response::json("400 Bad Request", &json!({"error": error, "error_description": description}))
}

#[expect(clippy::disallowed_methods, reason = "this process stands for another company's server, which has its own clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// Says nothing until the other side gives up, or the read times out.
fn wait_for_the_end(mut stream: &TcpStream) -> io::Result<()> {
    let mut nothing = [0; 64];
    while stream.read(&mut nothing)? > 0 {}
    Ok(())
}

/// Writes 64 MiB, which nobody should take.
fn write_without_end(mut stream: &TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\"")?;
    for _ in 0..64 * 1024 {
        stream.write_all(&[b'x'; 1024])?;
    }
    Ok(())
}
