//! What a reader sees of finished HTML, as far as its text goes.

/// Elements whose content is no text of the document.
const HIDDEN: [&str; 5] = ["style", "script", "title", "template", "noscript"];

/// The text between the tags, entities decoded, without any white space: how words are set apart is a matter of layout, so
/// what is looked for in it has to be [`squeezed`] as well.
pub fn visible_text(html: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(html.len() / 2), html);
    while let Some(start) = rest.find('<') {
        push_decoded(&mut text, &rest[..start]);
        rest = after_tag(&rest[start..]);
    }
    push_decoded(&mut text, rest);
    text
}

/// The text without white space.
pub fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// What follows the tag at the beginning of `html`, and for an element that is not shown, what follows its end.
fn after_tag(html: &str) -> &str {
    if let Some(comment) = html.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |end| &comment[end + 3..]);
    }
    let name = html[1..].split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
    let after = tag_end(html).map_or("", |end| &html[end..]);
    match HIDDEN.iter().find(|hidden| name.eq_ignore_ascii_case(hidden)) {
        None => after,
        Some(hidden) => {
            let closing = after.match_indices("</").find(|(at, _)| {
                let word = after.as_bytes().get(at + 2..at + 2 + hidden.len());
                word.is_some_and(|word| word.eq_ignore_ascii_case(hidden.as_bytes()))
            });
            closing.map_or("", |(at, _)| tag_end(&after[at..]).map_or("", |end| &after[at + end..]))
        }
    }
}

/// Where the tag at the beginning ends; a `>` within a quoted value does not end it.
fn tag_end(html: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn push_decoded(text: &mut String, piece: &str) {
    let mut rest = piece;
    while let Some(start) = rest.find('&') {
        text.extend(rest[..start].chars().filter(|character| !character.is_whitespace()));
        rest = &rest[start..];
        // The longest name that is decoded here has eight characters.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        if let Some((end, character)) = end.and_then(|end| Some((end, entity(&rest[1..end])?))) {
            text.extend(Some(character).filter(|character| !character.is_whitespace()));
            rest = &rest[end + 1..];
        } else {
            text.push('&');
            rest = &rest[1..];
        }
    }
    text.extend(rest.chars().filter(|character| !character.is_whitespace()));
}

/// The entities that the writer makes, and numbers.
fn entity(name: &str) -> Option<char> {
    let number = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{A0}'),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
            decimal => number(decimal, 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_stands_between_the_tags() {
        let page = "<!doctype html><title>No</title><style>p{content:'<b>no'}</style ><p title=\"a > b\">To<b>tal</b>\n due:&nbsp;5 &lt; 6 &amp;amp; &#39;x&#x27; &unknown; & </p><!-- no <p>no --><script>no</script>end";
        assert_eq!(visible_text(page), "Totaldue:5<6&amp;'x'&unknown;&end");
        assert_eq!(squeezed(" Total\u{A0} due:  5 "), "Totaldue:5");
    }

    #[test]
    fn what_never_ends_shows_nothing_more() {
        for (page, text) in [("a<b", "a"), ("a<!-- b", "a"), ("a<style>b", "a"), ("a<p title='>b", "a"), ("&#xFFFFFFFF;", "&#xFFFFFFFF;")] {
            assert_eq!(visible_text(page), text, "{page}");
        }
    }
}
