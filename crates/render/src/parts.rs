//! What templates are made with: their themes, layouts and components, as of now.
//!
//! Which versions the references lead to is asked of the heads, as for any render, so that a changed part is in the next
//! document; what they are compiled to together never changes, and is kept under the list of those versions.

use std::collections::HashSet;
use std::sync::Arc;

use document::parts::{MOST_PARTS, Nowhere, Part, Parts, UsedPart};
use document::{Compiled, DocumentError, effective};
use domain::caches::CacheRead;
use domain::issues::near_names;
use domain::template_references::{Pin, ReferenceVia, template_references};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::variants::BucketKey;
use domain::{ErrorCode, Issue, TemplateSelector, TenantId};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use store::{TemplateFilter, TemplateKind};

use crate::error::RenderError;
use crate::labels::{Via, Which};
use crate::templates::{Name, Templates, VersionId};

/// Near names that are told.
const MOST_SUGGESTIONS: usize = 3;
/// References that lead nowhere for which near names are looked up: whoever makes more mistakes mends these first.
const MOST_LOOKED_UP: usize = 5;
/// References that are followed in one go. A definition with more has too many parts, or names them in more ways than there are
/// labels.
const MOST_REFERENCES: usize = 1_000;

/// One template that another refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) via: ReferenceVia,
    pub(crate) key: TemplateKey,
    pub(crate) pin: Pin,
}

/// A version, and those of its parts in the order in which they are met.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recipe {
    version: VersionId,
    parts: Arc<[VersionId]>,
}

/// What checking a definition is to go by.
#[derive(Clone, Debug, Default)]
pub struct Checking {
    /// A template that is to be taken as if this were what it says, where references name neither a version nor a label.
    pub replacing: Option<(TemplateKey, Arc<Value>)>,
    /// Which templates may be suggested; `None` for all.
    pub reached: Option<Vec<TemplateSelector>>,
}

/// A stored version with everything it names in it.
#[derive(Clone, Debug)]
pub struct EffectiveTemplate {
    /// Which version it is.
    pub version: TemplateVersion,
    /// The label that led to it, where one did.
    pub via: Option<Via>,
    /// Self-contained.
    pub definition: Value,
    /// What it was put together from.
    pub parts: Vec<UsedPart>,
}

/// The references of a definition, each once.
pub(crate) fn references_of(definition: &Value) -> Vec<Reference> {
    let mut seen = HashSet::new();
    let all = template_references(definition).into_iter().map(|one| Reference { via: one.via, key: one.key, pin: one.pin });
    all.filter(|one| seen.insert(one.clone())).collect()
}

/// Where a reference leads.
struct Lead {
    reference: Reference,
    to: Result<LedTo, Nowhere>,
}

enum LedTo {
    Stored(VersionId),
    /// What a template is to be taken for.
    Proposed(TemplateVersion, Arc<Value>),
}

impl Templates {
    /// A stored version with its parts as they are now. A warm one costs no word to the database.
    pub(crate) async fn compiled_with_parts(
        &self,
        name: &Name,
        version: VersionId,
        bucket_key: Option<&BucketKey>,
    ) -> Result<Arc<Compiled>, RenderError> {
        let references = self.references(name, version).await?;
        let leads = self.leads(&name.0, references.to_vec(), bucket_key, &Checking::default()).await?;
        let stored = |lead: &Lead| if let Ok(LedTo::Stored(version)) = &lead.to { Some(*version) } else { None };
        let parts: Option<Arc<[VersionId]>> = leads.iter().map(stored).collect();
        let Some(parts) = parts else {
            // Something is missing, which may be there again the next time.
            let (_, compiled) = self.put_together(name, version, leads).await?;
            return Ok(compiled);
        };
        let recipe = Recipe { version, parts };
        if let Some((_, known)) = self.compiled.get(&recipe).await {
            self.count_compiled(CacheRead::Hit);
            return Ok(known);
        }
        let mut asked = false;
        let making = async {
            asked = true;
            self.put_together(name, version, leads).await
        };
        let made = self.compiled.try_get_with(recipe, making).await;
        self.count_compiled(if asked { CacheRead::Miss } else { CacheRead::Joined });
        made.map(|(_, compiled)| compiled).map_err(RenderError::Shared)
    }

