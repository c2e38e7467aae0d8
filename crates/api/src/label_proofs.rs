//! Proofs: what moving a label would change, seen before it is moved, and who answers for it.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ids::LabelProofId;
use domain::label_proofs::{DatasetProof, MoveNote, ProofOutcome, ProofPair, ProvenPair};
use domain::labels::LabelName;
use domain::templates::TemplateKey;
use domain::{Action, ErrorCode, Issue};
use render::{Attribution, ProofOrder};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{Approval, LabelOutcome, LabelProofRecord};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, MaybeJsonBody, Path};
use crate::error::ApiError;
use crate::labels::{known_label, no_version, shown as shown_label, unknown_label, version_of};
use crate::preconditions::{etag, expected_label, stale_label, takes_no_condition};
use crate::query::Pairs;
use crate::renders::refusal;
use crate::requests::current_correlation_id;
use crate::templates::{known_key, unknown};

/// What is to be proven.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofBody {
    /// The version that the label might lead to.
    version: String,
}

/// Why a move is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackBody {
    /// Up to 1000 characters for the history and the audit log.
    #[serde(default)]
    note: Option<String>,
}

/// Who answers for what a move changes.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// Why, in words.
    pub note: Option<MoveNote>,
    /// Whether the caller answers for it, whatever the proof says.
    pub answer: Answer,
}

/// Whether somebody answers for a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Answer {
    /// Nobody: a change is refused.
    #[default]
    Nobody,
    /// The caller does, and says why.
    Caller,
}

impl Consent {
    /// Reads `force` and `note` of a request. Whoever forces says why.
    pub fn read(force: Option<bool>, note: Option<&str>) -> Result<Self, ApiError> {
        let note = note.map(|note| note.parse::<MoveNote>().map_err(|error| ApiError::field("/note", error.to_string()))).transpose()?;
        let answer = if force == Some(true) { Answer::Caller } else { Answer::Nobody };
        if answer == Answer::Caller && note.is_none() {
            return Err(ApiError::field("/note", "is missing; a move that is forced needs a note that says why"));
        }
        Ok(Self { note, answer })
    }
}

/// Proves what is needed for a move of the label, and refuses what nobody answers for.
pub async fn approve(
    setup: &Setup,
    caller: &Caller,
    key: &TemplateKey,
    label: &LabelName,
    needed: Vec<ProofPair>,
    consent: &Consent,
) -> Result<Vec<ProvenPair>, ApiError> {
    let mut proven = Vec::with_capacity(needed.len());
    for pair in needed {
        let proof = prove(setup, caller, key, label, pair).await?;
        if proof.outcome.needs_approval() && consent.answer == Answer::Nobody {
            return Err(not_approved(&proof));
        }
        proven.push(ProvenPair { pair, proof: proof.id, outcome: proof.outcome });
    }
    Ok(proven)
}

/// Somebody moved the label while its proof was being made: it says nothing about what the label leads to now.
pub fn moved_meanwhile(label: &LabelName) -> ApiError {
    let said = format!("the label \"{label}\" was moved by somebody else while this was being proven; read it again and decide");
    ApiError::new(ErrorCode::Conflict, said)
}

async fn prove(
    setup: &Setup,
    caller: &Caller,
    key: &TemplateKey,
    label: &LabelName,
    pair: ProofPair,
) -> Result<LabelProofRecord, ApiError> {
    let attribution = Attribution { actor: Some(caller.actor.clone()), correlation_id: current_correlation_id(), ..Attribution::default() };
    let (tenant, key, label, actor) = (caller.tenant.clone(), key.clone(), label.clone(), caller.actor.clone());
    setup.renderer.prove(ProofOrder { tenant, key, label, pair, actor, attribution }).await.map_err(|error| refusal(setup, error))
}

/// What a move would change, found out without moving anything.
#[utoipa::path(post, path = "/templates/{key}/labels/{label}/proofs", tag = "labels", params(("key" = String, Path), ("label" = String, Path)), request_body = ProofBody, responses((status = 201, description = "The proof: outcome, and for each dataset which pages differ"), (status = 404, description = "Unknown template, label or version"), (status = 429, description = "A proof of this tenant is under way")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ProofBody>,
) -> Result<Response, ApiError> {
    takes_no_condition(&headers)?;
    let (key, label) = (known_key(&key)?, known_label(&label)?);
    let candidate = version_of(&key, &body.version)?;
    let head = setup.store.tenant(caller.tenant.clone()).labels().head(&key).await?.ok_or_else(|| unknown(&key))?;
    let found = head.labels.iter().find(|found| found.label == label).ok_or_else(|| unknown_label(&key, &label))?;
    if found.version == candidate {
        return Err(ApiError::field("/version", format!("is {candidate}, which the label leads to; there is nothing to compare")));
    }
    let proof = prove(&setup, &caller, &key, &label, ProofPair { base: found.version, candidate }).await?;
    Ok((StatusCode::CREATED, Json(shown_whole(&proof))).into_response())
}

