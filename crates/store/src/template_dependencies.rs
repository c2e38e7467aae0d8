//! What a version of a template is made with: the parts it names, what they are made with in turn, and the assets of all of them.

use std::collections::HashSet;

use domain::assets::AssetName;
use domain::ids::AssetId;
use domain::labels::LabelName;
use domain::template_references::{Pin, ReferenceVia};
use domain::templates::{TemplateKey, TemplateVersion};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::template_references::{pin, via};
use crate::templates::{TemplateKind, Templates, key, kind, numbers, version};
use crate::tenants::TenantStore;

/// The most references, and the most names of assets, that one answer holds.
const MOST_ROWS: i64 = 1_000;
/// The most different versions of parts that are looked into.
const MOST_PARTS: usize = 200;
/// The most steps from the template to a part. What is made with more levels does not compile.
const MOST_LEVELS: u32 = 10;

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPart {
    /// For people.
    pub name: String,
    /// What it is for.
    pub kind: TemplateKind,
    /// The version that the reference leads to now. None where the template has no such version or label.
    pub version: Option<TemplateVersion>,
}

/// One place where a template names another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Who names it, and in which version.
    pub used_by: (TemplateKey, TemplateVersion),
    /// How many steps away, from 1; by the shortest way.
    pub level: u32,
    /// Through what.
    pub via: ReferenceVia,
    /// What is named.
    pub key: TemplateKey,
    /// Which version is asked for.
    pub pin: Pin,
    /// A JSON Pointer into the definition of the one that names it.
    pub pointer: String,
    /// The node that names it, where one does.
    pub node_id: Option<String>,
    /// What that is now. None where there is no such template.
    pub found: Option<FoundPart>,
}

/// An asset that a template names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetDependency {
    /// Who names it, and in which version.
    pub used_by: (TemplateKey, TemplateVersion),
    /// As it is named: a slug or an id; none where data decides.
    pub name: Option<AssetName>,
    /// Through what: `image`, `html`, `css` or `font`.
    pub via: Vec<String>,
    /// The nodes that name it.
    pub node_ids: Vec<String>,
    /// The asset of that name. None where there is none.
    pub asset_id: Option<AssetId>,
}

/// What a version is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// Which version it is about.
    pub version: TemplateVersion,
    /// The references, the nearest first and in the order of the definitions.
    pub templates: Vec<Dependency>,
    /// The assets of the version and of its parts.
    pub assets: Vec<AssetDependency>,
    /// Whether there is more than one answer holds.
    pub truncated: bool,
}

/// How a search for what a template is made with ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum DependencyOutcome {
    /// It is made with this.
    Found(Dependencies),
    /// There is no such template.
    NotFound,
    /// The template has no such version or label.
    VersionNotFound,
}

/// A template as it is asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    key: TemplateKey,
    pin: Pin,
}

/// What the question leads to.
struct Led {
    template_id: Uuid,
    part: FoundPart,
}

/// A version that is looked into.
struct Opened {
    template_id: Uuid,
    key: TemplateKey,
    version: TemplateVersion,
}

