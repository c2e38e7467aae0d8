//! What a credential may do: the scopes of keys and the roles of people, in one table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::actions::Action;

/// The power of one credential. Higher scopes do not silently include lower ones: the table in [`Scope::may`] says
/// who may do what, and what it does not name only an admin may.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Scope {
    /// Everything in every tenant, and the tenants themselves.
    SuperAdmin,
    /// Everything in its tenant.
    Admin,
    /// Reads and writes templates, previews; no production render.
    Editor,
    /// Renders documents.
    Render,
    /// Renders previews only.
    Preview,
    /// A person who reads templates.
    Viewer,
    /// A person who writes templates and previews them.
    Author,
    /// A person who also decides which version is in use.
    Publisher,
    /// A person who plans what is rendered when.
    Scheduler,
    /// A person who reads the audit log and the usage.
    Auditor,
    /// A person who may do nothing yet.
    None,
}

/// The text names no scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such scope or role")]
pub struct UnknownScope;

impl Scope {
    /// Every scope and role, strongest first.
    pub const ALL: [Self; 11] = [
        Self::SuperAdmin,
        Self::Admin,
        Self::Editor,
        Self::Render,
        Self::Preview,
        Self::Viewer,
        Self::Author,
        Self::Publisher,
        Self::Scheduler,
        Self::Auditor,
        Self::None,
    ];

    /// The scopes an API key of a tenant can have.
    pub const OF_KEYS: [Self; 4] = [Self::Admin, Self::Editor, Self::Render, Self::Preview];

    /// The roles a user can have.
    pub const OF_USERS: [Self; 8] =
        [Self::Viewer, Self::Author, Self::Editor, Self::Publisher, Self::Scheduler, Self::Auditor, Self::Admin, Self::None];

    /// The published spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super-admin",
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Render => "render",
            Self::Preview => "preview",
            Self::Viewer => "viewer",
            Self::Author => "author",
            Self::Publisher => "publisher",
            Self::Scheduler => "scheduler",
            Self::Auditor => "auditor",
            Self::None => "none",
        }
    }

    /// Whether this scope includes an action: the table of the whole product.
    pub fn may(self, action: Action) -> bool {
        use Action as A;
        match self {
            Self::SuperAdmin => true,
            Self::Admin => action != A::TenantManage,
            // A render token is a part of what the key itself may do.
            Self::Render => {
                matches!(action, A::ServerRead | A::DocumentRender | A::JobRead | A::DocumentRead | A::DocumentShare | A::RenderTokenManage)
            }
            Self::Preview => matches!(action, A::ServerRead | A::DocumentPreview),
            Self::Viewer => matches!(action, A::ServerRead | A::TemplateRead | A::AssetRead),
            Self::Scheduler => {
                matches!(action, A::ServerRead | A::TemplateRead | A::AssetRead | A::ScheduleRead | A::ScheduleManage)
            }
            Self::Editor | Self::Author => {
                matches!(action, A::ServerRead | A::TemplateRead | A::TemplateWrite | A::AssetRead | A::AssetWrite | A::DocumentPreview)
            }
            Self::Publisher => matches!(
                action,
                A::ServerRead
                    | A::TemplateRead
                    | A::TemplateWrite
                    | A::TemplateRestore
                    | A::TemplateRelease
                    | A::AssetRead
                    | A::AssetWrite
                    | A::DocumentPreview
            ),
            Self::Auditor => matches!(action, A::ServerRead | A::TemplateRead | A::AssetRead | A::AuditRead | A::UsageRead),
            Self::None => false,
        }
    }

    /// Every action this scope includes.
    pub fn actions(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(move |action| self.may(*action))
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

impl TryFrom<String> for Scope {
    type Error = UnknownScope;

    fn try_from(text: String) -> Result<Self, UnknownScope> {
        text.parse()
    }
}

impl From<Scope> for &'static str {
    fn from(scope: Scope) -> Self {
        scope.as_str()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_super_admin_reaches_tenants_and_nobody_else_is_stronger_than_an_admin() {
        for scope in Scope::ALL {
            assert_eq!(scope.may(Action::TenantManage), scope == Scope::SuperAdmin, "{scope}");
            if scope != Scope::SuperAdmin {
                assert!(scope.actions().all(|action| Scope::Admin.may(action)), "{scope}");
            }
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!(Scope::None.actions().count(), 0);
    }

    #[test]
    fn an_editor_does_not_render_documents_and_does_not_delete() {
        for action in [Action::DocumentRender, Action::TemplateDelete, Action::TemplateRestore, Action::AuditRead] {
            assert!(!Scope::Editor.may(action), "{action}");
        }
    }
}
