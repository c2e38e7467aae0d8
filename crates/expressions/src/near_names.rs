//! Near spellings of a name, for "did you mean".

/// Candidates looked at; data with more keys than this is a table, not a record.
pub(crate) const MAX_CANDIDATES: usize = 1_000;
/// Names longer than this are not compared (the comparison is quadratic in it).
const MAX_NAME_CHARS: usize = 64;
/// Suggestions given.
const MAX_SUGGESTIONS: usize = 3;
/// Edits (insert, delete, replace) between a name and a suggestion.
const MAX_EDITS: usize = 2;

/// The candidates within two edits of `name`, nearest first, equal ones by name, at most three.
pub(crate) fn near_names<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Vec<String> {
    let wanted: Vec<char> = name.chars().take(MAX_NAME_CHARS + 1).collect();
    if wanted.is_empty() || wanted.len() > MAX_NAME_CHARS {
        return Vec::new();
    }
    // Two edits turn any two-letter name into any other: at most every second letter may differ.
    let allowed = MAX_EDITS.min(wanted.len() / 2);
    let mut found: Vec<(usize, &str)> = candidates
        .take(2 * MAX_CANDIDATES)
        .filter(|candidate| *candidate != name)
        .filter_map(|candidate| Some((edits(&wanted, candidate, allowed)?, candidate)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MAX_SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}

fn edits(wanted: &[char], candidate: &str, allowed: usize) -> Option<usize> {
    let other: Vec<char> = candidate.chars().take(MAX_NAME_CHARS + 1).collect();
    if other.len().abs_diff(wanted.len()) > allowed || other.len() > MAX_NAME_CHARS {
        return None;
    }
    let same = |a: char, b: char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in wanted.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(!same(*a, *b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|count| *count <= allowed)
}

#[cfg(test)]
mod tests {
    use super::near_names;

    #[test]
    fn the_nearest_of_the_names_within_two_edits_comes_first() {
        let names = ["total", "totals", "tot", "currency", "Total"];
        assert_eq!(near_names("totl", names.into_iter()), ["Total", "tot", "total"]);
        assert!(near_names("zzz", names.into_iter()).is_empty());
    }

    #[test]
    fn a_one_letter_name_is_not_near_everything() {
        assert!(near_names("x", ["ab", "abc"].into_iter()).is_empty());
    }
}
