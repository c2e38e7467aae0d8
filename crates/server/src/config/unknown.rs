//! Variables that look like settings but are none: misspelt ones, and published ones of releases to come.

use super::Variables;
use super::problems::Problem;
use super::settings::ALL;

/// Published settings of releases to come. Setting one is warned about, so that nobody relies on it.
pub const NOT_YET: &[&str] = &[
    "JOB_RESULT_BLOB_BUCKET",
    "JOB_RESULT_BLOB_DIR",
    "PPTX_ENABLED",
    "PREVIEW_ROUTES_ENABLED",
    "PULP_ENGINE_PLUGINS",
    "PULP_LICENCE_KEY",
    "RENDER_TENANT_ISOLATION",
    "SCHEDULE_DLQ_ENABLED",
    "TEMPLATES_DIR",
];

/// A variable with one of these beginnings was meant for us.
const OUR_PREFIXES: &[&str] = &[
    "PULP_",
    "RENDER_",
    "API_KEY",
    "EDITOR_",
    "OIDC_",
    "S3_",
    "ASSET_",
    "AUDIT_RETENTION_",
    "CORS_ALLOWED_",
    "DATABASE_",
    "DATASET_",
    "DATA_URL_",
    "HARDEN_",
    "MULTI_TENANT_",
    "OUTBOUND_",
    "REQUIRE_HTTP",
    "TRUST_PROX",
    "WEBHOOK_",
];

/// How many letters may differ for a name to count as a misspelling of another.
const NEAR: usize = 2;

/// Adds a problem for every misspelt setting, and a warning for every variable that has no effect.
///
/// Container platforms put variables such as `RENDER_SERVICE_HOST` into every environment, so a variable
/// with our prefix alone is no problem; one that is near a setting is.
pub fn check(variables: &Variables, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    for (name, value) in variables {
        if is_declared(name) {
            if value.is_empty() {
                warnings.push(format!("{name} is set but empty: it counts as not set"));
            }
            continue;
        }
        if NOT_YET.contains(&name.as_str()) {
            warnings.push(format!("{name} is a published setting that has no effect in this version"));
            continue;
        }
        let ours = OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        match (ours, nearest(name)) {
            (true, Some(near)) => problems.push(Problem {
                name: name.clone(),
                found: "there is no setting of this name".to_owned(),
                accepted: format!("perhaps {near} was meant"),
            }),
            (true, None) => warnings.push(format!("{name} is no setting of this server and has no effect")),
            (false, Some(near)) => warnings.push(format!("{name} is no setting of this server; perhaps {near} was meant")),
            (false, None) => {}
        }
    }
}

fn is_declared(name: &str) -> bool {
    ALL.iter().any(|setting| setting.name == name || setting.file_variable().as_deref() == Some(name))
}

/// The setting whose name is at most [`NEAR`] letters away. Short names are near everything and left out.
fn nearest(name: &str) -> Option<&'static str> {
    ALL.iter()
        .map(|setting| (strsim::osa_distance(setting.name, name), setting.name))
        .filter(|(distance, known)| *distance <= NEAR && known.len() >= 3 * NEAR + 2)
        .min()
        .map(|(_, known)| known)
}
