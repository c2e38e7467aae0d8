//! The migrated database that the tests' databases are copies of.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use tokio::sync::OnceCell;

use super::server::{Server, new_name, quoted};

/// The template for the present `migrations/`, made by the first caller that finds none.
pub(super) async fn named(server: &'static Server, migrate: impl AsyncFnOnce(&str)) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE.get_or_init(|| prepare(server, migrate)).await
}

async fn prepare(server: &Server, migrate: impl AsyncFnOnce(&str)) -> String {
    let template = format!("template_{:016x}", hash_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")));
    let run = async |sql: String| server.admin(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let existing = run("SELECT datname FROM pg_database WHERE datname ~ '^template_[0-9a-f]{16}$'".to_owned()).await;
    if existing.lines().any(|name| name == template) {
        return template;
    }
    if !server.is_shared() {
        for outdated in existing.lines() {
            super::drop_in_background(outdated.to_owned());
        }
    }
    // Under another name until it is complete, so that no other process ever copies half of it.
    let making = new_name("making");
    run(format!("CREATE DATABASE {}", quoted(&making))).await;
    migrate(&server.url_of(&making)).await;
    // Only a database without sessions can be copied or renamed.
    run(format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", quoted(&making))).await;
    run(format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{making}'")).await;
    let renamed = server.admin(&format!("ALTER DATABASE {} RENAME TO {}", quoted(&making), quoted(&template))).await;
    match renamed {
        Ok(_) => {}
        Err(error) if error.contains("already exists") => super::drop_in_background(making),
        Err(error) => panic!("the test template cannot be put in its place: {error}"),
    }
    template
}

/// Changes with any name or content in the folder; the same in every process of one build.
fn hash_of(migrations: &Path) -> u64 {
    let entries = std::fs::read_dir(migrations).unwrap_or_else(|error| panic!("{}: {error}", migrations.display()));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        path.file_name().hash(&mut hasher);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).hash(&mut hasher);
    }
    hasher.finish()
}
