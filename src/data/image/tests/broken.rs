//! Files and settings that are not what they should be: each message names the file, the place and the remedy.

use ndarray::{Array, ArrayD, array};
use ndarray_npy::WriteNpyExt;
use zip::write::SimpleFileOptions;

use super::*;

fn npy<T: ndarray_npy::WritableElement>(array: ArrayD<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).expect("memory");
    bytes
}

#[track_caller]
fn refused(place: &Place, found: Result<Images, Fault>, said: &str) {
    assert_eq!(place.told(&found.expect_err(said)), said);
}

#[test]
fn idx_files_that_are_damaged() {
    let place = Place::new();
    let whole = gzip(&small(4));
    place.write("whole", small(4));
    place.write("cut.gz", &whole[..whole.len() - 9]);
    place.write("labels", idx(0x801, &[4], &[0, 1, 2, 3]));
    place.write("head", &small(4)[..10]);
    place.write("short", &small(4)[..30]);
    place.write("long", [small(4), vec![0]].concat());
    place.write("huge", idx(0x803, &[u32::MAX, 4096, 4096], &[0; 24]));
    place.write("wide", idx(0x803, &[1, 4097, 1], &[0; 4097]));
    place.write("none", idx(0x803, &[0, 28, 28], &[]));
    place.write("other", b"%PDF-1.5 and so on and on");
    let images = |file: &str| Idx { images: file.into(), ..Idx::default() }.build(&place.library());
    let found = place.told(&images("cut.gz").expect_err("cut"));
    assert!(found.starts_with("images: …/cut.gz is truncated or no gzip file ("), "{found}");
    assert!(found.ends_with("); fetch or pack it again"), "{found}");
    for (file, said) in [
        (
            "labels",
            "byte 0 has the magic number 2049 (that of labels), and that of images is 2051; give an IDX file of images",
        ),
        ("other", "byte 0 has the magic number 626017350, and that of images is 2051; give an IDX file of images"),
        ("head", "it ends at byte 10, within its header of 16 bytes; fetch the file again"),
        (
            "short",
            "its header says 4×2×3 bytes of images, so that it has 40 bytes, and it ends at byte 30; fetch the file again",
        ),
        (
            "long",
            "its header says 4×2×3 bytes of images, so that it has 40 bytes, and it ends at byte 41; fetch the file again",
        ),
        (
            "huge",
            "its header says 4294967295×4096×4096 bytes of images, so that it has 72057594021150736 bytes, and it ends at \
             byte 40; fetch the file again",
        ),
        ("wide", "its header (bytes 4 to 16) says 1×4097×1 bytes of images; give images, with sides of at most 4096"),
        ("none", "its header (bytes 4 to 16) says 0×28×28 bytes of images; give images, with sides of at most 4096"),
    ] {
        refused(&place, images(file), &format!("images: …/{file}: {said}"));
    }
    place.write("three", idx(0x801, &[3], &[0, 1, 2]));
    let labelled = |labels: &str| {
        let class_names = Some(["a", "b", "c"].map(str::to_owned).to_vec());
        Idx { images: "whole".into(), labels: Some(labels.into()), class_names, ..Idx::default() }
            .build(&place.library())
    };
    refused(
        &place,
        labelled("three"),
        "labels: …/three holds 3 labels, and …/whole 4 images; give the labels of these images",
    );
    refused(
        &place,
        labelled("labels"),
        "labels: …/labels: label 3 at byte 11 (image 3), and there are 3 classes; labels are 0 to 2; fetch the file again",
    );
    let missing = labelled("nowhere").expect_err("missing");
    assert!(missing.key == "labels" && missing.problem.starts_with("there is no file "), "{missing:?}");
    let settings = Idx { images: "whole".into(), test_images: Some("square".into()), ..Idx::default() };
    place.write("square", idx(0x803, &[1, 2, 2], &[0; 4]));
    refused(
        &place,
        settings.build(&place.library()),
        ": whole: the images to train with are 2×3×1, and those held out 2×2×1; give images of one shape",
    );
}

