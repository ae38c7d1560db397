//! The bitmap output: supersampled, so that lines, marks and text are smooth.
//!
//! Plotters' own bitmap lines break at sharp corners, and its see-through lines are darker where their parts overlap.
//! Here every shape becomes one set of runs of pixels, painted once.

use super::canvas::{Align, Drawn, Line, Spot, Surface, UNITS};
use super::picture::Picture;
use super::theme::rgb;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use plotters::prelude::{BitMapBackend, Color, DrawingBackend, RGBAColor};

/// Device pixels to a logical pixel in the finished PNG.
pub(crate) const DENSITY: u32 = 2;

/// Pixels drawn for each pixel kept, in either direction.
const SAMPLES: u32 = UNITS as u32 / DENSITY;

/// Draws on a bitmap of the given size in logical pixels, and returns it as a PNG file.
pub(crate) fn png(
    (width, height): (u32, u32),
    draw: impl FnOnce(&mut dyn Surface) -> Drawn,
) -> Result<Vec<u8>, String> {
    let size = (width * UNITS as u32, height * UNITS as u32);
    let mut fine = vec![255_u8; 3 * size.0 as usize * size.1 as usize];
    draw(&mut Bitmap { backend: BitMapBackend::with_buffer(&mut fine, size) })?;
    let coarse = shrink(&fine, size.0 as usize);
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(&coarse, width * DENSITY, height * DENSITY, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(file)
}

/// Averages squares of pixels.
fn shrink(fine: &[u8], width: usize) -> Vec<u8> {
    let samples = SAMPLES as usize;
    let mut coarse = Vec::with_capacity(fine.len() / (samples * samples));
    for rows in fine.chunks_exact(3 * width * samples) {
        for column in (0..width).step_by(samples) {
            for channel in 0..3 {
                let sum: usize = (0..samples * samples)
                    .map(|sample| {
                        let (x, y) = (column + sample % samples, sample / samples);
                        usize::from(rows[3 * (y * width + x) + channel])
                    })
                    .sum();
                coarse.push(((sum + samples * samples / 2) / (samples * samples)) as u8);
            }
        }
    }
    coarse
}

/// A bitmap in output units.
struct Bitmap<'a> {
    backend: BitMapBackend<'a>,
}

/// The pixels of a shape: for each row, from the first on, runs from one pixel to before another.
struct Runs {
    first: i32,
    rows: Vec<Vec<(i32, i32)>>,
}

impl Runs {
    /// No pixels yet, with rows for a shape between two heights, as far as they lie on the bitmap.
    fn between(top: f64, bottom: f64, height: u32) -> Self {
        let first = top.floor().clamp(0.0, f64::from(height)) as i32;
        let last = bottom.ceil().clamp(0.0, f64::from(height)) as i32;
        Runs { first, rows: vec![Vec::new(); (last - first).max(0) as usize] }
    }

    /// Adds the pixels whose centres lie between two abscissae.
    fn add(&mut self, row: usize, from: f64, to: f64) {
        let (from, to) = ((from - 0.5).ceil() as i32, (to - 0.5).ceil() as i32);
        if from < to {
            self.rows[row].push((from, to));
        }
    }

    /// Adds what a round brush of the given radius paints on its way along a straight line.
    fn brush(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), radius: f64) {
        let (dx, dy) = (x1 - x0, y1 - y0);
        let length = dx.hypot(dy);
        let aside = if length > 0.0 { (-dy / length * radius, dx / length * radius) } else { (0.0, 0.0) };
        let corners = [
            (x0 + aside.0, y0 + aside.1),
            (x1 + aside.0, y1 + aside.1),
            (x1 - aside.0, y1 - aside.1),
            (x0 - aside.0, y0 - aside.1),
        ];
        let top = ((y0.min(y1) - radius).floor() as i32 - self.first).clamp(0, self.rows.len() as i32);
        let bottom = ((y0.max(y1) + radius).ceil() as i32 - self.first).clamp(0, self.rows.len() as i32);
        for row in top..bottom {
            let y = f64::from(self.first + row) + 0.5;
            // The shape is convex: a row holds one run, from the leftmost to the rightmost of its parts.
            let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
            let mut reach = |x: f64| (from, to) = (from.min(x), to.max(x));
            for (x, centre) in [(x0, y0), (x1, y1)] {
                let half = radius * radius - (y - centre) * (y - centre);
                if half >= 0.0 {
                    reach(x - half.sqrt());
                    reach(x + half.sqrt());
                }
            }
            crossings(&corners, y).into_iter().for_each(&mut reach);
            self.add(row as usize, from, to);
        }
    }
}

/// Where the outline of a polygon crosses a horizontal line, from left to right.
fn crossings(corners: &[(f64, f64)], y: f64) -> Vec<f64> {
    let mut crossings: Vec<f64> = (0..corners.len())
        .filter_map(|corner| {
            let ((x0, y0), (x1, y1)) = (corners[corner], corners[(corner + 1) % corners.len()]);
            ((y0 <= y) != (y1 <= y)).then(|| x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        })
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings
}

fn centres(points: &[Spot]) -> Vec<(f64, f64)> {
    points.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).collect()
}

fn heights(points: &[Spot]) -> (f64, f64) {
    let heights = points.iter().map(|&(_, y)| f64::from(y));
    (heights.clone().fold(f64::INFINITY, f64::min), heights.fold(f64::NEG_INFINITY, f64::max))
}

