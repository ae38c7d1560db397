//! The resampling against whole moves, against what it should do to smooth images, and against LibTorch's operators.

use std::f64::consts::FRAC_PI_2;

use proptest::prelude::*;
use tch::{Kind, Tensor};

use super::*;

/// A smooth image: a hump at (x, y) from the middle.
fn hump([height, width]: [usize; 2], [x, y]: [f64; 2]) -> Vec<f32> {
    let at = |i: usize| {
        let dx = (i % width) as f64 - (width as f64 - 1.0) / 2.0 - x;
        let dy = (i / width) as f64 - (height as f64 - 1.0) / 2.0 - y;
        (-(dx * dx + dy * dy) / 18.0).exp() as f32
    };
    (0..height * width).map(at).collect()
}

fn rough(size: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 23) - 1.0
    };
    (0..size).map(|_| next() as f32).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_filter_is_orthogonal() {
    assert!((SYM6.iter().sum::<f32>() - 2f32.sqrt()).abs() < 1e-6);
    for shift in 0..6 {
        let product: f32 = SYM6.iter().zip(&SYM6[2 * shift..]).map(|(a, b)| a * b).sum();
        assert!((product - if shift == 0 { 1.0 } else { 0.0 }).abs() < 1e-6, "{shift}: {product}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_identity_and_whole_moves_are_exact(
        height in 8usize..40, width in 8usize..40, right in -4i64..=4, down in -4i64..=4, seed: u32,
    ) {
        let image = rough(2 * height * width, seed);
        let mut same = image.clone();
        resample(&mut same, [height, width], &Affine::IDENTITY);
        prop_assert!(worst(&same, &image) < 2e-5, "{}", worst(&same, &image));
        // A pixel is found where it was before the move; beyond the edge, in the mirror.
        let mut moved = image.clone();
        resample(&mut moved, [height, width], &Affine::translation(-right as f64, -down as f64));
        let mut expected = image.clone();
        for (plane, expected) in image.chunks(height * width).zip(expected.chunks_mut(height * width)) {
            for (i, pixel) in expected.iter_mut().enumerate() {
                let (x, y) = ((i % width) as i64 - right, (i / width) as i64 - down);
                *pixel = plane[mirrored(y, height) * width + mirrored(x, width)];
            }
        }
        prop_assert!(worst(&moved, &expected) < 2e-5, "{}", worst(&moved, &expected));
    }
}

/// What the content does is the inverse of what the lookup does: a hump turns, moves and grows.
#[test]
fn a_hump_goes_where_it_should() {
    let size = [32, 32];
    for (from, place) in [
        // Looked up a quarter turn further from x to y, so that the content turns from y to x.
        (Affine::rotation(FRAC_PI_2), [0.0, -5.0]),
        (Affine::rotation(-FRAC_PI_2), [0.0, 5.0]),
        (Affine::scale(-1.0, 1.0), [-5.0, 0.0]),
        (Affine::translation(-2.5, 1.25), [7.5, -1.25]),
    ] {
        let mut image = hump(size, [5.0, 0.0]);
        resample(&mut image, size, &from);
        assert!(worst(&image, &hump(size, place)) < 0.02, "{from:?}: {}", worst(&image, &hump(size, place)));
    }
    let mut image = hump(size, [0.0, 0.0]);
    resample(&mut image, size, &Affine::scale(0.5, 0.5));
    // Twice as wide: exp(−r²/72).
    let wider: Vec<f32> = hump(size, [0.0, 0.0]).iter().map(|v| v.powf(0.25)).collect();
    assert!(worst(&image, &wider) < 0.03, "{}", worst(&image, &wider));
}

/// The same by LibTorch: padding by reflection, convolutions with the filter, an affine grid.
fn by_torch(image: &[f32], [height, width]: [usize; 2], from: &Affine) -> Vec<f32> {
    let (h, w) = (height as i64, width as i64);
    let x = Tensor::from_slice(image).view([1, -1, h, w]);
    // The widest border that mirroring gives; a wider one than needed changes nothing that is seen.
    let (mx, my) = (w - 1, h - 1);
    let x = x.reflection_pad2d([mx, mx, my, my]);
    let (tall, wide) = (h + 2 * my, w + 2 * mx);
    let c = x.size()[1];
    let filter = Tensor::from_slice(&SYM6);
    let reversed = filter.flip([0]);
    let spread = Tensor::zeros([1, c, 2 * tall, 2 * wide], (Kind::Float, x.device()));
    spread.slice(2, 0, None, 2).slice(3, 0, None, 2).copy_(&x);
    let along = |x: &Tensor, filter: &Tensor, axis: usize, stride: i64| {
        let shape = if axis == 2 { [1, 1, 12, 1] } else { [1, 1, 1, 12] };
        let kernel = filter.view(shape).repeat([c, 1, 1, 1]);
        let only = |value: i64, other: i64| if axis == 2 { [value, other] } else { [other, value] };
        let padding = only(if stride == 1 { 6 } else { 5 }, 0);
        x.conv2d(&kernel, None::<Tensor>, only(stride, 1), padding, [1, 1], c)
    };
    // The zero after the last pixel makes one number too many.
    let fine = along(&along(&spread, &reversed, 3, 1), &reversed, 2, 1).narrow(2, 0, 2 * tall).narrow(3, 0, 2 * wide);
    let (oh, ow) = (2 * (h + 6), 2 * (w + 6));
    let half = Affine::translation(-0.5, -0.5);
    let double = Affine::scale(2.0, 2.0).after(from).after(&Affine::scale(0.5, 0.5));
    let map = half.after(&double).after(&Affine::translation(0.5, 0.5));
    let unit = Affine::scale(1.0 / wide as f64, 1.0 / tall as f64);
    let map = unit.after(&map).after(&Affine::scale(ow as f64 / 2.0, oh as f64 / 2.0));
    let theta: Vec<f32> = (0..2).flat_map(|i| [map.a[i][0], map.a[i][1], map.b[i]]).map(|v| v as f32).collect();
    let grid = Tensor::affine_grid_generator(&Tensor::from_slice(&theta).view([1, 2, 3]), [1, c, oh, ow], false);
    let seen = fine.grid_sampler(&grid, 0, 0, false);
    let out = along(&along(&seen, &filter, 3, 2), &filter, 2, 2);
    let out = out.narrow(2, 3, h).narrow(3, 3, w).contiguous().view(-1);
    Vec::try_from(out).expect("numbers")
}

#[test]
fn libtorch_agrees() {
    for (k, (height, width)) in [(12, 12), (20, 17), (16, 30)].into_iter().enumerate() {
        let image = rough(3 * height * width, 7 + k as u32);
        for from in [
            Affine::IDENTITY,
            Affine::rotation(0.7),
            Affine::scale(0.8, 1.3).after(&Affine::rotation(-2.0)).after(&Affine::translation(1.3, -2.6)),
            Affine::scale(0.6, 0.6),
        ] {
            let mut ours = image.clone();
            resample(&mut ours, [height, width], &from);
            let theirs = by_torch(&image, [height, width], &from);
            assert!(worst(&ours, &theirs) < 1e-3, "{height}×{width}, {from:?}: {}", worst(&ours, &theirs));
        }
    }
}