/// The proofs of a label, the newest first, without what was found.
#[utoipa::path(get, path = "/templates/{key}/labels/{label}/proofs", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page of proofs"), (status = 404, description = "Unknown template")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (key, label, page) = (known_key(&key)?, known_label(&label)?, Pairs::read(query.as_deref())?.page()?);
    let found = setup.store.tenant(caller.tenant).label_proofs().list(&key, &label, page.limit, page.offset).await?;
    let found = found.ok_or_else(|| unknown(&key))?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// A proof with everything that was found.
#[utoipa::path(get, path = "/templates/{key}/labels/{label}/proofs/{proof}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("proof" = String, Path)), responses((status = 200, description = "The proof"), (status = 404, description = "Unknown, or no longer kept")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label, proof)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (key, label, id) = (known_key(&key)?, known_label(&label)?, known_proof(&proof)?);
    let found = setup.store.tenant(caller.tenant).label_proofs().get(&key, &label, id).await?;
    Ok(Json(shown_whole(&found.ok_or_else(no_proof)?)))
}

/// A picture of a proof: the old page on the left, the new one on the right, red over what differs.
#[utoipa::path(get, path = "/templates/{key}/labels/{label}/proofs/{proof}/pictures/{number}", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("proof" = String, Path), ("number" = String, Path)), responses((status = 200, description = "A PNG"), (status = 403, description = "Without template:read"), (status = 404, description = "Unknown, or no longer kept")))]
pub async fn picture(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label, proof, number)): Path<(String, String, String, String)>,
) -> Result<Response, ApiError> {
    if !caller.may(Action::TemplateRead) {
        let said = "pictures of a proof need template:read beside document:preview, because they show stored data";
        return Err(ApiError::new(ErrorCode::Forbidden, said));
    }
    let (key, label, id) = (known_key(&key)?, known_label(&label)?, known_proof(&proof)?);
    let no_picture = || ApiError::not_found("the proof has no such picture; what it found names those that there are");
    let number = number.parse().map_err(|_| no_picture())?;
    let found = setup.store.tenant(caller.tenant.clone()).label_proofs().picture(&key, &label, id, number).await?;
    let png = setup.renderer.proof_picture(&caller.tenant, found.ok_or_else(no_picture)?).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        // It never changes, and shows what not everybody may see.
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, png).into_response())
}

/// Takes the newest move of a label back: it leads to the version before. Called again it goes further back.
#[utoipa::path(post, path = "/templates/{key}/labels/{label}/rollback", tag = "labels", params(("key" = String, Path), ("label" = String, Path), ("If-Match" = Option<String>, Header)), request_body = RollbackBody, responses((status = 200, description = "The label; ETag is its revision"), (status = 404, description = "Unknown template or label"), (status = 409, description = "nothing_to_roll_back, approval_required for the control of a protected label, or conflict where a part of the version is gone"), (status = 412, description = "Somebody else moved it meanwhile")))]
pub async fn roll_back(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, label)): Path<(String, String)>,
    headers: HeaderMap,
    MaybeJsonBody(body): MaybeJsonBody<RollbackBody>,
) -> Result<Response, ApiError> {
    let (key, label) = (known_key(&key)?, known_label(&label)?);
    let expected = expected_label(&headers)?;
    let consent = Consent::read(None, body.and_then(|body| body.note).as_deref())?;
    let labels = setup.store.tenant(caller.tenant.clone());
    let approval = Approval { protected: &setup.renderer.releases().protected, proofs: &[], note: consent.note.as_ref() };
    match labels.labels().roll_back(&key, &label, expected, approval, &caller.actor).await? {
        LabelOutcome::Written(moved) => {
            setup.renderer.template_changed(&caller.tenant, &key).await;
            Ok(([(header::ETAG, etag(moved.revision))], Json(shown_label(&moved))).into_response())
        }
        LabelOutcome::Stale { current } => Err(stale_label(current.as_deref())),
        LabelOutcome::LabelNotFound => Err(unknown_label(&key, &label)),
        LabelOutcome::NothingBefore => {
            let said = format!("\"{label}\" led to no other version before this one; move it to the version that you want");
            Err(ApiError::new(ErrorCode::NothingToRollBack, said))
        }
        LabelOutcome::Unproven { needed } => {
            let version = needed.first().map_or_else(|| "the version before".to_owned(), |pair| pair.candidate.to_string());
            let said = format!(
                "\"{label}\" is the control of a protected label, whose callers do not get {version} now; move it there with PUT, which proves it or takes force and a note"
            );
            Err(ApiError::new(ErrorCode::ApprovalRequired, said))
        }
        LabelOutcome::PartMissing { part } => {
            let said = format!(
                "there is no template \"{part}\", which the version that \"{label}\" led to before is made with; take it out of the trash, or move the label to the version that you want"
            );
            Err(ApiError::new(ErrorCode::Conflict, said))
        }
        LabelOutcome::VersionNotFound => Err(no_version(&key, "that the label led to before")),
        _ => Err(unknown(&key)),
    }
}

