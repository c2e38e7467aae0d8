//! Bytes in a bucket of S3 or of something that speaks its language.

use std::fmt::Debug;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::time::Duration;

use crate::error::BlobError;
use crate::key::BlobKey;
use crate::settings::{Addressing, BucketSettings, Checksums, Limits};

/// What is written and removed to see whether the bucket takes bytes. It is no key.
const PROBE: &str = "probe";
/// How TLS begins to say what it has against a certificate.
const CERTIFICATE: &str = "invalid peer certificate";
/// Longer texts of a store are cut in errors.
const REASON_CHARACTERS: usize = 300;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Arc<Limits>,
    prefix: Arc<str>,
    endpoint: Arc<str>,
}

/// What a store's error is, apart from how it is said.
pub(crate) enum Failure {
    /// There is nothing under the key.
    NoSuchKey,
    /// The upload is not known (any more).
    NoSuchUpload,
    /// The range begins behind the end.
    InvalidRange,
    Other(BlobError),
}

impl Bucket {
    pub(crate) fn open(settings: &BucketSettings, limits: &Limits) -> Result<Self, BlobError> {
        settings.check()?;
        let secret = settings.secret_access_key.reveal();
        let (requests, responses) = match settings.checksums {
            Checksums::WhenRequired => (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired),
            Checksums::WhenSupported => (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported),
        };
        let mut config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(Credentials::new(&settings.access_key_id, secret, None, None, "settings"))
            .force_path_style(settings.addressing == Addressing::Path)
            .request_checksum_calculation(requests)
            .response_checksum_validation(responses)
            .retry_config(retries(limits))
            .timeout_config(timeouts(limits, limits.attempt))
            // Every wait has a limit of ours already.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(settings.endpoint.clone());
        if !settings.more_certificates.is_empty() {
            config.set_http_client(Some(client_that_trusts(&settings.more_certificates)?));
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            name: settings.bucket.as_str().into(),
            limits: Arc::new(limits.clone()),
            prefix: settings.prefix.as_str().into(),
            endpoint: settings.endpoint.clone().unwrap_or_else(|| format!("Amazon S3 in {}", settings.region)).into(),
        })
    }

    pub(crate) fn describe(&self) -> String {
        format!("bucket {} at {}", self.name, self.endpoint)
    }

    /// The store's name for a key.
    pub(crate) fn object(&self, key: &BlobKey) -> String {
        self.named(&key.to_string())
    }

    /// A name of ours as the store's.
    pub(crate) fn named(&self, text: &str) -> String {
        format!("{}{text}", self.prefix)
    }

    /// A name of the store's as ours.
    pub(crate) fn ours<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&*self.prefix)
    }

    /// The same client with more time for an attempt that sends so many bytes.
    pub(crate) fn patient(&self, bytes: u64) -> Builder {
        Builder::new().timeout_config(timeouts(&self.limits, self.limits.attempt_with(bytes)))
    }

    pub(crate) async fn stat(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        match self.client.head_object().bucket(&*self.name).key(self.object(key)).send().await {
            Ok(head) => Ok(Some(head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0))),
            Err(error) => match failure("stat", &error) {
                Failure::NoSuchKey => Ok(None),
                other => Err(other.into_error("stat")),
            },
        }
    }

    pub(crate) async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.delete_named("delete", &self.object(key)).await
    }

    pub(crate) async fn probe(&self) -> Result<(), BlobError> {
        match self.client.head_bucket().bucket(&*self.name).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failure("probe", &error) {
                Failure::NoSuchKey => Err(BlobError::denied("probe", format!("there is no bucket {}", self.name))),
                other => Err(other.into_error("probe")),
            },
        }
    }

    pub(crate) async fn probe_writing(&self) -> Result<(), BlobError> {
        let name = self.named(PROBE);
        let put = self.client.put_object().bucket(&*self.name).key(&name).body(ByteStream::from_static(b"probe")).send().await;
        put.map_err(|error| failure("probe_writing", &error).into_error("probe_writing"))?;
        self.delete_named("probe_writing", &name).await
    }

    async fn delete_named(&self, call: &'static str, name: &str) -> Result<(), BlobError> {
        match self.client.delete_object().bucket(&*self.name).key(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => match failure(call, &error) {
                Failure::NoSuchKey => Ok(()),
                other => Err(other.into_error(call)),
            },
        }
    }
}

/// The client that it would have anyway, which trusts these authorities beside those of the machine.
fn client_that_trusts(pem: &str) -> Result<SharedHttpClient, BlobError> {
    let store = TrustStore::default().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    let context = context.map_err(|error| BlobError::Setting { setting: "S3_CA_FILE", problem: error.to_string() })?;
    Ok(aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context).build_https())
}

fn retries(limits: &Limits) -> RetryConfig {
    let retries = RetryConfig::standard().with_max_attempts(limits.attempts.max(1));
    retries.with_initial_backoff(Duration::from_millis(100)).with_max_backoff(Duration::from_secs(2))
}

fn timeouts(limits: &Limits, attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(limits.connect).operation_attempt_timeout(attempt).build()
}

impl Failure {
    /// For acts to which the special cases mean nothing.
    pub(crate) fn into_error(self, call: &'static str) -> BlobError {
        match self {
            Self::NoSuchKey => BlobError::denied(call, "the store says that there is nothing there"),
            Self::NoSuchUpload => BlobError::away(call, "the store forgot the upload"),
            Self::InvalidRange => BlobError::away(call, "the store refuses the range"),
            Self::Other(error) => error,
        }
    }
}

/// Sorts what came back instead of an answer, by status and the code that the store gave.
pub(crate) fn failure<E>(call: &'static str, error: &SdkError<E>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + Debug + 'static,
{
    let reason = || {
        let text = DisplayErrorContext(error).to_string();
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(REASON_CHARACTERS).collect::<String>()
    };
    // Waiting does not make it another one.
    if error.raw_response().is_none() && reason().contains(CERTIFICATE) {
        let text = reason();
        let said = text.find(CERTIFICATE).map_or(text.as_str(), |from| &text[from..]);
        // What follows in parentheses is the same in the words of programmers.
        let said = said.split(" (").next().unwrap_or(said);
        return Failure::Other(BlobError::denied(call, format!("the certificate of the store is not accepted: {said}")));
    }
    let Some(status) = error.raw_response().map(|response| response.status().as_u16()) else {
        return Failure::Other(BlobError::away(call, reason()));
    };
    let (code, message) = match error {
        SdkError::ServiceError(context) => (context.err().code().unwrap_or_default(), context.err().message().unwrap_or_default()),
        _ => ("", ""),
    };
    let said = || {
        let text = format!("status {status} {code} {message}");
        text.trim_end().chars().filter(|character| !character.is_control()).take(REASON_CHARACTERS).collect::<String>()
    };
    match (status, code) {
        (404, "NoSuchBucket") => Failure::Other(BlobError::denied(call, said())),
        (404, "NoSuchUpload") => Failure::NoSuchUpload,
        (404, _) => Failure::NoSuchKey,
        (416, _) => Failure::InvalidRange,
        (413, _) | (400, "EntityTooLarge") => {
            Failure::Other(BlobError::denied(call, format!("a part is too large for the store: {}", said())))
        }
        (500.. | 429 | 408, _) | (400, "RequestTimeout") => Failure::Other(BlobError::away(call, said())),
        (200..300, _) => Failure::Other(BlobError::away(call, reason())),
        _ => Failure::Other(BlobError::denied(call, said())),
    }
}
