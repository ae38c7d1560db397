//! The embedded font: widths of text, and glyphs for the bitmap.
//!
//! Plotters can draw embedded fonts itself, but it drops the white space left of every glyph and rounds every position
//! to a pixel, which sets text unevenly; hence glyphs come straight from `ab_glyph`, which Plotters uses too.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};
use std::sync::LazyLock;

static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| embedded(dejavu::sans::regular()));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| embedded(dejavu::sans::bold()));

fn embedded(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the font in the crate `dejavu` is intact")
}

/// A weight and a size, in pixels to the em.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    pub(crate) bold: bool,
    pub(crate) em: f64,
}

impl Face {
    /// The height of capitals and digits in DejaVu Sans, in em.
    pub(crate) const CAPITAL: f64 = 0.729;

    fn font(self) -> &'static FontRef<'static> {
        if self.bold { &BOLD } else { &REGULAR }
    }

    /// `ab_glyph` measures fonts from the lowest to the highest point, the rest of the world by the em.
    fn scale(self) -> PxScale {
        let font = self.font();
        let per_em = font.height_unscaled() / font.units_per_em().unwrap_or(2048.0);
        PxScale::from(self.em as f32 * per_em)
    }

    /// Each glyph with its distance from the start, and the width of the whole.
    fn layout(self, text: &str) -> (Vec<(GlyphId, f32)>, f32) {
        let font = self.font().as_scaled(self.scale());
        let mut glyphs: Vec<(GlyphId, f32)> = Vec::with_capacity(text.len());
        let mut width = 0.0;
        for glyph in text.chars().map(|character| font.glyph_id(character)) {
            width += glyphs.last().map_or(0.0, |&(before, _)| font.kern(before, glyph));
            glyphs.push((glyph, width));
            width += font.h_advance(glyph);
        }
        (glyphs, width)
    }

    /// The width of a line of text.
    pub(crate) fn width(self, text: &str) -> f64 {
        f64::from(self.layout(text).1)
    }

    /// Calls `paint` with every pixel that a glyph touches, relative to the start of the baseline (y points down), and
    /// the share of the pixel that is covered.
    pub(crate) fn rasterize(self, text: &str, mut paint: impl FnMut(i32, i32, f64)) {
        for (glyph, start) in self.layout(text).0 {
            let glyph = glyph.with_scale_and_position(self.scale(), point(start, 0.0));
            let Some(outline) = self.font().outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                if cover > 0.0 {
                    paint(corner.x as i32 + x as i32, corner.y as i32 + y as i32, f64::from(cover));
                }
            });
        }
    }

    /// The text, shortened in the middle where it would be wider than `room`: names often differ in their ends only.
    pub(crate) fn shorten(self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let characters: Vec<char> = text.chars().collect();
        for kept in (2..characters.len()).rev() {
            let (head, tail) = (kept.div_ceil(2), kept / 2);
            let short: String = characters[..head]
                .iter()
                .chain(std::iter::once(&'…'))
                .chain(&characters[characters.len() - tail..])
                .collect();
            if self.width(&short) <= room {
                return short;
            }
        }
        "…".to_owned()
    }

    /// The text in at most `lines` lines no wider than `room`, broken at spaces; what is left over is shortened.
    pub(crate) fn wrap(self, text: &str, room: f64, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let full = wrapped.len() >= lines;
            match wrapped.last_mut() {
                Some(line) if full || self.width(&format!("{line} {word}")) <= room => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => wrapped.push(word.to_owned()),
            }
        }
        wrapped.iter().map(|line| self.shorten(line, room)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: Face = Face { bold: false, em: 20.0 };

    #[test]
    fn the_embedded_font_has_every_symbol_that_we_print() {
        for symbol in "λσ₂²ü±≤⁻⁰×–…∞W\u{2009}\u{202f}".chars() {
            assert_ne!(FACE.font().glyph_id(symbol).0, 0, "no glyph for {symbol:?}");
        }
    }

    #[test]
    fn widths_are_those_of_dejavu_sans() {
        // A digit of DejaVu Sans is 1303 of 2048 units wide.
        assert!((FACE.width("1234567890") - 10.0 * 20.0 * 1303.0 / 2048.0).abs() < 0.05);
        assert!(Face { bold: true, ..FACE }.width("loss") > FACE.width("loss"));
    }

    #[test]
    fn glyphs_keep_their_side_bearings() {
        let mut left = i32::MAX;
        FACE.rasterize("l", |x, _, _| left = left.min(x));
        assert!(left >= 1, "the bearing of 'l' is 0.094 em, its first pixel {left}");
    }

    #[test]
    fn long_text_is_shortened_or_wrapped() {
        let name = "adaptive_reverse_sde_with_a_long_name_and_tolerance_0.001";
        let short = FACE.shorten(name, 150.0);
        assert!(FACE.width(&short) <= 150.0 && short.starts_with("adap") && short.ends_with("001"), "{short}");
        assert_eq!(FACE.shorten("ü", 1.0), "…");
        let lines = FACE.wrap("dpmpp_2m, 50 evaluations and some more words still", 150.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| FACE.width(line) <= 150.0), "{lines:?}");
        assert!(FACE.wrap("", 10.0, 2).is_empty());
    }
}
