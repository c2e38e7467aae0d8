//! The only spelling of the error codes that clients see.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// A stable machine-readable name of what went wrong; its spelling is part of the wire contract.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ErrorCode { $($(#[$doc])* $name,)+ }

        impl ErrorCode {
            /// Every code this server can answer with.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The published spelling.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// The request cannot be understood: malformed JSON, header or parameter.
    BadRequest = "bad_request",
    /// No credential, or one that is not valid here.
    Unauthorized = "unauthorized",
    /// The credential is valid, but not for this operation.
    Forbidden = "forbidden",
    /// The request names another tenant than the credential belongs to.
    TenantMismatch = "tenant_mismatch",
    /// The tenant is archived: it can be read, and nothing else.
    TenantArchived = "tenant_archived",
    /// There is no such tenant.
    TenantUnknown = "tenant_unknown",
    /// The tenant has to be archived first.
    TenantNotArchived = "tenant_not_archived",
    /// This tenant is never purged.
    TenantPurgeForbidden = "tenant_purge_forbidden",
    /// The tenant was purged; its name stays taken.
    TenantPurged = "tenant_purged",
    /// Only a super-admin may.
    SuperAdminOnly = "super_admin_only",
    /// The API key is past its date.
    ApiKeyExpired = "api_key_expired",
    /// The API key is not for use from this address.
    ApiKeyIpNotAllowed = "api_key_ip_not_allowed",
    /// The credential is not for this template.
    ApiKeyTemplateNotAllowed = "api_key_template_not_allowed",
    /// The user of this credential was deactivated.
    AccountDeactivated = "account_deactivated",
    /// Drafts belong to people, and the caller is nobody in particular.
    DraftIdentityRequired = "draft_identity_required",
    /// The render token is not for this template, format or origin.
    RenderTokenConstraint = "render_token_constraint",
    /// The render token has been used as often as it may.
    RenderTokenExhausted = "render_token_exhausted",
    /// There are more audit events than one export gives.
    AuditExportTooLarge = "audit_export_too_large",
    /// A date of a usage question cannot be read.
    UsageInvalidDate = "usage_invalid_date",
    /// The end of a usage question is before its beginning.
    UsageInvalidWindow = "usage_invalid_window",
    /// A usage question reaches over more days than one answer takes.
    UsageWindowTooWide = "usage_window_too_wide",
    /// There are more rows than one usage export gives.
    UsageExportTooLarge = "usage_export_too_large",
    /// The label is another one's control, or has a move to come.
    LabelInUse = "label_in_use",
    /// The label is the one that renders by default.
    DefaultLabelProtected = "default_label_protected",
    /// The planned move of a label is done, called off or failed already.
    LabelEventNotPending = "label_event_not_pending",
    /// The label did not exist yet at that time.
    AsOfBeforeHistory = "as_of_before_history",
    /// No version of the template has the label that renders by default.
    TemplateNotReleased = "template_not_released",
    /// Data that fits the version in use would not fit the new one.
    BreakingContractChange = "breaking_contract_change",
    /// Moving the label changes documents, or could not be proven not to; somebody has to answer for it.
    ApprovalRequired = "approval_required",
    /// The label has led to no other version before.
    NothingToRollBack = "nothing_to_roll_back",
    /// The template has as many datasets as it can have, or the tenant as many or as large ones as it may.
    DatasetLimitExceeded = "dataset_limit_exceeded",
    /// The name is not that of a dataset.
    DatasetNameInvalid = "dataset_name_invalid",
    /// There is no such dataset, or its time is over.
    DatasetNotFound = "dataset_not_found",
    /// The URL is none that this server gets data from.
    DataUrlRejected = "data_url_rejected",
    /// The URL gave no data.
    DataFetchFailed = "data_fetch_failed",
    /// The URL gave more data than is read.
    DataSourceResponseTooLarge = "data_source_response_too_large",
    /// The link to a stored document is none of this server, or was revoked.
    DocumentLinkInvalid = "document_link_invalid",
    /// The link's time is over, or its document was downloaded as often as it may be.
    DocumentLinkExpired = "document_link_expired",
    /// The document that a link led to is there no more.
    RenderArtifactExpired = "render_artifact_expired",
    /// No such resource for this caller.
    NotFound = "not_found",
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed",
    /// The resource exists already, or was changed at the same moment.
    Conflict = "conflict",
    /// Items of a batch failed, so that what was to hold their documents cannot be made.
    BatchItemsFailed = "batch_items_failed",
    /// The URL is none that this server sends messages to.
    WebhookUrlRejected = "webhook_url_rejected",
    /// There is no event of that name.
    WebhookEventTypeUnknown = "webhook_event_type_unknown",
    /// The tenant has as many subscriptions to events as it may have.
    WebhookSubscriptionLimitReached = "webhook_subscription_limit_reached",
    /// The documents of this request cannot be had in one piece like that.
    PackagingUnsupported = "packaging_unsupported",
    /// The job had ended before.
    AlreadyTerminal = "already_terminal",
    /// The job and its documents were there, and their time is over.
    JobExpired = "job_expired",
    /// There is no document yet, or there will be none.
    JobNotCompleted = "job_not_completed",
    /// Whoever was at a document died each time, so it is not begun again.
    JobItemAbandoned = "job_item_abandoned",
    /// What was kept of a job cannot be read any more, so that nobody can go on with it.
    JobAbandonedAtStartup = "job_abandoned_at_startup",
    /// The idempotency key is empty, too long or not printable.
    IdempotencyKeyInvalid = "idempotency_key_invalid",
    /// Something else was asked for under the same idempotency key.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// A request under the same idempotency key is still under way.
    IdempotencyKeyInUse = "idempotency_key_in_use",
    /// The request was carried out, but its answer cannot be given again.
    IdempotencyReplayUnavailable = "idempotency_replay_unavailable",
    /// There is a folder of that name already.
    FolderExists = "folder_exists",
    /// Templates or folders lie in the folder.
    FolderNotEmpty = "folder_not_empty",
    /// A folder cannot go into itself or into what lies in it.
    FolderCycle = "folder_cycle",
    /// Folders would lie deeper in each other than they may.
    FolderDepthExceeded = "folder_depth_exceeded",
    /// There is no such folder for this caller.
    FolderNotFound = "folder_not_found",
    /// The template is there, but not in the trash.
    TemplateNotInTrash = "template_not_in_trash",
    /// Other templates are made with the template.
    TemplateInUse = "template_in_use",
    /// Other templates have the layout.
    LayoutInUse = "layout_in_use",
    /// The template has no theme and is none, or the theme that it is made with is not there.
    ThemeNotFound = "theme_not_found",
    /// A layout that the template is made with is not there.
    LayoutNotFound = "layout_not_found",
    /// A component that the template is made with is not there.
    ComponentNotFound = "component_not_found",
    /// The template is of a kind that does not fit there: a theme is not rendered, a layout is no component.
    TemplateKindMismatch = "template_kind_mismatch",
    /// A conditional write named a version that is not the current one.
    PreconditionFailed = "precondition_failed",
    /// A conditional write came without its condition.
    PreconditionRequired = "precondition_required",
    /// The request body is over the limit.
    PayloadTooLarge = "payload_too_large",
    /// The body is not of a type this operation reads.
    UnsupportedMediaType = "unsupported_media_type",
    /// The input is well-formed but its content is not acceptable.
    ValidationFailed = "validation_failed",
    /// The change note is too long or not decodable.
    InvalidChangeNote = "invalid_change_note",
    /// A render option has a value that is not accepted.
    InvalidRenderOptions = "invalid_render_options",
    /// The locale is not a BCP 47 tag.
    InvalidLocale = "invalid_locale",
    /// The time zone is not an IANA name.
    InvalidTimeZone = "invalid_time_zone",
    /// The render option is known but not available in this version.
    UnsupportedRenderOption = "unsupported_render_option",
    /// An expression of the template is wrong or failed.
    TemplateExpressionError = "template_expression_error",
    /// Strict bindings were asked for and a binding has no value.
    UnresolvedBindings = "unresolved_bindings",
    /// Tables are asked for and the document has none.
    NoRenderedTables = "no_rendered_tables",
    /// One table is asked for and the document has several.
    AmbiguousTable = "ambiguous_table",
    /// The template needs more steps, nesting or output than a render may use.
    TemplateBudgetExceeded = "template_budget_exceeded",
    /// The document's input (data, nodes, HTML) is larger than a render accepts.
    RenderInputTooLarge = "render_input_too_large",
    /// An image or other asset of the document is refused.
    AssetBlocked = "asset_blocked",
    /// A template uses the asset.
    AssetInUse = "asset_in_use",
    /// Another asset of the tenant has this slug.
    AssetSlugConflict = "asset_slug_conflict",
    /// The bytes are of another type than they were declared as.
    AssetMimeMismatch = "asset_mime_mismatch",
    /// The asset is known, and its bytes are not where they were put.
    AssetBinaryMissing = "ASSET_BINARY_MISSING",
    /// A font that the template asks for is no asset, or no font.
    FontAssetMissing = "font_asset_missing",
    /// The fonts of the document are larger than a render accepts.
    FontBudgetExceeded = "font_budget_exceeded",
    /// The PDF is larger than a render may produce.
    PdfTooLarge = "pdf_too_large",
    /// The file is no PDF that can be read.
    InvalidPdf = "invalid_pdf",
    /// The PDF is encrypted.
    PdfEncrypted = "pdf_encrypted",
    /// The document has more pages than a render may produce.
    TooManyPages = "too_many_pages",
    /// The render did not end within its deadline.
    RenderTimeout = "render_timeout",
    /// All render slots and queue places are taken.
    RenderSaturated = "render_saturated",
    /// No render worker answers; one may be back after `Retry-After`.
    RenderWorkerUnavailable = "render_worker_unavailable",
    /// The browser died while rendering, also on the second attempt.
    EngineCrash = "engine_crash",
    /// The caller takes PDFs of URLs only where the deployment allows it.
    ConvertUrlNotAllowed = "convert_url_not_allowed",
    /// The file with data, or how it is to be read, is not acceptable.
    DataInputInvalid = "data_input_invalid",
    /// The file with data is larger than is read.
    DataInputTooLarge = "data_input_too_large",
    /// A secret of a schedule that was never shown has to be sent again, because what it is for is elsewhere now.
    ScheduleSecretRequired = "schedule_secret_required",
    /// The schedule was deleted.
    ScheduleGone = "schedule_gone",
    /// The schedule delivers elsewhere by now.
    ScheduleMutated = "schedule_mutated",
    /// Nobody here delivers in that way.
    DispatcherUnavailable = "dispatcher_unavailable",
    /// The list that a schedule makes a document of each element of is none, or an element is not usable.
    BurstInvalid = "burst_invalid",
    /// That list has more elements than the schedule allows.
    BurstOverflow = "burst_overflow",
    /// So many documents of a run failed one after the other that the others were not made.
    BurstAborted = "burst_aborted",
    /// A limit of the tenant is reached; the answer says which, and until when.
    QuotaExhausted = "quota_exhausted",
    /// The tenant has as many of these as it may have.
    QuotaExceeded = "quota_exceeded",
    /// Too many requests.
    RateLimited = "rate_limited",
    /// Something is broken on our side; the request id leads to the log.
    InternalError = "internal_error",
    /// The published interface has this operation, this version has not.
    NotImplemented = "not_implemented",
    /// A dependency (database, browser) is away; try again after `Retry-After`.
    ServiceUnavailable = "service_unavailable",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
