//! Characters that nobody sees: two names that differ in them alone look the same.

/// Whether the character is a control or a format character (Unicode's general categories Cc, Cf, Zl and Zp).
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{AD}'
                | '\u{600}'..='\u{605}'
                | '\u{61C}'
                | '\u{6DD}'
                | '\u{70F}'
                | '\u{890}'..='\u{891}'
                | '\u{8E2}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{110BD}'
                | '\u{110CD}'
                | '\u{13430}'..='\u{1343F}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0001}'
                | '\u{E0020}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_or_hides_text_is_told_from_what_is_text() {
        for hidden in ['\0', '\n', '\u{7F}', '\u{85}', '\u{202E}', '\u{200B}', '\u{2066}', '\u{FEFF}'] {
            assert!(is_invisible(hidden), "{hidden:?}");
        }
        for seen in ['a', ' ', 'ß', '請', '\u{301}', '🧾', '\u{A0}'] {
            assert!(!is_invisible(seen), "{seen:?}");
        }
    }
}
