//! Postal addresses in the order of their country.

use icu_experimental::displaynames::DisplayNamesOptions;
use icu_experimental::displaynames::multi::RegionDisplayNames;
use icu_locale_core::subtags::Region;

use crate::language::Language;

/// Parts of an address, as they are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) organization: String,
    /// The street, and lines that belong to it.
    pub(crate) streets: Vec<String>,
    pub(crate) house_number: String,
    pub(crate) district: String,
    pub(crate) postal_code: String,
    pub(crate) city: String,
    pub(crate) state: String,
    /// Two letters, or a name.
    pub(crate) country: String,
}

/// In what order. Lines are divided by `|`; the letters are name, organization, address lines, district, city, state and postal code (Z), what
/// stands between two of them is written where both are there.
#[derive(Debug, Clone, Copy)]
struct Order {
    lines: &'static str,
    number_first: bool,
}

/// Where nothing is known of the country.
const GENERAL: Order = Order { lines: "N|O|A|D|Z C|S", number_first: false };

/// Countries by their ISO 3166 letters, with the orders that the Universal Postal Union describes.
const ORDERS: [(&str, Order); 17] = [
    ("US PR", Order { lines: "N|O|A|C, S Z", number_first: true }),
    ("CA", Order { lines: "N|O|A|C S  Z", number_first: true }),
    ("AU", Order { lines: "N|O|A|C S Z", number_first: true }),
    ("NZ SG", Order { lines: "N|O|A|D|C Z", number_first: true }),
    ("GB GG JE IM ZA", Order { lines: "N|O|A|D|C|Z", number_first: true }),
    ("IE", Order { lines: "N|O|A|D|C|S|Z", number_first: true }),
    ("FR MC LU", Order { lines: "O|N|A|D|Z C", number_first: true }),
    ("DE AT CH LI NL BE DK SE NO FI IS PL CZ SK SI HR RS BG RO EE LV LT PT", Order { lines: "O|N|A|D|Z C", number_first: false }),
    ("HU", Order { lines: "N|O|C|A|Z", number_first: false }),
    ("IT ES", Order { lines: "N|O|A|D|Z C (S)", number_first: false }),
    ("BR", Order { lines: "N|O|A|D|C - S|Z", number_first: false }),
    ("MX", Order { lines: "N|O|A|D|Z C, S", number_first: false }),
    ("IN", Order { lines: "N|O|A|D|C Z|S", number_first: true }),
    ("TR", Order { lines: "N|O|A|D|Z C/S", number_first: false }),
    ("RU UA", Order { lines: "N|O|A|D|C|S|Z", number_first: false }),
    ("IL", Order { lines: "N|O|A|D|C Z", number_first: false }),
    ("AE HK", Order { lines: "N|O|A|D|C|S", number_first: true }),
];

/// Chinese, Japanese and Korean addresses: from the largest to the smallest in their own script, the other way round in ours.
const EASTERN: [(&str, &str, &str); 3] =
    [("JP", "〒Z|SC|A|O|N", "N|O|A, D|C, S Z"), ("CN TW", "Z|SCD|A|O|N", "N|O|A, D|C Z, S"), ("KR", "S C D|A|O|N|Z", "N|O|A, D|C, S Z")];

/// Names under which a country may be given.
const NAMES: [(&str, &str); 38] = [
    ("US", "usa"),
    ("US", "united states"),
    ("US", "united states of america"),
    ("GB", "uk"),
    ("GB", "united kingdom"),
    ("GB", "great britain"),
    ("DE", "germany"),
    ("DE", "deutschland"),
    ("AT", "austria"),
    ("AT", "österreich"),
    ("CH", "switzerland"),
    ("CH", "schweiz"),
    ("CH", "suisse"),
    ("CH", "svizzera"),
    ("FR", "france"),
    ("IT", "italy"),
    ("IT", "italia"),
    ("ES", "spain"),
    ("ES", "españa"),
    ("NL", "netherlands"),
    ("NL", "the netherlands"),
    ("NL", "nederland"),
    ("BE", "belgium"),
    ("CA", "canada"),
    ("AU", "australia"),
    ("NZ", "new zealand"),
    ("IE", "ireland"),
    ("JP", "japan"),
    ("JP", "日本"),
    ("CN", "china"),
    ("CN", "中国"),
    ("KR", "south korea"),
    ("IN", "india"),
    ("BR", "brazil"),
    ("BR", "brasil"),
    ("MX", "mexico"),
    ("PL", "poland"),
    ("SG", "singapore"),
];