impl Templates<'_> {
    /// What that version of a template is made with, as it would be put together now. `default_live` is the label that is meant
    /// where nothing is said; without it the current version is.
    pub async fn dependencies(
        &self,
        key: &TemplateKey,
        which: &Pin,
        default_live: Option<&LabelName>,
    ) -> Result<DependencyOutcome, StoreError> {
        speak!(self.0.store, "templates.dependencies", {
            let mut connection = self.0.store.acquire().await?;
            let asked = Asked { key: key.clone(), pin: which.clone() };
            let led = lead(&mut connection, self.0, &[asked], default_live).await?.pop().flatten();
            let Some(led) = led else { return Ok(DependencyOutcome::NotFound) };
            let Some(version) = led.part.version else { return Ok(DependencyOutcome::VersionNotFound) };
            let mut opened = vec![Opened { template_id: led.template_id, key: key.clone(), version }];
            let mut seen = HashSet::from([(led.template_id, version)]);
            let mut templates: Vec<Dependency> = Vec::new();
            let (mut from, mut truncated) = (0, false);
            for level in 1..=MOST_LEVELS {
                let room = MOST_ROWS - i64::try_from(templates.len()).unwrap_or(MOST_ROWS);
                let mut named = references(&mut connection, &opened[from..], level, room + 1).await?;
                if i64::try_from(named.len()).is_ok_and(|count| count > room) {
                    named.pop();
                    truncated = true;
                }
                let asked: Vec<Asked> = named.iter().map(|one| Asked { key: one.key.clone(), pin: one.pin.clone() }).collect();
                from = opened.len();
                for (one, led) in named.iter_mut().zip(lead(&mut connection, self.0, &asked, default_live).await?) {
                    let Some(led) = led else { continue };
                    if let Some(version) = led.part.version
                        && seen.insert((led.template_id, version))
                    {
                        opened.push(Opened { template_id: led.template_id, key: one.key.clone(), version });
                    }
                    one.found = Some(led.part);
                }
                templates.extend(named);
                truncated |= opened.len() > MOST_PARTS;
                if truncated || from == opened.len() {
                    break;
                }
            }
            let mut assets = assets(&mut connection, self.0, &opened, MOST_ROWS + 1).await?;
            if assets.len() > usize::try_from(MOST_ROWS).unwrap_or(usize::MAX) {
                assets.pop();
                truncated = true;
            }
            Ok(DependencyOutcome::Found(Dependencies { version, templates, assets, truncated }))
        })
        .await
    }
}

/// What these lead to now, in their order; `None` for a key without a template.
async fn lead(
    connection: &mut PgConnection,
    handle: &TenantStore,
    asked: &[Asked],
    default_live: Option<&LabelName>,
) -> Result<Vec<Option<Led>>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = asked.iter().map(|one| one.key.to_string()).collect();
    let label = |pin: &Pin| match pin {
        Pin::Label(label) => Some(label.to_string()),
        Pin::Default => default_live.map(LabelName::to_string),
        Pin::Latest | Pin::Version(_) => None,
    };
    let labels: Vec<Option<String>> = asked.iter().map(|one| label(&one.pin)).collect();
    // A number that no column can hold is no version of anything.
    let pinned = |pin: &Pin| pin.version().map(|version| numbers(version).unwrap_or((-1, -1, -1)));
    let pinned: Vec<Option<(i32, i32, i32)>> = asked.iter().map(|one| pinned(&one.pin)).collect();
    let part = |of: fn((i32, i32, i32)) -> i32| pinned.iter().map(|version| version.map(of)).collect::<Vec<Option<i32>>>();
    let rows = sqlx::query!(
        r#"SELECT a.place AS "place!", t.template_id, t.name, t.kind, v.major AS "major?", v.minor AS "minor?", v.patch AS "patch?"
           FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::int[])
                WITH ORDINALITY AS a (asked_key, label, major, minor, patch, place)
           JOIN templates t ON t.tenant_id = $1 AND t.template_key = a.asked_key AND t.deleted_at IS NULL
           LEFT JOIN template_labels l ON l.template_id = t.template_id AND l.label = a.label
           LEFT JOIN template_labels c ON c.template_id = t.template_id AND c.label = l.control_label
           LEFT JOIN template_versions v ON v.template_id = t.template_id
                AND v.major = CASE WHEN a.label IS NULL THEN COALESCE(a.major, t.current_major) ELSE COALESCE(c.major, l.major) END
                AND v.minor = CASE WHEN a.label IS NULL THEN COALESCE(a.minor, t.current_minor) ELSE COALESCE(c.minor, l.minor) END
                AND v.patch = CASE WHEN a.label IS NULL THEN COALESCE(a.patch, t.current_patch) ELSE COALESCE(c.patch, l.patch) END"#,
        handle.tenant.as_str(),
        &keys,
        &labels as &[Option<String>],
        &part(|version| version.0) as &[Option<i32>],
        &part(|version| version.1) as &[Option<i32>],
        &part(|version| version.2) as &[Option<i32>]
    )
    .fetch_all(connection)
    .await?;
    let mut led: Vec<Option<Led>> = asked.iter().map(|_| None).collect();
    for row in rows {
        let place = usize::try_from(row.place - 1).ok().and_then(|place| led.get_mut(place));
        let version = match (row.major, row.minor, row.patch) {
            (Some(major), Some(minor), Some(patch)) => Some(version(major, minor, patch)?),
            _ => None,
        };
        if let Some(place) = place {
            *place = Some(Led { template_id: row.template_id, part: FoundPart { name: row.name, kind: kind(&row.kind)?, version } });
        }
    }
    Ok(led)
}

