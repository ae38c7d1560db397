//! Images under an affine map, as in Karras et al. 2020 ("Training Generative Adversarial Networks with Limited Data",
//! appendix B): mirrored at the edges, brought to twice the resolution by the low-pass filter of an orthogonal wavelet,
//! looked up bilinearly, and brought back by the same filter. Orthogonality makes the identity, and moves by whole pixels,
//! exact to round-off.

/// The low-pass filter of Daubechies' symlet with six vanishing moments (Daubechies 1992, table 6.3): Σ h_k = √2 and
/// Σ h_k h_{k+2m} = δ_m.
const SYM6: [f32; 12] = [
    0.015_404_109,
    0.003_490_712,
    -0.117_990_11,
    -0.048_311_743,
    0.491_055_94,
    0.787_641_14,
    0.337_929_42,
    -0.072_637_52,
    -0.021_060_293,
    0.044_724_9,
    0.001_767_712,
    -0.007_800_708_3,
];

/// Pixels around the image that the filter reaches.
const REACH: usize = SYM6.len() / 4;

/// (x, y) ↦ A (x, y) + b, in pixels from the middle of an image: x to the right, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub a: [[f64; 2]; 2],
    pub b: [f64; 2],
}

impl Affine {
    pub const IDENTITY: Affine = Affine { a: [[1.0, 0.0], [0.0, 1.0]], b: [0.0, 0.0] };

    /// (x, y) ↦ (s x, t y).
    pub fn scale(s: f64, t: f64) -> Self {
        Affine { a: [[s, 0.0], [0.0, t]], b: [0.0; 2] }
    }

    /// The rotation by an angle, from x towards y.
    pub fn rotation(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Affine { a: [[cos, -sin], [sin, cos]], b: [0.0; 2] }
    }

    /// (x, y) ↦ (x + s, y + t).
    pub fn translation(s: f64, t: f64) -> Self {
        Affine { b: [s, t], ..Affine::IDENTITY }
    }

    /// This map after another.
    pub fn after(&self, first: &Affine) -> Self {
        let row = |i: usize| [0, 1].map(|j| self.a[i][0] * first.a[0][j] + self.a[i][1] * first.a[1][j]);
        Affine { a: [row(0), row(1)], b: self.at(first.b) }
    }

    /// Where it takes a point.
    pub fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|i| self.a[i][0] * x + self.a[i][1] * y + self.b[i])
    }
}

/// How many pixels of border an image needs on the low and on the high side of one axis, of at most `length` − 1 that
/// mirroring gives.
fn border(furthest: [f64; 2], length: usize) -> [usize; 2] {
    let middle = (length as f64 - 1.0) / 2.0;
    furthest.map(|far| (far + (2 * REACH) as f64 - middle).clamp(0.0, length as f64 - 1.0).ceil() as usize)
}