impl Bitmap<'_> {
    fn height(&self) -> u32 {
        self.backend.get_size().1
    }

    /// Paints every pixel of a shape once, also where its parts overlap.
    fn fill(&mut self, runs: Runs, color: RGBAColor) -> Drawn {
        for (row, mut runs) in (runs.first..).zip(runs.rows) {
            runs.sort_unstable();
            let mut done = i32::MIN;
            for (from, to) in runs {
                let from = from.max(done);
                if from < to {
                    self.rect((from, row), (to, row + 1), color)?;
                    done = to;
                }
            }
        }
        Ok(())
    }
}

impl Surface for Bitmap<'_> {
    fn path(&mut self, points: &[Spot], color: RGBAColor, width: u32) -> Drawn {
        let radius = f64::from(width) / 2.0;
        let (top, bottom) = heights(points);
        let mut runs = Runs::between(top - radius, bottom + radius, self.height());
        for pair in centres(points).windows(2) {
            runs.brush(pair[0], pair[1], radius);
        }
        self.fill(runs, color)
    }

    fn polygon(&mut self, points: &[Spot], color: RGBAColor) -> Drawn {
        let (top, bottom) = heights(points);
        let mut runs = Runs::between(top, bottom, self.height());
        let corners = centres(points);
        for row in 0..runs.rows.len() {
            for pair in crossings(&corners, f64::from(runs.first) + row as f64 + 0.5).chunks_exact(2) {
                runs.add(row, pair[0], pair[1]);
            }
        }
        self.fill(runs, color)
    }

    fn disc(&mut self, centre: Spot, radius: u32, color: RGBAColor) -> Drawn {
        let (x, y, radius) = (f64::from(centre.0), f64::from(centre.1), f64::from(radius));
        let mut runs = Runs::between(y - radius, y + radius, self.height());
        runs.brush((x, y), (x, y), radius);
        self.fill(runs, color)
    }

    fn rect(&mut self, from: Spot, to: Spot, color: RGBAColor) -> Drawn {
        self.backend.draw_rect(from, to, &color, true).map_err(|error| error.to_string())
    }

    fn text(&mut self, line: Line) -> Drawn {
        let back = match line.align {
            Align::Start => 0.0,
            Align::Middle => line.face.width(line.text) / 2.0,
            Align::End => line.face.width(line.text),
        };
        let (start, mut outcome) = (-back.round() as i32, Ok(()));
        line.face.rasterize(line.text, |x, y, cover| {
            let (x, y) = (x + start, y);
            let (x, y) = if line.upwards { (y, -x) } else { (x, y) };
            let color = line.color.mix(cover).to_backend_color();
            if outcome.is_ok() {
                outcome = self.backend.draw_pixel((line.anchor.0 + x, line.anchor.1 + y), color);
            }
        });
        outcome.map_err(|error| error.to_string())
    }

    fn picture(&mut self, from: Spot, to: Spot, picture: &Picture) -> Drawn {
        let edge = |low: i32, high: i32, at: usize, count: usize| {
            low + (f64::from(high - low) * at as f64 / count as f64).round() as i32
        };
        for y in 0..picture.height {
            for x in 0..picture.width {
                let corner = |x, y| (edge(from.0, to.0, x, picture.width), edge(from.1, to.1, y, picture.height));
                let [r, g, b] = picture.pixel(x, y);
                self.rect(corner(x, y), corner(x + 1, y + 1), rgb(r, g, b))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::font::Face;
    use crate::report::theme::{INK, fade};

    /// The colour of every pixel of a PNG file, row by row.
    fn pixels(file: &[u8]) -> image::RgbImage {
        image::load_from_memory(file).unwrap().to_rgb8()
    }

    #[test]
    fn overlapping_parts_of_a_line_are_painted_once() {
        let file = png((20, 20), |surface| {
            surface.path(&[(10, 10), (70, 70), (10, 70), (70, 10)], fade(rgb(0, 0, 0), 0.5), 8)
        });
        let image = pixels(&file.unwrap());
        assert_eq!(image.dimensions(), (40, 40));
        let darkest = image.pixels().map(|pixel| pixel.0[0]).min().unwrap();
        assert!((126..=129).contains(&darkest), "{darkest}");
    }

    #[test]
    fn text_needs_no_font_of_the_system() {
        let face = Face { bold: false, em: 40.0 };
        let line = Line { text: "σ₂", face, color: INK, anchor: (80, 60), align: Align::Middle, upwards: false };
        let image = pixels(&png((40, 20), |surface| surface.text(line)).unwrap());
        let dark = |columns: std::ops::Range<u32>| {
            columns
                .flat_map(|x| (0..40).map(move |y| (x, y)))
                .filter(|&(x, y)| image.get_pixel(x, y).0[0] < 128)
                .count()
        };
        assert!(dark(0..40) > 20 && dark(40..80) > 5, "{} {}", dark(0..40), dark(40..80));
        assert_eq!(dark(0..20), 0);
    }

    #[test]
    fn shapes_outside_the_bitmap_do_no_harm() {
        let far = 1_000_000;
        let file = png((4, 4), |surface| {
            surface.path(&[(-far, -far), (far, far)], INK, 4)?;
            surface.polygon(&[(-far, 3), (far, 3), (0, far)], INK)?;
            surface.disc((far, -far), 9, INK)?;
            surface.rect((-far, 0), (-5, 2), INK)
        });
        assert!(file.is_ok());
    }
}
