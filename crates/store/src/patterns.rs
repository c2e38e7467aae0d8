//! Patterns for LIKE and ILIKE from texts of callers.

/// A pattern that finds `text` anywhere, with its `%`, `_` and `\` taken as they are.
pub(crate) fn contains_pattern(text: &str) -> String {
    format!("%{}%", literal(text))
}

/// A pattern that finds `text` and nothing else.
pub(crate) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_search_mean_themselves() {
        assert_eq!(contains_pattern(r"50%_\"), r"%50\%\_\\%");
    }
}
