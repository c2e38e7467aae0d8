//! A database of its own for every test, cloned from a template in some 40 ms.
//!
//! `TEST_DATABASE_URL` names a server to use (its role must be a superuser). Without it the first test
//! of a process starts a throw-away server below `target/tmp`, which ends with the process.

mod cluster;
mod server;
mod template;

use std::sync::OnceLock;
use std::sync::mpsc;

pub use cluster::Cluster;
pub(crate) use server::target_dir;
use server::{Server, quoted};

/// A database that nothing else uses. Dropping the value drops the database in the background; what a
/// killed test leaves is swept by a later run.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    bin_dir: std::path::PathBuf,
}

impl TestDatabase {
    /// A copy of the migrated template. `migrate` is given the URL of an empty database and is called
    /// only when there is no template that it made for the present content of `migrations/`. Every closure
    /// in the source has a template of its own; put it in one function that all tests of a program call:
    ///
    /// ```ignore
    /// let database = TestDatabase::create(async |url| store::migrate(url).await.unwrap()).await;
    /// ```
    pub async fn create(migrate: impl AsyncFnOnce(&str) + 'static) -> Self {
        let server = server::shared().await;
        let template = template::named(server, migrate).await;
        // Copying the files beats writing them through the log, 40 against 70 ms.
        let strategy = if server.major >= 15 { " STRATEGY file_copy" } else { "" };
        Self::made_with(server, &format!(" TEMPLATE {}{strategy}", quoted(&template))).await
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    pub async fn empty() -> Self {
        Self::made_with(server::shared().await, "").await
    }

    /// Where it is; a Unix-socket URL unless `TEST_DATABASE_URL` says otherwise.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The output of a statement as `psql -At` prints it: a line per row, columns separated by `|`.
    /// For looking at what a test left behind, without the crate under test.
    pub async fn query(&self, sql: &str) -> String {
        server::run_psql(&self.bin_dir, &self.url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn made_with(server: &'static Server, how: &str) -> Self {
        let name = server::new_name("test");
        server.admin(&format!("CREATE DATABASE {}{how}", quoted(&name))).await.unwrap_or_else(|error| panic!("{error}"));
        Self { url: server.url_of(&name), name, bin_dir: server.bin_dir.clone() }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        drop_in_background(std::mem::take(&mut self.name));
    }
}

/// One thread drops one database after the other, so that tests need not wait for it.
fn drop_in_background(name: String) {
    static QUEUE: OnceLock<mpsc::Sender<String>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (sender, names) = mpsc::channel::<String>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
            for name in names {
                runtime.block_on(async {
                    // A failure leaves the database for the sweep of a later run.
                    let _ = server::shared().await.admin(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&name))).await;
                });
            }
        });
        sender
    });
    let _ = queue.send(name);
}