/// The proof does not say that nothing changes, and nobody answers for it.
fn not_approved(proof: &LabelProofRecord) -> ApiError {
    let (base, candidate) = (proof.pair.base, proof.pair.candidate);
    let counts = counts(proof);
    let (all, unchanged) = (counts.iter().map(|(_, count)| count).sum::<usize>(), counts.first().map_or(0, |(_, count)| *count));
    let (code, why) = match proof.outcome {
        ProofOutcome::Breaking => (ErrorCode::BreakingContractChange, format!("{candidate} would refuse data that fits {base}")),
        _ if all == 0 && proof.findings["message"].is_string() => {
            (ErrorCode::ApprovalRequired, proof.findings["message"].as_str().unwrap_or_default().to_owned())
        }
        _ if all == 0 => (ErrorCode::ApprovalRequired, "the template has neither datasets nor a sample to prove it with".to_owned()),
        _ if all == unchanged => {
            let said = "the template has no dataset that makes a document, and no sample, to prove it with".to_owned();
            (ErrorCode::ApprovalRequired, said)
        }
        _ => {
            let said = format!("{} of {all} datasets do not look as they did, or could not be compared", all - unchanged);
            (ErrorCode::ApprovalRequired, said)
        }
    };
    let message = format!(
        "the label \"{}\" is protected and stays at {base}: {why}. Look at the proof {}; with force and a note the move is made all the same",
        proof.label, proof.id
    );
    let odd = datasets(proof).iter().filter(|found| found["result"] != DatasetProof::Unchanged.as_str());
    let issues = odd.map(|found| {
        let name = found["dataset"].as_str().map_or_else(|| "/sample".to_owned(), |name| format!("/datasets/{name}"));
        let pages = found["differences"].as_array().map_or(0, Vec::len);
        let said = found["message"].as_str().map_or_else(|| format!("{pages} pages look different"), str::to_owned);
        Issue::new(name, said)
    });
    let refused = ApiError::new(code, message).with_issues(issues.collect()).proof(shown(proof));
    if proof.outcome == ProofOutcome::Breaking { refused.compatibility(proof.findings["compatibility"].clone()) } else { refused }
}

fn datasets(proof: &LabelProofRecord) -> &[Value] {
    proof.findings["datasets"].as_array().map_or(&[], Vec::as_slice)
}

/// How many datasets there are of each result, the best first.
fn counts(proof: &LabelProofRecord) -> Vec<(&'static str, usize)> {
    let left_out = proof.findings["datasetsLeftOut"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let count = |result: DatasetProof| {
        let found = datasets(proof).iter().filter(|found| found["result"] == result.as_str()).count();
        (result.as_str(), if result == DatasetProof::NotCompared { found + left_out } else { found })
    };
    DatasetProof::ALL.iter().copied().map(count).collect()
}

fn shown(proof: &LabelProofRecord) -> Value {
    let mut shown = json!({
        "id": proof.id, "label": proof.label, "base": proof.pair.base, "version": proof.pair.candidate,
        "outcome": proof.outcome.as_str(), "needsApproval": proof.outcome.needs_approval(), "tookMs": proof.took_ms,
        "createdAt": proof.created_at.to_string(), "createdBy": proof.created_by,
    });
    if !proof.findings.is_null() {
        shown["counts"] =
            counts(proof).into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>().into();
    }
    shown
}

fn shown_whole(proof: &LabelProofRecord) -> Value {
    let mut whole = shown(proof);
    if let (Some(whole), Some(findings)) = (whole.as_object_mut(), proof.findings.as_object()) {
        whole.extend(findings.clone());
    }
    whole
}

fn known_proof(text: &str) -> Result<LabelProofId, ApiError> {
    Ok(LabelProofId::from(Uuid::parse_str(text).map_err(|_| no_proof())?))
}

fn no_proof() -> ApiError {
    ApiError::not_found("there is no such proof of this label, or it is no longer kept")
}