/// The place in 0..length where `at` is seen in mirrors at the first and the last pixel.
pub(super) fn mirrored(at: i64, length: usize) -> usize {
    let period = (2 * length as i64 - 2).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// Twice as many numbers as `line` `[N]`: out_j = Σ_i line_i h_{j+5−2i}, for lines of `stride` numbers side by side.
fn doubled(line: &[f32], stride: usize) -> Vec<f32> {
    let n = line.len() / stride;
    let mut out = vec![0.0; 2 * line.len()];
    for (j, out) in out.chunks_mut(stride).enumerate() {
        for (k, &h) in SYM6.iter().enumerate().skip((j + 1) % 2).step_by(2) {
            // 2 i = j + 5 − k
            let i = (j + 5).checked_sub(k).map(|twice| twice / 2).filter(|&i| i < n);
            if let Some(i) = i {
                out.iter_mut().zip(&line[i * stride..][..stride]).for_each(|(out, x)| *out += h * x);
            }
        }
    }
    out
}

/// Half as many numbers as `line`, and without the reach on both sides: out_i = Σ_k h_k line_{2(i+3)+k−5}.
fn halved(line: &[f32], stride: usize) -> Vec<f32> {
    let n = line.len() / stride / 2 - 2 * REACH;
    let mut out = vec![0.0; n * stride];
    for (i, out) in out.chunks_mut(stride).enumerate() {
        for (k, &h) in SYM6.iter().enumerate() {
            let from = &line[(2 * (i + REACH) + k - 5) * stride..][..stride];
            out.iter_mut().zip(from).for_each(|(out, x)| *out += h * x);
        }
    }
    out
}

/// `[H, W]` as `[W, H]`.
fn turned(image: &[f32], width: usize) -> Vec<f32> {
    let height = image.len() / width;
    (0..width).flat_map(|x| (0..height).map(move |y| image[y * width + x])).collect()
}

/// The number between pixels of `[H, W]`; 0 outside.
fn bilinear(image: &[f32], width: usize, [x, y]: [f32; 2]) -> f32 {
    let height = image.len() / width;
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let (left, top) = (left as i64, top as i64);
    let mix = |[a, b, c, d]: [f32; 4]| {
        let (upper, lower) = (a * (1.0 - fx) + b * fx, c * (1.0 - fx) + d * fx);
        upper * (1.0 - fy) + lower * fy
    };
    if left >= 0 && top >= 0 && left + 1 < width as i64 && top + 1 < height as i64 {
        let (upper, lower) = image[top as usize * width + left as usize..].split_at(width);
        return mix([upper[0], upper[1], lower[0], lower[1]]);
    }
    let pixel = |(dx, dy): (i64, i64)| {
        let (x, y) = (left + dx, top + dy);
        let inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
        if inside { image[y as usize * width + x as usize] } else { 0.0 }
    };
    mix([(0, 0), (1, 0), (0, 1), (1, 1)].map(pixel))
}

/// Replaces each pixel of `[C, H, W]` by what is seen where `from` takes it: `from` is the inverse of the map that the
/// content undergoes. Beyond the mirrored border (as wide as the image at most) there is 0, the middle grey.
pub(super) fn resample(image: &mut [f32], [height, width]: [usize; 2], from: &Affine) {
    let (cx, cy) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let corners = [[-cx, -cy], [cx, -cy], [cx, cy], [-cx, cy]].map(|corner| from.at(corner));
    let furthest = |axis: usize| {
        let along = corners.map(|corner| corner[axis]);
        [along.iter().fold(f64::MIN, |most, v| most.max(-v)), along.iter().fold(f64::MIN, |most, v| most.max(*v))]
    };
    let ([x0, x1], [y0, y1]) = (border(furthest(0), width), border(furthest(1), height));
    let (wide, tall) = (width + x0 + x1, height + y0 + y1);
    // Pixels of the doubled output to pixels of the doubled image. The filter moves both by half of one of them, and the
    // border moves the middle.
    let out = [width + 2 * REACH, height + 2 * REACH];
    let middle = [(x0 as f64 - x1 as f64) / 2.0, (y0 as f64 - y1 as f64) / 2.0];
    let size = [wide as f64, tall as f64];
    let lookup = |i: usize| {
        let (x, y) = (i % (2 * out[0]), i / (2 * out[0]));
        let at = from.at([(x as f64 + 1.0 - out[0] as f64) / 2.0, (y as f64 + 1.0 - out[1] as f64) / 2.0]);
        [0, 1].map(|axis| (2.0 * (at[axis] + middle[axis]) - 1.0 + size[axis]) as f32)
    };
    let lookups: Vec<[f32; 2]> = (0..4 * out[0] * out[1]).map(lookup).collect();
    let columns: Vec<usize> = (0..wide).map(|x| mirrored(x as i64 - x0 as i64, width)).collect();
    for plane in image.chunks_mut(height * width) {
        let mut bordered = Vec::with_capacity(wide * tall);
        for y in 0..tall {
            let row = &plane[mirrored(y as i64 - y0 as i64, height) * width..][..width];
            bordered.extend(columns.iter().map(|&x| row[x]));
        }
        // Down, then across as down.
        let fine = turned(&doubled(&turned(&doubled(&bordered, wide), wide), 2 * tall), 2 * tall);
        let seen: Vec<f32> = lookups.iter().map(|&at| bilinear(&fine, 2 * wide, at)).collect();
        let across = turned(&halved(&seen, 2 * out[0]), 2 * out[0]);
        plane.copy_from_slice(&turned(&halved(&across, height), height));
    }
}

#[cfg(test)]
mod tests;
