//! Folders and archives of pictures, and what is known of each.

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use zip::write::SimpleFileOptions;

use super::*;
use crate::data::Cell;

fn packed(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).expect("memory");
    bytes.into_inner()
}

fn png(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    packed(RgbImage::from_pixel(width, height, Rgb(color)), ImageFormat::Png)
}

fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("memory");
        archive.write_all(bytes).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

fn settings(path: &str) -> ImageFiles {
    ImageFiles { path: path.into(), validation: 0.0, ..ImageFiles::default() }
}

fn build(place: &Place, settings: &ImageFiles) -> Result<Images, Fault> {
    settings.check()?;
    settings.build(&place.library())
}

#[track_caller]
fn refused(place: &Place, settings: &ImageFiles, said: &str) {
    assert_eq!(place.told(&build(place, settings).expect_err(said)), said);
}

/// The one image of a set `[C, H, W]`, as bytes.
fn only(images: &Images) -> Vec<u8> {
    let all = bytes(images, Part::Training);
    assert_eq!(all.len(), 1);
    all.into_iter().next().expect("one")
}

#[test]
fn folders_of_folders_are_classes_as_they_are_in_archives() {
    let place = Place::new();
    let files = [
        ("boat/a.png", png(4, 3, [1, 2, 3])),
        ("boat/b.PNG", png(4, 3, [4, 5, 6])),
        ("tree/c.png", png(4, 3, [7, 8, 9])),
    ];
    for (name, bytes) in &files {
        place.write(&format!("set/{name}"), bytes);
    }
    place.write("set/readme.txt", "no image");
    place.write("set/.hidden.png", "no image");
    place.write("set.zip", zipped(&files));
    let all: Vec<Images> = ["set", "set.zip"].map(|path| build(&place, &settings(path)).expect("images")).into();
    for images in &all {
        assert_eq!((images.shape(), images.classes()), (vec![3, 3, 4], &["boat".to_owned(), "tree".to_owned()][..]));
        let labelled = images.labelled(Part::Training, stream(0), 0, 9);
        let red = images.restore(&labelled.x).select(1, 0).select(1, 0).select(1, 0).contiguous();
        let classes = Vec::<i64>::try_from(labelled.class.expect("labels")).expect("int64");
        assert!(Vec::<u8>::try_from(red).expect("bytes").iter().zip(classes).all(|(&red, c)| c == i64::from(red == 7)));
    }
    assert_eq!(bytes(&all[0], Part::Training), bytes(&all[1], Part::Training));
    assert_eq!(all[0].digest(), all[1].digest());
    assert_eq!(all[1].about(), Some("3 of 3 images of set.zip, 0 of them held out; 3×4×3 in 2 classes"));
    // One folder alone says nothing of classes.
    assert!(build(&place, &settings("set/boat")).expect("images").classes().is_empty());
}

#[test]
fn every_form_of_picture_is_decoded() {
    let place = Place::new();
    let one = |name: &str, bytes: Vec<u8>, channels: usize| {
        place.write(&format!("{name}/x.png"), bytes);
        only(&build(&place, &ImageFiles { channels, ..settings(name) }).expect("an image"))
    };
    // Half transparent red on white, and nothing at all.
    let mut clear = RgbaImage::from_pixel(2, 1, Rgba([255, 0, 0, 128]));
    clear.put_pixel(1, 0, Rgba([9, 9, 9, 0]));
    assert_eq!(one("clear", packed(clear, ImageFormat::Png), 3), [255, 255, 127, 255, 127, 255]);
    assert_eq!(
        one("grey", packed(GrayImage::from_raw(2, 1, vec![3, 200]).expect("fits"), ImageFormat::Png), 3),
        [3, 200, 3, 200, 3, 200]
    );
    assert_eq!(
        one("one", packed(GrayImage::from_raw(2, 1, vec![3, 200]).expect("fits"), ImageFormat::Png), 1),
        [3, 200]
    );
    // Luminance by Rec. 709.
    assert_eq!(one("luma", png(1, 1, [0, 255, 0]), 1), [182]);
    // The content decides, not the ending; JPEG loses little of a plain colour.
    let jpeg = packed(RgbImage::from_pixel(8, 8, Rgb([200, 100, 50])), ImageFormat::Jpeg);
    let found = one("jpeg", jpeg, 3);
    assert!([200u8, 100, 50].iter().zip([0, 64, 128]).all(|(&v, at)| found[at].abs_diff(v) < 4), "{:?}", &found[..8]);
}

