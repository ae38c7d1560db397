//! Whatever is done to the files of a checkpoint, it is read as it was written or refused in a sentence.

use std::sync::LazyLock;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const HASH: &str = "0123456789ab";

/// A folder with a checkpoint of two tensors, and its manifest.
fn saved() -> (TempDir, PathBuf) {
    // Written once with all care for the disk, and then copied.
    static FILES: LazyLock<[(String, Vec<u8>); 2]> = LazyLock::new(|| {
        let (_folder, manifest) = save();
        [manifest.clone(), manifest.with_extension("safetensors")].map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            (name.to_owned(), fs::read(&path).expect("a file"))
        })
    });
    let folder = tempfile::tempdir().expect("a folder");
    for (name, contents) in FILES.iter() {
        fs::write(folder.path().join(name), contents).expect("a writable folder");
    }
    let manifest = folder.path().join(&FILES[0].0);
    (folder, manifest)
}

fn save() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let tensor = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu));
    let tensors = HashMap::from([("parameters/a".to_owned(), tensor(6).reshape([2, 3])), ("b".to_owned(), tensor(4))]);
    let mut checkpoint = Checkpoint::new(40, HASH, 0.5, Device::Cpu, tensors);
    checkpoint.manifest.logs = BTreeMap::from([("metrics.csv".to_owned(), 77)]);
    checkpoint.manifest.best = Some(Best { step: 30, loss: 0.125 });
    let manifest = checkpoint.save(folder.path(), 1).expect("a writable folder");
    (folder, manifest)
}

/// Replaces the manifest by one with some changes and the seal that goes with them.
fn forge(path: &Path, change: impl FnOnce(&mut Manifest)) {
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(path).expect("a file")).expect("a manifest");
    change(&mut manifest);
    fs::write(path, serde_json::to_vec(&manifest.sealed()).expect("JSON")).expect("a writable file");
}

/// A change to a file.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
    Repeat(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = 0..4096usize;
    // Digits and signs keep a manifest JSON more often than any byte does.
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"0123456789-.e,:{}[]\"/".to_vec())];
    let change = prop_oneof![
        6 => (place.clone(), byte.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (place.clone(), byte).prop_map(|(at, byte)| Change::Insert(at, byte)),
        2 => place.clone().prop_map(Change::Remove),
        1 => place.clone().prop_map(Change::Cut),
        1 => (place.clone(), 1..64usize).prop_map(|(at, n)| Change::Repeat(at, n)),
    ];
    prop::collection::vec(change, 1..6)
}

fn changed(data: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut data = data.to_vec();
    for change in changes {
        let n = data.len();
        if n == 0 {
            break;
        }
        match *change {
            Change::Set(at, byte) => data[at % n] = byte,
            Change::Insert(at, byte) => data.insert(at % n, byte),
            Change::Remove(at) => drop(data.remove(at % n)),
            Change::Cut(at) => data.truncate(at % n),
            Change::Repeat(at, count) => {
                let part = data[at % n..].iter().copied().take(count).collect::<Vec<u8>>();
                data.splice(at % n..at % n, part);
            }
        }
    }
    data
}

