//! The proxies whose word about a request is believed.

use domain::forwarding::TrustProxy;

use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// Reads whom to trust.
pub fn read(values: &Values, problems: &mut Vec<Problem>) -> TrustProxy {
    let setting = &known::TRUST_PROXY;
    let text = values.text(setting).unwrap_or_default();
    text.parse().unwrap_or_else(|_| {
        problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted: setting.form.accepted() });
        TrustProxy::Nobody
    })
}
