//! One look for every figure: type sizes, colours, and a mark and a dash for every series.
//!
//! Lengths are in logical pixels (CSS pixels); a PNG file has two device pixels to each.

use plotters::prelude::{ColorMap, RGBAColor, ViridisRGB};

/// The family written to SVG files; the first is embedded for PNG files, the second has the same proportions.
pub(crate) const FONT_FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Size of a figure's title.
pub(crate) const TITLE: f64 = 14.0;
/// Size of axis labels and panel titles.
pub(crate) const LABEL: f64 = 12.5;
/// Size of tick labels and legends.
pub(crate) const TICK: f64 = 11.0;
/// Size of remarks inside a figure.
pub(crate) const NOTE: f64 = 10.0;

/// The white space around a figure.
pub(crate) const MARGIN: f64 = 14.0;
/// The width of a line that carries data.
pub(crate) const LINE: f64 = 1.75;
/// The width of axes and of other things that carry none.
pub(crate) const HAIR: f64 = 1.0;

/// An opaque colour.
pub(crate) const fn rgb(r: u8, g: u8, b: u8) -> RGBAColor {
    RGBAColor(r, g, b, 1.0)
}

/// The same colour, `alpha` opaque.
pub(crate) fn fade(color: RGBAColor, alpha: f64) -> RGBAColor {
    RGBAColor(color.0, color.1, color.2, alpha)
}

pub(crate) const PAPER: RGBAColor = rgb(255, 255, 255);
pub(crate) const INK: RGBAColor = rgb(26, 26, 26);
pub(crate) const AXIS: RGBAColor = rgb(95, 95, 95);
pub(crate) const GRID: RGBAColor = rgb(232, 232, 232);
pub(crate) const FAINT_GRID: RGBAColor = rgb(244, 244, 244);

/// The palette of Okabe and Ito without its yellow, which white paper swallows, darkest contrast first.
pub(crate) const PALETTE: [RGBAColor; 7] = [
    rgb(0, 114, 178),
    rgb(213, 94, 0),
    rgb(0, 158, 115),
    rgb(204, 121, 167),
    rgb(230, 159, 0),
    rgb(86, 180, 233),
    rgb(40, 40, 40),
];

/// Dashes as lengths of line and gap; the first is a solid line.
const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.5], &[2.0, 3.0], &[9.0, 3.0, 2.0, 3.0], &[5.0, 2.5, 2.0, 2.5, 2.0, 2.5]];

/// A closed shape around (0, 0), as corners in polar form, so that it can be drawn filled and hollow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mark {
    /// A regular polygon: corners, and the angle of the first in degrees, counted from the right towards the top.
    Polygon(usize, f64),
    /// A star: tips, the angle of the first, and the radius of the notches between them.
    Star(usize, f64, f64),
}

const MARKS: [Mark; 12] = [
    Mark::Polygon(32, 0.0),
    Mark::Polygon(4, 45.0),
    Mark::Polygon(3, 90.0),
    Mark::Polygon(4, 0.0),
    Mark::Polygon(3, 270.0),
    Mark::Star(5, 90.0, 0.42),
    Mark::Star(4, 45.0, 0.38),
    Mark::Star(6, 90.0, 0.35),
    Mark::Polygon(3, 0.0),
    Mark::Star(4, 90.0, 0.38),
    Mark::Polygon(3, 180.0),
    Mark::Star(3, 90.0, 0.3),
];

impl Mark {
    /// The corners of the mark around `centre`, with the area of a disc of the given radius, about.
    pub(crate) fn corners(self, centre: (f64, f64), radius: f64) -> Vec<(f64, f64)> {
        let (tips, first, notch, swell) = match self {
            Mark::Polygon(corners, first) => (corners, first, None, if corners < 5 { 1.2 } else { 1.0 }),
            Mark::Star(tips, first, notch) => (tips, first, Some(notch), 1.45),
        };
        let count = if notch.is_some() { 2 * tips } else { tips };
        (0..count)
            .map(|corner| {
                let angle = (first + 360.0 * corner as f64 / count as f64).to_radians();
                let reach = radius * swell * if corner % 2 == 1 { notch.unwrap_or(1.0) } else { 1.0 };
                (centre.0 + reach * angle.cos(), centre.1 - reach * angle.sin())
            })
            .collect()
    }
}

/// How one series looks. Mark and dash alone tell a dozen series apart, so a grey print stays readable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    pub(crate) color: RGBAColor,
    pub(crate) mark: Mark,
    pub(crate) dash: &'static [f64],
}

/// The look of the series with this number, counted from 0.
pub(crate) fn style(series: usize) -> Style {
    Style {
        color: PALETTE[series % PALETTE.len()],
        mark: MARKS[series % MARKS.len()],
        dash: DASHES[series % DASHES.len()],
    }
}

/// The perceptually uniform map Viridis at `fraction` of its range; anything that is not a number is white.
pub(crate) fn viridis(fraction: f64) -> RGBAColor {
    if fraction.is_nan() {
        return PAPER;
    }
    let color = ViridisRGB.get_color(fraction.clamp(0.0, 1.0));
    rgb(color.0, color.1, color.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dozen_series_differ_even_in_grey() {
        for first in 0..12 {
            for second in 0..first {
                let (first, second) = (style(first), style(second));
                assert!(first.mark != second.mark, "{first:?} and {second:?}");
                assert!(first.color != second.color || first.dash != second.dash, "{first:?} and {second:?}");
            }
        }
    }

    #[test]
    fn colour_maps_survive_anything() {
        assert_eq!(viridis(f64::NAN), PAPER);
        assert_eq!(viridis(-3.0), viridis(0.0));
        assert_eq!(viridis(7.0), viridis(1.0));
        assert_ne!(viridis(0.0), viridis(1.0));
    }
}
