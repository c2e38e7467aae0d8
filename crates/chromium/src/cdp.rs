//! The DevTools methods we use, as small typed commands with the protocol's names.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A method of the protocol with its parameters.
pub(crate) trait Command: Serialize {
    /// The protocol's name.
    const METHOD: &'static str;
    /// What comes back.
    type Reply: DeserializeOwned;
}

/// A reply without content of interest.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

macro_rules! command {
    ($(#[$about:meta])* $name:ident $(<$life:lifetime>)? = $method:literal -> $reply:ty { $($(#[$attr:meta])* $field:ident : $kind:ty),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name $(<$life>)? { $($(#[$attr])* pub(crate) $field: $kind),* }
        impl $(<$life>)? Command for $name $(<$life>)? {
            const METHOD: &'static str = $method;
            type Reply = $reply;
        }
    };
}

command!(GetVersion = "Browser.getVersion" -> Version {});
command!(GetProcessInfo = "SystemInfo.getProcessInfo" -> Processes {});
command!(CreateBrowserContext = "Target.createBrowserContext" -> Context { dispose_on_detach: bool });
command!(DisposeBrowserContext<'a> = "Target.disposeBrowserContext" -> Done { browser_context_id: &'a str });
command!(CreateTarget<'a> = "Target.createTarget" -> Target {
    url: &'static str,
    enable_begin_frame_control: bool,
    #[serde(skip_serializing_if = "Option::is_none")] browser_context_id: Option<&'a str>,
});
command!(AttachToTarget<'a> = "Target.attachToTarget" -> Attached { target_id: &'a str, flatten: bool });
command!(CloseTarget<'a> = "Target.closeTarget" -> Done { target_id: &'a str });
command!(EnablePage = "Page.enable" -> Done {});
command!(EnableInspector = "Inspector.enable" -> Done {});
command!(EnableLog = "Log.enable" -> Done {});
command!(GetFrameTree = "Page.getFrameTree" -> FrameTree {});
command!(SetScriptExecutionDisabled = "Emulation.setScriptExecutionDisabled" -> Done { value: bool });
command!(FetchEnable = "Fetch.enable" -> Done { patterns: &'static [FetchPattern] });
command!(FetchFail<'a> = "Fetch.failRequest" -> Done { request_id: &'a str, error_reason: &'static str });
command!(DismissDialog = "Page.handleJavaScriptDialog" -> Done { accept: bool });
command!(Navigate = "Page.navigate" -> Navigated { url: &'static str });
command!(SetDocumentContent<'a> = "Page.setDocumentContent" -> Done { frame_id: &'a str, html: &'a str });
command!(Evaluate<'a> = "Runtime.evaluate" -> Evaluated { expression: &'a str, await_promise: bool, return_by_value: bool });
command!(BeginFrame = "HeadlessExperimental.beginFrame" -> Done { no_display_updates: bool });
command!(PrintToPdf<'a> = "Page.printToPDF" -> Done {
    landscape: bool,
    print_background: bool,
    scale: f64,
    paper_width: f64,
    paper_height: f64,
    margin_top: f64,
    margin_bottom: f64,
    margin_left: f64,
    margin_right: f64,
    page_ranges: &'a str,
    #[serde(rename = "preferCSSPageSize")] prefer_css_page_size: bool,
    transfer_mode: &'static str,
    #[serde(rename = "generateTaggedPDF")] generate_tagged_pdf: bool,
    generate_document_outline: bool,
});
command!(ReadStream<'a> = "IO.read" -> Done { handle: &'a str, size: usize });
command!(CloseStream<'a> = "IO.close" -> Done { handle: &'a str });

/// One kind of request that `Fetch` pauses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FetchPattern {
    pub(crate) url_pattern: &'static str,
    pub(crate) resource_type: &'static str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) product: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Processes {
    pub(crate) process_info: Vec<ProcessInfo>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProcessInfo {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) id: i32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context {
    pub(crate) browser_context_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) target_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attached {
    pub(crate) session_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FrameTree {
    pub(crate) frame_tree: FrameNode,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FrameNode {
    pub(crate) frame: Frame,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Frame {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Navigated {
    pub(crate) error_text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evaluated {
    pub(crate) exception_details: Option<ExceptionDetails>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ExceptionDetails {
    pub(crate) text: String,
}

/// The reply of `Page.printToPDF`, borrowed so that a large PDF is decoded straight from the frame.
#[derive(Debug, Deserialize)]
pub(crate) struct PrintReply<'a> {
    #[serde(borrow, default)]
    pub(crate) data: Cow<'a, str>,
    pub(crate) stream: Option<String>,
}

/// The reply of `IO.read`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamChunk<'a> {
    #[serde(default)]
    pub(crate) base64_encoded: bool,
    #[serde(borrow)]
    pub(crate) data: Cow<'a, str>,
    pub(crate) eof: bool,
}

/// What we read of events; each event has some of the fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventParams<'a> {
    #[serde(borrow)]
    pub(crate) frame: Option<EventFrame<'a>>,
    #[serde(borrow)]
    pub(crate) entry: Option<LogEntry<'a>>,
    #[serde(borrow)]
    pub(crate) request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) frame_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventFrame<'a> {
    #[serde(borrow)]
    pub(crate) parent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) url: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LogEntry<'a> {
    #[serde(borrow)]
    pub(crate) source: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) level: Cow<'a, str>,
}
