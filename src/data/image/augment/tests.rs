//! What augmentation does to an image is what it tells the network.

use super::*;
use crate::rng::Purpose;

const SHAPE: [usize; 3] = [2, 8, 6];

fn stream() -> Stream {
    Stream::new(3, Purpose::Data)
}

/// No kind at all, to add some to.
fn none() -> Augment {
    Augment {
        x_flip: 0.0,
        y_flip: Some(0.0),
        scaling: Some(0.0),
        rotation: Some(0.0),
        anisotropy: Some(0.0),
        translation: Some(0.0),
        ..Augment::default()
    }
}

fn image(shape: [usize; 3]) -> Vec<f32> {
    (0..shape.iter().product::<usize>()).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect()
}

fn applied(augment: &Augment, i: u64, shape: [usize; 3]) -> (Vec<f32>, Vec<f32>) {
    let (mut x, mut labels) = (image(shape), vec![f32::NAN; augment.labels()]);
    augment.apply(stream(), i, &mut x, shape, &mut labels);
    (x, labels)
}

/// The pixel of an image `[2, H, W]`.
fn at(x: &[f32], [_, height, width]: [usize; 3], c: usize, row: usize, column: usize) -> f32 {
    x[(c * height + row) * width + column]
}

#[test]
fn with_probability_zero_nothing_happens() {
    let never = Augment { p: 0.0, ..Augment::default() };
    for i in 0..200 {
        assert_eq!(applied(&never, i, SHAPE), (image(SHAPE), vec![0.0; 9]));
    }
    assert_eq!((none().labels(), applied(&none(), 0, SHAPE)), (0, (image(SHAPE), vec![])));
}

/// The numbers of labels of the paper: nine for CIFAR-10, with left and right, top and bottom, and all four maps.
#[test]
fn kinds_without_probability_have_no_labels() {
    assert_eq!(Augment::default().labels(), 9);
    assert_eq!(Augment { y_flip: Some(0.0), ..Augment::default() }.labels(), 8);
    assert_eq!(Augment { quarter_turns: 0.1, pixel_translation: 0.1, ..Augment::default() }.labels(), 13);
}

