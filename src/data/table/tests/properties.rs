//! What holds of every table, and of every file that is none.

use proptest::prelude::*;

use super::*;

/// A number of any size that a text can hold.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![-1e3..1e3, any::<f64>().prop_filter("finite", |v| v.is_finite())]
}

fn bits(rows: &[f64], dim: usize) -> Vec<Vec<u64>> {
    let mut rows: Vec<Vec<u64>> = rows.chunks(dim).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn numbers_come_back_bit_for_bit(values in prop::collection::vec([number(), number(), number()], 1..40)) {
        let flat: Vec<f64> = values.iter().flatten().copied().collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        values.iter().for_each(|row| writer.serialize(row).unwrap());
        let text = writer.into_inner().unwrap();
        let array = ArrayD::from_shape_vec(vec![values.len(), 3], flat.clone()).unwrap();
        for (file, bytes) in [("a.csv", text), ("a.npy", npy(&array)), ("a.npz", npz(&[("x", &npy(&array))]))] {
            let rows = parse(&table(file), &bytes).unwrap();
            prop_assert_eq!(bits(&rows.training, 3), bits(&flat, 3), "{}", file);
        }
    }

    #[test]
    fn restoring_undoes_preparing(
        values in prop::collection::vec([-1e6..1e6f64, -89.9..89.9f64, -179.9..179.9f64, -1e-3..1e-3f64], 2..40),
    ) {
        let text = "a,lat,lon,b\n".to_owned()
            + &values.iter().map(|[a, lat, lon, b]| format!("{a},{lat},{lon},{b}\n")).collect::<String>();
        let sphere = Some([Column::Name("lat".into()), Column::Name("lon".into())]);
        let settings = Table { sphere, standardise: true, ..table("a.csv") };
        let rows = parse(&settings, text.as_bytes()).unwrap();
        let mut expected = values.clone();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let scale = [1e6, 90.0, 180.0, 1e-3];
        let back = restored(&rows);
        prop_assert_eq!(back.len(), expected.len());
        // Sorted by the first column, which nearly equal values may put in another order.
        for want in expected {
            let near = |row: &Vec<f64>| (0..4).all(|i| (row[i] - want[i]).abs() < 1e-10 * scale[i]);
            prop_assert!(back.iter().any(near), "{:?} is lost", want);
        }
    }

    #[test]
    fn the_asked_share_is_held_out(rows in 1usize..300, validation in 0.0..0.99f64, split_seed: u64) {
        let text = "x\n".to_owned() + &(0..rows).map(|i| format!("{}\n", i % 50)).collect::<String>();
        match parse(&Table { validation, split_seed, ..table("a.csv") }, text.as_bytes()) {
            Ok(split) => {
                prop_assert_eq!(split.training.len() + split.held_out.len(), rows);
                prop_assert!((split.held_out.len() as f64 - validation * rows as f64).abs() <= 0.5);
                let mut all: Vec<f64> = split.training.iter().chain(&split.held_out).copied().collect();
                all.sort_by(f64::total_cmp);
                let mut expected: Vec<f64> = (0..rows).map(|i| (i % 50) as f64).collect();
                expected.sort_by(f64::total_cmp);
                prop_assert_eq!(all, expected);
            }
            Err(fault) => {
                let held_out = (validation * rows as f64).round() as usize;
                prop_assert!(held_out == 0 || held_out == rows, "{:?}", fault);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), header: bool, form in 0..5usize) {
        let file = ["a.csv", "a.tsv.gz", "a.npy", "a.npz", "a.csv.gz"][form];
        let settings = Table { header, ..Table { file: file.into(), ..Table::default() } };
        if let Err(fault) = parse(&settings, &bytes) {
            prop_assert!(!fault.problem.is_empty() && !fault.remedy.is_empty());
        }
    }

    #[test]
    fn no_damage_makes_the_reader_panic(
        form in 0..4usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let array = npy(&array![[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]].into_dyn());
        let (file, mut bytes) = match form {
            0 => ("a.csv", CSV.as_bytes().to_vec()),
            1 => ("a.csv.gz", gzip(CSV.as_bytes())),
            2 => ("a.npy", array),
            _ => ("a.npz", npz(&[("x", &array)])),
        };
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let settings = Table { standardise: true, validation: 0.3, ..table(file) };
        if let Ok(rows) = parse(&settings, &bytes) {
            prop_assert!(rows.training.iter().chain(&rows.held_out).all(|value| value.is_finite()));
        }
    }
}
