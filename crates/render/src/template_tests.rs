//! The tests of a template: its datasets, rendered, and what the documents show.

use std::sync::Arc;

use document::{Bindings, Compiled, squeezed, visible_text};
use domain::template_datasets::Assertions;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::RenderMode;
use domain::{Issue, TenantId};
use serde_json::Value;
use tokio::time::Instant;

use crate::error::RenderError;
use crate::format_options::FormatOptions;
use crate::labels::Which;
use crate::parts::Checking;
use crate::request::{Attribution, Format, RenderRequest, Rendered, Source};
use crate::run::Renderer;

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

/// What is tested, found once: all tests of a run are of one version, whatever is saved meanwhile.
#[derive(Clone, Debug)]
pub struct TestSubject {
    /// The version that is tested; none for a definition that is not stored.
    pub version: Option<TemplateVersion>,
    tenant: TenantId,
    compiled: Arc<Compiled>,
    source: Source,
    attribution: Attribution,
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
    /// Finds and compiles what is to be tested on behalf of `attribution`.
    pub async fn test_subject(&self, tenant: TenantId, tested: Tested, attribution: Attribution) -> Result<TestSubject, RenderError> {
        let (version, compiled, source) = match tested {
            Tested::Stored { key, which } => {
                let resolved = self.template(&tenant, &key, which).await?;
                let source = Source::Stored { key, which: Which::Version(resolved.version), bucket_key: None };
                (Some(resolved.version), resolved.compiled, source)
            }
            Tested::Inline(definition) => {
                let compiled = self.check(&tenant, definition.clone(), Checking::default()).await?;
                (None, Arc::new(compiled), Source::Inline(Arc::new(definition)))
            }
        };
        let attribution = Attribution { mode: RenderMode::Batch, ..attribution };
        Ok(TestSubject { version, tenant, compiled, source, attribution })
    }

    /// Runs one test. Its document counts as a render, and so does its HTML where a text is looked for in it. What the template
    /// or its data did wrong is a result; what the server lacks is an error.
    pub async fn test(&self, subject: &TestSubject, case: TestCase) -> Result<TestResult, RenderError> {
        let begun = Instant::now();
        let mut result = TestResult { name: case.name.clone(), failures: Vec::new(), pages: 0, warnings: 0, duration_ms: 0 };
        let invalid = self.validate(Arc::clone(&subject.compiled), case.data.clone()).await?;
        match (case.expect_invalid, invalid.is_empty()) {
            (true, true) => result.failures.push(Issue::new("/expectInvalid", "the schema accepts the data")),
            (true, false) => {}
            (false, false) => result.failures = invalid,
            (false, true) => match self.show(subject, case, &mut result).await {
                Err(error) if error.is_of_the_template() => result.failures.push(Issue::new("", error.to_string())),
                shown => shown?,
            },
        }
        result.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(result)
    }

    /// Renders the case and looks at the document.
    async fn show(&self, subject: &TestSubject, case: TestCase, result: &mut TestResult) -> Result<(), RenderError> {
        let TestCase { data, assertions, .. } = case;
        let request = |format, data: Value| RenderRequest {
            tenant: subject.tenant.clone(),
            source: subject.source.clone(),
            data: data.into(),
            fixed_data: None,
            options: domain::options::RenderOptions::default(),
            now: None,
            bindings: Bindings::Lenient,
            format,
            format_options: FormatOptions::default(),
            attribution: subject.attribution.clone(),
            output: None,
        };
        let text = if assertions.contains.is_empty() && assertions.excludes.is_empty() {
            String::new()
        } else {
            let html = self.render(request(Format::Html, data.clone())).await?;
            visible_text(&String::from_utf8_lossy(&html.body))
        };
        let pdf = self.render(request(Format::Pdf, data)).await?;
        look(&assertions, &text, &pdf, result);
        Ok(())
    }
}

fn look(assertions: &Assertions, text: &str, pdf: &Rendered, result: &mut TestResult) {
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
    for (index, wanted) in assertions.contains.iter().enumerate().filter(|(_, wanted)| !text.contains(&squeezed(wanted))) {
        fail(format!("/assertions/contains/{index}"), format!("the document does not show \"{wanted}\""));
    }
    for (index, unwanted) in assertions.excludes.iter().enumerate().filter(|(_, unwanted)| text.contains(&squeezed(unwanted))) {
        fail(format!("/assertions/excludes/{index}"), format!("the document shows \"{unwanted}\""));
    }
}
