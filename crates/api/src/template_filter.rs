//! What a list of templates is asked for: the names and values behind the question mark.

use domain::template_folders::FolderPath;
use store::{FolderFilter, FolderReach, SortOrder, TemplateFilter, TemplateKind, TemplateSort, TemplateState};
use uuid::Uuid;

use crate::error::ApiError;
use crate::query::{Pairs, Switch, refused};

/// Reads the query of a list.
pub(crate) fn filter(query: Option<&str>) -> Result<TemplateFilter, ApiError> {
    let pairs = Pairs::read(query)?;
    let page = pairs.page()?;
    let mut filter = TemplateFilter { limit: page.limit, offset: page.offset, ..TemplateFilter::default() };
    for (name, value) in pairs.all() {
        let refused = |accepted: &str| refused(name, value, accepted);
        match name.as_str() {
            "q" => filter.q = Some(value.replace('\0', "")).filter(|text| !text.is_empty()),
            "kind" => {
                filter.kind = Some(TemplateKind::from_word(value).ok_or_else(|| refused("document, theme, component, layout, office"))?);
            }
            // A key that cannot exist matches nothing, which an unlikely but possible key does as well.
            "key" => filter.keys.push(value.parse().map_err(|_| refused("a template key"))?),
            "tag" => filter.tags.push(value.parse::<domain::template_tags::TemplateTag>().map_err(|_| refused("a tag"))?.to_string()),
            "owner" => filter.owner = Some(value.replace('\0', "")),
            "state" => filter.state = state(value).ok_or_else(|| refused("active, deleted"))?,
            "sort" => filter.sort = sort(value).ok_or_else(|| refused("key, name, createdAt, updatedAt, deletedAt"))?,
            "order" => {
                filter.order = match value.as_str() {
                    "asc" => SortOrder::Ascending,
                    "desc" => SortOrder::Descending,
                    _ => return Err(refused("asc, desc")),
                }
            }
            "label" => filter.label = Some(value.parse().map_err(|_| refused("the name of a label"))?),
            _ => {}
        }
    }
    filter.folder = folder(&pairs)?;
    // The trash as people look at it: what was thrown away last lies on top.
    if filter.state == TemplateState::Deleted && pairs.text("sort").is_none() {
        filter.sort = TemplateSort::DeletedAt;
        if pairs.text("order").is_none() {
            filter.order = SortOrder::Descending;
        }
    }
    Ok(filter)
}

fn folder(pairs: &Pairs) -> Result<Option<FolderFilter>, ApiError> {
    let reach = if pairs.switch("recursive", Switch::Off)? { FolderReach::AllWithin } else { FolderReach::Itself };
    match (pairs.text("folderId"), pairs.text("folderPath")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(ApiError::bad_request("folderId and folderPath both say where to look; send one of them")),
        (Some(id), None) => {
            let id: Uuid =
                id.parse().map_err(|_| refused("folderId", id, "the id of a folder; for those in no folder send folderPath=/"))?;
            Ok(Some(FolderFilter::Id(id.into(), reach)))
        }
        (None, Some(path)) => {
            let path: FolderPath = path
                .parse()
                .map_err(|error: domain::template_folders::InvalidFolderPath| refused("folderPath", path, &error.to_string()))?;
            Ok(Some(FolderFilter::Path(path, reach)))
        }
    }
}

/// `trash` is what people call the state.
fn state(word: &str) -> Option<TemplateState> {
    match word {
        "active" => Some(TemplateState::Active),
        "deleted" | "trash" => Some(TemplateState::Deleted),
        _ => None,
    }
}

fn sort(word: &str) -> Option<TemplateSort> {
    Some(match word {
        "key" => TemplateSort::Key,
        "name" => TemplateSort::Name,
        "createdAt" => TemplateSort::CreatedAt,
        "updatedAt" => TemplateSort::UpdatedAt,
        "deletedAt" => TemplateSort::DeletedAt,
        _ => return None,
    })
}
