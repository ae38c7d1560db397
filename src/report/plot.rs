//! A pair of axes with a grid, ticks and labels, and lines drawn in its coordinates; legends and colour bars.

use super::axis::{Axis, Scale};
use super::canvas::{Align, Canvas, Label, Place, Rect, Stroke};
use super::font::Face;
use super::theme::{self, AXIS, FAINT_GRID, GRID, HAIR, LABEL, Style, TICK};
use plotters::prelude::RGBAColor;

/// The face of tick labels, for measuring.
pub(crate) const TICK_FACE: Face = Face { bold: false, em: TICK };

/// The room that an axis label takes, from the middle of its line to the tick labels.
const LABEL_GAP: f64 = 16.0;
const TICK_LENGTH: f64 = 4.0;

/// A rectangle with two axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub(crate) area: Rect,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

/// What stands along the axes of a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Furniture<'a> {
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    /// Whether all four sides have a line, or only the axes.
    pub(crate) boxed: bool,
    pub(crate) x_ticks: bool,
    pub(crate) y_ticks: bool,
}

impl Plot {
    /// A plot that fills `outer` together with its tick labels and axis labels.
    pub(crate) fn within(outer: Rect, x: Axis, y: Axis) -> Self {
        let bottom = outer.bottom - 2.0 * LABEL_GAP - TICK_LENGTH - 4.0;
        let mut plot = Plot { area: Rect { bottom, ..outer }, x, y };
        plot.area.left += plot.room_left();
        plot
    }

    /// The width of the tick labels and of the label left of the plot.
    pub(crate) fn room_left(&self) -> f64 {
        let widest = self.y_ticks().iter().map(|(_, label)| TICK_FACE.width(label)).fold(0.0, f64::max);
        widest + TICK_LENGTH + 5.0 + LABEL_GAP + 4.0
    }

    /// The place of a point on the canvas; not finite if it has none.
    pub(crate) fn place(&self, (x, y): (f64, f64)) -> Place {
        let Rect { left, bottom, .. } = self.area;
        (left + self.x.share(x) * self.area.width(), bottom - self.y.share(y) * self.area.height())
    }

    /// Ticks along the abscissa that have room for their labels.
    pub(crate) fn x_ticks(&self) -> Vec<(f64, String)> {
        // Labels need room for themselves and as much again between them: fewer ticks until they have it.
        let most = ((self.area.width() / 45.0) as usize).clamp(3, 8);
        (1..=most).rev().map(|most| self.x.ticks(most)).find(|ticks| self.fit(ticks)).unwrap_or_default()
    }

    fn fit(&self, ticks: &[(f64, String)]) -> bool {
        ticks.windows(2).all(|pair| {
            let apart = (self.x.share(pair[1].0) - self.x.share(pair[0].0)) * self.area.width();
            apart >= (TICK_FACE.width(&pair[0].1) + TICK_FACE.width(&pair[1].1)) / 2.0 + 10.0
        })
    }

    fn y_ticks(&self) -> Vec<(f64, String)> {
        self.y.ticks(((self.area.height() / 30.0) as usize).clamp(3, 9))
    }

