//! What the operator says about the place of stored bytes, checked once at the start.

use std::path::PathBuf;
use std::time::Duration;

use domain::SecretText;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use crate::error::BlobError;

/// Where the bytes are and how patient we are with it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder or a bucket.
    pub place: Place,
    /// Time limits and bounds.
    pub limits: Limits,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder of this machine, or one that replicas share. It is made when it is not there.
    Folder(PathBuf),
    /// A folder that is only read, such as one of a backup. It must be there; nothing is made in it.
    FolderToRead(PathBuf),
    /// A bucket of S3 or of something that speaks its language. It must be there.
    Bucket(BucketSettings),
}

/// A bucket and how to get in.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// `S3_BUCKET`: 3–63 characters of `a-z`, `0-9`, `.` and `-`.
    pub bucket: String,
    /// `S3_REGION`: such as `eu-central-1`; a store without regions takes `us-east-1`.
    pub region: String,
    /// `S3_ENDPOINT`: `http` or `https`, host and port; without it Amazon's of the region.
    pub endpoint: Option<String>,
    /// `S3_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `S3_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretText,
    /// `S3_PATH_STYLE`: where the bucket's name stands.
    pub addressing: Addressing,
    /// Put before every key, such as `pulp/`; empty for none. Up to 200 characters of `a-z`, `0-9`, `.`, `_`, `-` and `/`.
    pub prefix: String,
    /// Which extra checksums requests carry.
    pub checksums: Checksums,
    /// `S3_CA_FILE`: certificates (PEM) of authorities that are trusted beside those of the machine; empty for none.
    pub more_certificates: String,
}

/// Where the bucket's name stands in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// In the host name, as Amazon's S3 has it.
    VirtualHost,
    /// In the path, as most own stores have it.
    Path,
}

/// Which checksums go with requests besides the SHA-256 that the signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Only where the protocol wants them. Every store understands that.
    WhenRequired,
    /// Wherever the protocol knows them. Some stores refuse such requests.
    WhenSupported,
}

/// Time limits and bounds. Every wait of this crate is one of these.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls other than puts at the same time. 32.
    pub concurrent_calls: usize,
    /// Puts at the same time; each holds one part in memory. 8.
    pub concurrent_puts: usize,
    /// Contents being read at the same time. 256.
    pub open_reads: usize,
    /// How long a call waits for its turn before it is [`BlobError::Busy`]. 5 s.
    pub turn: Duration,
    /// To reach the store over the network. 2 s.
    pub connect: Duration,
    /// One attempt of a call without many bytes. 5 s.
    pub attempt: Duration,
    /// Attempts of a request to a bucket, and how often a broken read is taken up again. 3.
    pub attempts: u32,
    /// A whole call but for the bytes it streams, with all its attempts. 12 s.
    pub call: Duration,
    /// Between two pieces of a stream, in either direction. 10 s.
    pub idle: Duration,
    /// The slowest upload that is waited for, in bytes per second: a part gets `attempt` and its size divided by this. 256 KiB.
    pub slowest_bytes_per_s: u64,
    /// Bytes of a part of an upload to a bucket, and so what a put holds in memory. At least 5 MiB for S3. 8 MiB.
    pub part_bytes: usize,
    /// Bytes that one blob may have. 5 GiB, the most that S3 copies in one go.
    pub blob_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_calls: 32,
            concurrent_puts: 8,
            open_reads: 256,
            turn: Duration::from_secs(5),
            connect: Duration::from_secs(2),
            attempt: Duration::from_secs(5),
            attempts: 3,
            call: Duration::from_secs(12),
            idle: Duration::from_secs(10),
            slowest_bytes_per_s: 256 * 1024,
            part_bytes: 8 * 1024 * 1024,
            blob_bytes: 5 * 1024 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// What one attempt to send so many bytes may take.
    pub(crate) fn attempt_with(&self, bytes: u64) -> Duration {
        self.attempt + Duration::from_secs(bytes.div_ceil(self.slowest_bytes_per_s.max(1)))
    }
}