    async fn put_together(&self, name: &Name, version: VersionId, leads: Vec<Lead>) -> Result<(u32, Arc<Compiled>), RenderError> {
        let definition = self.definition(name, version).await?;
        let parts = self.parts(&name.0, leads).await?;
        let limits = Arc::clone(&self.limits);
        let compiling = tokio::task::spawn_blocking(move || {
            let bytes = |definition: &Value| u32::try_from(definition.to_string().len()).unwrap_or(u32::MAX);
            if parts.is_empty() {
                let compiled = Compiled::compile(&definition, &limits)?;
                return Ok((bytes(&definition), Arc::new(compiled)));
            }
            let whole = effective(&definition, &parts, &limits).map_err(unfit)?;
            let compiled = whole.compile(&limits).map_err(unfit)?;
            Ok((bytes(&whole.definition), Arc::new(compiled)))
        });
        compiling.await.map_err(RenderError::Defect)?
    }

    /// Follows references, and those of what they lead to.
    async fn leads(
        &self,
        tenant: &TenantId,
        references: Vec<Reference>,
        bucket_key: Option<&BucketKey>,
        checking: &Checking,
    ) -> Result<Vec<Lead>, RenderError> {
        let mut seen: HashSet<Reference> = references.iter().cloned().collect();
        let mut versions = HashSet::new();
        let mut leads: Vec<Lead> = Vec::new();
        let mut next = references;
        while !next.is_empty() {
            // All at once: while the database is away each has its moment of patience.
            let asked = next.drain(..).map(|reference| self.lead(tenant, reference, bucket_key, checking));
            for outcome in join_all(asked).await {
                let (lead, further) = outcome?;
                if let Ok(LedTo::Stored(version)) = &lead.to {
                    versions.insert(*version);
                }
                leads.push(lead);
                next.extend(further.into_iter().filter(|reference| seen.insert(reference.clone())));
            }
            if versions.len() > MOST_PARTS || seen.len() > MOST_REFERENCES {
                let issue = Issue::new("", format!("a template is put together from at most {MOST_PARTS} parts"));
                return Err(RenderError::Document(DocumentError::Definition(vec![issue])));
            }
        }
        Ok(leads)
    }

    /// Where one reference leads, and what stands there refers to.
    async fn lead(
        &self,
        tenant: &TenantId,
        reference: Reference,
        bucket_key: Option<&BucketKey>,
        checking: &Checking,
    ) -> Result<(Lead, Vec<Reference>), RenderError> {
        let name = (tenant.clone(), reference.key.clone());
        if let Some((key, definition)) = &checking.replacing
            && *key == reference.key
            && matches!(reference.pin, Pin::Default | Pin::Latest)
        {
            let version = self.head(&name).await.map_or(TemplateVersion::FIRST, |head| head.version.next());
            let further = references_of(definition);
            return Ok((Lead { reference, to: Ok(LedTo::Proposed(version, Arc::clone(definition))) }, further));
        }
        let found = async {
            let (id, version, _) = self.choose(&name, &which(&reference.pin), bucket_key).await?;
            let further = self.references(&name, (id, version)).await?;
            Ok::<_, RenderError>(((id, version), further.to_vec()))
        };
        match found.await {
            Ok((version, further)) => Ok((Lead { reference, to: Ok(LedTo::Stored(version)) }, further)),
            Err(error) if leads_nowhere(&error) => {
                let nowhere = Nowhere { message: error.to_string(), suggestions: Vec::new() };
                Ok((Lead { reference, to: Err(nowhere) }, Vec::new()))
            }
            Err(error) => Err(error),
        }
    }

