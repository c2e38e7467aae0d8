//! By e-mail: one message for each delivery, with the files, or links to them where they are too large.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::SecretText;
use domain::schedule_plans::{DeliveryPlan, PlannedEmail};
use domain::schedule_targets::{EmailMode, RECIPIENTS_LIMIT, is_address};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use store::ClaimedScheduleDelivery;

use super::{Delivered, ScheduleDeliverySetup, Undelivered, bytes_of, documents, files};

/// For one command to the mail server and its answer.
const COMMAND: Duration = Duration::from_secs(20);

/// How the connection is made safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// It begins unencrypted and is encrypted before anything is said; a server that cannot is not spoken to.
    StartTls,
    /// It is encrypted from its first byte.
    Implicit,
    /// It is not encrypted: for a server on the same machine.
    Plain,
}

/// The operator's mail server.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// Its name, as its certificate has it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is made safe.
    pub security: SmtpSecurity,
    /// The name and the password it asks for.
    pub credentials: Option<(String, SecretText)>,
    /// The address that messages come from.
    pub from: String,
    /// Certificates, as PEM, that are trusted beside those of the machine.
    pub more_certificates: Vec<u8>,
}

/// The way to it. Every message has a connection of its own: an attempt that is cut off leaves one on which the next message would
/// read the answers to this one.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Smtp {
    /// Prepares the way; nothing is connected yet. The text of an error is for the operator.
    pub fn new(options: &SmtpOptions) -> Result<Self, String> {
        let from: Address = options.from.parse().map_err(|_| format!("{:?} is no address such as reports@example.org", options.from))?;
        let mut parameters = TlsParameters::builder(options.host.clone());
        if !options.more_certificates.is_empty() {
            let certificate =
                Certificate::from_pem(&options.more_certificates).map_err(|error| format!("the certificates cannot be read: {error}"))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let parameters = parameters.build().map_err(|error| format!("TLS is not possible: {error}"))?;
        let tls = match options.security {
            SmtpSecurity::StartTls => Tls::Required(parameters),
            SmtpSecurity::Implicit => Tls::Wrapper(parameters),
            SmtpSecurity::Plain => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.clone())
            .port(options.port)
            .tls(tls)
            .timeout(Some(COMMAND));
        if let Some((name, password)) = &options.credentials {
            builder = builder.credentials(Credentials::new(name.clone(), password.reveal().to_owned()));
        }
        Ok(Self { transport: builder.build(), from })
    }
}

