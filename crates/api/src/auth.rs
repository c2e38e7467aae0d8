//! Who is calling, and may they.

use std::net::IpAddr;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::api_keys::ApiKeyLookup;
use domain::templates::TemplateKey;
use domain::{Action, Actor, ErrorCode, Scope, TemplateSelector, TenantId};
use tracing::Instrument as _;

use crate::clients::Client;
use crate::cors;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::render_tokens::RenderTokenUse;
use crate::requests;

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// On whose behalf changes are made.
    pub actor: Actor,
    /// What the credential may do, before its own limits.
    pub scope: Scope,
    /// Whose data it reaches.
    pub tenant: TenantId,
    /// The only templates it reaches; absent means all of the tenant.
    pub templates: Option<Vec<TemplateSelector>>,
    /// The only actions it has; none means all of its scope.
    pub actions: Option<Vec<Action>>,
    /// How it proved who it is.
    pub credential: Credential,
    /// The stored key it is, or was exchanged for.
    pub api_key: Option<ApiKeyLookup>,
    /// The limit that its key has of its own, in requests a minute.
    pub requests_per_minute: Option<u32>,
    /// What people call a registered user or a key of the database; no token that was made for a key has it.
    pub display_name: Option<String>,
    /// The render token it came with, which says more about what may be rendered.
    pub render_token: Option<RenderTokenUse>,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Credential {
    /// It did not have to: the server has no credentials.
    NotAsked,
    /// An API key.
    ApiKey,
    /// The key of a registered user.
    User,
    /// An editor token.
    EditorToken,
    /// A token of the identity provider.
    Bearer,
    /// A token for renders from a browser.
    RenderToken,
}

impl Caller {
    /// Whether it may do that.
    pub fn may(&self, action: Action) -> bool {
        self.scope.may(action) && self.actions.as_ref().is_none_or(|actions| actions.contains(&action))
    }

    /// Refuses a template that this credential is not for.
    pub fn reaches(&self, key: &TemplateKey) -> Result<(), ApiError> {
        if self.templates.as_ref().is_none_or(|selectors| selectors.iter().any(|selector| selector.selects(key))) {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::ApiKeyTemplateNotAllowed, "this credential is limited to other templates"))
    }

    /// Refuses what is about no template in particular, such as an inline definition, to a credential for a few templates.
    pub fn is_for_all_templates(&self) -> Result<(), ApiError> {
        if self.templates.is_none() {
            return Ok(());
        }
        Err(ApiError::new(ErrorCode::ApiKeyTemplateNotAllowed, "this credential is limited to stored templates; name one of them"))
    }
}

impl Caller {
    /// The id of the registered user it is in person; none for keys, and for tokens that were made for a key.
    pub fn person(&self) -> Option<&str> {
        let may_be_a_person = matches!(self.credential, Credential::User | Credential::EditorToken | Credential::Bearer);
        // A token that was made for a key has a name that whoever asked for it chose.
        (may_be_a_person && self.display_name.is_some()).then_some(&*self.actor.name)
    }

    /// Refuses to make credentials to one that is limited itself: what it makes would not be.
    pub fn may_make_credentials(&self) -> Result<(), ApiError> {
        self.is_for_all_templates()?;
        if self.actions.is_some() {
            return Err(ApiError::new(ErrorCode::Forbidden, "a limited token makes no keys and no users; use the key itself"));
        }
        Ok(())
    }
}

/// Lets the request through if its credential includes the action, and tells the handler who calls.
pub async fn require(
    State((identity, action)): State<(Identity, Action)>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let address = request.extensions().get::<Client>().map(|client| client.address);
    let span = tracing::debug_span!("auth");
    let caller = identity.identify(request.headers(), address).instrument(span.clone()).await?;
    requests::note_tenant(&caller.tenant);
    let standing = match identity.admit(&caller).instrument(span).await? {
        Ok(standing) => standing,
        Err(over) => return Ok(over.into_response()),
    };
    let mut response =
        let_through(&identity, action, caller, address, parameters, request, next).await.unwrap_or_else(ApiError::into_response);
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    Ok(response)
}

/// What is left to judge once it is known who calls.
async fn let_through(
    identity: &Identity,
    action: Action,
    caller: Caller,
    address: Option<IpAddr>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    permit(&caller, action, address)?;
    if !action.asks_for_the_template() {
        caller.is_for_all_templates()?;
    }
    if !action.spares_archived_tenants() {
        identity.refuse_archived(&caller.tenant).await?;
    }
    // What cannot be read is refused where the handler reads it.
    if let Ok(parameters) = parameters
        && let Some((_, text)) = parameters.iter().find(|(name, _)| *name == "key")
        && let Ok(key) = text.parse()
    {
        caller.reaches(&key)?;
    }
    let page = caller.render_token.as_ref().is_some_and(RenderTokenUse::is_from_its_page);
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if page {
        cors::grant(&mut response);
    }
    Ok(response)
}

fn permit(caller: &Caller, action: Action, address: Option<IpAddr>) -> Result<(), ApiError> {
    if caller.may(action) {
        return Ok(());
    }
    tracing::info!(actor = %caller.actor.name, scope = %caller.scope, tenant = %caller.tenant, %action, ?address, "refused an act outside of the credential");
    metrics::counter!("pulp_engine_auth_refusals_total", "reason" => "forbidden").increment(1);
    let code = if action == Action::TenantManage { ErrorCode::SuperAdminOnly } else { ErrorCode::Forbidden };
    let scopes: Vec<&str> = Scope::ALL.into_iter().filter(|scope| scope.may(action)).map(Scope::as_str).collect();
    let said = if caller.scope.may(action) {
        format!("this token is limited and does not include {action}")
    } else {
        format!("this operation needs {action}, which these include: {}", scopes.join(", "))
    };
    Err(ApiError::new(code, said))
}
