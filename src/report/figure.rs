//! From a figure to its files: `stem.png` with two device pixels to a logical one, and `stem.svg`.

use super::canvas::{Align, Canvas, Drawn, Line, Spot, Surface, UNITS};
use super::html::base64;
use super::picture::Picture;
use super::{raster, theme};
use crate::error::{Error, Result};
use crate::file::write_whole;
use plotters::prelude::{
    DrawingBackend, FontStyle, FontTransform, IntoFont, RGBAColor, SVGBackend, ShapeStyle, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// Something that can be drawn. Figures hold plain data and never fail on it: what is not finite is left out, and what
/// is left may be nothing.
pub trait Figure {
    /// Width and height in logical pixels.
    fn size(&self) -> (u32, u32);

    /// Draws the figure on a white canvas of that size.
    fn draw(&self, canvas: &mut Canvas);
}

/// A figure in both formats.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// An SVG document; its text is text, set in DejaVu Sans where the reader has it.
    pub svg: String,
    /// A PNG file with two device pixels to a logical one.
    pub png: Vec<u8>,
    /// Width and height in logical pixels.
    pub size: (u32, u32),
}

impl Rendered {
    /// Writes `stem.svg` and `stem.png` into a folder that exists.
    ///
    /// # Errors
    /// The file that could not be written. Nothing of it is left behind; a file that was there before stays as it was.
    pub fn save(&self, dir: &Path, stem: &str) -> Result<()> {
        write_whole(&dir.join(format!("{stem}.svg")), self.svg.as_bytes())?;
        write_whole(&dir.join(format!("{stem}.png")), &self.png)
    }
}

/// Draws a figure in memory.
///
/// # Errors
/// What the drawing libraries report; they have no reason to, whatever the data.
pub fn render(figure: &dyn Figure) -> Result<Rendered> {
    let size = figure.size();
    let draw = |surface: &mut dyn Surface| {
        let mut canvas = Canvas::new(surface, size);
        figure.draw(&mut canvas);
        canvas.finish()
    };
    let failed = |problem: String| Error::write("the figure")(std::io::Error::other(problem));
    Ok(Rendered { svg: svg(size, draw).map_err(failed)?, png: raster::png(size, draw).map_err(failed)?, size })
}

/// Draws a figure and writes `stem.png` and `stem.svg` into a folder that exists; returns it for use in a page.
///
/// # Errors
/// The file that could not be written. Nothing of it is left behind.
pub fn save(figure: &dyn Figure, dir: &Path, stem: &str) -> Result<Rendered> {
    let rendered = render(figure)?;
    rendered.save(dir, stem)?;
    Ok(rendered)
}

/// Draws an SVG document of the given size in logical pixels.
fn svg((width, height): (u32, u32), draw: impl FnOnce(&mut dyn Surface) -> Drawn) -> Result<String, String> {
    let units = (width * UNITS as u32, height * UNITS as u32);
    let (mut document, pictures);
    {
        document = String::new();
        let mut surface = Vector { backend: SVGBackend::with_string(&mut document, units), pictures: String::new() };
        draw(&mut surface)?;
        surface.backend.present().map_err(|error| error.to_string())?;
        pictures = surface.pictures;
    }
    let end = document.rfind("</svg>").ok_or("the SVG document has no end")?;
    document.insert_str(end, &pictures);
    // Plotters knows whole pixels only: the drawing is in finer units, and the root scales it down. Joints and ends of
    // lines are round, lest spikes stick out of a noisy curve.
    let scale = format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" stroke-linejoin=\"round\" \
         stroke-linecap=\"round\" xmlns",
        units.0, units.1
    );
    let root = document.find("xmlns").ok_or("the SVG document has no root")?;
    // What every filled shape says about the line around it that it has not is a third of a scatter plot.
    Ok(scale + &document[root + "xmlns".len()..].replace(" stroke=\"none\" stroke-width=\"0\"", ""))
}

fn solid(color: RGBAColor, width: u32) -> ShapeStyle {
    ShapeStyle { color, filled: true, stroke_width: width }
}

/// An SVG document in the making.
struct Vector<'a> {
    backend: SVGBackend<'a>,
    /// Elements that plotters does not know, for the end of the document.
    pictures: String,
}

impl Surface for Vector<'_> {
    fn path(&mut self, points: &[Spot], color: RGBAColor, width: u32) -> Drawn {
        self.backend.draw_path(points.iter().copied(), &solid(color, width)).map_err(|error| error.to_string())
    }

    fn polygon(&mut self, points: &[Spot], color: RGBAColor) -> Drawn {
        self.backend.fill_polygon(points.iter().copied(), &solid(color, 0)).map_err(|error| error.to_string())
    }

    fn disc(&mut self, centre: Spot, radius: u32, color: RGBAColor) -> Drawn {
        self.backend.draw_circle(centre, radius, &solid(color, 0), true).map_err(|error| error.to_string())
    }

    fn rect(&mut self, from: Spot, to: Spot, color: RGBAColor) -> Drawn {
        self.backend.draw_rect(from, to, &solid(color, 0), true).map_err(|error| error.to_string())
    }

    fn text(&mut self, line: Line) -> Drawn {
        // Plotters sets the baseline 0.76 em below the top, and calls 1.24 em the size.
        let lift = (0.76 * line.face.em).round() as i32;
        let weight = if line.face.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (theme::FONT_FAMILY, 1.24 * line.face.em, weight).into_font();
        let (font, place) = match line.upwards {
            false => (font, (line.anchor.0, line.anchor.1 - lift)),
            true => (font.transform(FontTransform::Rotate270), (line.anchor.0 - lift, line.anchor.1)),
        };
        let align = match line.align {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let style = TextStyle::from(font).color(&line.color).pos(Pos::new(align, VPos::Top));
        self.backend.draw_text(line.text, &style, place).map_err(|error| error.to_string())
    }

    fn picture(&mut self, (left, top): Spot, (right, bottom): Spot, picture: &Picture) -> Drawn {
        self.pictures += &format!(
            "<image x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>\n",
            right - left,
            bottom - top,
            base64(&picture.png()?)
        );
        Ok(())
    }
}
