//! Tables without a disk: values, splits, preparation, and files that are damaged in every way.

mod properties;

use std::collections::HashSet;
use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use ndarray::{Array2, ArrayD, array};
use ndarray_npy::WriteNpyExt;
use tch::Kind;
use zip::write::SimpleFileOptions;

use super::*;
use crate::rng::Purpose;
use crate::tensor::to_rows;

fn table(file: &str) -> Table {
    Table { file: file.into(), standardise: false, validation: 0.0, ..Table::default() }
}

fn parse(table: &Table, bytes: &[u8]) -> Result<Rows, Fault> {
    table.check()?;
    table.parse(&table.file, bytes.to_vec(), String::new())
}

/// All training rows, restored, in ascending order.
fn restored(rows: &Rows) -> Vec<Vec<f64>> {
    let all = rows.sample(Part::Training, Stream::new(0, Purpose::Data), 0, usize::MAX);
    let mut all: Vec<Vec<f64>> = to_rows(&rows.restore(&all)).outer_iter().map(|row| row.to_vec()).collect();
    all.sort_by(|a, b| a.partial_cmp(b).expect("finite numbers"));
    all
}

fn names(columns: &[&str]) -> Option<Vec<Column>> {
    Some(columns.iter().map(|&name| Column::Name(name.into())).collect())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

fn npy<T: ndarray_npy::WritableElement>(array: &ArrayD<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).expect("memory");
    bytes
}

