//! The templates that are made with a template, and those that are made with them in turn.

use std::collections::BTreeMap;

use domain::templates::TemplateKey;

use crate::connect::speak;
use crate::error::StoreError;
use crate::template_references::{PartUser, users};
use crate::templates::Templates;

/// The most templates that one search looks at.
pub const MAX_SCANNED_DEPENDENTS: usize = 2_000;
/// The most steps from the template to one that depends on it. What is made with more levels does not compile.
const MOST_LEVELS: u32 = 10;

/// How far dependents are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Those that name the template themselves.
    Direct,
    /// Those that use it through others too.
    Transitive,
}

/// A template that depends on another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// Which, and by what of the level before it.
    pub user: PartUser,
    /// How many steps away, from 1; by the shortest way.
    pub level: u32,
}

/// What depends on a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents {
    /// The nearest first, and by key.
    pub items: Vec<Dependent>,
    /// Whether there may be more, because [`MAX_SCANNED_DEPENDENTS`] were looked at.
    pub truncated: bool,
}

impl Templates<'_> {
    /// The templates that use the one of that key in versions that are in use; `None` when there is none of that key, also not in
    /// the trash. A template is on the way to others if any of its versions in use names the part.
    pub async fn dependents(&self, key: &TemplateKey, reach: Reach) -> Result<Option<Dependents>, StoreError> {
        speak!(self.0.store, "templates.dependents", {
            let mut connection = self.0.store.acquire().await?;
            let found = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM templates WHERE tenant_id = $1 AND template_key = $2) AS "exists!""#,
                self.0.tenant.as_str(),
                key.as_str()
            );
            if !found.fetch_one(&mut *connection).await? {
                return Ok(None);
            }
            let mut known = vec![key.to_string()];
            let mut targets = known.clone();
            let mut found: BTreeMap<(u32, TemplateKey), PartUser> = BTreeMap::new();
            let mut truncated = false;
            for level in 1..=MOST_LEVELS {
                let room = MAX_SCANNED_DEPENDENTS - found.len();
                let limit = i64::try_from(room).unwrap_or(i64::MAX).saturating_add(1);
                let mut next = users(&mut connection, &self.0.tenant, &targets, &known, limit).await?;
                truncated = next.len() > room;
                next.truncate(room);
                targets = next.iter().map(|user| user.key.to_string()).collect();
                known.extend(targets.iter().cloned());
                found.extend(next.into_iter().map(|user| ((level, user.key.clone()), user)));
                if truncated || targets.is_empty() || reach == Reach::Direct {
                    break;
                }
            }
            let items = found.into_iter().map(|((level, _), user)| Dependent { user, level }).collect();
            Ok(Some(Dependents { items, truncated }))
        })
        .await
    }
}
