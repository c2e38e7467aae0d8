//! The example templates, which are part of the binary so that a first start has something to render.

use domain::{Actor, TenantId};
use serde_json::Value;
use store::{InsertOutcome, NewTemplate, Revision, Store, TemplateContent, TemplateFilter, TemplateKind};

use crate::error::ServerError;

/// The key and the definition of each; `examples/<key>/request.json` renders it.
const EXAMPLES: &[(&str, &str)] = &[
    ("invoice", include_str!("../../../examples/invoice/template.json")),
    ("letter", include_str!("../../../examples/letter/template.json")),
];

/// Stores the examples if the database holds no template, and says how many it stored.
pub async fn load_into_empty(store: &Store) -> Result<usize, ServerError> {
    let tenant = store.tenant(TenantId::default_tenant());
    let templates = tenant.templates();
    if templates.list(&TemplateFilter { limit: 1, ..TemplateFilter::default() }).await?.total > 0 {
        return Ok(0);
    }
    let actor = Actor::system("examples");
    let revision = Revision { actor: &actor, change_note: Some("An example that came with the server") };
    let mut loaded = 0;
    for &(key, text) in EXAMPLES {
        let wrong = |reason: String| ServerError::Example { key, reason };
        let definition: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let template_key = key.parse().map_err(|error: domain::templates::InvalidTemplateKey| wrong(error.to_string()))?;
        let content = TemplateContent {
            name: definition["name"].as_str().unwrap_or(key),
            description: definition["description"].as_str(),
            kind: TemplateKind::Document,
            definition: &definition,
        };
        let new = NewTemplate { key: &template_key, content, tags: &[], owner: None };
        // Taken: another server on this database was quicker.
        if let InsertOutcome::Written(_) = templates.insert(new, revision).await? {
            loaded += 1;
        }
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_example_names_itself_by_its_key() {
        for (key, text) in EXAMPLES {
            let definition: Value = serde_json::from_str(text).unwrap();
            assert_eq!(definition["key"], *key);
            assert!(definition["name"].is_string() && definition["description"].is_string(), "{key}");
        }
    }
}