/// Every label describes what was done, pixel by pixel, for all outcomes of the coins.
#[test]
fn labels_say_what_was_done_to_pixels() {
    let square = [2, 8, 8];
    let mut seen = std::collections::BTreeSet::new();
    let augment = Augment { p: 1.0, x_flip: 1.0, y_flip: Some(1.0), quarter_turns: 1.0, ..none() };
    for i in 0..100 {
        let (x, labels) = applied(&augment, i, square);
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| labels[k] == 1.0);
        // Turns: none, one, two and three quarters are (0, 0), (1, 0), (1, 1), (0, 1).
        seen.insert([a, b, c, d]);
        for row in 0..8 {
            for column in 0..8 {
                // Back from the new pixel: the turn first, which exchanges axes after mirroring.
                let (mut y, mut z) = if c ^ d { (column, row) } else { (row, column) };
                if b ^ d {
                    y = 7 - y;
                }
                if a ^ c {
                    z = 7 - z;
                }
                assert_eq!(at(&x, square, 1, row, column), at(&image(square), square, 1, y, z), "{labels:?}");
            }
        }
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn whole_moves_are_those_of_the_labels() {
    let augment = Augment { p: 1.0, pixel_translation: 1.0, ..none() };
    let shape = [1, 24, 16];
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..200 {
        let (x, labels) = applied(&augment, i, shape);
        let (right, up) = ((labels[0] * 2.0).round() as i64, (labels[1] * 3.0).round() as i64);
        assert!(right.abs() <= 2 && up.abs() <= 3);
        seen.insert((right, up));
        for row in 3..21 {
            for column in 2..14 {
                let from = at(&image(shape), shape, 0, (row + up) as usize, (column - right) as usize);
                assert_eq!(at(&x, shape, 0, row as usize, column as usize), from);
            }
        }
    }
    assert_eq!(seen.len(), 35);
}

/// The maps of the labels, built from the labels alone, give the same images.
#[test]
fn maps_are_those_of_the_labels() {
    let shape = [1, 16, 16];
    // How far an image is from what a map makes.
    let off = |x: &[f32], map: &Affine| {
        let mut expected = image(shape);
        resample(&mut expected, [16, 16], map);
        x.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let one = |augment: Augment, map: &dyn Fn(&[f32]) -> Affine| {
        for i in 0..20 {
            let (x, labels) = applied(&augment, i, shape);
            assert!(off(&x, &map(&labels)) < 1e-3, "{labels:?}: {}", off(&x, &map(&labels)));
            assert_ne!(x, image(shape));
        }
    };
    let of = |v: f32| f64::from(v);
    one(Augment { p: 1.0, scaling: None, ..none() }, &|l| {
        let s = (-0.2 * of(l[0])).exp2();
        Affine::scale(s, s)
    });
    one(Augment { p: 1.0, rotation: None, ..none() }, &|l| Affine::rotation(of(l[1]).atan2(of(l[0]) + 1.0)));
    one(Augment { p: 1.0, translation: None, ..none() }, &|l| Affine::translation(-2.0 * of(l[0]), -2.0 * of(l[1])));
    // The labels of the paper do not tell (y, φ) from (−y, φ + π), which stretches the other way.
    for i in 0..20 {
        let (x, l) = applied(&Augment { p: 1.0, anisotropy: None, ..none() }, i, shape);
        let (y, axis) = (of(l[0]).hypot(of(l[1])), of(l[1]).atan2(of(l[0])));
        let stretch = |s: f64| Affine::rotation(-axis).after(&Affine::scale(1.0 / s, s)).after(&Affine::rotation(axis));
        let either = off(&x, &stretch((0.2 * y).exp2())).min(off(&x, &stretch((-0.2 * y).exp2())));
        assert!(either < 1e-3, "{l:?}: {either}");
    }
}

/// How often each kind happens, within 4 standard errors of its probability.
#[test]
fn kinds_happen_as_often_as_they_should() {
    let augment = Augment { quarter_turns: 0.4, pixel_translation: 0.3, rotation: Some(0.5), ..Augment::default() };
    let n = 20_000;
    let mut counts = [0usize; 8];
    let mut coin = 0.0;
    for i in 0..n {
        let mut labels = [0.0; 13];
        augment.draw(stream(), i, [32, 32], &mut labels);
        let parts: [&[f32]; 8] = [
            &labels[..1],
            &labels[1..2],
            &labels[2..4],
            &labels[4..6],
            &labels[6..7],
            &labels[7..9],
            &labels[9..11],
            &labels[11..13],
        ];
        for (count, part) in counts.iter_mut().zip(parts) {
            *count += usize::from(part.iter().any(|&v| v != 0.0));
        }
        coin += labels[6];
    }
    // A coin is heads half of the time, three of four turns are some, and one of 81 whole moves is none.
    let expected = [0.5, 0.06, 0.3, 0.3 * 80.0 / 81.0, 0.12, 0.5, 0.12, 0.12];
    for ((count, p), kind) in counts.into_iter().zip(expected).zip(0..) {
        let found = count as f64 / n as f64;
        // The ends of the range of whole moves are half as wide as its other values.
        let slack = if kind == 3 { 0.003 } else { 0.0 };
        assert!((found - p).abs() < 4.0 * (p * (1.0 - p) / n as f64).sqrt() + slack, "kind {kind}: {found}, not {p}");
    }
    assert!((f64::from(coin) / n as f64).abs() < 4.0 * (0.12 / n as f64).sqrt(), "the mean of scaling is {coin}");
}

/// A kind is drawn the same whatever others there are.
#[test]
fn kinds_do_not_move_one_another() {
    let alone = Augment { p: 1.0, translation: None, ..none() };
    let among = Augment { p: 1.0, ..Augment::default() };
    for i in 0..10 {
        assert_eq!(applied(&alone, i, SHAPE).1, applied(&among, i, SHAPE).1[7..]);
    }
}

#[test]
fn settings_that_cannot_be() {
    let key = |augment: Augment| augment.check().map_err(|fault| fault.key);
    assert_eq!(key(Augment { p: 1.5, ..none() }), Err("p".into()));
    assert_eq!(key(Augment { y_flip: Some(-0.1), ..none() }), Err("y_flip".into()));
    assert_eq!(key(Augment { scaling_std: f64::NAN, ..none() }), Err("scaling_std".into()));
    assert_eq!(key(Augment::default()), Ok(()));
    let fault = Augment { quarter_turns: 0.1, ..none() }.fits(SHAPE).unwrap_err();
    assert_eq!(fault.problem, "the images are 8×6×2, and only squares are turned");
}