/// Asserts that an error says in one line which file it is about and what to do.
fn is_a_sentence(error: &Error, folder: &Path) -> Result<(), TestCaseError> {
    let said = error.to_string();
    prop_assert!(said.starts_with(&folder.display().to_string()), "{said}");
    prop_assert!(said.contains("; ") && said.lines().count() == 1, "{said}");
    prop_assert_eq!(error.exit_code(), 2);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_manifest_that_was_changed_is_refused(changes in changes()) {
        let (folder, path) = saved();
        let text = fs::read(&path).expect("a file");
        let whole = Checkpoint::load(&path, HASH).expect("a checkpoint").manifest;
        fs::write(&path, changed(&text, &changes)).expect("a writable file");
        match Checkpoint::load(&path, HASH) {
            // White space has no meaning, and a change may undo another.
            Ok(checkpoint) => prop_assert_eq!(checkpoint.manifest, whole),
            Err(error) => is_a_sentence(&error, folder.path())?,
        }
    }

    #[test]
    fn tensors_that_were_changed_are_refused(changes in changes()) {
        let (folder, path) = saved();
        let file = path.with_extension("safetensors");
        let data = fs::read(&file).expect("a file");
        let other = changed(&data, &changes);
        fs::write(&file, &other).expect("a writable file");
        match Checkpoint::load(&path, HASH) {
            Ok(_) => prop_assert_eq!(other, data),
            Err(error) => is_a_sentence(&error, folder.path())?,
        }
    }

    /// Without the protection of the checksum: the reader itself does not panic.
    #[test]
    fn tensors_that_were_forged_are_read_or_refused(changes in changes()) {
        let (folder, path) = saved();
        let file = path.with_extension("safetensors");
        let data = changed(&fs::read(&file).expect("a file"), &changes);
        fs::write(&file, &data).expect("a writable file");
        forge(&path, |manifest| (manifest.bytes, manifest.sha256) = (data.len() as u64, sha256(&data)));
        match Checkpoint::load(&path, HASH) {
            Ok(checkpoint) => {
                let mut target = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
                if let Err(error) = checkpoint.copy("parameters/a", &mut target) {
                    prop_assert!(error.to_string().contains("parameters/a"), "{error}");
                }
            }
            Err(error) => is_a_sentence(&error, folder.path())?,
        }
    }
}

#[test]
fn a_shape_beyond_all_numbers_is_refused() {
    let (folder, path) = saved();
    for shape in ["[0,9223372036854775808]", "[0,18446744073709551615]", "[0,9223372036854775807,9223372036854775807]"]
    {
        let header = format!(r#"{{"b":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
        let data = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        fs::write(path.with_extension("safetensors"), &data).expect("a writable file");
        forge(&path, |manifest| (manifest.bytes, manifest.sha256) = (data.len() as u64, sha256(&data)));
        if let Err(error) = Checkpoint::load(&path, HASH) {
            is_a_sentence(&error, folder.path()).expect("a sentence");
        }
    }
}

#[test]
fn tensors_are_beside_their_manifest_or_refused() {
    let (_folder, path) = saved();
    for tensors in ["../../etc/passwd", "/etc/passwd", "best/step-00000040.safetensors", "..", ".", "", "a/"] {
        forge(&path, |manifest| manifest.tensors = tensors.into());
        let said = Checkpoint::load(&path, HASH).expect_err("elsewhere").to_string();
        let expected = format!("{}: the tensors {tensors:?} are not in a file beside it; {AGAIN}", path.display());
        assert_eq!(said, expected);
    }
}

/// A run that went back makes later checkpoints anew; what was half-written goes at the next start.
#[test]
fn checkpoints_of_a_course_that_was_left_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let save = |step: usize, keep: usize| {
        let tensors = HashMap::from([("a".to_owned(), Tensor::from(step as f32))]);
        Checkpoint::new(step, HASH, 1.0, Device::Cpu, tensors).save(folder.path(), keep).expect("a writable folder");
    };
    let steps = || {
        let all = Checkpoint::all(folder.path());
        all.iter().map(|manifest| Checkpoint::step_of(manifest).expect("a step")).collect::<Vec<usize>>()
    };
    [10, 20, 30].into_iter().for_each(|step| save(step, 2));
    assert_eq!(steps(), [20, 30]);
    save(25, 1);
    assert_eq!(steps(), [25]);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    for name in [".step-00000026.safetensors.partial", "step-00000026.safetensors", "note.safetensors"] {
        fs::write(folder.path().join(name), b"x").expect("a writable file");
    }
    Checkpoint::tidy(folder.path(), 25, 1);
    let names = fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names, ["note.safetensors", "step-00000025.json", "step-00000025.safetensors"]);
    // As after a kill between writing a checkpoint and removing an older one, and with a later one that is damaged.
    save(30, 2);
    save(40, 3);
    Checkpoint::tidy(folder.path(), 30, 1);
    assert_eq!(steps(), [30]);
}
