//! Which characters the installed fonts can draw, from fontconfig's own list, read once.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// `fc-list` reads its cache in milliseconds; building the cache for hundreds of fonts takes seconds.
const LIST_TIMEOUT: Duration = Duration::from_mins(1);
/// How many different characters a report names.
const SAMPLES: usize = 8;
/// Code points above this are not assigned to characters that fonts draw.
const LAST: u32 = 0x10_FFFF;

/// The bytes of a [`Coverage`]: one bit per code point.
pub(crate) const COVERAGE_BYTES: usize = (LAST as usize / 64 + 1) * 8;

/// Why the installed fonts could not be listed. Printing works all the same; only the warning is lost.
#[derive(Debug, thiserror::Error)]
pub enum FontsError {
    /// The program could not be run, or not in time: install the Debian package `fontconfig`.
    #[error("the installed fonts could not be listed with {program}: {reason}")]
    List {
        /// What was run.
        program: String,
        /// What happened.
        reason: String,
    },
    /// No render worker has said which fonts it has; it is worth asking again.
    #[error("no render worker tells which fonts it has")]
    NoWorker,
    /// There is no font at all: install `fonts-liberation` and `fonts-noto-core`.
    #[error("no font is installed")]
    None,
}

/// The code points that at least one installed font draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// One bit per code point: 136 KiB, and a look-up is one load.
    bits: Vec<u64>,
}

/// Characters of a text that no installed font draws.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// How many times such a character occurs.
    pub occurrences: usize,
    /// The first different ones, at most eight.
    pub samples: Vec<char>,
}

impl Coverage {
    /// Asks `fc_list` (usually just `fc-list`) once. Takes milliseconds, or seconds where fontconfig has no cache yet.
    ///
    /// # Errors
    /// [`FontsError`] when the program is not there or no font is.
    pub async fn of_installed_fonts(fc_list: &Path) -> Result<Self, FontsError> {
        let failed = |reason: String| FontsError::List { program: fc_list.display().to_string(), reason };
        let mut command = Command::new(fc_list);
        command.arg("--format").arg("%{charset}\\n").kill_on_drop(true);
        let output = timeout(LIST_TIMEOUT, command.output())
            .await
            .map_err(|_| failed(format!("no answer within {LIST_TIMEOUT:?}")))?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let coverage = Self::parse(&String::from_utf8_lossy(&output.stdout));
        if coverage.bits.iter().all(|word| *word == 0) { Err(FontsError::None) } else { Ok(coverage) }
    }

    /// Reads fontconfig's notation: hexadecimal code points and ranges between blanks, such as `20-7e a0 2010-2015`.
    fn parse(charsets: &str) -> Self {
        let mut bits = vec![0u64; LAST as usize / 64 + 1];
        for range in charsets.split_ascii_whitespace() {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(first), Ok(last)) = (u32::from_str_radix(first, 16), u32::from_str_radix(last, 16)) else { continue };
            for point in first..=last.min(LAST) {
                bits[point as usize / 64] |= 1 << (point % 64);
            }
        }
        Self { bits }
    }

    /// It as bytes, for another process.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.bits.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The opposite of [`Coverage::to_bytes`]; none for bytes that are not as many.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        (bytes.len() == COVERAGE_BYTES).then(|| Self { bits: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }

    /// Whether a font draws this character.
    pub fn draws(&self, character: char) -> bool {
        let point = u32::from(character);
        self.bits[point as usize / 64] & (1 << (point % 64)) != 0
    }

    /// The characters of a text that will print as empty boxes. ASCII is only skipped over.
    ///
    /// Characters that are not drawn by nature (joiners, direction marks, variation selectors, controls) do not count.
    pub fn missing(&self, text: &str) -> Missing {
        let mut missing = Missing::default();
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
            // A run of non-ASCII ends at the next ASCII byte, which is always a character boundary.
            let run = &rest[at..];
            let end = run.bytes().position(|byte| byte.is_ascii()).unwrap_or(run.len());
            for character in run[..end].chars().filter(|character| !is_invisible(*character) && !self.draws(*character)) {
                missing.occurrences += 1;
                if missing.samples.len() < SAMPLES && !missing.samples.contains(&character) {
                    missing.samples.push(character);
                }
            }
            rest = &run[end..];
        }
        missing
    }
}

/// Characters that steer others and have no glyph of their own.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || character.is_whitespace()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coverage_is_the_same_after_its_way_as_bytes() {
        let coverage = Coverage::parse("20-7e a0-ff\n20ac 10ffff");
        assert_eq!(Coverage::from_bytes(&coverage.to_bytes()), Some(coverage));
        assert_eq!(Coverage::from_bytes(b"too few"), None);
    }

    #[test]
    fn missing_characters_are_counted_and_named_once() {
        let coverage = Coverage::parse("20-7e a0-ff\n20ac\nnonsense 110000000");
        let missing = coverage.missing("Straße €5 – 世界世\u{200d}\u{fe0f}");
        assert_eq!(missing, Missing { occurrences: 4, samples: vec!['–', '世', '界'] });
        assert_eq!(coverage.missing("plain ASCII"), Missing::default());
    }

    #[test]
    fn a_report_names_a_bounded_number_of_characters() {
        let text: String = ('\u{4e00}'..'\u{5000}').collect();
        let missing = Coverage::parse("20-7e").missing(&text);
        assert_eq!((missing.occurrences, missing.samples.len()), (512, SAMPLES));
    }

    #[tokio::test]
    async fn the_installed_fonts_draw_latin_letters_and_not_the_private_use_plane() {
        let coverage = Coverage::of_installed_fonts(Path::new("fc-list")).await.unwrap();
        assert!(coverage.draws('A') && coverage.draws('ß'));
        assert!(!coverage.draws('\u{10fffd}'));
    }

    #[tokio::test]
    async fn without_fontconfig_the_error_names_the_program() {
        let error = Coverage::of_installed_fonts(Path::new("/nowhere/fc-list")).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/fc-list"), "{error}");
    }
}
