//! One PNG or JPEG file: decoded, on white where it is transparent, cut and scaled to the size that is asked for.

use std::io::Cursor;

use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, ImageReader, Limits, Rgb, RgbImage};

use super::prepare::MOST_PIXELS;

/// The most bytes that a file may take when decoded, so that a few bytes of a damaged one do not fill the memory.
const MOST_BYTES: u64 = 1 << 30;

/// The width, the height and the pixels `[H, W, 3]` of a file; else why it cannot be decoded.
fn decoded(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("it does not begin as a PNG or JPEG file does".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| error.to_string())?;
    Ok(on_white(image))
}

/// c = a c + (1 − a) white, for each colour c with opacity a.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        let [r, g, b, a] = from.0.map(u32::from);
        *to = Rgb([r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8));
    }
    out
}

/// The greatest square in the middle, brought to `side` pixels by bicubic interpolation, with a wider kernel where it
/// shrinks, so that nothing aliases. It is cut first, so that a long strip is never made larger.
fn squared(image: RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let shorter = width.min(height);
    let square = match width == height {
        true => image,
        false => crop_imm(&image, (width - shorter) / 2, (height - shorter) / 2, shorter, shorter).to_image(),
    };
    if shorter == side { square } else { resize(&square, side, side, FilterType::CatmullRom) }
}

/// A file as `[C, H, W]` with its pixels; else why it is none.
pub(super) fn read(bytes: &[u8], channels: usize, size: Option<usize>) -> Result<([usize; 3], Vec<u8>), String> {
    let image = decoded(bytes)?;
    if image.width().max(image.height()) as usize > MOST_PIXELS && size.is_none() {
        return Err(format!("it has {}×{} pixels, and a side may have {MOST_PIXELS}", image.width(), image.height()));
    }
    let image = match size {
        Some(side) => squared(image, side as u32),
        None => image,
    };
    let shape = [channels, image.height() as usize, image.width() as usize];
    let pixels = match channels {
        1 => DynamicImage::from(image).into_luma8().into_raw(),
        _ => {
            let interleaved = image.into_raw();
            (0..3).flat_map(|channel| interleaved[channel..].iter().step_by(3).copied()).collect()
        }
    };
    Ok((shape, pixels))
}
