//! Where the places of a definition that was put together come from, so that mistakes are told where they were made.

use domain::Issue;

use super::UsedPart;

/// What stands below a pointer comes from elsewhere.
#[derive(Debug)]
pub(super) struct Origin {
    /// Below it, in the whole.
    pub(super) place: String,
    /// In the definition it comes from.
    pub(super) source: String,
    /// That definition: a part and the pointer of the reference to it; none for the definition itself.
    pub(super) part: Option<(UsedPart, String)>,
}

/// The issue as the author of the definition can act on it.
pub(super) fn told_where_it_stands(origins: &[Origin], issue: Issue) -> Issue {
    let below = |origin: &&Origin| issue.path.strip_prefix(&*origin.place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(origin) = origins.iter().filter(below).max_by_key(|origin| origin.place.len()) else { return issue };
    let source = format!("{}{}", origin.source, &issue.path[origin.place.len()..]);
    match &origin.part {
        None => Issue { path: source, ..issue },
        Some((part, reference)) => Issue {
            path: reference.clone(),
            message: domain::issues::clipped_message(format!("in {}, {source}: {}", part, issue.message)),
            ..issue
        },
    }
}