    /// The definitions that references lead to.
    async fn parts(&self, tenant: &TenantId, leads: Vec<Lead>) -> Result<Parts, RenderError> {
        let reading = leads.into_iter().map(|Lead { reference, to }| async {
            let Reference { key, pin, .. } = reference;
            let part = match to {
                Err(nowhere) => Err(nowhere),
                Ok(LedTo::Proposed(version, definition)) => Ok(Part { key: key.clone(), version, definition }),
                Ok(LedTo::Stored(id)) => {
                    let definition = self.definition(&(tenant.clone(), key.clone()), id).await?;
                    Ok(Part { key: key.clone(), version: id.1, definition })
                }
            };
            Ok::<_, RenderError>((key, pin, part))
        });
        let mut parts = Parts::default();
        for (key, pin, part) in try_join_all(reading).await? {
            parts.insert(key, pin, part);
        }
        Ok(parts)
    }

    /// What a definition that is not stored needs to be put together, with near names for what is not there.
    pub(crate) async fn parts_of(&self, tenant: &TenantId, definition: &Value, checking: &Checking) -> Result<Parts, RenderError> {
        let mut leads = self.leads(tenant, references_of(definition), None, checking).await?;
        let lost = leads.iter_mut().filter_map(|lead| lead.to.as_mut().err().map(|nowhere| (&lead.reference, nowhere)));
        for (reference, nowhere) in lost.take(MOST_LOOKED_UP) {
            nowhere.suggestions = self.near(tenant, reference, checking).await?;
        }
        self.parts(tenant, leads).await
    }

    async fn near(&self, tenant: &TenantId, reference: &Reference, checking: &Checking) -> Result<Vec<String>, RenderError> {
        let kind = TemplateKind::from_word(reference.via.as_str());
        let filter = TemplateFilter { kind, reached: checking.reached.clone(), limit: 200, ..TemplateFilter::default() };
        let keys = self.keys(tenant, &filter).await?;
        let near = near_names(reference.key.as_str(), keys.iter().map(TemplateKey::as_str));
        Ok(near.into_iter().filter(|near| *near != reference.key.as_str()).take(MOST_SUGGESTIONS).map(str::to_owned).collect())
    }

    /// A stored version with everything it names in it.
    pub(crate) async fn effective(&self, tenant: &TenantId, key: &TemplateKey, which: &Which) -> Result<EffectiveTemplate, RenderError> {
        let name = (tenant.clone(), key.clone());
        let (id, version, via) = self.choose(&name, which, None).await?;
        let references = self.references(&name, (id, version)).await?;
        let leads = self.leads(tenant, references.to_vec(), None, &Checking::default()).await?;
        let definition = self.definition(&name, (id, version)).await?;
        let parts = self.parts(tenant, leads).await?;
        let limits = Arc::clone(&self.limits);
        let expanding = tokio::task::spawn_blocking(move || effective(&definition, &parts, &limits).map_err(unfit));
        let whole = expanding.await.map_err(RenderError::Defect)??;
        Ok(EffectiveTemplate { version, via, definition: whole.definition, parts: whole.parts })
    }
}

fn which(pin: &Pin) -> Which {
    match pin {
        Pin::Default => Which::Default,
        Pin::Latest => Which::Current,
        Pin::Version(version) => Which::Version(*version),
        Pin::Label(label) => Which::Label { label: label.clone(), as_of: None },
    }
}

/// Whether it is the reference that is at fault, and not the moment.
fn leads_nowhere(error: &RenderError) -> bool {
    match error {
        RenderError::Shared(error) => leads_nowhere(error),
        RenderError::UnknownTemplate { .. }
        | RenderError::UnknownVersion { .. }
        | RenderError::UnknownLabel { .. }
        | RenderError::NotReleased { .. } => true,
        _ => false,
    }
}

/// A stored template was whole when it was saved: what is wrong now is a part that went away or became another.
fn unfit(error: DocumentError) -> RenderError {
    const CODES: [ErrorCode; 4] =
        [ErrorCode::ThemeNotFound, ErrorCode::LayoutNotFound, ErrorCode::ComponentNotFound, ErrorCode::TemplateKindMismatch];
    match error {
        DocumentError::Definition(issues) => {
            let said = issues.iter().find_map(|issue| issue.code);
            let code = CODES.into_iter().find(|code| Some(code.as_str()) == said).unwrap_or(ErrorCode::ValidationFailed);
            RenderError::Part { code, issues }
        }
        other => RenderError::Document(other),
    }
}
