//! Who Postgres runs as, and the commands that start its programs as that user.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::EmbeddedPostgresError;

/// The user for the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// We are not root, so it runs as we do.
    Ourselves { uid: u32 },
    /// We are root, so the child gets another user: `initdb` and `postgres` refuse root.
    Other { uid: u32, gid: u32, name: String },
}

impl Account {
    /// Decides by who we are, what was asked for, and who owns an existing cluster: its files can be
    /// opened by that user only, and we change the owner of nothing that we did not make.
    pub(crate) fn decide(run_as: Option<&str>, cluster: &Path) -> Result<Self, EmbeddedPostgresError> {
        let our_uid = rustix::process::geteuid().as_raw();
        let owner = std::fs::metadata(cluster).ok().map(|meta| (meta.uid(), meta.gid()));
        let asked_for = run_as.map(named).transpose()?;
        if our_uid != 0 {
            return match (asked_for, owner) {
                (Some(Self::Other { uid, name, .. }), _) if uid != our_uid => Err(EmbeddedPostgresError::UnusableUser {
                    name,
                    found: format!("only root may run it as another user, and this is {}", in_words(our_uid)),
                }),
                (_, Some((uid, _))) if uid != our_uid => Err(EmbeddedPostgresError::WrongOwner {
                    path: cluster.to_owned(),
                    owner: in_words(uid),
                    wanted: in_words(our_uid),
                    remedy: format!(
                        "start this program as {}, or hand the folder over with `chown -R {our_uid} {}`",
                        in_words(uid),
                        cluster.display()
                    ),
                }),
                _ => Ok(Self::Ourselves { uid: our_uid }),
            };
        }
        let fallback = || named("postgres").or_else(|_| named("nobody"));
        let Some((found_uid, group)) = owner else {
            return asked_for.map_or_else(fallback, Ok);
        };
        let foreign = match &asked_for {
            Some(account) => (account.uid() != found_uid).then_some(account.clone()),
            None => (found_uid == 0).then(fallback).transpose()?,
        };
        match foreign {
            // An empty folder that root made for us is no cluster yet; it will be replaced.
            Some(account) if is_empty(cluster) => Ok(account),
            Some(account) => Err(EmbeddedPostgresError::WrongOwner {
                path: cluster.to_owned(),
                owner: in_words(found_uid),
                wanted: in_words(account.uid()),
                remedy: format!("hand the folder over with `chown -R {} {}`", account.uid(), cluster.display()),
            }),
            None => Ok(Self::Other { uid: found_uid, gid: group, name: in_words(found_uid) }),
        }
    }

    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Ourselves { uid } | Self::Other { uid, .. } => *uid,
        }
    }

    /// Gives a file or folder that we just made to the child's user.
    pub(crate) fn hand_over(&self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Ourselves { .. } => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::lchown(path, Some(*uid), Some(*gid)),
        }
    }

    /// A command that runs `program` as this user, and what it must be told as its data directory.
    ///
    /// As root the cluster may lie where the child's user cannot walk, as below `/root`. Its path is of
    /// no use then, so a shell opens the folder while it is still root and the child inherits it as
    /// descriptor 3; `/proc/self/fd/3` leads there without a walk. (The working directory would do, but
    /// before version 16 the programs leave it and come back by its path.)
    pub(crate) fn command(&self, program: &Path, cluster: &Path, death_signal: &str) -> Result<(Command, String), EmbeddedPostgresError> {
        let (mut command, data_directory) = match self {
            Self::Ourselves { .. } => {
                let mut command = if setpriv_problem().is_none() {
                    let mut command = Command::new("setpriv");
                    command.args(["--pdeathsig", death_signal, "--"]);
                    command.arg(program);
                    command
                } else {
                    // The next start takes an orphan over; only the time until then is worse.
                    Command::new(program)
                };
                command.current_dir("/");
                (command, cluster.display().to_string())
            }
            Self::Other { uid, gid, .. } => {
                if let Some(found) = setpriv_problem() {
                    return Err(EmbeddedPostgresError::SetprivMissing { found });
                }
                let mut command = Command::new("sh");
                command.args(["-c", r#"exec "$@" 3<"$0""#]).arg(cluster);
                command.args(["setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
                command.args(["--pdeathsig", death_signal, "--"]).arg(program);
                command.current_dir("/");
                (command, "/proc/self/fd/3".to_owned())
            }
        };
        // Nothing of our environment may steer Postgres (PGDATA, PGPORT, LC_ALL, …) or be seen in it.
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Ok((command, data_directory))
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Why `setpriv` of util-linux (since 2.33) cannot be used; busybox has one that cannot do this.
fn setpriv_problem() -> Option<String> {
    let tried = Command::new("setpriv").args(["--pdeathsig", "INT", "--", "true"]).stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("does not work ({})", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("could not be run ({error})")),
    }
}

fn named(name: &str) -> Result<Account, EmbeddedPostgresError> {
    let unusable = |found: &str| EmbeddedPostgresError::UnusableUser { name: name.to_owned(), found: found.to_owned() };
    let line = account_line(name).ok_or_else(|| unusable("there is no such user"))?;
    let mut fields = line.split(':').skip(2).map(str::parse::<u32>);
    match (fields.next(), fields.next()) {
        (Some(Ok(0)), _) => Err(unusable("that is root, which PostgreSQL refuses")),
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Account::Other { uid, gid, name: name.to_owned() }),
        _ => Err(unusable("its entry in the list of users is damaged")),
    }
}

/// The user's line in the form of `/etc/passwd`; `getent` also knows users from elsewhere (LDAP).
fn account_line(name_or_uid: &str) -> Option<String> {
    let output = Command::new("getent").args(["passwd", name_or_uid]).stdin(Stdio::null()).output();
    let text = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(_) => std::fs::read_to_string("/etc/passwd").ok()?,
    };
    text.lines()
        .find(|line| {
            let mut fields = line.split(':');
            fields.next() == Some(name_or_uid) || fields.nth(1) == Some(name_or_uid)
        })
        .map(str::to_owned)
}

/// `postgres (uid 101)`, or `uid 4711` for one without a name.
fn in_words(uid: u32) -> String {
    let name = account_line(&uid.to_string()).and_then(|line| line.split(':').next().map(str::to_owned));
    name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}