pub(super) async fn deliver(
    setup: &ScheduleDeliverySetup,
    smtp: &Smtp,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    email: &PlannedEmail,
) -> Result<(), Undelivered> {
    let (mut attached, mut linked) = (Vec::new(), Vec::new());
    let made = documents(setup, delivery, &plan.files).await?;
    let links = match email.mode {
        EmailMode::Attachment => false,
        EmailMode::Link => true,
        EmailMode::Auto => made.iter().map(|file| file.size_bytes).sum::<u64>() >= email.link_threshold_bytes && setup.base_url.is_some(),
    };
    if links {
        for file in &made {
            linked.push((file.filename.clone(), super::webhook::link(setup, delivery, plan, file).await?));
        }
    } else {
        attached = files(setup, delivery, plan, email.attachment_name.as_deref()).await?;
    }
    let html = match email.body_file {
        Some(index) => {
            let body = documents(setup, delivery, &[index]).await?;
            let bytes = bytes_of(setup, &delivery.tenant, &body[0]).await?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        None => email.body_html.clone(),
    };
    let id = delivery.lease.id.to_string();
    let message =
        message(smtp, &id, plan, email, Parts { html, attached, linked }).map_err(|error| Undelivered::Refused("email_invalid", error))?;
    match smtp.transport.send(message).await {
        Ok(_) => Ok(()),
        Err(error) => Err(judged(&error)),
    }
}

struct Parts {
    html: Option<String>,
    attached: Vec<Delivered>,
    linked: Vec<(String, String)>,
}

fn message(smtp: &Smtp, id: &str, plan: &DeliveryPlan, email: &PlannedEmail, parts: Parts) -> Result<Message, String> {
    let mailbox = |text: &String| -> Result<Mailbox, String> {
        let shown: String = text.chars().take(100).collect();
        if !is_address(text) {
            return Err(format!("{shown:?} is no address such as ada@example.org"));
        }
        text.parse::<Address>()
            .map(|address| Mailbox::new(None, address))
            .map_err(|_| format!("{shown:?} is no address such as ada@example.org"))
    };
    if email.to.is_empty() {
        return Err("it has no address to go to: toPath leads to none in the data".to_owned());
    }
    if email.to.len() + email.cc.len() + email.bcc.len() > RECIPIENTS_LIMIT {
        return Err(format!("it has more than {RECIPIENTS_LIMIT} addresses"));
    }
    let mut builder = Message::builder()
        .from(Mailbox::new(email.from_name.clone(), smtp.from.clone()))
        .subject(email.subject.clone())
        .message_id(Some(format!("<{id}@{}>", smtp.from.domain())));
    for address in &email.to {
        builder = builder.to(mailbox(address)?);
    }
    for address in &email.cc {
        builder = builder.cc(mailbox(address)?);
    }
    for address in &email.bcc {
        builder = builder.bcc(mailbox(address)?);
    }
    if let Some(address) = &email.reply_to {
        builder = builder.reply_to(mailbox(address)?);
    }
    let mut text = email.body.clone();
    let mut html = parts.html;
    if text.is_none() && html.is_none() {
        text = Some(format!("{}\n{}\n", plan.schedule_name, plan.fire_time));
    }
    if !parts.linked.is_empty() {
        let mut lines = parts.linked.iter().map(|(name, url)| format!("{name}: {url}")).collect::<Vec<_>>().join("\n");
        lines.push('\n');
        text = Some(text.map_or_else(|| lines.clone(), |text| format!("{text}\n\n{lines}")));
        html = html.map(|html| with_links(&html, &parts.linked));
    }
    let body = match (text, html) {
        (text, Some(html)) => {
            let alternative = MultiPart::alternative();
            match text {
                Some(text) => alternative.singlepart(SinglePart::plain(text)).singlepart(SinglePart::html(html)),
                None => alternative.singlepart(SinglePart::html(html)),
            }
        }
        (text, None) => MultiPart::alternative().singlepart(SinglePart::plain(text.unwrap_or_default())),
    };
    let mut mixed = MultiPart::mixed().multipart(body);
    for file in parts.attached {
        let kind = ContentType::parse(&file.content_type).unwrap_or(ContentType::TEXT_PLAIN);
        mixed = mixed.singlepart(Attachment::new(file.filename).body(file.bytes.to_vec(), kind));
    }
    let mut message = builder.multipart(mixed).map_err(|error| error.to_string())?;
    if let Ok(name) = HeaderName::new_from_ascii("X-PulpEngine-Delivery-Id".to_owned()) {
        message.headers_mut().insert_raw(HeaderValue::new(name, id.to_owned()));
    }
    Ok(message)
}

/// The links below the rest of the page.
fn with_links(html: &str, links: &[(String, String)]) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let list =
        links.iter().map(|(name, url)| format!("<p><a href=\"{}\">{}</a></p>", escape(url), escape(name))).collect::<Vec<_>>().concat();
    match html.to_ascii_lowercase().rfind("</body>") {
        Some(at) => format!("{}{list}{}", &html[..at], &html[at..]),
        None => format!("{html}{list}"),
    }
}

/// What a mail server's answer means: 5xx is for good, 4xx (greylisting, a full mailbox) is for later, and silence is its being away.
fn judged(error: &lettre::transport::smtp::Error) -> Undelivered {
    let said = described(error);
    let status = error.status().map(u16::from);
    match status {
        // Too many connections, going down: nobody gets through.
        Some(421) => Undelivered::Away("smtp_unavailable", format!("the mail server answered {said}"), None),
        Some(400..=499) => Undelivered::Later("smtp_deferred", format!("the mail server answered {said}"), None),
        // The password is the operator's to mend, not the message's fault.
        Some(530 | 534 | 535 | 538) => Undelivered::Away("smtp_login_failed", format!("the mail server answered {said}"), None),
        Some(_) => Undelivered::Refused("smtp_refused", format!("the mail server answered {said}")),
        None if error.is_timeout() => Undelivered::Away("smtp_timeout", "the mail server did not answer in time".to_owned(), None),
        None if error.is_client() => Undelivered::Away("smtp_unavailable", format!("the mail server cannot be used: {said}"), None),
        None => Undelivered::Away("smtp_unavailable", format!("the mail server cannot be reached: {said}"), None),
    }
}

fn described(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(400).collect()
}

/// Base64 as JSON holds it.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
