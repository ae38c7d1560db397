//! Wrong input by the thousand: valid experiments with lines, values, indentation and bytes changed at random.
//!
//! What is claimed of every one of them, valid or not:
//! * reading and checking it does not panic, and takes less than 2 seconds;
//! * nothing is allocated in proportion to a number that it says: a batch of 10¹⁸ is refused, or costs nothing here;
//! * what is refused is refused as `file:line…: problem; remedy`, on one line;
//! * what is accepted is also accepted by the JSON Schema, and written out it is read as the same.
//!
//! The mutations are functions of a number, so a failure names the number to run again: MUTATION=17 cargo test --test
//! mutations. More of them: MUTATIONS=100000. What once failed lies in tests/fuzz, one input a file, and is replayed.
//! proptest and a fixed generator serve here rather than cargo-fuzz, which needs a nightly compiler: the inputs are
//! small and structured, and blind bytes rarely get past the YAML parser.

mod place;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ornstein::data::Library;
use ornstein::error::Error;
use ornstein::experiment::{Choice, Compute, Document, Plan, Spec, lint, schema};
use ornstein::threads::Workers;
use place::Place;
use proptest::prelude::*;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tch::{Device, Kind};

const FULL: &str = include_str!("fuzz/full.yaml");

/// How long reading and checking may take, also on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(6);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// What mutations start from: every experiment that is shipped, and one with every kind of key.
fn seeds() -> Vec<String> {
    let shipped =
        files(&root().join("experiments")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    // Mutations are about experiments, which headers are not.
    let body =
        |text: String| text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let shipped = shipped.map(|path| body(fs::read_to_string(path).expect("a text")));
    shipped.chain(std::iter::repeat_n(FULL.to_owned(), 5)).collect()
}

/// What does not belong where a value is.
const STRANGE: &[&str] = &[
    "",
    "~",
    "0",
    "-1",
    "1",
    "1000000000",
    "1000000001",
    "1e18",
    "1000000000000000000",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "340282366920938463463374607431768211456",
    "1e308",
    "1e-308",
    "5e-324",
    "1e400",
    "-1e308",
    ".inf",
    "-.inf",
    ".nan",
    "0x10",
    "0o17",
    "0b1",
    "1_000",
    "1,5",
    "00",
    "+.5",
    "1e",
    "true",
    "no",
    "null",
    "''",
    "'",
    "\"",
    "[]",
    "{}",
    "[",
    "]",
    "{",
    "}",
    "[[[]]]",
    "{a: {b: {c: }}}",
    "[1, 2, 3]",
    "{vp: {}}",
    "heun",
    "*a",
    "&a 3",
    "&a [*a]",
    "!tag 3",
    "!!float 3",
    "!!binary aGk=",
    "<<: *a",
    "? a",
    "- - - 1",
    "|",
    ">-",
    "%YAML 1.2",
    "---",
    "...",
    "# comment",
    "a: b",
    "a : b : c",
    "@",
    "`",
    "\t",
    "\u{feff}",
    "\u{0}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "ünïcödé",
    "日本語",
    "🦀",
    "\u{202e}rtl",
    "e\u{301}",
    "\\",
    "\\x",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "2024-01-01",
    "12:30:45",
];

/// The experiment after some random changes; bytes, since they need not be text.
fn mutate(number: u64, seeds: &[String]) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(number);
    let mut text = seeds.choose(&mut rng).expect("there are seeds").clone();
    let changes = if rng.random_bool(0.7) { 1 } else { rng.random_range(2..6) };
    for _ in 0..changes {
        text = change(text, &mut rng);
    }
    let mut bytes = text.into_bytes();
    if rng.random_bool(0.1) {
        // Bytes, which may break characters.
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..=bytes.len());
            match rng.random_range(0..3) {
                0 => bytes.insert(at, rng.random()),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = rng.random(),
                _ => {}
            }
        }
    }
    bytes
}

