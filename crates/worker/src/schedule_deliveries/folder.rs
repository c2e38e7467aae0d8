//! Into a folder under the operator's root: for an installation of one server.

use std::path::{Component, Path, PathBuf};

use domain::documents::DocumentName;
use domain::schedule_plans::{DeliveryPlan, PlannedFile};
use store::ClaimedScheduleDelivery;
use tokio::fs;

use super::{ScheduleDeliverySetup, Undelivered, files, renamed};

pub(super) async fn deliver(
    setup: &ScheduleDeliverySetup,
    root: &Path,
    delivery: &ClaimedScheduleDelivery,
    plan: &DeliveryPlan,
    target: &PlannedFile,
) -> Result<(), Undelivered> {
    let folder = place(root, delivery.tenant.as_str(), target.folder.as_deref())
        .ok_or_else(|| Undelivered::Refused("folder_refused", "folderPath leads out of the folder".to_owned()))?;
    let away = |error: std::io::Error| Undelivered::Away("folder_unavailable", format!("the folder cannot be written to: {error}"), None);
    fs::create_dir_all(&folder).await.map_err(away)?;
    // Nobody's link leads elsewhere.
    let (real, root) = (fs::canonicalize(&folder).await.map_err(away)?, fs::canonicalize(root).await.map_err(away)?);
    if !real.starts_with(&root) {
        return Err(Undelivered::Refused("folder_refused", "folderPath leads out of the folder".to_owned()));
    }
    for file in files(setup, delivery, plan, target.filename.as_deref()).await? {
        let own = target.filename.is_none().then(|| renamed(&format!("{} {}", plan.name, delivery.lease.id), &file.filename));
        let name = own.unwrap_or(file.filename);
        let half = real.join(format!(".{}-{}.part", delivery.lease.id, DocumentName::of(&name, "x").as_str().len()));
        fs::write(&half, &file.bytes).await.map_err(away)?;
        fs::rename(&half, real.join(name)).await.map_err(away)?;
    }
    Ok(())
}

/// The folder below the root, each tenant in its own; none where the path would leave it.
fn place(root: &Path, tenant: &str, folder: Option<&str>) -> Option<PathBuf> {
    let mut place = root.join(tenant);
    for part in Path::new(folder.unwrap_or_default().trim_start_matches('/')).components() {
        match part {
            Component::Normal(part) if !part.to_string_lossy().starts_with('.') => place.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_root() {
        let root = Path::new("/srv/out");
        assert_eq!(place(root, "acme", Some("a/b")), Some("/srv/out/acme/a/b".into()));
        assert_eq!(place(root, "acme", Some("/a")), Some("/srv/out/acme/a".into()));
        assert_eq!(place(root, "acme", None), Some("/srv/out/acme".into()));
        for bad in ["..", "a/../..", "a/..", ".ssh", "a/.b"] {
            assert_eq!(place(root, "acme", Some(bad)), None, "{bad}");
        }
    }
}
