//! Slots of an HTML layout: `<slot name="aside">what stands there otherwise</slot>`.

use std::ops::Range;

/// The slot that the content of a template fills.
pub(crate) const MAIN: &str = "main";
/// Slots of one layout.
const MOST_SLOTS: usize = 100;

/// One slot where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    /// The whole element.
    pub(crate) element: Range<usize>,
    /// What stands there where nothing fills it.
    pub(crate) otherwise: Range<usize>,
}

/// The slots of a layout in their order; an element that is never closed is none. Every byte is looked at a fixed number of
/// times: what was searched is either passed or the end of the reading.
pub(crate) fn slots(html: &str) -> Vec<Slot> {
    // Offsets stay: only ASCII letters change.
    let lower = html.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = lower[from..].find("<slot").map(|at| from + at) {
        from = at + 5;
        // Before the end of the tag is searched: there may be many names that only begin like it, and one end behind them all.
        if !lower[from..].starts_with(|next: char| next.is_ascii_whitespace() || matches!(next, '/' | '>')) {
            continue;
        }
        let Some(end) = lower[from..].find('>').map(|end| from + end) else { break };
        let attributes = &html[from..end];
        let name = name_of(attributes).unwrap_or(MAIN).to_owned();
        let inner = end + 1;
        let (otherwise, whole_end) = if attributes.trim_end().ends_with('/') {
            (inner..inner, inner)
        } else {
            let Some(close) = lower[inner..].find("</slot>").map(|close| inner + close) else { break };
            (inner..close, close + "</slot>".len())
        };
        found.push(Slot { name, element: at..whole_end, otherwise });
        from = whole_end;
        if found.len() > MOST_SLOTS {
            break;
        }
    }
    found
}

/// The value of the attribute `name`.
fn name_of(attributes: &str) -> Option<&str> {
    let at = attributes.to_ascii_lowercase().find("name")?;
    let value = attributes[at + 4..].trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// The HTML with every one of its slots that is filled as the call of a partial, and what stands otherwise in the others.
pub(crate) fn with_calls(html: &str, slots: &[Slot], is_filled: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(html.len());
    let mut kept = 0;
    for slot in slots {
        out.push_str(&html[kept..slot.element.start]);
        if is_filled(&slot.name) {
            out.push_str("{{> [");
            out.push_str(&partial(&slot.name));
            out.push_str("]}}");
        } else {
            out.push_str(&html[slot.otherwise.clone()]);
        }
        kept = slot.element.end;
    }
    out.push_str(&html[kept..]);
    out
}

/// The name of the partial that a slot is filled with: none that an author can declare.
pub(crate) fn partial(slot: &str) -> String {
    format!("slot {}", slot.replace([']', '\\'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_their_names_and_replaced_whole() {
        let html = "<b>ä<slot></slot></b><SLOT name='aside'>none {{x}}</SLOT><slot name=\"end\" /><slots><slot-x>";
        assert_eq!(slots(html).iter().map(|slot| &*slot.name).collect::<Vec<_>>(), ["main", "aside", "end"]);
        assert_eq!(
            with_calls(html, &slots(html), |name| name != "aside"),
            "<b>ä{{> [slot main]}}</b>none {{x}}{{> [slot end]}}<slots><slot-x>"
        );
        assert_eq!(slots("<slot><slot name=\"x\""), []);
        assert_eq!(slots("<slot"), []);
    }

    #[test]
    fn two_megabytes_that_are_made_to_be_searched_again_and_again_are_read_at_once() {
        let full = |part: &str| part.repeat(2_000_000 / part.len());
        for (html, found) in [
            (format!("<slot></slot>{}>", full("<slotx")), 1),
            (format!("<slot></slot>{}", full("<slotx")), 1),
            (format!("<slot></slot>{}>", full("<slot ")), 1),
            (format!("<slot></slot>{}>", full("<slot/")), 2),
            (format!("<slot></slot>{}", full("<slot>")), 1),
            (format!("<slot></slot>{}", full("<slot name=\">\"")), 1),
            (format!("<slot name=\"{}", full("<slot name='")), 0),
            (format!("<slot {}></slot>", full("name=")), 1),
            (full("<slot/>"), MOST_SLOTS + 1),
        ] {
            let started = std::time::Instant::now();
            let read = slots(&html);
            with_calls(&html, &read, |name| name == MAIN);
            assert_eq!(read.len(), found, "{}", &html[..40]);
            assert!(started.elapsed().as_millis() < 1_000, "{:?} for {}", started.elapsed(), &html[..40]);
        }
    }
}