#[test]
fn pictures_are_cut_and_scaled() {
    let place = Place::new();
    // Left third black, the rest white, twice as wide as high.
    let wide = RgbImage::from_fn(24, 12, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3]));
    place.write("wide/x.png", packed(wide, ImageFormat::Png));
    let cut = only(&build(&place, &ImageFiles { size: Some(12), channels: 1, ..settings("wide") }).expect("an image"));
    // The middle twelve columns are 6 to 18: two of them black.
    assert!(cut.chunks(12).all(|row| row == [vec![0; 2], vec![255; 10]].concat()), "{cut:?}");
    let half = only(&build(&place, &ImageFiles { size: Some(6), channels: 1, ..settings("wide") }).expect("an image"));
    assert!(half.chunks(6).all(|row| row[0] < 30 && row[2..].iter().all(|&v| v > 225)), "{half:?}");
    let larger = build(&place, &ImageFiles { size: Some(48), ..settings("wide") }).expect("an image");
    assert_eq!(larger.shape(), [3, 48, 48]);
    // A strip is cut before it is made larger: whole, it would have 256×2,560,000 pixels.
    place.write("strip/x.png", png(1, 10_000, [7; 3]));
    let strip = build(&place, &ImageFiles { size: Some(256), channels: 1, ..settings("strip") }).expect("an image");
    assert_eq!(only(&strip), [7; 256 * 256]);
    place.write("wide/y.png", png(5, 7, [0; 3]));
    assert_eq!(
        build(&place, &ImageFiles { size: Some(6), ..settings("wide") }).expect("images").rows(Part::Training),
        Some(2)
    );
    refused(
        &place,
        &settings("wide"),
        "size: …/wide/x.png has 24×12 pixels (width × height), and …/wide/y.png has 5×7; \
         write the side that all shall have, such as `size: 64`",
    );
}

const LINES: &str = r#"{"file": "a.png", "caption": "a boat", "kind": "ship", "tone": ""}

{"file": "sub/b.png", "caption": "an oak", "kind": "tree", "tone": "", "tags": ["x"]}
{"file": "c.png", "caption": "a dark oak", "kind": "tree", "tone": "2"}
"#;

fn captioned(place: &Place) -> ImageFiles {
    for (i, name) in ["a.png", "sub/b.png", "c.png", "unnamed.png"].iter().enumerate() {
        place.write(&format!("set/{name}"), png(2, 2, [i as u8; 3]));
    }
    place.write("lines.jsonl", LINES);
    ImageFiles { captions: Some("lines.jsonl".into()), ..settings("set") }
}