#[test]
fn the_usual_files_are_sought_by_name() {
    let place = Place::new();
    let set = |library: &Library| FashionMnist::default().build(library);
    refused(
        &place,
        set(&place.library()),
        "folder: there is no file …/fashion-mnist/train-images-idx3-ubyte.gz (the folder … is named by --data); fetch it with \
         `scripts/fetch-data --to DIR fashion-mnist`, and name DIR with --data DIR or ORNSTEIN_DATA",
    );
    for (name, bytes) in [
        ("train-images-idx3-ubyte", small(20)),
        ("train-labels-idx1-ubyte", idx(0x801, &[20], &[1; 20])),
        ("t10k-images-idx3-ubyte", small(5)),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[5], &[10; 5])),
    ] {
        place.write(&format!("fashion-mnist/{name}"), bytes);
    }
    refused(
        &place,
        set(&place.library()),
        "folder: …/fashion-mnist/t10k-labels-idx1-ubyte: label 10 at byte 8 (image 0), and there are 10 classes; \
         labels are 0 to 9; fetch the file again",
    );
    place.write("fashion-mnist/t10k-labels-idx1-ubyte", idx(0x801, &[5], &[9; 5]));
    assert_eq!(set(&place.library()).expect("plain files").rows(Part::HeldOut), Some(5));
}

/// Records with these labels, and pixels that tell them and the colours apart.
fn batch(labels: &[u8]) -> Vec<u8> {
    let record = |(i, &label): (usize, &u8)| {
        let planes = (0..3 * 1024).map(move |at| (10 * i + at / 1024) as u8);
        [label].into_iter().chain(planes).collect::<Vec<_>>()
    };
    labels.iter().enumerate().flat_map(record).collect()
}

#[test]
fn cifar_batches_are_read_and_judged() {
    let place = Place::new();
    let build = |settings: Cifar10| settings.check().and_then(|()| settings.build(&place.library()));
    let missing = place.told(&build(Cifar10::default()).expect_err("missing"));
    assert!(missing.starts_with("folder: there is no file …/cifar-10/data_batch_1.bin (the folder …"), "{missing}");
    assert!(missing.contains("`scripts/fetch-data --to DIR cifar-10`"), "{missing}");
    place.write("cifar-10/data_batch_1.bin.gz", gzip(&batch(&[6, 9, 9])));
    place.write("cifar-10/data_batch_1.bin", batch(&[6, 9, 9]));
    place.write("cifar-10/data_batch_2.bin.gz", gzip(&batch(&[4, 1])));
    place.write("cifar-10/test_batch.bin", batch(&[3]));
    let images = build(Cifar10::default()).expect("whole");
    // The plain file and the packed one of the same name are one.
    assert_eq!(images.about(), Some("6 of 6 images of cifar-10, 1 of them held out; 32×32×3 in 10 classes"));
    let all = images.labelled(Part::Training, stream(0), 0, 9);
    let mut classes = Vec::<i64>::try_from(all.class.expect("labels")).expect("int64");
    classes.sort_unstable();
    assert_eq!(classes, [1, 4, 6, 9, 9]);
    let x = images.restore(&images.sample(Part::HeldOut, stream(0), 0, 1));
    assert_eq!([0, 1, 2].map(|c| x.double_value(&[0, c, 31, 31])), [0.0, 1.0, 2.0]);
    assert_eq!(images.classes()[6], "frog");
    let some = |files: &[&str]| Cifar10 {
        files: Some(files.iter().map(|&file| file.to_owned()).collect()),
        test: Some(Vec::new()),
        validation: Some(0.5),
        ..Cifar10::default()
    };
    assert_eq!(build(some(&["data_batch_2.bin.gz"])).expect("a part").rows(Part::HeldOut), Some(1));

    place.write("cifar-10/cut.bin", &batch(&[0, 1])[..4000]);
    place.write("cifar-10/far.bin", batch(&[0, 1, 10]));
    let again = "fetch the file again";
    refused(
        &place,
        build(some(&["cut.bin"])),
        &format!(
            "files: …/cifar-10/cut.bin ends at byte 4000, 927 bytes into record 1 (from 0); records have 3073 bytes; {again}"
        ),
    );
    refused(
        &place,
        build(some(&["far.bin"])),
        &format!(
            "files: …/cifar-10/far.bin: record 2 (from 0), at byte 6146, has the label 10; labels are 0 to 9; {again}"
        ),
    );
    refused(&place, build(some(&["far.bin", "far.bin"])), "files: far.bin is named twice; keep it in one place");
    place.write("cifar-10/batches.meta.txt", "a\nb\n\n");
    refused(
        &place,
        build(Cifar10::default()),
        "folder: …/cifar-10/batches.meta.txt has 2 lines, and there are 10 classes; write one name a line, or remove the file",
    );
}

