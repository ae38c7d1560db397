//! What figures draw on: lines, shapes and text in logical pixels, for any output.

use super::font::Face;
use super::picture::Picture;
use super::theme::{INK, Mark, PAPER, fade};
use plotters::prelude::RGBAColor;

/// A position in logical pixels from the upper left corner.
pub type Place = (f64, f64);

/// Output positions are whole numbers; four to a logical pixel leave no visible rounding.
pub(crate) const UNITS: f64 = 4.0;
/// From one line of text to the next.
pub(crate) const LINE_HEIGHT: f64 = 14.0;

/// A position in output units.
pub(crate) type Spot = (i32, i32);

/// What went wrong while drawing, in words.
pub(crate) type Drawn = Result<(), String>;

/// A line of text whose baseline passes through `anchor`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a str,
    pub(crate) face: Face,
    pub(crate) color: RGBAColor,
    pub(crate) anchor: Spot,
    pub(crate) align: Align,
    /// Whether the text runs upwards instead of to the right.
    pub(crate) upwards: bool,
}

/// An output: what a bitmap and an SVG document must be able to draw, in output units.
pub(crate) trait Surface {
    /// A line with round ends and corners.
    fn path(&mut self, points: &[Spot], color: RGBAColor, width: u32) -> Drawn;
    /// A filled polygon.
    fn polygon(&mut self, points: &[Spot], color: RGBAColor) -> Drawn;
    /// A filled disc.
    fn disc(&mut self, centre: Spot, radius: u32, color: RGBAColor) -> Drawn;
    /// A filled rectangle between two corners.
    fn rect(&mut self, from: Spot, to: Spot, color: RGBAColor) -> Drawn;
    /// A line of text.
    fn text(&mut self, line: Line) -> Drawn;
    /// A picture that fills a rectangle between two corners, above all that is drawn otherwise.
    fn picture(&mut self, from: Spot, to: Spot, picture: &Picture) -> Drawn;
}

/// A rectangle in logical pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rect {
    pub(crate) fn width(self) -> f64 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> f64 {
        self.bottom - self.top
    }

    pub(crate) fn middle(self) -> Place {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    pub(crate) fn contains(self, (x, y): Place) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    /// The part of a straight line inside the rectangle, after Liang and Barsky.
    pub(crate) fn clip(self, from: Place, to: Place) -> Option<(Place, Place)> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        let sides = [
            (-dx, from.0 - self.left),
            (dx, self.right - from.0),
            (-dy, from.1 - self.top),
            (dy, self.bottom - from.1),
        ];
        for (towards, room) in sides {
            if towards == 0.0 {
                if room < 0.0 {
                    return None;
                }
            } else if towards < 0.0 {
                enter = enter.max(room / towards);
            } else {
                leave = leave.min(room / towards);
            }
        }
        let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
        (enter <= leave && dx.is_finite() && dy.is_finite()).then(|| (at(enter), at(leave)))
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke<'a> {
    pub(crate) color: RGBAColor,
    pub(crate) width: f64,
    /// Lengths of line and gap in turn; empty for a solid line.
    pub(crate) dash: &'a [f64],
}

impl Stroke<'_> {
    /// A solid line.
    pub(crate) fn solid(color: RGBAColor, width: f64) -> Self {
        Stroke { color, width, dash: &[] }
    }
}

/// Which point of a line of text, from left to right, lies at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// A line of text to draw: dark, regular and from left to right unless told otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label<'a> {
    text: &'a str,
    face: Face,
    color: RGBAColor,
    align: Align,
    centred: bool,
    upwards: bool,
}

impl<'a> Label<'a> {
    /// Text whose baseline starts at its place.
    pub(crate) fn new(text: &'a str, size: f64) -> Self {
        let face = Face { bold: false, em: size };
        Label { text, face, color: INK, align: Align::Start, centred: false, upwards: false }
    }

    pub(crate) fn bold(mut self) -> Self {
        self.face.bold = true;
        self
    }

    pub(crate) fn color(mut self, color: RGBAColor) -> Self {
        self.color = color;
        self
    }

    pub(crate) fn align(mut self, align: Align) -> Self {
        self.align = align;
        self
    }

    /// Half the height of its digits lies above its place, half below.
    pub(crate) fn centred(mut self) -> Self {
        self.centred = true;
        self
    }