fn change(text: String, rng: &mut Xoshiro256PlusPlus) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return text;
    }
    let (i, j) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
    let strange = STRANGE.choose(rng).expect("there are some").to_string();
    match rng.random_range(0..20) {
        0 => drop(lines.remove(i)),
        1 => lines.insert(j, lines[i].clone()),
        2 => lines.swap(i, j),
        3 => lines[i] = format!("{}{}", " ".repeat(rng.random_range(1..5)), lines[i]),
        4 => lines[i] = lines[i].trim_start().to_owned(),
        5 => lines[i] = lines[i].replacen("  ", "\t", 1),
        6 => lines[i] = format!("\t{}", lines[i]),
        // The value after the last colon, after the first, or any word or number.
        7 | 8 => {
            let at = if rng.random() { lines[i].rfind(": ") } else { lines[i].find(": ") };
            let at = at.map_or(lines[i].len(), |at| at + 2);
            lines[i] = format!("{}{strange}", &lines[i][..at]);
        }
        9..=11 => lines[i] = replace_scalar(&lines[i], &strange, rng),
        12 => {
            let long = strange.repeat(rng.random_range(1..3000) / (1 + strange.len() / 8) + 1);
            lines[i] = replace_scalar(&lines[i], &long, rng);
        }
        13 => lines.insert(i, strange),
        // Another value of a kind that is often right.
        14..=17 => {
            let mild = ["1", "2", "3", "16", "0.5", "0.25", "1.5", "10.0"].choose(rng).expect("some");
            lines[i] = replace_scalar(&lines[i], mild, rng);
        }
        18 => {
            // Deep nesting, block or flow, closed or not.
            let depth = rng.random_range(1..3000);
            let (open, close) =
                *[("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[{a: ", "}]")].choose(rng).expect("some");
            let closed = if rng.random() { close.repeat(depth) } else { String::new() };
            lines[i] = replace_scalar(&lines[i], &format!("{}{closed}", open.repeat(depth)), rng);
        }
        _ => {
            // An anchor on one line, and its alias or a merge key on another.
            lines[i] = lines[i].replacen(": ", ": &x ", 1);
            lines[j] =
                if rng.random() { replace_scalar(&lines[j], "*x", rng) } else { format!("{}\n<<: *x", lines[j]) };
        }
    }
    let mut text = lines.join(if rng.random_bool(0.95) { "\n" } else { "\r\n" });
    if rng.random_bool(0.02) {
        text.insert(0, '\u{feff}');
    }
    if rng.random_bool(0.9) {
        text.push('\n');
    }
    text
}

