//! Images in rows and columns: samples of solvers at budgets, the way from noise to data, samples beside their neighbours.

use super::canvas::{Align, Canvas, LINE_HEIGHT, Label, Rect, Stroke};
use super::figure::Figure;
use super::font::Face;
use super::panels::title;
use super::picture::Picture;
use super::theme::{AXIS, GRID, HAIR, LABEL, MARGIN, NOTE, TICK};

/// Pictures in a grid, all of one size, with headings of rows and columns.
#[derive(Clone, Debug, Default)]
pub struct ImageGrid {
    /// The title; may be empty.
    pub title: String,
    /// The headings of the columns; may be missing.
    pub columns: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<ImageRow>,
}

/// A row of pictures.
#[derive(Clone, Debug, Default)]
pub struct ImageRow {
    /// The heading of the row; may be empty. Long ones take three lines.
    pub label: String,
    /// The pictures, from left to right.
    pub cells: Vec<ImageCell>,
}

/// One picture.
#[derive(Clone, Debug, Default)]
pub struct ImageCell {
    /// The picture; an empty one leaves the place blank.
    pub picture: Picture,
    /// A short remark below it, such as the value of a metric, or in place of it, such as `diverged`.
    pub note: String,
}

/// The width that all pictures together are to have, and the least and the greatest of one.
const ACROSS: f64 = 820.0;
const SIDES: (f64, f64) = (56.0, 400.0);
const GAP: f64 = 6.0;
const HEADING: f64 = 130.0;
const FACE: Face = Face { bold: false, em: TICK };
const NOTE_FACE: Face = Face { bold: false, em: NOTE - 0.5 };

impl ImageGrid {
    fn column_count(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).chain([self.columns.len()]).max().unwrap_or(0)
    }

    fn cells(&self) -> impl Iterator<Item = &ImageCell> {
        self.rows.iter().flat_map(|row| &row.cells)
    }

    /// The size of a picture: whole pixels of the output to a pixel of the picture, if that is not too large.
    fn panel(&self) -> (f64, f64) {
        let shapes = self.cells().map(|cell| &cell.picture).filter(|picture| picture.width * picture.height > 0);
        let (wide, high) = shapes.fold((1, 1), |(w, h), picture| (w.max(picture.width), h.max(picture.height)));
        let room = (ACROSS / self.column_count().max(1) as f64 - GAP).clamp(SIDES.0, SIDES.1);
        // Two device pixels to a logical one.
        let pixel = (2.0 * room / wide as f64).floor() / 2.0;
        let scale = if pixel >= 0.5 { pixel.min(4.0) } else { room / wide as f64 };
        (wide as f64 * scale, high as f64 * scale)
    }

    fn heading(&self) -> f64 {
        if self.rows.iter().all(|row| row.label.is_empty()) { 0.0 } else { HEADING }
    }

    fn headings(&self) -> Vec<Vec<String>> {
        let width = self.panel().0;
        self.columns.iter().map(|column| FACE.wrap(column, width, 2)).collect()
    }

    fn header(&self) -> f64 {
        let lines = self.headings().iter().map(Vec::len).max().unwrap_or(0);
        let title = if self.title.is_empty() { 0.0 } else { 26.0 };
        MARGIN + title + if lines == 0 { 0.0 } else { LINE_HEIGHT * lines as f64 + 4.0 }
    }

    fn area(&self, row: usize, column: usize) -> Rect {
        let (width, height) = self.panel();
        let notes = if self.cells().any(|cell| !cell.note.is_empty()) { LINE_HEIGHT } else { 0.0 };
        let left = MARGIN + self.heading() + column as f64 * (width + GAP);
        let top = self.header() + row as f64 * (height + notes + GAP);
        Rect { left, top, right: left + width, bottom: top + height }
    }

    fn draw_cell(&self, canvas: &mut Canvas, area: Rect, cell: &ImageCell) {
        let note = |room: f64| NOTE_FACE.shorten(&cell.note, room);
        if cell.picture.width * cell.picture.height == 0 {
            let text = note(area.width() - 4.0);
            canvas.text(&Label::new(&text, NOTE_FACE.em).color(AXIS).align(Align::Middle).centred(), area.middle());
            if !cell.note.is_empty() {
                canvas.frame(area, &Stroke { color: GRID, width: HAIR, dash: &[3.0, 3.0] });
            }
            return;
        }
        canvas.picture(area, &cell.picture);
        let text = note(area.width() + GAP - 1.0);
        let place = (area.middle().0, area.bottom + LINE_HEIGHT / 2.0 + 1.0);
        canvas.text(&Label::new(&text, NOTE_FACE.em).color(AXIS).align(Align::Middle).centred(), place);
    }
}

impl Figure for ImageGrid {
    fn size(&self) -> (u32, u32) {
        let last = self.area(self.rows.len().saturating_sub(1), self.column_count().saturating_sub(1));
        ((last.right + MARGIN).ceil() as u32, (last.bottom + LINE_HEIGHT + MARGIN).ceil() as u32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        title(canvas, &self.title);
        if self.column_count() == 0 {
            let place = self.area(0, 0).middle();
            canvas.text(&Label::new("no images to show", LABEL).align(Align::Middle).centred(), place);
            return;
        }
        for (column, lines) in self.headings().iter().enumerate() {
            let area = self.area(0, column);
            for (above, line) in lines.iter().rev().enumerate() {
                let place = (area.middle().0, area.top - 6.0 - LINE_HEIGHT * above as f64);
                canvas.text(&Label::new(line, FACE.em).align(Align::Middle), place);
            }
        }
        for (row, images) in self.rows.iter().enumerate() {
            let lines = FACE.wrap(&images.label, HEADING - 10.0, 3);
            let middle = self.area(row, 0).middle().1;
            canvas.lines(&lines, FACE.em, (MARGIN + HEADING - 10.0, middle));
            for (column, cell) in images.cells.iter().enumerate() {
                self.draw_cell(canvas, self.area(row, column), cell);
            }
        }
    }
}