    /// Turned by a quarter, to be read from below.
    pub(crate) fn upwards(mut self) -> Self {
        self.upwards = true;
        self
    }
}

/// A drawing in progress. It remembers the first failure, so that figures need not ask after every line.
pub struct Canvas<'a> {
    surface: &'a mut dyn Surface,
    size: (f64, f64),
    outcome: Drawn,
}

fn units(length: f64) -> u32 {
    (length * UNITS).round().clamp(1.0, 1e5) as u32
}

fn spot((x, y): Place) -> Spot {
    // Far outside is as good as outside, and keeps the sums of the backends from overflowing.
    let round = |length: f64| (length * UNITS).round().clamp(-1e6, 1e6) as i32;
    (round(x), round(y))
}

fn spots(points: &[Place]) -> Vec<Spot> {
    let mut spots: Vec<Spot> =
        points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).map(|&point| spot(point)).collect();
    spots.dedup();
    spots
}

impl<'a> Canvas<'a> {
    /// A canvas of the given size in logical pixels, painted white.
    pub(crate) fn new(surface: &'a mut dyn Surface, (width, height): (u32, u32)) -> Self {
        let size = (f64::from(width), f64::from(height));
        let mut canvas = Canvas { surface, size, outcome: Ok(()) };
        canvas.rect(canvas.bounds(), PAPER);
        canvas
    }

    /// Everything there is.
    pub(crate) fn bounds(&self) -> Rect {
        Rect { left: 0.0, top: 0.0, right: self.size.0, bottom: self.size.1 }
    }

    /// The first failure, if any.
    pub(crate) fn finish(self) -> Drawn {
        self.outcome
    }

    fn attempt(&mut self, draw: impl FnOnce(&mut dyn Surface) -> Drawn) {
        if self.outcome.is_ok() {
            self.outcome = draw(self.surface);
        }
    }

    /// A line through points; those that are not finite are left out.
    pub(crate) fn path(&mut self, points: &[Place], stroke: &Stroke) {
        if stroke.dash.is_empty() {
            let spots = spots(points);
            if spots.len() > 1 {
                self.attempt(|surface| surface.path(&spots, stroke.color, units(stroke.width)));
            }
            return;
        }
        for piece in dashes(points, stroke.dash) {
            self.path(&piece, &Stroke { dash: &[], ..*stroke });
        }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: Place, to: Place, stroke: &Stroke) {
        self.path(&[from, to], stroke);
    }

    /// A filled polygon.
    pub(crate) fn polygon(&mut self, points: &[Place], color: RGBAColor) {
        let spots = spots(points);
        if spots.len() > 2 {
            self.attempt(|surface| surface.polygon(&spots, color));
        }
    }

    /// A filled disc.
    pub(crate) fn disc(&mut self, centre: Place, radius: f64, color: RGBAColor) {
        if centre.0.is_finite() && centre.1.is_finite() {
            self.attempt(|surface| surface.disc(spot(centre), units(radius), color));
        }
    }

    /// Lines of text one below the other, around a height, which end at an abscissa.
    pub(crate) fn lines(&mut self, lines: &[String], em: f64, (right, middle): Place) {
        for (index, line) in lines.iter().enumerate() {
            let below = LINE_HEIGHT * (index as f64 - (lines.len() - 1) as f64 / 2.0);
            self.text(&Label::new(line, em).align(Align::End).centred(), (right, middle + below));
        }
    }

    /// The outline of a disc.
    pub(crate) fn ring(&mut self, centre: Place, radius: f64, stroke: &Stroke) {
        let mut outline = Mark::Polygon(32, 0.0).corners(centre, radius);
        outline.extend(outline.first().copied());
        self.path(&outline, stroke);
    }

    /// A filled rectangle.
    pub(crate) fn rect(&mut self, rect: Rect, color: RGBAColor) {
        self.attempt(|surface| surface.rect(spot((rect.left, rect.top)), spot((rect.right, rect.bottom)), color));
    }

    /// A picture that fills a rectangle.
    pub(crate) fn picture(&mut self, rect: Rect, picture: &Picture) {
        let (from, to) = (spot((rect.left, rect.top)), spot((rect.right, rect.bottom)));
        self.attempt(|surface| surface.picture(from, to, picture));
    }