/// One of the words and numbers of a line replaced.
fn replace_scalar(line: &str, by: &str, rng: &mut Xoshiro256PlusPlus) -> String {
    let is_word = |c: char| c.is_alphanumeric() || "._-+".contains(c);
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (start, is_word(c)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    match words.choose(rng) {
        Some(word) => format!("{}{by}{}", &line[..word.start], &line[word.end..]),
        None => by.to_owned(),
    }
}

/// A folder with a file, to be read as the program reads it.
struct Desk {
    place: Place,
    compute: (Device, Kind, Arc<Workers>),
    schema: jsonschema::Validator,
}

impl Desk {
    fn new() -> Self {
        let workers = Arc::new(Workers::new(1).expect("a thread"));
        let schema = jsonschema::validator_for(&schema()).expect("the schema is a schema");
        Desk { place: Place::new(), compute: (Device::Cpu, Kind::Float, workers), schema }
    }

    /// Reads and checks the bytes as `ornstein check --quick` would: what is wrong with how that goes, if anything is.
    fn judge(&self, bytes: &[u8]) -> Result<bool, String> {
        self.place.write("input.yaml", bytes);
        let start = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.check()));
        let took = start.elapsed();
        let outcome = outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            format!("it panics: {}", text.unwrap_or("?"))
        })?;
        if took > LIMIT {
            return Err(format!("it takes {took:?}"));
        }
        match outcome {
            Ok(spec) => self.is_sound(&spec, bytes).map(|()| true),
            Err(error) => is_well_formed(&error).map(|()| false),
        }
    }

    fn check(&self) -> Result<Spec, Error> {
        let document = Document::open(&self.place.path("input.yaml"))?;
        if let Some(sweep) = document.sweep(&[])? {
            return Ok(sweep.cells[0].spec.clone());
        }
        let spec = document.spec(&[])?;
        let (device, kind, workers) = &self.compute;
        let compute = Compute { device: *device, kind: *kind, workers: workers.clone() };
        let plan =
            Plan::new(spec.clone(), compute, &Library::new(None)).map_err(|fault| document.data_fault(&[], fault))?;
        let sample = &spec.sample;
        if sample.solver.chosen().tolerance().is_none() {
            let choice = Choice { solver: &sample.solver, grid: &sample.grid, denoise: sample.denoise };
            plan.evaluations(&choice, sample.steps(), 2_000);
        }
        lint(&plan);
        plan.sigma_data();
        Ok(spec)
    }

    /// What was accepted is a valid instance of the schema, and is read from its own text as the same.
    fn is_sound(&self, spec: &Spec, bytes: &[u8]) -> Result<(), String> {
        let text = spec.to_yaml();
        let again =
            Spec::parse(&text, "again.yaml", &[]).map_err(|e| format!("its own text is refused: {e}\n{text}"))?;
        // NaN is not equal to itself.
        if again != *spec && !text.contains(".nan") {
            return Err(format!("its own text means something else:\n{text}"));
        }
        // JSON has no ∞. What a sweep replaces is not looked at by the program, but by the schema.
        let written = String::from_utf8_lossy(bytes);
        if let Ok(value) = serde_yaml::from_str::<serde_yaml::Value>(&written)
            && let Ok(json) = serde_json::to_value(&value)
            && !written.contains(".inf")
            && !written.contains("1e400")
            && value.get("sweep").is_none()
            && let Err(error) = self.schema.validate(&json)
        {
            return Err(format!("the schema refuses it at {}: {error}", error.instance_path()));
        }
        Ok(())
    }
}

/// `place: problem; remedy` on one line, the place with the file.
fn is_well_formed(error: &Error) -> Result<(), String> {
    let text = error.to_string();
    let place = text.contains("input.yaml");
    let remedy = text.rsplit_once("; ").is_some_and(|(problem, remedy)| !problem.is_empty() && remedy.len() > 3);
    let one_line = !text.chars().any(|c| c.is_control());
    let short = text.chars().count() < 2000;
    match place && remedy && one_line && short && error.exit_code() == 2 {
        true => Ok(()),
        false => Err(format!("the message is not well formed: {:?}", text.chars().take(3000).collect::<String>())),
    }
}

/// The numbers to run: all of them, or the one in the environment.
fn numbers() -> std::ops::Range<u64> {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match variable("MUTATION") {
        Some(number) => number..number + 1,
        None => 0..variable("MUTATIONS").unwrap_or(1000),
    }
}

/// Ends the tests, with the input, where something never ends: a thread that hangs cannot be stopped.
fn watch(current: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        let mut last = (usize::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = current.load(Ordering::SeqCst);
            if now == usize::MAX {
                return;
            }
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > 10 * LIMIT {
                eprintln!("the mutation {now} hangs");
                std::process::abort();
            }
        }
    });
}

#[test]
fn a_thousand_mutations_are_read_or_refused() {
    let (seeds, desk) = (seeds(), Desk::new());
    let current = Arc::new(AtomicUsize::new(0));
    watch(current.clone());
    // Panics are reported below, once each.
    std::panic::set_hook(Box::new(|_| {}));
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for number in numbers() {
        current.store(number as usize, Ordering::SeqCst);
        let bytes = mutate(number, &seeds);
        match desk.judge(&bytes) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(what) => {
                let input: String = String::from_utf8_lossy(&bytes).chars().take(3000).collect();
                wrong.push(format!("mutation {number}: {what}\n{input}"));
            }
        }
    }
    current.store(usize::MAX, Ordering::SeqCst);
    let _ = std::panic::take_hook();
    println!("{accepted} accepted, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n\n"));
    if std::env::var("MUTATION").is_err() {
        assert!(accepted > 20 && refused > 300, "the mutations are too tame or too wild: {accepted}, {refused}");
    }
}