#[test]
fn arrays_of_every_layout() {
    let place = Place::new();
    let channels_first =
        Array::from_shape_fn((5, 3, 2, 4), |(n, c, y, x)| (60 * n + 20 * c + 4 * y + x) as u8).into_dyn();
    let channels_last = channels_first.clone().permuted_axes(vec![0, 2, 3, 1]);
    let grey = channels_first.index_axis(ndarray::Axis(1), 0).to_owned();
    place.write("first.npy", npy(channels_first.clone()));
    // Once in the order of the axes, once (as a view) in another.
    place.write("last.npy", npy(channels_last.as_standard_layout().into_owned()));
    place.write("grey.npy", npy(grey));
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in [("arr_0", npy(channels_last)), ("arr_1", npy(array![0i64, 2, 1, 0, 2].into_dyn()))] {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("memory");
        archive.write_all(&bytes).expect("memory");
    }
    place.write("both.npz", archive.finish().expect("memory").into_inner());
    place.write("labels.npy", npy(array![0u8, 2, 1, 0, 2].into_dyn()));
    let build = |settings: ImageArray| settings.check().and_then(|()| settings.build(&place.library()));
    let of = |file: &str| ImageArray { file: file.into(), validation: 0.0, ..ImageArray::default() };
    let first = build(of("first.npy")).expect("an array");
    assert_eq!((first.shape(), build(of("grey.npy")).expect("an array").shape()), (vec![3, 2, 4], vec![1, 2, 4]));
    let expected: BTreeSet<Vec<u8>> =
        channels_first.outer_iter().map(|image| image.iter().copied().collect()).collect();
    assert_eq!(bytes(&first, Part::Training), expected);
    assert_eq!(bytes(&build(of("last.npy")).expect("an array"), Part::Training), expected);
    let labelled = ImageArray { array: Some("arr_0".into()), labels: Some("arr_1".into()), ..of("both.npz") };
    let npz = build(labelled.clone()).expect("arrays");
    assert_eq!(bytes(&npz, Part::Training), expected);
    let beside = build(ImageArray { labels: Some("labels.npy".into()), ..of("first.npy") }).expect("arrays");
    for images in [&npz, &beside] {
        let all = images.labelled(Part::Training, stream(0), 0, 9);
        assert_eq!(images.classes(), ["0", "1", "2"]);
        let pixels = images.restore(&all.x).select(1, 0).select(1, 0).select(1, 0);
        let pixels = Vec::<u8>::try_from(pixels.contiguous()).expect("bytes");
        let classes = Vec::<i64>::try_from(all.class.expect("labels")).expect("int64");
        assert!(pixels.iter().zip(classes).all(|(&v, class)| class == [0, 2, 1, 0, 2][usize::from(v) / 60]));
    }

    place.write("float.npy", npy(ndarray::ArrayD::<f32>::zeros(vec![2, 3, 4, 4])));
    place.write("flat.npy", npy(ndarray::ArrayD::<u8>::zeros(vec![2, 3])));
    place.write("either.npy", npy(ndarray::ArrayD::<u8>::zeros(vec![2, 3, 4, 3])));
    place.write("none.npy", npy(ndarray::ArrayD::<u8>::zeros(vec![0, 3, 4, 4])));
    let cut = std::fs::read(place.path("first.npy")).expect("a file");
    place.write("cut.npy", &cut[..cut.len() - 5]);
    let forms = "save one of the shape [N, H, W], [N, C, H, W] or [N, H, W, C] with C = 1 or 3";
    for (file, said) in [
        ("float.npy", "the array is of the type <f4; save one of uint8, in which 0 is black and 255 white"),
        ("flat.npy", &format!("the array has the shape [2, 3]; {forms}")),
        (
            "either.npy",
            &format!("the array has the shape [2, 3, 4, 3], whose colours may be its second axis or its last; {forms}"),
        ),
        ("none.npy", "the array has the shape [0, 3, 4, 4]; save images, with sides of 1 to 4096"),
        ("cut.npy", "the file is truncated: 5 bytes are missing; fetch it again, or save it with numpy.save"),
    ] {
        refused(&place, build(of(file)), &format!("file: …/{file}: {said}"));
    }
    let wrong = |labels: ArrayD<i64>, said: &str| {
        place.write("wrong.npy", npy(labels));
        let settings = ImageArray { labels: Some("wrong.npy".into()), ..of("first.npy") };
        refused(&place, build(settings), &format!("labels: …/first.npy: labels wrong.npy: {said}"));
    };
    wrong(array![0, 1].into_dyn(), "2 labels, and there are 5 images; save one label for each image");
    wrong(
        array![0, 1, -1, 0, 0].into_dyn(),
        "image 2 (from 0) has the label -1; labels are 0 to 65535; save others, or name more classes",
    );
    wrong(array![[0, 1], [1, 0]].into_dyn(), "it has the shape [2, 2]; save one of the shape [N]");
    refused(
        &place,
        build(ImageArray { array: Some("arr_2".into()), ..labelled }),
        "array: …/both.npz has no array `arr_2`; did you mean `arr_0`? its arrays are arr_0, arr_1",
    );
}