    /// The outline of a rectangle.
    pub(crate) fn frame(&mut self, rect: Rect, stroke: &Stroke) {
        let Rect { left, top, right, bottom } = rect;
        self.path(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], stroke);
    }

    /// A mark of a series, filled with its colour and set off from what lies below by a thin white rim.
    pub(crate) fn mark(&mut self, mark: Mark, centre: Place, radius: f64, color: RGBAColor) {
        self.polygon(&mark.corners(centre, radius + 1.0), fade(PAPER, 0.85));
        self.polygon(&mark.corners(centre, radius), color);
    }

    /// The same mark as an outline.
    pub(crate) fn hollow_mark(&mut self, mark: Mark, centre: Place, radius: f64, color: RGBAColor) {
        let mut corners = mark.corners(centre, radius);
        self.polygon(&corners, PAPER);
        corners.extend(corners.first().copied());
        self.path(&corners, &Stroke::solid(color, 1.5));
    }

    /// A line of text at `place`.
    pub(crate) fn text(&mut self, label: &Label, place: Place) {
        if label.text.is_empty() {
            return;
        }
        // Control characters have no shape, and XML cannot hold them, however escaped.
        let text: String = label.text.chars().map(|glyph| if glyph.is_control() { ' ' } else { glyph }).collect();
        let down = if label.centred { label.face.em * Face::CAPITAL / 2.0 } else { 0.0 };
        let anchor = if label.upwards { (place.0 + down, place.1) } else { (place.0, place.1 + down) };
        let line = Line {
            text: &text,
            face: Face { em: label.face.em * UNITS, ..label.face },
            color: label.color,
            anchor: spot(anchor),
            align: label.align,
            upwards: label.upwards,
        };
        self.attempt(|surface| surface.text(line));
    }
}

/// Cuts a line into the pieces that a dash pattern leaves.
fn dashes(points: &[Place], pattern: &[f64]) -> Vec<Vec<Place>> {
    let (mut pieces, mut piece) = (Vec::new(), Vec::new());
    let (mut phase, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let length = (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
        if !length.is_finite() {
            continue;
        }
        let at = |done: f64| {
            let share = if length > 0.0 { done / length } else { 1.0 };
            (pair[0].0 + share * (pair[1].0 - pair[0].0), pair[0].1 + share * (pair[1].1 - pair[0].1))
        };
        let mut done = 0.0;
        while done < length {
            let drawing = phase % 2 == 0;
            if drawing && piece.is_empty() {
                piece.push(at(done));
            }
            let step = left.min(length - done);
            (done, left) = (done + step, left - step);
            if drawing {
                piece.push(at(done));
            }
            if left <= 1e-9 {
                phase += 1;
                left = pattern[phase % pattern.len()];
                pieces.extend((!piece.is_empty()).then(|| std::mem::take(&mut piece)));
            }
        }
    }
    pieces.extend((!piece.is_empty()).then_some(piece));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_turn_corners_and_keep_their_length() {
        let pieces = dashes(&[(0.0, 0.0), (5.0, 0.0), (5.0, 7.0)], &[4.0, 2.0]);
        assert_eq!(pieces[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(pieces[1], [(5.0, 1.0), (5.0, 5.0)]);
        let around_the_corner = dashes(&[(0.0, 0.0), (5.0, 0.0), (5.0, 7.0)], &[6.0, 2.0]);
        assert_eq!(around_the_corner[0], [(0.0, 0.0), (5.0, 0.0), (5.0, 1.0)]);
        assert!(dashes(&[(0.0, f64::NAN), (1.0, 0.0)], &[1.0]).is_empty());
        assert!(dashes(&[], &[1.0]).is_empty());
    }

    #[test]
    fn lines_are_clipped_at_the_frame() {
        let frame = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        assert_eq!(frame.clip((-5.0, 5.0), (15.0, 5.0)), Some(((0.0, 5.0), (10.0, 5.0))));
        assert_eq!(frame.clip((1.0, 1.0), (2.0, 3.0)), Some(((1.0, 1.0), (2.0, 3.0))));
        assert_eq!(frame.clip((-5.0, -1.0), (15.0, -1.0)), None);
        assert_eq!(frame.clip((f64::NAN, 1.0), (2.0, 3.0)), None);
    }
}