/// What once failed, and what is known to be nasty.
#[test]
fn the_corpus_is_read_or_refused() {
    let desk = Desk::new();
    let mut wrong = Vec::new();
    let all = files(&root().join("tests/fuzz/yaml"));
    assert!(!all.is_empty());
    for path in all {
        if let Err(what) = desk.judge(&fs::read(&path).expect("a file")) {
            wrong.push(format!("{}: {what}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What would need more memory or time than there is, were it believed.
#[test]
fn bombs_do_not_go_off() {
    let desk = Desk::new();
    let exact = "name: x\ndata: eight_gaussians\nsde: vp\nmodel: exact\n";
    let laughs: String =
        (1..12).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","))).collect();
    let many = 200_000;
    let big = "x".repeat(100_000);
    for (what, text, said) in [
        ("aliases", format!("a0: &a0 lol\n{laughs}{exact}"), "aliases"),
        ("a long text, often", format!("a: &a {big}\nb: [{}]\n{exact}", "*a,".repeat(20_000)), "aliases"),
        ("a list of lists", format!("{exact}sample: {}\n", "[".repeat(many)), ""),
        ("a map of maps", format!("{exact}sample: {}\n", "{a: ".repeat(many)), ""),
        ("a block of blocks", format!("{exact}sample:\n  {}x\n", "- ".repeat(many)), ""),
        ("an alias of itself", format!("{exact}sample: &a [*a]\n"), ""),
        ("many keys", (0..many).map(|i| format!("k{i}: 1\n")).collect::<String>() + exact, "unknown key `k0`"),
        ("a large file", "#".repeat(5 << 20), "more than 4 MiB"),
        ("a long line", format!("{exact}description: '{}'\n", "'' ".repeat(many)), ""),
        ("a long name", exact.replace("name: x", &format!("name: {big}")), "a name of 100000 characters"),
    ] {
        let start = Instant::now();
        let outcome = desk.judge(text.as_bytes());
        assert!(start.elapsed() < 3 * LIMIT, "{what}: {:?}", start.elapsed());
        if let Err(problem) = &outcome {
            panic!("{what}: {problem}");
        }
        if !said.is_empty() {
            let message = desk.check().expect_err("it is refused").to_string();
            assert!(message.contains(said), "{what}: {message}");
        }
    }
}

/// Every number of an experiment made huge: refused in words, or without effect on time and memory here.
#[test]
fn huge_numbers_are_refused_or_free() {
    let (desk, mut refused) = (Desk::new(), 0);
    let full = Spec::parse(FULL, "full.yaml", &[]).expect("an experiment").to_yaml();
    let before = peak();
    for (number, line) in full.lines().enumerate() {
        let Some((key, value)) = line.rsplit_once(": ").or(line.rsplit_once("- ")) else { continue };
        if value.parse::<f64>().is_err() {
            continue;
        }
        let separator = if line.contains(": ") { ": " } else { "- " };
        for huge in
            ["1000000000000000000", "18446744073709551615", "1000000000", "1e308", "1e-308", ".nan", ".inf", "0", "-1"]
        {
            let lines = full.lines().enumerate().map(|(i, line)| match i == number {
                true => format!("{key}{separator}{huge}\n"),
                false => format!("{line}\n"),
            });
            match desk.judge(lines.collect::<String>().as_bytes()) {
                Ok(accepted) => refused += usize::from(!accepted),
                Err(what) => panic!("{key}: {huge}: {what}"),
            }
        }
    }
    assert!(refused > 100, "{refused}");
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 600 << 10, "checking huge numbers took {} MiB", (after - before) >> 10);
    }
}

