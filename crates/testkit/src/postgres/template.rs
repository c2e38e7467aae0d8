//! The migrated databases that the tests' databases are copies of.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use tokio::sync::Mutex;

use super::server::{Server, new_name, quoted};

/// The template that this `migrate` makes of the present `migrations/`, made by the first caller that finds none.
pub(super) async fn named<M: AsyncFnOnce(&str) + 'static>(server: &'static Server, migrate: M) -> String {
    static READY: Mutex<BTreeMap<TypeId, String>> = Mutex::const_new(BTreeMap::new());
    // Unlike its name, the identity of a closure's type differs between crates that are called the same, as tests often are.
    let identity = TypeId::of::<M>();
    let mut ready = READY.lock().await;
    if let Some(template) = ready.get(&identity) {
        return template.clone();
    }
    let template = prepare(server, identity, migrate).await;
    ready.insert(identity, template.clone());
    template
}

async fn prepare(server: &Server, identity: TypeId, migrate: impl AsyncFnOnce(&str)) -> String {
    let present = format!("template_{:016x}_", hash_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")));
    let mut hasher = DefaultHasher::new();
    identity.hash(&mut hasher);
    let template = format!("{present}{:016x}", hasher.finish());
    let run = async |sql: String| server.admin(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let existing = run("SELECT datname FROM pg_database WHERE datname ~ '^template_[0-9a-f]{16}(_[0-9a-f]{16})?$'".to_owned()).await;
    if existing.lines().any(|name| name == template) {
        return template;
    }
    if !server.is_shared() {
        // Those of other callers stay: they are as good as this one.
        for outdated in existing.lines().filter(|name| !name.starts_with(&present)) {
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
