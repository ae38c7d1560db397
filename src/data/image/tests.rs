//! Sets of images: what is read, how it is split and drawn, and files that are damaged in every way.

mod broken;
mod files;
mod real;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::data::Library;
use crate::error::{Fault, Settings};
use crate::rng::Purpose;

fn stream(seed: u64) -> Stream {
    Stream::new(seed, Purpose::Data)
}

fn fixtures() -> Library {
    Library::new(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")))
}

/// The 200 images that come with the program, prepared.
fn fashion(prepare: Prepare) -> Result<Images, Fault> {
    let settings = FashionMnist { prepare, ..FashionMnist::default() };
    settings.check()?;
    settings.build(&fixtures())
}

/// A folder for files, and it as a data folder.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("writable");
    }

    fn library(&self) -> Library {
        Library::new(Some(self.0.path()))
    }

    /// A message, with the folder as `…`.
    fn told(&self, fault: &Fault) -> String {
        format!("{}: {}; {}", fault.key, fault.problem, fault.remedy).replace(&self.0.path().display().to_string(), "…")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

fn idx(magic: u32, sides: &[u32], data: &[u8]) -> Vec<u8> {
    let head: Vec<u8> = [magic].iter().chain(sides).flat_map(|word| word.to_be_bytes()).collect();
    [&head, data].concat()
}

/// `count` images of 2×3 with the bytes 0, 1, 2 …
fn small(count: u32) -> Vec<u8> {
    idx(0x803, &[count, 2, 3], &(0..6 * count).map(|i| i as u8).collect::<Vec<_>>())
}

/// The bytes of all images of a part, as many images as there are.
fn bytes(images: &Images, part: Part) -> BTreeSet<Vec<u8>> {
    let x = images.sample(part, stream(0), 0, usize::MAX);
    let all = Vec::<u8>::try_from(images.restore(&x).contiguous().view(-1)).expect("bytes");
    all.chunks(images.size()).map(<[u8]>::to_vec).collect()
}

fn numbers(x: &Tensor) -> Vec<f32> {
    Vec::try_from(x.contiguous().view(-1)).expect("float32")
}

#[test]
fn idx_files_are_read_plain_and_packed() {
    let place = Place::new();
    place.write("x", small(4));
    place.write("x.gz", gzip(&small(4)));
    place.write("y", idx(0x801, &[4], &[2, 0, 1, 2]));
    for file in ["x", "x.gz"] {
        let settings = Idx { images: file.into(), labels: Some("y".into()), validation: Some(0.0), ..Idx::default() };
        let images = settings.build(&place.library()).expect("whole files");
        assert_eq!(images.shape(), [1, 2, 3]);
        assert_eq!(images.classes(), ["0", "1", "2"]);
        assert_eq!(bytes(&images, Part::Training), (0..4).map(|i| (6 * i..6 * i + 6).collect()).collect());
        let all = images.labelled(Part::Training, stream(0), 0, 9);
        let pixels = Vec::<u8>::try_from(images.restore(&all.x).contiguous().view(-1)).expect("bytes");
        let classes = Vec::<i64>::try_from(all.class.expect("labels")).expect("int64");
        for (image, class) in pixels.chunks(6).zip(classes) {
            assert_eq!(class, [2, 0, 1, 2][usize::from(image[0]) / 6]);
        }
        assert_eq!(images.about(), Some(&*format!("4 of 4 images of {file}, 0 of them held out; 2×3×1 in 3 classes")));
    }
}

#[test]
fn the_fixture_is_split_as_it_comes() {
    let images = fashion(Prepare::default()).expect("the fixture");
    let about = "200 of 200 images of fashion-mnist, 40 of them held out; 28×28×1 in 10 classes";
    assert_eq!(images.about(), Some(about));
    assert_eq!((images.rows(Part::Training), images.rows(Part::HeldOut)), (Some(160), Some(40)));
    assert_eq!(images.classes()[9], "Ankle boot");
    for (part, each) in [(Part::Training, 16), (Part::HeldOut, 4)] {
        let classes = images.labelled(part, stream(0), 0, 1000).class.expect("labels");
        let classes = Vec::<i64>::try_from(classes).expect("int64");
        for class in 0..10 {
            assert_eq!(classes.iter().filter(|&&c| c == class).count(), each);
        }
    }
    // Nothing of one part is in the other.
    assert!(bytes(&images, Part::Training).is_disjoint(&bytes(&images, Part::HeldOut)));
    assert_eq!(images.draw(stream(0), 0, 3).kind(), Kind::Float);
}

#[test]
fn every_epoch_shows_each_image_once() {
    let images = fashion(Prepare::default()).expect("the fixture");
    for epoch in 0..3 {
        let mut places = images.drawn(stream(1), 160 * epoch, 160);
        places.sort_unstable();
        assert!(places.into_iter().eq(0..160));
    }
    assert_ne!(images.drawn(stream(1), 0, 160), images.drawn(stream(1), 160, 160));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// An example is the same in whatever batch it comes, with mirroring and with augmentation.
    #[test]
    fn examples_do_not_depend_on_the_batch(first in 0u64..1000, split in 1usize..19, augment: bool) {
        let prepare = match augment {
            true => Prepare { augment: Some(Augment { p: 0.6, ..Augment::default() }), ..Prepare::default() },
            false => Prepare { flip: true, ..Prepare::default() },
        };
        let images = fashion(prepare).expect("the fixture");
        let whole = images.examples(stream(2), first, 20);
        let parts = [images.examples(stream(2), first, split), images.examples(stream(2), first + split as u64, 20 - split)];
        prop_assert_eq!(Tensor::cat(&[&parts[0].x, &parts[1].x], 0), whole.x);
        let cat = |of: fn(&Examples) -> Option<&Tensor>| {
            parts.iter().map(of).collect::<Option<Vec<_>>>().map(|both| Tensor::cat(&both, 0))
        };
        prop_assert_eq!(cat(|e| e.class.as_ref()), whole.class);
        prop_assert_eq!(cat(|e| e.augmentation.as_ref()).is_some(), augment);
        prop_assert_eq!(cat(|e| e.augmentation.as_ref()), whole.augmentation);
    }
}

#[test]
fn half_of_the_examples_are_mirrored() {
    let images = fashion(Prepare { flip: true, ..Prepare::default() }).expect("the fixture");
    let (plain, shown) = (images.draw(stream(0), 0, 800), images.examples(stream(0), 0, 800));
    assert!(shown.augmentation.is_none());
    let mut flipped = 0;
    for i in 0..800 {
        let (plain, shown) = (plain.get(i), shown.x.get(i));
        assert!(shown == plain || shown == plain.flip([2]));
        flipped += u32::from(shown != plain);
    }
    // Within 4 standard errors.
    assert!((flipped as f64 - 400.0).abs() < 4.0 * 200f64.sqrt(), "{flipped}");
    // What is measured is not mirrored, and neither is the same image each time.
    let again = images.examples(stream(0), 800, 160);
    let different = (0..160).filter(|&i| again.x.get(i) != images.draw(stream(0), 800, 160).get(i)).count();
    assert!((40..120).contains(&different));
    let held_out = images.labelled(Part::HeldOut, stream(0), 0, 5);
    assert_eq!(held_out.x, images.sample(Part::HeldOut, stream(0), 0, 5));
}

#[test]
fn what_is_measured_is_told_to_be_untouched() {
    let images = fashion(Prepare { augment: Some(Augment::default()), ..Prepare::default() }).expect("the fixture");
    assert_eq!(images.augmentations(), 9);
    let held_out = images.labelled(Part::HeldOut, stream(0), 0, 5);
    assert_eq!(
        held_out.augmentation.map(|labels| (labels.size(), labels.abs().sum(Kind::Float).double_value(&[]))),
        Some((vec![5, 9], 0.0))
    );
    assert_eq!(held_out.x, images.sample(Part::HeldOut, stream(0), 0, 5));
    let shown = images.examples(stream(0), 0, 500);
    let (labels, plain) = (shown.augmentation.expect("labels"), images.draw(stream(0), 0, 500));
    // With no label, nothing was done.
    let mut untouched = 0;
    for i in 0..500 {
        if labels.get(i).abs().sum(Kind::Float).double_value(&[]) == 0.0 {
            assert_eq!(shown.x.get(i), plain.get(i));
            untouched += 1;
        }
    }
    // ½ (1 − 0.06) 0.88⁴ of them, within 4 standard errors.
    let p = 0.5 * 0.94 * 0.88f64.powi(4);
    assert!((untouched as f64 / 500.0 - p).abs() < 4.0 * (p * (1.0 - p) / 500.0).sqrt(), "{untouched}");
}

#[test]
fn classes_are_numbered_anew() {
    let all = fashion(Prepare::default()).expect("the fixture");
    let wanted = vec![Class::Name("Bag".into()), Class::Position(1)];
    let images = fashion(Prepare { classes: Some(wanted), ..Prepare::default() }).expect("the fixture");
    assert_eq!(images.classes(), ["Bag", "Trouser"]);
    assert_eq!(images.about(), Some("40 of 200 images of fashion-mnist, 8 of them held out; 28×28×1 in 2 classes"));
    let of = |images: &Images, class: i64| {
        let all = images.labelled(Part::Training, stream(0), 0, 1000);
        let places = Vec::<i64>::try_from(all.class.expect("labels")).expect("int64");
        let rows = (0..).zip(places).filter(|&(_, c)| c == class).map(|(i, _)| numbers(&all.x.get(i)));
        let mut rows: Vec<Vec<f32>> = rows.collect();
        rows.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        rows
    };
    assert_eq!(of(&images, 0), of(&all, 8));
    assert_eq!(of(&images, 1), of(&all, 1));
}

#[test]
fn a_limit_leaves_the_first_ones_whatever_it_is() {
    let limited =
        |limit| bytes(&fashion(Prepare { limit: Some(limit), ..Prepare::default() }).expect("fits"), Part::Training);
    let (few, more) = (limited(20), limited(50));
    assert_eq!((few.len(), more.len()), (20, 50));
    assert!(few.is_subset(&more));
    let images = fashion(Prepare { limit: Some(20), ..Prepare::default() }).expect("fits");
    assert_eq!(images.rows(Part::HeldOut), Some(40));
}

#[test]
fn a_border_is_black_and_even() {
    let (plain, wide) = (
        fashion(Prepare::default()).expect("the fixture"),
        fashion(Prepare { pad: Some(33), ..Prepare::default() }).expect("fits"),
    );
    assert_eq!(wide.shape(), [1, 33, 33]);
    let (x, y) = (plain.draw(stream(0), 0, 7), wide.draw(stream(0), 0, 7));
    assert_eq!(y.narrow(2, 2, 28).narrow(3, 2, 28), x);
    // The rest is −1: the sum of x + 1 is the same.
    let sum = |x: &Tensor| (x + 1.0).sum(Kind::Double).double_value(&[]);
    assert!((sum(&x) - sum(&y)).abs() < 1e-3);
}

/// The share that is held out is chosen by what images show, not by where they stand.
#[test]
fn a_share_is_held_out_whatever_the_order() {
    let place = Place::new();
    let rows: Vec<u8> = (0..100u8).flat_map(|i| [i, 100 - i]).collect();
    place.write("a", idx(0x803, &[100, 1, 2], &rows));
    let reversed: Vec<u8> = rows.chunks(2).rev().flatten().copied().collect();
    place.write("b", idx(0x803, &[100, 1, 2], &reversed));
    let of = |file: &str, split_seed| {
        let settings = Idx { images: file.into(), validation: Some(0.25), split_seed, ..Idx::default() };
        settings.build(&place.library()).expect("whole")
    };
    let (a, b) = (of("a", 0), of("b", 0));
    assert_eq!((a.rows(Part::Training), a.rows(Part::HeldOut)), (Some(75), Some(25)));
    assert_eq!(bytes(&a, Part::HeldOut), bytes(&b, Part::HeldOut));
    assert_eq!(a.draw(stream(0), 0, 75), b.draw(stream(0), 0, 75));
    assert_ne!(bytes(&a, Part::HeldOut), bytes(&of("a", 1), Part::HeldOut));
    assert_ne!(a.digest(), b.digest());
    assert!(bytes(&a, Part::HeldOut).is_disjoint(&bytes(&a, Part::Training)));
    assert!(a.examples(stream(0), 0, 2).class.is_none() && a.classes().is_empty());
}

#[test]
fn samples_are_without_repetition() {
    let images = fashion(Prepare::default()).expect("the fixture");
    for first in 0..3 {
        let mut places = images.sampled(Part::HeldOut, stream(0), first, 1000);
        places.sort_unstable();
        assert!(places.into_iter().eq(160..200));
    }
    assert_ne!(images.sampled(Part::HeldOut, stream(0), 0, 10), images.sampled(Part::HeldOut, stream(0), 1, 10));
}
