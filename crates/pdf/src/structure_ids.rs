//! Makes the ids of structure elements in tagged files independent of what the browser printed before.
//!
//! Chromium names elements after a counter of DOM nodes (`node00000410`) that runs on from document to document.
//! The ids are renumbered by rank, which keeps their order: the name tree that lists them must stay sorted.

use memchr::memmem;

const PREFIX: &[u8] = b"(node";
/// Chromium pads to this many digits and writes more once its counter is past them.
const MIN_DIGITS: usize = 8;

/// Renumbers every id from 1 in place.
pub(crate) fn renumber(pdf: &mut [u8]) {
    let places: Vec<(usize, usize, u64)> =
        memmem::find_iter(pdf, PREFIX).filter_map(|at| id_at(pdf, at).map(|(digits, id)| (at + PREFIX.len(), digits, id))).collect();
    let mut ids: Vec<u64> = places.iter().map(|(.., id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    for (at, digits, id) in places {
        if let Ok(rank) = ids.binary_search(&id) {
            let text = format!("{:0digits$}", rank + 1);
            if text.len() == digits {
                pdf[at..at + digits].copy_from_slice(text.as_bytes());
            }
        }
    }
}

/// The id whose string begins at `at`, unless the string is something else that only looks like one (an `/Alt` text).
fn id_at(pdf: &[u8], at: usize) -> Option<(usize, u64)> {
    let before = pdf[..at].trim_ascii_end();
    let is_id = before.ends_with(b"/ID") || before.ends_with(b"[") || before.ends_with(b")") || before.ends_with(b" R");
    let rest = &pdf[at + PREFIX.len()..];
    let digits = rest.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
    let closed = rest.get(digits) == Some(&b')');
    let id = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    (is_id && closed && digits >= MIN_DIGITS).then_some((digits, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renumbered(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        renumber(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ids_are_numbered_by_rank_wherever_they_are_referred_to() {
        let found = renumbered(
            "/ID (node00000777)>> /ID (node00000410)>> /Headers [(node00000777) (node00000410)] /Names [(node00000410) 18 0 R (node00000777) 20 0 R]",
        );
        let wanted = "/ID (node00000002)>> /ID (node00000001)>> /Headers [(node00000002) (node00000001)] /Names [(node00000001) 18 0 R (node00000002) 20 0 R]";
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_text_of_the_author_that_looks_like_an_id_is_left_alone() {
        for text in ["/Alt (node00000777)", "/ID (node777)", "/ID (node00000777x)", "/Title (node00000777", "(node"] {
            assert_eq!(renumbered(text), text);
        }
    }
}