#[test]
fn preparations_that_do_not_fit() {
    let place = Place::new();
    let classes = |classes: &[Class]| Prepare { classes: Some(classes.to_vec()), ..Prepare::default() };
    let name = |name: &str| Class::Name(name.into());
    for (prepare, said) in [
        (
            classes(&[name("Bag"), name("Snaeker")]),
            "prepare.classes[1]: the images have no class `Snaeker`; did you mean `Sneaker`? their classes are T-shirt/top, \
             Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot",
        ),
        (classes(&[name("Bag"), Class::Position(8)]), "prepare.classes[1]: class 8 is Bag once more; keep one of them"),
        (classes(&[]), "prepare.classes: the list is empty; name at least one, or leave `classes` out"),
        (classes(&[name("Bag"), name("Bag")]), "prepare.classes[1]: class `Bag` stands here twice; keep one of them"),
        (
            Prepare { limit: Some(161), ..Prepare::default() },
            "prepare.limit: 161 images, and there are 160 to train with; write a smaller number, or leave `limit` out",
        ),
        (
            Prepare { pad: Some(27), ..Prepare::default() },
            "prepare.pad: 27 pixels, and the images are 28×28×1; write a side that they fit into, or leave `pad` out",
        ),
        (
            Prepare { flip: true, augment: Some(Augment::default()), ..Prepare::default() },
            "prepare.flip: `augment` flips the images already, and tells the network; \
             leave `flip` out, or write `x_flip: 0` in `augment`",
        ),
        (
            Prepare { augment: Some(Augment { p: 2.0, ..Augment::default() }), ..Prepare::default() },
            "prepare.augment.p: 2 is no probability; write a number from 0 to 1",
        ),
    ] {
        refused(&place, fashion(prepare), said);
    }
    let without = Idx { images: "x".into(), prepare: classes(&[name("a")]), ..Idx::default() };
    place.write("x", small(20));
    refused(
        &place,
        without.build(&place.library()),
        "prepare.classes: the images of x have no classes; leave `classes` out",
    );
    for (settings, said) in [
        (Idx::default(), "images: no file is named; write one, such as `images: train-images-idx3-ubyte.gz`"),
        (
            Idx { images: "x".into(), test_images: Some("y".into()), validation: Some(0.1), ..Idx::default() },
            "validation: the images that are held out are given; leave `validation` out, or the images",
        ),
        (
            Idx { images: "x".into(), labels: Some("l".into()), test_images: Some("y".into()), ..Idx::default() },
            "test_labels: no file is named, and one is in `labels`; give the labels of all images, or of none",
        ),
        (
            Idx { images: "x".into(), validation: Some(1.0), ..Idx::default() },
            "validation: 1 is not a share of the images that leaves some to train; \
             write a number of at least 0 and below 1, such as 0.1",
        ),
    ] {
        assert_eq!(place.told(&settings.check().expect_err(said)), said);
    }
}