    /// Draws the grid below everything else.
    pub(crate) fn draw_grid(&self, canvas: &mut Canvas) {
        let Rect { left, top, right, bottom } = self.area;
        let mut lines = |x: Vec<f64>, y: Vec<f64>, color: RGBAColor| {
            for x in x {
                let x = self.place((x, self.y.low)).0;
                canvas.line((x, top), (x, bottom), &Stroke::solid(color, HAIR));
            }
            for y in y {
                let y = self.place((self.x.low, y)).1;
                canvas.line((left, y), (right, y), &Stroke::solid(color, HAIR));
            }
        };
        let major = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|(tick, _)| tick).collect();
        lines(self.x.minor_ticks(), self.y.minor_ticks(), FAINT_GRID);
        lines(major(self.x_ticks()), major(self.y_ticks()), GRID);
    }

    /// Draws axes, ticks and labels on top of everything else.
    pub(crate) fn draw_axes(&self, canvas: &mut Canvas, furniture: &Furniture) {
        let Rect { left, top, right, bottom } = self.area;
        let stroke = Stroke::solid(AXIS, HAIR);
        if furniture.boxed {
            canvas.frame(self.area, &stroke);
        } else {
            canvas.path(&[(left, top), (left, bottom), (right, bottom)], &stroke);
        }
        let mut deepest = bottom;
        for (tick, label) in self.x_ticks().into_iter().filter(|_| furniture.x_ticks) {
            let x = self.place((tick, self.y.low)).0;
            canvas.line((x, bottom), (x, bottom + TICK_LENGTH), &stroke);
            canvas.text(&Label::new(&label, TICK).align(Align::Middle).centred(), (x, bottom + TICK_LENGTH + 9.0));
            deepest = bottom + TICK_LENGTH + LABEL_GAP;
        }
        let mut widest: f64 = 0.0;
        for (tick, label) in self.y_ticks().into_iter().filter(|_| furniture.y_ticks) {
            let y = self.place((self.x.low, tick)).1;
            canvas.line((left - TICK_LENGTH, y), (left, y), &stroke);
            canvas.text(&Label::new(&label, TICK).align(Align::End).centred(), (left - TICK_LENGTH - 4.0, y));
            widest = widest.max(TICK_FACE.width(&label));
        }
        for (axis, tick) in self.minor_marks(furniture) {
            let (from, to) = match axis {
                'x' => ((tick, bottom), (tick, bottom + 2.0)),
                _ => ((left - 2.0, tick), (left, tick)),
            };
            canvas.line(from, to, &stroke);
        }
        let (across, up) = self.area.middle();
        let face = Face { bold: false, em: LABEL };
        let x_label = face.shorten(furniture.x_label, self.area.width() + 20.0);
        let y_label = face.shorten(furniture.y_label, self.area.height() + 20.0);
        canvas.text(&label(&x_label), (across, deepest + LABEL_GAP - 3.0));
        let aside = left - TICK_LENGTH - 5.0 - widest - LABEL_GAP + 2.0;
        canvas.text(&label(&y_label).upwards(), (aside, up));
    }

    fn minor_marks(&self, furniture: &Furniture) -> Vec<(char, f64)> {
        let x = self.x.minor_ticks().into_iter().map(|tick| ('x', self.place((tick, self.y.low)).0));
        let y = self.y.minor_ticks().into_iter().map(|tick| ('y', self.place((self.x.low, tick)).1));
        x.filter(|_| furniture.x_ticks).chain(y.filter(|_| furniture.y_ticks)).collect()
    }

    /// A line through points, cut off at the edges of the plot; it breaks where a point is not finite.
    pub(crate) fn curve(&self, canvas: &mut Canvas, points: &[(f64, f64)], stroke: &Stroke) {
        let mut piece: Vec<Place> = Vec::new();
        for pair in points.windows(2) {
            let (from, to) = (self.place(pair[0]), self.place(pair[1]));
            let clipped = self.area.clip(from, to);
            if clipped.is_none_or(|(start, _)| piece.last() != Some(&start)) {
                canvas.path(&std::mem::take(&mut piece), stroke);
                piece.extend(clipped.map(|(start, _)| start));
            }
            piece.extend(clipped.map(|(_, end)| end));
        }
        canvas.path(&piece, stroke);
    }

    /// The places of the points that lie within the plot.
    pub(crate) fn inside(&self, points: impl IntoIterator<Item = (f64, f64)>) -> impl Iterator<Item = Place> {
        points.into_iter().map(|point| self.place(point)).filter(|&place| self.area.contains(place))
    }

    /// Fills what is between the ends `(x, low, high)` of intervals, as far as it lies between floor and ceiling.
    pub(crate) fn band(&self, canvas: &mut Canvas, ends: &[(f64, f64, f64)], color: RGBAColor) {
        let place = |x: f64, value: f64| (self.place((x, self.y.low)).0, self.height_within(value));
        let lower = ends.iter().map(|&(x, low, _)| place(x, low));
        let upper = ends.iter().rev().map(|&(x, _, high)| place(x, high));
        if ends.len() > 1 {
            canvas.polygon(&lower.chain(upper).collect::<Vec<Place>>(), color);
        }
    }

    /// The height on the canvas of a value, or of the nearest edge of the plot if the value lies outside.
    pub(crate) fn height_within(&self, value: f64) -> f64 {
        self.area.bottom - self.y.share(value).clamp(0.0, 1.0) * self.area.height()
    }
}

/// The label of an axis or of a colour bar, around its place.
fn label(text: &str) -> Label<'_> {
    Label::new(text, LABEL).align(Align::Middle).centred()
}

/// The range of an axis without data.
pub(crate) fn nothing(scale: Scale) -> Axis {
    match scale {
        Scale::Linear => Axis { scale, low: 0.0, high: 1.0 },
        Scale::Log => Axis { scale, low: 0.9, high: 11.0 },
    }
}

/// What a legend shows beside a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sample {
    /// A line, with the mark of the series or without.
    Line { style: Style, width: f64, marked: bool },
    /// A broad faint band behind a dashed line.
    Band(RGBAColor),
    /// A ring on a broad line.
    Ring(RGBAColor),
    /// A filled box.
    Swatch(RGBAColor),
}

/// Names and samples of the series of a plot.
pub(crate) struct Legend {
    entries: Vec<(String, Sample)>,
    room: f64,
}

const SAMPLE: f64 = 30.0;
const ENTRY_GAP: f64 = 18.0;

impl Legend {
    /// The height of a row.
    pub(crate) const ROW: f64 = 19.0;

    /// A legend no wider than `room`; names that need more are shortened in the middle.
    pub(crate) fn new(entries: Vec<(String, Sample)>, room: f64) -> Self {
        let shorten = |(name, sample): (String, Sample)| (TICK_FACE.shorten(&name, room - SAMPLE - 8.0), sample);
        Legend { entries: entries.into_iter().map(shorten).collect(), room }
    }

