//! The elements and attributes that SVG for pictures has. What is not here is left out.

use std::collections::HashSet;
use std::sync::LazyLock;

/// The namespace of SVG.
pub(crate) const SVG: &str = "http://www.w3.org/2000/svg";
/// The namespace of `xlink:href`.
pub(crate) const XLINK: &str = "http://www.w3.org/1999/xlink";
/// The namespace of `xml:space`.
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of HTML.
pub(crate) const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements that draw, describe or animate; `style` and the animations have rules of their own.
const ELEMENTS: &str = " a animate animateMotion animateTransform circle clipPath defs desc ellipse feBlend feColorMatrix \
    feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA \
    feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting \
    feSpotLight feTile feTurbulence filter g image line linearGradient marker mask mpath path pattern polygon polyline radialGradient \
    rect set stop style svg switch symbol text textPath title tspan use view ";

/// Elements of SVG that do nothing in today's browsers, and are no loss.
const IDLE: &str = " metadata font font-face glyph missing-glyph hkern vkern color-profile cursor solidcolor hatch mesh meshgradient \
    meshpatch meshrow flowRoot flowRegion flowPara flowDiv flowSpan discard altGlyph altGlyphDef altGlyphItem glyphRef tref \
    animateColor font-face-src font-face-uri font-face-name font-face-format ";

/// Attributes of numbers and words. Some are CSS properties as well in today's SVG.
const PLAIN: &str = " accumulate additive amplitude attributeName attributeType azimuth baseFrequency begin bias calcMode \
    clipPathUnits contentScriptType contentStyleType cx cy d diffuseConstant divisor dur dx dy edgeMode elevation end exponent \
    filterRes filterUnits fr fx fy glyph-name gradientTransform gradientUnits height in in2 intercept k k1 k2 k3 k4 \
    kernelMatrix kernelUnitLength keyPoints keySplines keyTimes lengthAdjust limitingConeAngle markerHeight markerUnits \
    markerWidth maskContentUnits maskUnits max media method min mode name numOctaves offset operator order orient origin \
    path pathLength patternContentUnits patternTransform patternUnits points pointsAtX pointsAtY pointsAtZ preserveAlpha \
    preserveAspectRatio primitiveUnits r radius refX refY rendering-intent repeatCount repeatDur requiredExtensions requiredFeatures \
    restart result role rotate rx ry scale seed side slope spacing specularConstant specularExponent spreadMethod startOffset \
    stdDeviation stitchTiles surfaceScale systemLanguage tabindex tableValues targetX targetY textLength type version \
    viewBox viewTarget width x x1 x2 xChannelSelector y y1 y2 yChannelSelector z zoomAndPan ";

/// Attributes that are CSS properties: their values may have `url()` in them.
const STYLED: &str = " alignment-baseline backdrop-filter background background-color baseline-shift by clip clip-path clip-rule color \
    color-interpolation color-interpolation-filters color-profile color-rendering cursor direction display dominant-baseline \
    enable-background fill fill-opacity fill-rule filter flood-color flood-opacity font font-family font-feature-settings font-kerning \
    font-size font-size-adjust font-stretch font-style font-variant font-variant-caps font-variant-ligatures font-variant-numeric \
    font-variation-settings font-weight from glyph-orientation-horizontal glyph-orientation-vertical hyphens image-rendering isolation \
    kerning letter-spacing lighting-color line-height marker marker-end marker-mid marker-start mask mask-type mix-blend-mode opacity \
    overflow paint-order pointer-events shape-inside shape-margin shape-padding shape-rendering shape-subtract stop-color stop-opacity \
    stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width text-align \
    text-anchor text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent text-orientation \
    text-overflow text-rendering text-transform to transform transform-box transform-origin unicode-bidi values vector-effect visibility \
    white-space word-spacing writing-mode ";

/// The words of a list, ready to be asked for.
struct Names(LazyLock<HashSet<&'static str>>);

impl Names {
    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

static ALL_ELEMENTS: Names = Names(LazyLock::new(|| ELEMENTS.split_ascii_whitespace().collect()));
static ALL_IDLE: Names = Names(LazyLock::new(|| IDLE.split_ascii_whitespace().collect()));
static ALL_PLAIN: Names = Names(LazyLock::new(|| PLAIN.split_ascii_whitespace().collect()));
static ALL_STYLED: Names = Names(LazyLock::new(|| STYLED.split_ascii_whitespace().collect()));

pub(crate) fn is_element(name: &str) -> bool {
    ALL_ELEMENTS.has(name)
}

pub(crate) fn is_idle(name: &str) -> bool {
    ALL_IDLE.has(name)
}

pub(crate) fn is_animation(name: &str) -> bool {
    matches!(name, "animate" | "animateMotion" | "animateTransform" | "set")
}

pub(crate) fn is_plain(name: &str) -> bool {
    ALL_PLAIN.has(name)
}

/// Attributes whose value is a text or a name, and nothing else to anybody.
pub(crate) fn is_text(name: &str) -> bool {
    matches!(name, "class" | "id" | "lang" | "title") || name.starts_with("aria-") || name.starts_with("data-")
}

pub(crate) fn is_styled(name: &str) -> bool {
    ALL_STYLED.has(name)
}