impl BucketSettings {
    /// Names the first setting that cannot be used.
    pub(crate) fn check(&self) -> Result<(), BlobError> {
        let wrong = |setting, problem: String| Err(BlobError::Setting { setting, problem });
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        if !(3..=63).contains(&self.bucket.len()) || !self.bucket.bytes().all(plain) || self.bucket.contains("..") {
            return wrong("S3_BUCKET", format!("must be 3–63 characters of a-z, 0-9, '.' and '-', not {:?}", self.bucket));
        }
        if self.region.is_empty() || !self.region.bytes().all(plain) {
            return wrong("S3_REGION", format!("must be the name of a region such as us-east-1, not {:?}", self.region));
        }
        if let Some(endpoint) = &self.endpoint {
            let good = Url::parse(endpoint).is_ok_and(|url| {
                let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
                matches!(url.scheme(), "http" | "https") && url.has_host() && bare && url.path() == "/"
            });
            if !good {
                return wrong("S3_ENDPOINT", "must be http:// or https://, a host and a port, and nothing more".to_owned());
            }
        }
        if self.access_key_id.is_empty() {
            return wrong("S3_ACCESS_KEY_ID", "is needed with a bucket".to_owned());
        }
        if self.secret_access_key.reveal().is_empty() {
            return wrong("S3_SECRET_ACCESS_KEY", "is needed with a bucket".to_owned());
        }
        if let Err(problem) = authorities(&self.more_certificates) {
            return wrong("S3_CA_FILE", problem);
        }
        let segment =
            |part: &str| !part.is_empty() && part.trim_matches('.') == part && part.bytes().all(|byte| plain(byte) || byte == b'_');
        let segments = self.prefix.strip_suffix('/').is_some_and(|path| path.split('/').all(segment));
        if !self.prefix.is_empty() && (self.prefix.len() > 200 || !segments) {
            let problem = format!("must be up to 200 characters of a-z, 0-9, '.', '_', '-' and '/' that end in '/', not {:?}", self.prefix);
            return wrong("S3_PREFIX", problem);
        }
        Ok(())
    }
}

/// Whether all of a text is certificates of authorities; what is wrong with it otherwise. The HTTP client takes that for granted.
fn authorities(pem: &str) -> Result<(), String> {
    let (mut store, mut found) = (RootCertStore::empty(), 0);
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate.map_err(|error| error.to_string()).and_then(|one| store.add(one).map_err(|error| error.to_string()));
        found += 1;
        added.map_err(|error| format!("certificate {found} in it cannot be used: {error}"))?;
    }
    if found == 0 && !pem.is_empty() { Err("holds no certificate (PEM)".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BucketSettings {
        BucketSettings {
            bucket: "a-bucket".into(),
            region: "us-east-1".into(),
            endpoint: Some("http://127.0.0.1:9000".into()),
            access_key_id: "id".into(),
            secret_access_key: "secret".into(),
            addressing: Addressing::Path,
            prefix: "pulp/v1/".into(),
            checksums: Checksums::WhenRequired,
            more_certificates: String::new(),
        }
    }

    #[test]
    fn each_setting_that_cannot_be_used_is_named() {
        assert_eq!(settings().check(), Ok(()));
        let changed = |change: &dyn Fn(&mut BucketSettings)| {
            let mut settings = settings();
            change(&mut settings);
            match settings.check() {
                Err(BlobError::Setting { setting, .. }) => setting,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(changed(&|settings| settings.bucket = "A/b".into()), "S3_BUCKET");
        assert_eq!(changed(&|settings| settings.bucket = "ab".into()), "S3_BUCKET");
        assert_eq!(changed(&|settings| settings.region = String::new()), "S3_REGION");
        for endpoint in ["store:9000", "ftp://store", "http://user:word@store", "http://store/bucket", "http://store?x=1", "//store"] {
            assert_eq!(changed(&|settings| settings.endpoint = Some(endpoint.into())), "S3_ENDPOINT", "{endpoint}");
        }
        assert_eq!(changed(&|settings| settings.access_key_id = String::new()), "S3_ACCESS_KEY_ID");
        assert_eq!(changed(&|settings| settings.secret_access_key = "".into()), "S3_SECRET_ACCESS_KEY");
        for pem in ["certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"] {
            assert_eq!(changed(&|settings| settings.more_certificates = pem.into()), "S3_CA_FILE", "{pem}");
        }
        for prefix in ["pulp", "/", "/pulp/", "../", "a/../", "a//", "Ä/"] {
            assert_eq!(changed(&|settings| settings.prefix = prefix.into()), "S3_PREFIX", "{prefix}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", settings()).contains("\"secret\""));
        assert!(format!("{:?}", settings()).contains("(hidden)"));
    }
}