#[test]
fn captions_choose_and_name() {
    let place = Place::new();
    let all = captioned(&place);
    let images = build(&place, &all).expect("images");
    assert_eq!(images.about(), Some("3 of 4 images of set, 0 of them held out; 2×2×3 without classes"));
    let cell = |text: &str| Cell::Text(text.into());
    let plain = ImageFiles { label: Some("kind".into()), filter: [("tone".into(), cell(""))].into(), ..all.clone() };
    let images = build(&place, &plain).expect("images");
    assert_eq!(images.classes(), ["ship", "tree"]);
    assert_eq!(bytes(&images, Part::Training), BTreeSet::from([vec![0; 12], vec![1; 12]]));
    let dark = ImageFiles {
        filter: [("tone".into(), Cell::Number(2.0)), ("kind".into(), cell("tree"))].into(),
        ..all.clone()
    };
    assert_eq!(only(&build(&place, &dark).expect("images")), vec![2; 12]);

    let with = |field: &str, value: &str| ImageFiles { filter: [(field.into(), cell(value))].into(), ..all.clone() };
    refused(
        &place,
        &with("kind", "tre"),
        "where.kind: no file of …/lines.jsonl that is left has `tre` there; did you mean `tree`? its values are ship, tree",
    );
    refused(
        &place,
        &with("kin", "tree"),
        "where.kin: …/lines.jsonl:1: there is no field `kin`; did you mean `kind`? its fields are caption, file, kind, tone",
    );
    let label = |label: &str| ImageFiles { label: Some(label.into()), ..with("caption", "an oak") };
    refused(
        &place,
        &label("tags"),
        "label: …/lines.jsonl:3: the field `tags` is not a text; name a field that is one in every line",
    );
    let remedy = "write one object a line, such as {\"file\": \"a.png\", \"caption\": \"a boat\"}";
    for (line, said) in [
        (
            "{\"file\": \"a.png\"",
            &format!("5: this is no JSON object (EOF while parsing an object at line 1 column 16); {remedy}"),
        ),
        (
            "[1]",
            &format!("5: this is no JSON object (invalid type: sequence, expected a map at line 1 column 0); {remedy}"),
        ),
        ("{\"caption\": \"x\"}", &format!("5: there is no text `file`; {remedy}")),
        ("{\"file\": \"a.png\"}", &"5: a.png stands in line 1 already; keep one of them".to_owned()),
        ("{\"file\": \"d.png\"}", &"5: there is no image …/set/d.png; correct the path, or remove the line".to_owned()),
    ] {
        place.write("lines.jsonl", format!("{LINES}{line}\n"));
        refused(&place, &all, &format!("captions: …/lines.jsonl:{said}"));
    }
}

#[test]
fn pictures_that_cannot_be_read() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).expect("a folder");
    place.write("none.zip", zipped(&[("a.txt", b"text".to_vec())]));
    place.write("no.zip", "this is no archive");
    place.write("set/a.png", png(2, 2, [0; 3]));
    place.write("set/sub/b.png", &png(2, 2, [0; 3])[..40]);
    place.write("set.zip", zipped(&[("a.png", png(2, 2, [0; 3])), ("sub/b.png", b"no picture".to_vec())]));
    place.write("other/a.webp", "x");
    let of = "name the folder or the archive that has them";
    refused(&place, &settings("empty"), &format!("path: there is no PNG or JPEG file in …/empty; {of}"));
    refused(&place, &settings("none.zip"), &format!("path: there is no PNG or JPEG file in …/none.zip; {of}"));
    refused(
        &place,
        &settings("other"),
        "path: …/other/a.webp is of a form that is not read; make it a PNG or JPEG file, or take it away",
    );
    let told = |path: &str| place.told(&build(&place, &settings(path)).expect_err("damaged"));
    let found = told("no.zip");
    assert!(found.starts_with("path: …/no.zip is truncated or no zip archive ("), "{found}");
    let found = told("set");
    assert!(found.starts_with("path: …/set/sub/b.png cannot be decoded: "), "{found}");
    assert!(found.ends_with("; replace it, or take it away"), "{found}");
    let form = "it does not begin as a PNG or JPEG file does; replace it, or take it away";
    assert_eq!(told("set.zip"), format!("path: …/set.zip, member sub/b.png cannot be decoded: {form}"));
    let missing = build(&place, &settings("nowhere")).expect_err("missing");
    assert!(missing.key == "path" && missing.problem.starts_with("there is no file "), "{missing:?}");
    // A size that a header promises is not believed.
    let mut huge = png(2, 2, [0; 3]);
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    place.write("huge/a.png", huge);
    assert!(told("huge").starts_with("path: …/huge/a.png cannot be decoded: "));
    for (settings, said) in [
        (
            settings(""),
            "path: no folder or archive is named; name a folder of PNG and JPEG files, or a .zip archive of them",
        ),
        (
            ImageFiles { channels: 2, ..settings("set") },
            "channels: 2 is no number of channels; write 3 for colours, or 1 for grey",
        ),
        (
            ImageFiles { label: Some("x".into()), ..settings("set") },
            "label: these are fields of captions, and there are none; name the file that has the fields in `captions`",
        ),
    ] {
        refused(&place, &settings, said);
    }
}
