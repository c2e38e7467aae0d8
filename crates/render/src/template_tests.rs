//! The tests of a template: its datasets, rendered, and what the documents show.

use std::sync::Arc;
use std::time::Duration;

use document::{Bindings, squeezed, visible_text};
use domain::template_datasets::Assertions;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::RenderMode;
use domain::{Issue, TenantId};
use serde_json::Value;
use tokio::time::Instant;

use crate::error::RenderError;
use crate::labels::Which;
use crate::request::{Attribution, Format, RenderRequest, Rendered, Source};
use crate::run::Renderer;

/// How long all tests of one run may take together. What is not begun by then is told as not run.
const ALL_TESTS: Duration = Duration::from_mins(1);

/// What is tested.
#[derive(Clone, Debug)]
pub enum Tested {
    /// A version of a stored template.
    Stored {
        /// Its key.
        key: TemplateKey,
        /// Which of its versions.
        which: Which,
    },
    /// A definition that is not stored.
    Inline(Value),
}

/// How the tests ended.
#[derive(Clone, Debug)]
pub struct TestRun {
    /// The version that was tested; none for a definition that is not stored.
    pub version: Option<TemplateVersion>,
    /// In the order of the cases.
    pub results: Vec<TestResult>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// Names it in the results.
    pub name: String,
    /// The data.
    pub data: Value,
    /// Whether the schema has to refuse the data; nothing is rendered then.
    pub expect_invalid: bool,
    /// What the document has to show.
    pub assertions: Assertions,
}

/// How a test ended.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// The name of its case.
    pub name: String,
    /// What is not as it has to be; the test passed when there is nothing.
    pub failures: Vec<Issue>,
    /// Pages of the document; zero where none was made.
    pub pages: u32,
    /// How often something was not quite right.
    pub warnings: u32,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Renderer {
    /// Runs the tests one after the other; each document counts as a render of `tenant`.
    pub async fn test(
        &self,
        tenant: &TenantId,
        tested: Tested,
        cases: Vec<TestCase>,
        attribution: &Attribution,
    ) -> Result<TestRun, RenderError> {
        let (started, mut results) = (Instant::now(), Vec::with_capacity(cases.len()));
        // Found once, so that all cases are of one version, whatever is saved meanwhile.
        let (version, compiled, source) = match tested {
            Tested::Stored { key, which } => {
                let resolved = self.template(tenant, &key, which).await?;
                let source = Source::Stored { key, which: Which::Version(resolved.version), bucket_key: None };
                (Some(resolved.version), resolved.compiled, source)
            }
            Tested::Inline(definition) => (None, Arc::new(self.compile(definition.clone()).await?), Source::Inline(definition)),
        };
        for case in cases {
            let begun = Instant::now();
            let mut result = TestResult { name: case.name.clone(), failures: Vec::new(), pages: 0, warnings: 0, duration_ms: 0 };
            if started.elapsed() > ALL_TESTS {
                result.failures.push(Issue::new("", "not run: the tests before it took a minute; name fewer datasets"));
                results.push(result);
                continue;
            }
            let invalid = self.validate(Arc::clone(&compiled), case.data.clone()).await?;
            match (case.expect_invalid, invalid.is_empty()) {
                (true, true) => result.failures.push(Issue::new("/expectInvalid", "the schema accepts the data")),
                (true, false) => {}
                (false, false) => result.failures = invalid,
                (false, true) => Box::pin(self.show(tenant, &source, case, attribution, &mut result)).await?,
            }
            result.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            results.push(result);
        }
        Ok(TestRun { version, results })
    }

    /// Renders the case and looks at the document.
    async fn show(
        &self,
        tenant: &TenantId,
        source: &Source,
        case: TestCase,
        attribution: &Attribution,
        result: &mut TestResult,
    ) -> Result<(), RenderError> {
        let request = |format| RenderRequest {
            tenant: tenant.clone(),
            source: source.clone(),
            data: case.data.clone(),
            fixed_data: None,
            options: domain::options::RenderOptions::default(),
            now: None,
            bindings: Bindings::Lenient,
            format,
            attribution: Attribution { mode: RenderMode::Batch, ..attribution.clone() },
        };
        let shown = async {
            let html = self.render(request(Format::Html)).await?;
            Ok::<_, RenderError>((html, self.render(request(Format::Pdf)).await?))
        };
        match shown.await {
            Ok((html, pdf)) => look(&case.assertions, &html, &pdf, result),
            // What the template or its data did wrong is a result; what the server lacks is not.
            Err(error) if error.is_of_the_template() => result.failures.push(Issue::new("", error.to_string())),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn look(assertions: &Assertions, html: &Rendered, pdf: &Rendered, result: &mut TestResult) {
    let warnings = pdf.warnings.iter().map(|(_, count)| u32::try_from(*count).unwrap_or(u32::MAX)).fold(0, u32::saturating_add);
    (result.pages, result.warnings) = (pdf.pages, warnings);
    let mut fail = |path: String, message: String| result.failures.push(Issue::new(path, message));
    if assertions.min_pages.is_some_and(|min| pdf.pages < min) || assertions.max_pages.is_some_and(|max| pdf.pages > max) {
        fail("/assertions/pages".to_owned(), format!("the document has {} pages", pdf.pages));
    }
    if assertions.max_warnings.is_some_and(|most| warnings > most) {
        let codes: Vec<&str> = pdf.warnings.iter().map(|(code, _)| *code).collect();
        fail("/assertions/maxWarnings".to_owned(), format!("the render gave {warnings} warnings: {}", codes.join(", ")));
    }
    let text = visible_text(&String::from_utf8_lossy(&html.body));
    for (index, wanted) in assertions.contains.iter().enumerate().filter(|(_, wanted)| !text.contains(&squeezed(wanted))) {
        fail(format!("/assertions/contains/{index}"), format!("the document does not show \"{wanted}\""));
    }
    for (index, unwanted) in assertions.excludes.iter().enumerate().filter(|(_, unwanted)| text.contains(&squeezed(unwanted))) {
        fail(format!("/assertions/excludes/{index}"), format!("the document shows \"{unwanted}\""));
    }
}
