//! Assets in a document: every address that names one is replaced by the bytes it means, so that the document loads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use domain::ErrorCode;
use domain::asset_references::{addresses_in, replace_addresses};
use domain::assets::{AssetKind, AssetName, FontFacts};

use crate::css;
use crate::error::DocumentError;
use crate::limits::Limits;

/// The bytes of an asset as they stand in a document, and what has to be known of them.
#[derive(Debug)]
pub struct InlineAsset {
    /// `data:<type>;base64,…`: nothing in it has a meaning in markup or in a style sheet.
    pub uri: String,
    /// A picture or a font; anything else cannot be shown.
    pub kind: AssetKind,
    /// How many bytes it has by itself.
    pub size_bytes: u64,
    /// Pixels of a picture; none of a vector.
    pub size_px: Option<(u32, u32)>,
    /// What a font says about itself.
    pub font: Option<FontFacts>,
}

/// What names of assets mean in one document: the bytes, or that there is no such asset.
#[derive(Clone, Debug, Default)]
pub struct AssetMap(BTreeMap<AssetName, Option<Arc<InlineAsset>>>);

impl AssetMap {
    /// Says what a name means.
    pub fn insert(&mut self, name: AssetName, asset: Option<Arc<InlineAsset>>) {
        self.0.insert(name, asset);
    }

    /// Whether it is known what a name means.
    pub fn knows(&self, name: &AssetName) -> bool {
        self.0.contains_key(name)
    }
}

/// Puts assets into one document and keeps account of them.
pub(crate) struct Inlining<'w> {
    map: Option<&'w AssetMap>,
    limits: &'w Limits,
    /// Named, and not in the map.
    needed: BTreeSet<AssetName>,
    /// Counted already.
    seen: BTreeSet<AssetName>,
    font_bytes: u64,
}

/// Why an asset cannot stand where it is named.
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) reason: String,
}

impl<'w> Inlining<'w> {
    pub(crate) fn new(map: Option<&'w AssetMap>, limits: &'w Limits) -> Self {
        Self { map, limits, needed: BTreeSet::new(), seen: BTreeSet::new(), font_bytes: 0 }
    }

    /// The names whose meaning the document cannot be written without.
    pub(crate) fn needed(&mut self) -> Vec<AssetName> {
        std::mem::take(&mut self.needed).into_iter().collect()
    }

    /// What a name means; `None` while that has to be found out. `pixels` takes those of a picture that was not seen before.
    fn found(
        &mut self,
        name: &AssetName,
        mut pixels: impl FnMut(u32, u32) -> Result<(), String>,
    ) -> Result<Option<&'w InlineAsset>, Refused> {
        let blocked = |reason: String| Refused { code: ErrorCode::AssetBlocked, reason };
        let Some(known) = self.map.and_then(|map| map.0.get(name)) else {
            self.needed.insert(name.clone());
            return Ok(None);
        };
        let Some(asset) = known else { return Err(blocked(format!("there is no asset \"{name}\""))) };
        if self.seen.insert(name.clone()) {
            match asset.kind {
                AssetKind::Image if asset.size_bytes > self.limits.image_bytes as u64 => {
                    let (size, limit) = (asset.size_bytes, self.limits.image_bytes);
                    return Err(blocked(format!("the asset \"{name}\" has {size} bytes; at most {limit} are accepted in a document")));
                }
                AssetKind::Image => {
                    let (width, height) = asset.size_px.unwrap_or_default();
                    pixels(width, height).map_err(|reason| blocked(format!("the asset \"{name}\": {reason}")))?;
                }
                AssetKind::Font => {
                    self.font_bytes = self.font_bytes.saturating_add(asset.size_bytes);
                    if self.font_bytes > self.limits.font_bytes as u64 {
                        let (size, limit) = (self.font_bytes, self.limits.font_bytes);
                        let reason = format!("with \"{name}\" the document's fonts have {size} bytes; at most {limit} are accepted");
                        return Err(Refused { code: ErrorCode::FontBudgetExceeded, reason });
                    }
                }
                AssetKind::Document => {
                    self.seen.remove(name);
                    return Err(blocked(format!("the asset \"{name}\" is neither a picture nor a font")));
                }
            }
        }
        Ok(Some(asset))
    }

    /// The address that stands for an asset in the document; empty while that has to be found out. `None` where the address
    /// is not for an asset.
    pub(crate) fn address(
        &mut self,
        address: &str,
        pixels: impl FnMut(u32, u32) -> Result<(), String>,
    ) -> Result<Option<&'w str>, Refused> {
        match AssetName::of_address(address) {
            Some(name) => Ok(Some(self.found(&name, pixels)?.map_or("", |asset| asset.uri.as_str()))),
            None if address.starts_with(domain::assets::ASSET_SCHEME) => {
                let reason = format!("\"{}\" names no asset: {}", crate::issues::clip(address, 160), domain::assets::InvalidAssetName);
                Err(Refused { code: ErrorCode::AssetBlocked, reason })
            }
            None => Ok(None),
        }
    }

    /// Finished markup or a style sheet with its assets in place; `None` where it names none.
    pub(crate) fn text(
        &mut self,
        text: &str,
        mut pixels: impl FnMut(u32, u32) -> Result<(), String>,
    ) -> Result<Option<String>, InliningError> {
        let mut length = text.len();
        let mut uris: BTreeMap<&str, &'w str> = BTreeMap::new();
        for found in addresses_in(text) {
            if !uris.contains_key(found.text)
                && let Some(uri) = self.address(found.text, &mut pixels).map_err(InliningError::Refused)?
            {
                uris.insert(found.text, uri);
            }
            // Before anything is put together: a large picture that is named a thousand times is no reason to fill the memory.
            length = length.saturating_add(uris.get(found.text).map_or(0, |uri| uri.len()));
            if length > self.limits.html_bytes {
                return Err(InliningError::TooLarge);
            }
        }
        Ok(replace_addresses(text, |address| uris.get(address).copied()))
    }

    /// The rule that makes a font of the template's list known under its own name.
    pub(crate) fn font_face(&mut self, name: &AssetName) -> Result<String, Refused> {
        let missing = |reason: String| Refused { code: ErrorCode::FontAssetMissing, reason };
        let found = self.found(name, |_, _| Ok(())).map_err(|refused| match refused.code {
            ErrorCode::AssetBlocked => missing(refused.reason),
            _ => refused,
        })?;
        let Some(asset) = found else { return Ok(String::new()) };
        let Some(font) = &asset.font else { return Err(missing(format!("the asset \"{name}\" is no font"))) };
        let mut rule = String::with_capacity(asset.uri.len() + 200);
        // Writing to a String does not fail.
        let _ = write!(
            rule,
            "@font-face{{font-family:{};font-weight:{};font-style:{};src:url({}) format({})}}",
            css::string(&font.family),
            font.weight,
            font.style.as_str(),
            asset.uri,
            css::string(&font.format)
        );
        Ok(rule)
    }
}

/// Why assets could not be put into a text.
pub(crate) enum InliningError {
    /// One of them cannot stand there.
    Refused(Refused),
    /// The document would become too large.
    TooLarge,
}

impl Refused {
    /// As the failure of the document.
    pub(crate) fn at(self, at: String) -> DocumentError {
        match self.code {
            ErrorCode::FontAssetMissing => DocumentError::FontMissing { at, reason: self.reason },
            ErrorCode::FontBudgetExceeded => DocumentError::FontBudget { at, reason: self.reason },
            _ => DocumentError::AssetBlocked { at, reason: self.reason },
        }
    }
}