/// The most memory that this process had, in KiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Some of the mutations through the program itself: an exit code of 0 or 2, and one line for people.
#[test]
fn the_program_survives_mutations() {
    let (seeds, place) = (seeds(), Place::new());
    for number in 5000..5036 {
        place.write("input.yaml", mutate(number, &seeds));
        let before = place.listing();
        let start = Instant::now();
        let outcome = place.run(&["check", "input.yaml", "--quick"]);
        assert!(start.elapsed() < 10 * LIMIT, "mutation {number} takes {:?}", start.elapsed());
        match outcome.code {
            Some(0) => assert_eq!(outcome.stderr, "", "mutation {number}"),
            Some(2) => {
                assert_eq!(outcome.stdout, "", "mutation {number}");
                let line = outcome.stderr.strip_suffix('\n').expect("a line");
                let whole = line.starts_with("error: input.yaml") && line.contains("; ") && !line.contains('\n');
                assert!(whole, "mutation {number}: {line}");
            }
            code => panic!("mutation {number} ends with {code:?}: {}", outcome.stderr),
        }
        assert!(place.listing() == before, "mutation {number} left something behind");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Any text as an override, of a path that exists or of none.
    #[test]
    fn overrides_are_applied_or_refused(
        place in "[a-z.\\[\\]0-9]{0,24}|(train|sde|compare|sample|model|sweep|base|data)([.][a-z0-9_]{1,12}){0,6}|\\PC{0,12}",
        value in "[ {}\\[\\]:,*&a-z0-9-]{0,16}|\\PC{0,24}|-?[0-9]{1,40}|[0-9]e[0-9]{1,4}",
    ) {
        let text = format!("{place}={value}");
        match Spec::parse(FULL, "input.yaml", std::slice::from_ref(&text)) {
            Ok(spec) => prop_assert!(Spec::parse(&spec.to_yaml(), "again.yaml", &[]).is_ok()),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("--set ") && message.contains("; "), "{}", message);
                prop_assert!(!message.chars().any(|c| c.is_control()), "{:?}", message);
            }
        }
    }

    /// Any bytes as an array for --init or --noise.
    #[test]
    fn arrays_are_read_or_refused(
        version in 0u8..5,
        header in "\\{'descr': '(<f8|<f4|>f8|<i8|<f2|[|]O|)', 'fortran_order': (True|False|0), 'shape': \\([0-9]{0,20},? ?[0-9]{0,20},?\\), \\}[ ]{0,9}\n?|\\PC{0,64}",
        length in prop::option::of(any::<u32>()),
        data in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        let length = length.unwrap_or(header.len() as u32);
        if version == 1 { bytes.extend((length as u16).to_le_bytes()) } else { bytes.extend(length.to_le_bytes()) }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        prop_assert_eq!(judge_array(&bytes), Ok(()));
    }
}

/// Reads bytes as an array: what is wrong with how that goes, if anything is.
fn judge_array(bytes: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.npy");
    fs::write(&path, bytes).expect("a file");
    let start = Instant::now();
    let outcome = ornstein::experiment::stage::read_npy(&path);
    if start.elapsed() > LIMIT {
        return Err(format!("it takes {:?}", start.elapsed()));
    }
    match outcome {
        Ok(array) if array.len() * 4 <= bytes.len() => Ok(()),
        Ok(array) => Err(format!("{} numbers out of {} bytes", array.len(), bytes.len())),
        Err(error) => {
            let text = error.to_string();
            match text.contains("input.npy: ") && text.contains("; save a ") && !text.contains('\n') {
                true => Ok(()),
                false => Err(format!("the message is not well formed: {text:?}")),
            }
        }
    }
}

#[test]
fn the_corpus_of_arrays_is_read_or_refused() {
    let all = files(&root().join("tests/fuzz/npy"));
    assert!(!all.is_empty());
    for path in all {
        judge_array(&fs::read(&path).expect("a file")).unwrap_or_else(|what| panic!("{}: {what}", path.display()));
    }
}