fn npz(arrays: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("memory");
        archive.write_all(bytes).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

const CSV: &str = "# a remark\r\nkind, x ,y,\"z, too\"\r\na,1,2.5,3\r\n\r\nb,-1e3,0x,NaN\r\n\"a\", 4 ,-5e-1,6\r\n";

#[test]
fn the_same_numbers_come_from_every_form() {
    let expected = vec![vec![1.0, 2.5, 3.0], vec![4.0, -0.5, 6.0]];
    // Rows that the filter drops are not read as numbers.
    let filter = BTreeMap::from([("kind".to_owned(), Cell::Text("a".into()))]);
    let csv = Table { filter: filter.clone(), ..table("a.csv") };
    assert_eq!(restored(&parse(&csv, CSV.as_bytes()).unwrap()), expected);
    assert_eq!(parse(&csv, CSV.as_bytes()).unwrap().labels(), ["x", "y", "z, too"]);
    let packed = Table { file: "a.csv.gz".into(), ..csv.clone() };
    assert_eq!(restored(&parse(&packed, &gzip(CSV.as_bytes())).unwrap()), expected);
    let tabs = "\u{feff}kind\tx\ty\tz\na\t1\t2.5\t3\na\t4\t-.5\t6";
    assert_eq!(restored(&parse(&Table { filter, ..table("a.TSV") }, tabs.as_bytes()).unwrap()), expected);

    let array = array![[1.0, 2.5, 3.0], [4.0, -0.5, 6.0]].into_dyn();
    assert_eq!(restored(&parse(&table("a.npy"), &npy(&array)).unwrap()), expected);
    assert_eq!(restored(&parse(&table("a.npy"), &npy(&array.mapv(|v| v as f32))).unwrap()), expected);
    let columns_first = array.t().as_standard_layout().into_owned().reversed_axes();
    assert_eq!(restored(&parse(&table("a.npy"), &npy(&columns_first)).unwrap()), expected);
    let two = npz(&[("x", &npy(&array)), ("n", &npy(&array![7i64, 8].into_dyn()))]);
    let named = |array: &str| Table { array: Some(array.into()), ..table("a.npz") };
    assert_eq!(restored(&parse(&named("x"), &two).unwrap()), expected);
    assert_eq!(restored(&parse(&named("n"), &two).unwrap()), [[7.0], [8.0]]);
    assert_eq!(parse(&table("a.npz"), &two).unwrap_err().problem, "a.npz holds 2 arrays");
}

#[test]
fn columns_are_chosen_by_name_and_position_in_any_order() {
    let text = "x,y,z\n1,2,3\n4,5,6\n";
    let of = |columns| Table { columns, ..table("a.csv") };
    let both = Some(vec![Column::Name("z".into()), Column::Position(0)]);
    let rows = parse(&of(both), text.as_bytes()).unwrap();
    assert_eq!((restored(&rows), rows.labels()), (vec![vec![3.0, 1.0], vec![6.0, 4.0]], &["z".into(), "x".into()][..]));
    let bare = Table { header: false, columns: Some(vec![Column::Position(1)]), ..table("a.csv") };
    assert_eq!(restored(&parse(&bare, b"1,2\n3,4").unwrap()), [[2.0], [4.0]]);
    let twice = Some(vec![Column::Name("x".into()), Column::Position(0)]);
    assert_eq!(parse(&of(twice), text.as_bytes()).unwrap_err().key, "columns[1]");
    let number = BTreeMap::from([("y".to_owned(), Cell::Number(5.0))]);
    let filtered = Table { filter: number, ..table("a.csv") };
    assert_eq!(restored(&parse(&filtered, b"x,y\n1,2\n3,5.0\n4,5e0\n").unwrap()), [[3.0], [4.0]]);
}

#[test]
fn training_rows_have_zero_mean_and_unit_variance() {
    let rows: Vec<String> = (0..50).map(|i| format!("{},{}", 1e6 + f64::from(i * i), -1e-6 * f64::from(i))).collect();
    let text = format!("x,y\n{}", rows.join("\n"));
    let settings = Table { standardise: true, validation: 0.2, ..table("a.csv") };
    let rows = parse(&settings, text.as_bytes()).unwrap();
    let x = to_rows(&rows.draw(Stream::new(0, Purpose::Data), 0, 40));
    for column in x.columns() {
        assert!(column.mean().unwrap().abs() < 1e-9 && (column.std(0.0) - 1.0).abs() < 1e-9);
    }
    assert_eq!(rows.sample(Part::HeldOut, Stream::new(0, Purpose::Data), 0, 100).size(), [10, 2]);
}

/// Every row once an epoch, in an order that changes; a batch may be cut anywhere.
#[test]
fn a_stream_passes_through_the_rows() {
    let text: String = "x\n".to_owned() + &(0..23).map(|i| format!("{i}\n")).collect::<String>();
    let rows = parse(&table("a.csv"), text.as_bytes()).unwrap();
    let stream = Stream::new(5, Purpose::Data);
    let all: Vec<f64> = to_rows(&rows.draw(stream, 0, 69)).into_raw_vec_and_offset().0;
    for epoch in all.chunks(23) {
        let mut seen: Vec<f64> = epoch.to_vec();
        seen.sort_by(f64::total_cmp);
        assert!(seen.into_iter().eq((0..23).map(f64::from)));
    }
    assert!(all[..23] != all[23..46] && all[23..46] != all[46..]);
    assert_eq!(to_rows(&rows.draw(stream, 17, 30)).into_raw_vec_and_offset().0, all[17..47]);
    // What is measured with does not repeat either.
    let some = |first| to_rows(&rows.sample(Part::HeldOut, stream, first, 20)).into_raw_vec_and_offset().0;
    let distinct: HashSet<u64> = some(3).into_iter().map(f64::to_bits).collect();
    assert_eq!(distinct.len(), 20);
    assert!(some(3) != some(4));
    assert_eq!(some(3), some(3));
}

#[test]
fn the_split_does_not_depend_on_the_order_of_the_rows() {
    let line = |i: i32| format!("{},{}\n", i / 3, i % 7);
    let text = |order: &mut dyn Iterator<Item = i32>| "x,y\n".to_owned() + &order.map(line).collect::<String>();
    let halves = |text: String, split_seed| {
        let rows = parse(&Table { validation: 0.25, split_seed, ..table("a.csv") }, text.as_bytes()).unwrap();
        (rows.training, rows.held_out)
    };
    let forward = halves(text(&mut (0..200)), 0);
    assert_eq!((forward.0.len(), forward.1.len()), (300, 100));
    assert_eq!(forward, halves(text(&mut (0..200).rev()), 0));
    assert_ne!(forward, halves(text(&mut (0..200)), 1));
    // Copies of a row are told apart, and fall on both sides.
    let (training, held_out) = halves("x\n".to_owned() + &"1\n".repeat(40), 0);
    assert_eq!((training.len(), held_out.len()), (30, 10));
}

#[test]
fn angles_become_unit_vectors_and_come_back() {
    let text = "lon,depth,lat\n0,7,0\n90,8,0\n-180,9,0\n13,1,90\n359,2,-45\n-120.5,3,60.25\n";
    let settings = Table { sphere: Some([Column::Name("lat".into()), Column::Name("lon".into())]), ..table("a.csv") };
    let rows = parse(&settings, text.as_bytes()).unwrap();
    assert_eq!(rows.shape(), [4]);
    let half = 0.5f64.sqrt();
    let vector = |row: [f64; 3]| rows.preparation.apply(&row);
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(close(&vector([90.0, 8.0, 0.0]), &[8.0, 0.0, 1.0, 0.0]));
    assert!(close(&vector([0.0, 8.0, 45.0]), &[8.0, half, 0.0, half]));
    // A vector of any length means its direction; the longitude at a pole is lost.
    let x = Tensor::from_slice(&[7.0, 3.0, 0.0, 3.0, 7.0, 0.0, -0.1, 0.0]).view([2, 4]);
    let back = to_rows(&rows.restore(&x));
    assert!(close(back.as_slice().unwrap(), &[0.0, 7.0, 45.0, -90.0, 7.0, 0.0]), "{back}");
    assert_eq!(rows.restore(&x.to_kind(Kind::Float)).kind(), Kind::Float);
    let back = restored(&rows);
    assert!(back.iter().any(|row| close(row, &[-120.5, 3.0, 60.25])), "{back:?}");
    assert!(back.iter().any(|row| close(row, &[-1.0, 2.0, -45.0])), "{back:?}");
}

/// What is said, and under which key, of files and settings that cannot be.
#[test]
fn faults_name_the_place() {
    let said = |settings: &Table, text: &str| {
        let Fault { key, problem, remedy } = parse(settings, text.as_bytes()).unwrap_err();
        format!("{key}: {problem}; {remedy}")
    };
    let plain = table("a.csv");
    let gap = "fill the gap, remove the row, or leave the column out of `columns`";
    let only = |name: &str, value| Table {
        filter: BTreeMap::from([(name.to_owned(), value)]),
        columns: names(&["x"]),
        ..table("a.csv")
    };
    for (settings, text, expected) in [
        (&plain, "", "file: a.csv has no rows; give a file with data in it".to_owned()),
        (&plain, "x,y\n", "file: a.csv has no rows; give a file with data in it".into()),
        (
            &plain,
            "x,y\n1,2\n3\n",
            "file: a.csv:3: 1 field where line 1 has 2; give every row as many; quote a text that holds a delimiter, \
             and close every quote"
                .into(),
        ),
        (
            &plain,
            "x,y\n1,2\n# no\n3,four\n",
            "file: a.csv:4: column `y`: \"four\" is not a number; correct it, or leave the column out of `columns`"
                .into(),
        ),
        (
            &plain,
            "# no\r\nx,y\r\n1,2\r\n\r\n# no\r\n3,4\r\n5,\r\n",
            format!("file: a.csv:7: column `y`: there is nothing where a number belongs; {gap}"),
        ),
        (&plain, "x,y\n1,2\n3,-inf\n", format!("file: a.csv:3: column `y`: -inf is not a finite number; {gap}")),
        (&plain, "x,y\n1,2\n3,\n", format!("file: a.csv:3: column `y`: there is nothing where a number belongs; {gap}")),
        (
            &plain,
            "1,2\n3,4\n",
            "header: a.csv:1: the first line holds numbers, not names; write `header: false`, and columns by position"
                .into(),
        ),
        (
            &Table { columns: names(&["x", "lattitude"]), ..plain.clone() },
            "x,latitude,longitude\n1,2,3\n",
            "columns[1]: a.csv has no column `lattitude`; did you mean `latitude`? the columns are x, latitude, longitude"
                .into(),
        ),
        (
            &Table { columns: names(&["x"]), header: false, ..plain.clone() },
            "1,2\n",
            "columns[0]: column `x`, but the columns of a.csv have no names; write positions, 0 to 1".into(),
        ),
        (
            &Table { columns: Some(vec![Column::Position(2)]), ..plain.clone() },
            "x,y\n1,2\n",
            "columns[0]: a.csv has no column 2; write 0 to 1".into(),
        ),
        (
            &Table { columns: names(&["x"]), ..plain.clone() },
            "x,x\n1,2\n",
            "columns[0]: 2 columns of a.csv are called `x`; write the position of one, from 0".into(),
        ),
        (
            &only("k", Cell::Text("dinos".into())),
            "k,x\ndino,1\naway,2\ndino,3\n",
            "where.k: no row of a.csv has `dinos` there; did you mean `dino`? its values are away, dino".into(),
        ),
        (
            &only("kind", Cell::Text("dino".into())),
            "k,x\ndino,1\n",
            "where.kind: a.csv has no column `kind`; did you mean `k`? the columns are k, x".into(),
        ),
        (
            &Table { standardise: true, ..plain.clone() },
            "x,y\n1,2\n3,2\n",
            "standardise: `y` is 2 in every training row; \
             leave the column out of `columns`, or write `standardise: false`"
                .into(),
        ),
        (
            &Table { standardise: true, ..plain.clone() },
            "x\n1e300\n-1e300\n",
            "standardise: the numbers of `x` are too large or too small for a variance; \
             leave the column out of `columns`, or write `standardise: false`"
                .into(),
        ),
        (
            &Table { sphere: Some([Column::Position(1), Column::Position(0)]), ..plain.clone() },
            "lon,lat\n10,20\n20,91\n",
            "file: a.csv:3: column `lat`: 91 is no such angle in degrees; \
             `sphere` takes latitudes from −90 to 90 first, then longitudes from −180 to 360"
                .into(),
        ),
        (
            &Table { validation: 0.1, ..plain.clone() },
            "x\n1\n2\n",
            "validation: 0.1 of 2 rows is none; hold out more, or write 0".into(),
        ),
    ] {
        assert_eq!(said(settings, text), expected, "{text:?}");
    }
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let said = |file: &str, bytes: &[u8]| {
        let Fault { problem, remedy, .. } = parse(&table(file), bytes).unwrap_err();
        format!("{problem}; {remedy}")
    };
    let whole = npy(&ArrayD::<f64>::ones(vec![4, 3]));
    let again = "fetch it again, or save it with numpy.save";
    assert_eq!(
        said("a.npy", &whole[..whole.len() - 16]),
        format!("a.npy: the file is truncated: 16 bytes are missing; {again}")
    );
    assert_eq!(said("a.npy", &[&whole[..], &[0]].concat()), format!("a.npy: 1 bytes follow the array; {again}"));
    assert!(said("a.npy", b"no array").starts_with("a.npy: this is not a .npy file ("));
    assert_eq!(
        said("a.npy", &npy(&ArrayD::<f64>::ones(vec![4, 3, 2]))),
        "a.npy: the array has the shape [4, 3, 2]; save one of the shape [rows, columns]"
    );
    assert_eq!(
        said("a.npy", &npy(&ArrayD::<f64>::ones(vec![0, 3]))),
        "a.npy: the array has the shape [0, 3]; give an array with data in it"
    );
    assert_eq!(
        said("a.npy", &npy(&ArrayD::from_elem(vec![2, 2], true))),
        "a.npy: the array is of the type |b1; \
         save one of float64, float32, int64, int32, int16, int8, uint64, uint32, uint16, uint8"
    );
    let gap = Array2::from_shape_fn((3, 2), |(i, j)| if (i, j) == (1, 1) { f64::NAN } else { 1.0 }).into_dyn();
    assert!(said("a.npy", &npy(&gap)).starts_with("a.npy: row 1, column 1 (from 0): NaN is not a finite number; "));
    let packed = gzip(CSV.as_bytes());
    assert!(said("a.csv.gz", &packed[..packed.len() / 2]).starts_with("a.csv.gz is truncated or no gzip file ("));
    let archive = npz(&[("x", &whole)]);
    assert!(said("a.npz", &archive[..archive.len() - 30]).starts_with("a.npz is truncated or no .npz file ("));
    let wrong = Table { array: Some("y".into()), ..table("a.npz") };
    assert_eq!(parse(&wrong, &archive).unwrap_err().problem, "a.npz has no array `y`");
}
