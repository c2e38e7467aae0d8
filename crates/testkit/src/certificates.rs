//! An authority of the tests and the certificates that it gives, made by `openssl`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The group of the test servers that root starts.
const NOBODY: u32 = 65534;

/// An authority that nobody else trusts.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, in files that end with their authority.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate (PEM).
    pub file: PathBuf,
    /// Its key (PEM), for its owner alone to read.
    pub key_file: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// When `openssl` is not there or refuses.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix_in("pulp-certificates-", "/tmp").expect("a temporary folder");
        let constraints = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"];
        // A name of its own, or another's certificates would look like forged ones of its own.
        let name = folder.path().file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        openssl(folder.path(), "ca", &name, &constraints, &[]);
        Self { folder }
    }

    /// Its own certificate (PEM), which is what clients have to trust.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a server. `names` are such as `DNS:db.example` and `IP:127.0.0.1`.
    ///
    /// # Panics
    /// When `openssl` refuses.
    pub fn certificate(&self, names: &str) -> Certificate {
        self.certificate_for(names, "serverAuth")
    }

    /// A certificate for both ends of a connection, whose `names` are as those of a server.
    ///
    /// # Panics
    /// When `openssl` refuses.
    pub fn certificate_of_both_ends(&self, names: &str) -> Certificate {
        self.certificate_for(names, "serverAuth,clientAuth")
    }

    fn certificate_for(&self, names: &str, uses: &str) -> Certificate {
        let file_name = names.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        let names = format!("subjectAltName={names}");
        let uses = format!("extendedKeyUsage={uses}");
        let usage = [names.as_str(), "basicConstraints=CA:FALSE", uses.as_str()];
        openssl(self.folder.path(), &file_name, "A server of the tests", &usage, &["-CA", "ca.pem", "-CAkey", "ca.key"]);
        let path = |ending: &str| self.folder.path().join(format!("{file_name}.{ending}"));
        let certificate = Certificate { file: path("pem"), key_file: path("key") };
        // Servers that are started by root run as somebody else, who may look, and accept a key of root that nobody else reads.
        let modes = [(self.folder.path(), 0o755), (&certificate.key_file, 0o640)];
        if std::os::unix::fs::chown(&certificate.key_file, None, Some(NOBODY)).is_ok() {
            for (path, mode) in modes {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of our own");
            }
        }
        certificate
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn openssl(folder: &Path, name: &str, subject: &str, extensions: &[&str], more: &[&str]) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", &format!("/CN={subject}"), "-out", &format!("{name}.pem"), "-keyout", &format!("{name}.key")]);
    for extension in extensions {
        command.args(["-addext", extension]);
    }
    let made = command.args(more).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("openssl: {error}; apt install openssl"));
    assert!(made.status.success(), "openssl for {name}: {}", String::from_utf8_lossy(&made.stderr));
}