impl Address {
    /// The lines from top to bottom, without empty ones. The country comes last, by its name in `language`, and not at all where it is the one
    /// the letter is sent from.
    pub(crate) fn lines(&self, home: Option<&str>, language: &Language) -> Vec<String> {
        let code = code_of(&self.country);
        let order = self.order(code.as_deref());
        let mut lines: Vec<String> = order.lines.split('|').flat_map(|line| self.line(line, order)).collect();
        let is_home = code.is_some() && code == home.and_then(code_of);
        if !self.country.is_empty() && !is_home {
            lines.push(country_name(&self.country, language));
        }
        lines
    }

    fn order(&self, code: Option<&str>) -> Order {
        let Some(code) = code else { return GENERAL };
        let among = |codes: &str| codes.split(' ').any(|known| known == code);
        if let Some((_, own, western)) = EASTERN.iter().find(|(codes, ..)| among(codes)) {
            let is_own = self.city.chars().chain(self.state.chars()).any(|character| u32::from(character) >= 0x2e80);
            return Order { lines: if is_own { own } else { western }, number_first: !is_own };
        }
        ORDERS.iter().find(|(codes, _)| among(codes)).map_or(GENERAL, |(_, order)| *order)
    }

    /// What a line of the order comes to: nothing, a line, or each line of the street.
    fn line(&self, line: &str, order: Order) -> Vec<String> {
        let mut text = String::new();
        let mut before = String::new();
        let mut above = Vec::new();
        for letter in line.chars() {
            let part = match letter {
                'N' => self.name.clone(),
                'O' => self.organization.clone(),
                'D' => self.district.clone(),
                'C' => self.city.clone(),
                'S' => self.state.clone(),
                'Z' => self.postal_code.clone(),
                'A' => {
                    let mut streets = self.streets(order);
                    let last = streets.pop().unwrap_or_default();
                    above = streets;
                    last
                }
                other => {
                    before.push(other);
                    continue;
                }
            };
            if !part.is_empty() {
                if !text.is_empty() || before == "〒" {
                    text.push_str(&before);
                }
                text.push_str(&part);
            }
            before.clear();
        }
        // A bracket that was opened is closed.
        if text.contains('(') && before.ends_with(')') {
            text.push(')');
        }
        above.into_iter().chain((!text.is_empty()).then_some(text)).collect()
    }

    fn streets(&self, order: Order) -> Vec<String> {
        let mut streets = self.streets.clone();
        if !self.house_number.is_empty() {
            match streets.first_mut() {
                Some(street) if order.number_first => *street = format!("{} {street}", self.house_number),
                Some(street) => *street = format!("{street} {}", self.house_number),
                None => streets.push(self.house_number.clone()),
            }
        }
        streets
    }
}

/// The letters of a country; none for a name that is not known here.
fn code_of(country: &str) -> Option<String> {
    let country = country.trim();
    if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        let code = country.to_ascii_uppercase();
        return Some(if code == "UK" { "GB".to_owned() } else { code });
    }
    let name = country.to_lowercase();
    NAMES.iter().find(|(_, known)| *known == name).map(|(code, _)| (*code).to_owned())
}

/// The name of a country that is given by its letters; others as they are given.
fn country_name(country: &str, language: &Language) -> String {
    let name = || {
        let region: Region = code_of(country)?.parse().ok()?;
        let names = RegionDisplayNames::try_new(language.locale().into(), DisplayNamesOptions::default()).ok()?;
        names.of(region).map(str::to_owned)
    };
    if country.trim().len() == 2 { name().unwrap_or_else(|| country.to_owned()) } else { country.to_owned() }
}
