//! Pictures made of pixels.

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

/// A picture of 8-bit colours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Of bytes `[C, H, W]`: grey for one channel, and else the first three as red, green and blue.
    ///
    /// # Panics
    /// With two channels, or fewer bytes than pixels.
    pub fn planes(bytes: &[u8], [channels, height, width]: [usize; 3]) -> Self {
        assert!(channels == 1 || channels >= 3, "a picture has one channel or three");
        let plane =
            |channel: usize| &bytes[if channels == 1 { 0 } else { channel } * height * width..][..height * width];
        let planes = [plane(0), plane(1), plane(2)];
        let rgb = (0..height * width).flat_map(|at| planes.map(|plane| plane[at])).collect();
        Picture { width, height, rgb }
    }

    /// Pictures of one size in rows of `columns`, with white lines between them.
    pub fn tiled(pictures: &[Picture], columns: usize) -> Self {
        let Some(first) = pictures.first() else { return Picture::default() };
        let columns = columns.clamp(1, pictures.len());
        let line = (first.width / 16).max(1);
        let across = |count: usize, side: usize| count * (side + line) - line;
        let (width, height) = (across(columns, first.width), across(pictures.len().div_ceil(columns), first.height));
        let mut rgb = vec![255; 3 * width * height];
        for (i, picture) in pictures.iter().enumerate() {
            let (left, top) = (i % columns * (first.width + line), i / columns * (first.height + line));
            for (y, row) in picture.rgb.chunks_exact(3 * picture.width).enumerate() {
                rgb[3 * ((top + y) * width + left)..][..row.len()].copy_from_slice(row);
            }
        }
        Picture { width, height, rgb }
    }

    /// The colour of a pixel.
    pub(crate) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * self.width + x);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// The picture as a PNG file.
    pub(crate) fn png(&self) -> Result<Vec<u8>, String> {
        let mut file = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        PngEncoder::new(&mut file)
            .write_image(&self.rgb, width, height, ExtendedColorType::Rgb8)
            .map_err(|error| error.to_string())?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels_and_tiles_stand_apart() {
        let colour = Picture::planes(&[1, 2, 3, 4, 5, 6], [3, 1, 2]);
        assert_eq!(colour.rgb, [1, 3, 5, 2, 4, 6]);
        let grey = Picture::planes(&[7, 9], [1, 2, 1]);
        assert_eq!((grey.rgb.as_slice(), grey.pixel(0, 1)), ([7, 7, 7, 9, 9, 9].as_slice(), [9; 3]));
        let tiles = Picture::tiled(&[grey.clone(), grey.clone(), grey], 2);
        assert_eq!((tiles.width, tiles.height), (3, 5));
        assert_eq!([tiles.pixel(0, 1), tiles.pixel(1, 1), tiles.pixel(2, 4)], [[9; 3], [255; 3], [255; 3]]);
        assert_eq!(tiles.pixel(0, 4), [9; 3]);
        assert_eq!(Picture::tiled(&[], 3), Picture::default());
    }
}
