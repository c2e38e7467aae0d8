//! The declarations of an element's style that a box can keep.

use super::{Element, Place};
use crate::css::{is_color, is_length};

pub(super) fn apply_style(element: &mut Element, style: &str) {
    for declaration in style.split(';') {
        let Some((name, value)) = declaration.split_once(':') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "font-size" if is_length(value) => element.look.size = Some(value.to_owned()),
            "color" if is_color(value) => element.look.color = Some(value.to_owned()),
            "font-weight" if ["normal", "bold", "100", "200", "300", "400", "500", "600", "700", "800", "900"].contains(&value) => {
                element.look.weight = Some(value.to_owned());
            }
            "font-style" if ["normal", "italic", "oblique"].contains(&value) => element.look.slant = Some(value.to_owned()),
            "font-family" if is_family(value) => element.look.family = Some(value.to_owned()),
            "text-align" => element.align = place(value),
            "display" if ["flex", "grid", "inline-flex"].contains(&value) => element.is_row = true,
            "justify-content" if value == "center" => element.centers = true,
            // Places within a box cannot be kept and are not worth a warning each.
            _ => {}
        }
    }
}

/// Names, with or without quotes, and commas.
fn is_family(text: &str) -> bool {
    let plain = |name: &str| {
        let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        let inner = inner.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(inner);
        !inner.is_empty() && inner.chars().all(|character| character.is_alphanumeric() || matches!(character, ' ' | '-'))
    };
    text.len() <= 200 && text.split(',').all(|name| plain(name.trim()))
}

pub(super) fn place(word: &str) -> Option<Place> {
    match word.trim().to_ascii_lowercase().as_str() {
        "left" | "start" => Some(Place::Left),
        "center" => Some(Place::Center),
        "right" | "end" => Some(Place::Right),
        _ => None,
    }
}
