//! Which version renders when none is named, whether a label may be split, and which are moved with a proof only.

use domain::labels::{LabelName, Releases};
use domain::variants::Variants;

use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// Reads how labels are used.
pub fn read(values: &Values, problems: &mut Vec<Problem>) -> Releases {
    let setting = &known::DEFAULT_LIVE_LABEL;
    let default_live_label = values.text(setting).and_then(|text| {
        let refuse = |_| problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted: setting.form.accepted() });
        text.parse().map_err(refuse).ok()
    });
    let variants = if values.is_on(&known::VARIANTS_ENABLED) { Variants::On } else { Variants::Off };
    let setting = &known::PROTECTED_LABELS;
    let mut protected: Vec<LabelName> = Vec::new();
    for text in values.text(setting).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(label) if protected.contains(&label) => {}
            Ok(label) => protected.push(label),
            Err(_) => problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted: setting.form.accepted() }),
        }
    }
    Releases { default_live_label, variants, protected }
}