/// The references of these versions, in their order.
async fn references(connection: &mut PgConnection, of: &[Opened], level: u32, limit: i64) -> Result<Vec<Dependency>, StoreError> {
    let (ids, majors, minors, patches) = columns(of)?;
    let rows = sqlx::query!(
        r#"SELECT o.place AS "opened!", r.target_key, r.via, r.pin_label, r.pin_major, r.pin_minor, r.pin_patch, r.pointer, r.node_id
           FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) WITH ORDINALITY AS o (template_id, major, minor, patch, place)
           JOIN template_references r ON r.template_id = o.template_id AND r.major = o.major AND r.minor = o.minor AND r.patch = o.patch
           ORDER BY o.place, r.place LIMIT $5"#,
        &ids,
        &majors,
        &minors,
        &patches,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Dependency {
                used_by: opened_at(of, row.opened)?,
                level,
                via: via(&row.via)?,
                key: key(row.target_key)?,
                pin: pin(row.pin_label.as_deref(), (row.pin_major, row.pin_minor, row.pin_patch))?,
                pointer: row.pointer,
                node_id: row.node_id,
                found: None,
            })
        })
        .collect()
}

/// The assets that these versions name, in their order.
async fn assets(
    connection: &mut PgConnection,
    handle: &TenantStore,
    of: &[Opened],
    limit: i64,
) -> Result<Vec<AssetDependency>, StoreError> {
    let (ids, majors, minors, patches) = columns(of)?;
    let rows = sqlx::query!(
        r#"SELECT o.place AS "opened!", r.asset_name, r.via, r.node_ids,
                  COALESCE((SELECT a.asset_id FROM assets a WHERE a.tenant_id = $5 AND a.slug = r.asset_name),
                           (SELECT a.asset_id FROM assets a WHERE a.tenant_id = $5 AND a.asset_id =
                                CASE WHEN r.asset_name ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN r.asset_name::uuid END))
                  AS asset_id
           FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) WITH ORDINALITY AS o (template_id, major, minor, patch, place)
           JOIN template_asset_references r
             ON r.template_id = o.template_id AND r.major = o.major AND r.minor = o.minor AND r.patch = o.patch
           ORDER BY o.place, r.asset_name LIMIT $6"#,
        &ids,
        &majors,
        &minors,
        &patches,
        handle.tenant.as_str(),
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AssetDependency {
                used_by: opened_at(of, row.opened)?,
                name: row.asset_name.parse().ok(),
                via: row.via,
                node_ids: row.node_ids,
                asset_id: row.asset_id.map(AssetId::from),
            })
        })
        .collect()
}

type Columns = (Vec<Uuid>, Vec<i32>, Vec<i32>, Vec<i32>);

fn columns(of: &[Opened]) -> Result<Columns, StoreError> {
    let mut columns = Columns::default();
    for one in of {
        let (major, minor, patch) = numbers(one.version)?;
        columns.0.push(one.template_id);
        columns.1.push(major);
        columns.2.push(minor);
        columns.3.push(patch);
    }
    Ok(columns)
}

fn opened_at(of: &[Opened], place: i64) -> Result<(TemplateKey, TemplateVersion), StoreError> {
    let opened = usize::try_from(place - 1).ok().and_then(|place| of.get(place));
    let opened = opened.ok_or_else(|| StoreError::inconsistent("template_references", "of no version that was asked for"))?;
    Ok((opened.key.clone(), opened.version))
}