    fn entry_width(name: &str) -> f64 {
        SAMPLE + 8.0 + TICK_FACE.width(name)
    }

    /// The width of the widest entry: the legend as a single column.
    pub(crate) fn column_width(&self) -> f64 {
        self.entries.iter().map(|(name, _)| Self::entry_width(name)).fold(0.0, f64::max)
    }

    /// Where each entry starts, filling rows from left to right.
    fn flow(&self, room: f64) -> Vec<Place> {
        let (mut x, mut y) = (0.0, 0.0);
        let mut places = Vec::new();
        for (name, _) in &self.entries {
            let width = Self::entry_width(name);
            if x > 0.0 && x + width > room {
                (x, y) = (0.0, y + Self::ROW);
            }
            places.push((x, y));
            x += width + ENTRY_GAP;
        }
        places
    }

    /// The height of the legend in rows as wide as its room.
    pub(crate) fn strip_height(&self) -> f64 {
        self.flow(self.room).last().map_or(0.0, |(_, y)| y + Self::ROW)
    }

    /// Draws the entries in rows as wide as the legend's room.
    pub(crate) fn draw_strip(&self, canvas: &mut Canvas, corner: Place) {
        self.draw(canvas, corner, self.room);
    }

    /// Draws one entry below the other.
    pub(crate) fn draw_column(&self, canvas: &mut Canvas, corner: Place) {
        self.draw(canvas, corner, 0.0);
    }

    fn draw(&self, canvas: &mut Canvas, corner: Place, room: f64) {
        for ((name, sample), (x, y)) in self.entries.iter().zip(self.flow(room)) {
            let (x, y) = (corner.0 + x, corner.1 + y + Self::ROW / 2.0);
            match *sample {
                Sample::Line { style, width, marked } => {
                    let stroke = Stroke { color: style.color, width, dash: style.dash };
                    canvas.line((x, y), (x + SAMPLE, y), &stroke);
                    if marked {
                        canvas.mark(style.mark, (x + SAMPLE / 2.0, y), 4.0, style.color);
                    }
                }
                Sample::Band(color) => {
                    let band = Rect { left: x, right: x + SAMPLE, top: y - 5.0, bottom: y + 5.0 };
                    canvas.rect(band, theme::fade(color, 0.18));
                    canvas.line((x, y), (x + SAMPLE, y), &Stroke { color, width: 1.25, dash: &[5.0, 3.0] });
                }
                Sample::Swatch(color) => {
                    canvas.rect(Rect { left: x, right: x + SAMPLE, top: y - 4.5, bottom: y + 4.5 }, color);
                }
                Sample::Ring(color) => {
                    canvas.line((x, y), (x + SAMPLE, y), &Stroke::solid(color, 4.0));
                    canvas.ring((x + SAMPLE / 2.0, y), 5.5, &Stroke::solid(theme::INK, 1.25));
                }
            }
            canvas.text(&Label::new(name, TICK).centred(), (x + SAMPLE + 8.0, y));
        }
    }
}

/// A vertical bar that explains colours, with its values to the right and its label beside them.
pub(crate) struct ColorBar<'a> {
    pub(crate) label: &'a str,
    /// Shares of the bar, from 0 at its foot, with labels.
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) color: fn(f64) -> RGBAColor,
}

impl ColorBar<'_> {
    /// The width of the bar itself.
    const BAR: f64 = 13.0;

    /// The width of bar, ticks and label.
    pub(crate) fn width(&self) -> f64 {
        let widest = self.ticks.iter().map(|(_, label)| TICK_FACE.width(label)).fold(0.0, f64::max);
        Self::BAR + TICK_LENGTH + 4.0 + widest + LABEL_GAP + 4.0
    }

    /// Draws the bar from `top` to `bottom`, its left edge at `left`.
    pub(crate) fn draw(&self, canvas: &mut Canvas, (left, top): Place, bottom: f64) {
        const BANDS: usize = 96;
        let height = bottom - top;
        let right = left + Self::BAR;
        for band in 0..BANDS {
            let share = (band as f64 + 0.5) / BANDS as f64;
            // Every band reaches up to the top, and the next is painted over it: seams cannot show.
            let low = bottom - band as f64 / BANDS as f64 * height;
            canvas.rect(Rect { left, right, top, bottom: low }, (self.color)(share));
        }
        canvas.frame(Rect { left, right, top, bottom }, &Stroke::solid(AXIS, HAIR));
        for (share, label) in &self.ticks {
            let y = bottom - share * height;
            canvas.line((right, y), (right + TICK_LENGTH, y), &Stroke::solid(AXIS, HAIR));
            canvas.text(&Label::new(label, TICK).centred(), (right + TICK_LENGTH + 4.0, y));
        }
        let label = label(self.label).upwards();
        canvas.text(&label, (left + self.width() - 6.0, (top + bottom) / 2.0));
    }
}
