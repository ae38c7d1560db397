//! YAML that is no YAML: what the parser says, in plain words.

use super::tree::{TOO_MUCH, Tree, plain};
use crate::error::Fault;

/// A text that is no YAML.
pub(super) struct Broken {
    /// The line and the column, counted from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub fault: Fault,
}

/// Reads YAML into a tree.
pub(super) fn parse(text: &str) -> Result<Tree, Broken> {
    if let Some(position) = too_deep(text) {
        let (_, problem, remedy) = REASONS.iter().find(|(part, ..)| *part == TOO_DEEP).expect("it is one of them");
        return Err(Broken { position: Some(position), fault: Fault::new("", *problem, *remedy) });
    }
    serde_yaml::from_str(text).map_err(|error| explain(text, &error))
}

/// How the parser says that there is too much nesting, which it may take minutes to find out: at each token it goes
/// through all brackets that are open.
const TOO_DEEP: &str = "recursion limit exceeded";

/// As many brackets may be open at once; more than the parser would take in the end, since those in texts count too.
const DEEPEST: usize = 512;

/// Where too many brackets are open, if anywhere.
fn too_deep(text: &str) -> Option<(usize, usize)> {
    let mut open = 0usize;
    let at = text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > DEEPEST
    })?;
    Some(end(&text[..at]))
}

/// What the parser says, in part; what it means; what usually helps. `{began}` stands for the line on which the parser
/// began to read what it could not finish.
const REASONS: &[(&str, &str, &str)] = &[
    (
        "mapping values are not allowed",
        "a `:` where no key can stand",
        "indent the line like its neighbours, and put quotes around a text that contains `: `",
    ),
    (
        "did not find expected key",
        "this line continues nothing that stands above it",
        "indent the keys of one map equally, and close every bracket and quote",
    ),
    (
        "did not find expected '-' indicator",
        "this line continues nothing that stands above it",
        "start each item of the list with `- `, indented equally",
    ),
    (
        "did not find expected ',' or ']'",
        "the list that starts with `[` on line {began} is not closed",
        "add the missing `,` or `]`",
    ),
    (
        "did not find expected ',' or '}'",
        "the map that starts with `{` on line {began} is not closed",
        "add the missing `,` or `}`",
    ),
    (
        "could not find expected ':'",
        "the key on line {began} has no `:`",
        "write `key: value`, with a space after the colon",
    ),
    ("did not find expected node content", "a value is missing here", "write one, or remove what comes before it"),
    ("found unexpected end of stream", "the quote that opens on line {began} is never closed", "close the quote"),
    ("found unknown escape", "a backslash that escapes nothing", "write `\\\\`, or use single quotes"),
    ("found a tab character", "a tab in the indentation", "indent with spaces"),
    (
        "found character that cannot start any token",
        "a text cannot start with this character",
        "put the text in quotes",
    ),
    ("block sequence entries are not allowed", "a list item where no list can be", "put the `- ` on a line of its own"),
    ("control characters are not allowed", "a control character", "remove it"),
    ("unknown anchor", "a `*name` without an `&name` before it", "define the anchor first, or quote the text"),
    (TOO_DEEP, "more than 128 levels of nesting", "flatten it"),
    (TOO_MUCH, "more than 64 MiB of values, each use of an alias counted", "write less, and use fewer aliases"),
    ("repetition limit exceeded", "aliases that repeat each other without end", "write the values out"),
    ("deserializing from YAML containing more than one document", "a second document after `---`", "keep one of them"),
    ("invalid value", "a tag such as `!!float` on something else", "remove the tag"),
    ("invalid type: enum", "a tag such as `!this`, which means nothing here", "remove the tag"),
    ("invalid type", "a key that is not a word", "write `key: value`, and quote a text that starts with `{` or `[`"),
];

fn explain(text: &str, error: &serde_yaml::Error) -> Broken {
    let mut message = error.to_string();
    let position = match message.rsplit_once(" at position ").and_then(|(_, offset)| offset.parse().ok()) {
        // The parser knows no line for a character that it cannot even read.
        Some(offset) => text.get(..offset).map(end),
        None => error.location().map(|location| (location.line(), location.column())),
    };
    let line = position.and_then(|(line, _)| text.lines().nth(line - 1)).unwrap_or_default();
    if message.contains("cannot start any token") && line.trim_start_matches(' ').starts_with('\t') {
        message = "found a tab character".to_owned();
    }
    let fault = match REASONS.iter().find(|(part, ..)| message.contains(part)) {
        Some((_, problem, remedy)) => Fault::new("", problem.replace("{began}", began(&message)), *remedy),
        None => Fault::new(
            "",
            plain(message.split(" at line ").next().unwrap_or_default()),
            "look at the indentation, the brackets and the quotes around this place",
        ),
    };
    Broken { position, fault }
}

/// The line and the column, counted from 1, of what follows a text.
pub(super) fn end(text: &str) -> (usize, usize) {
    let line = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The second line that a message of the parser names: of `… at line 4 column 1, while … at line 3 column 7`, the 3.
/// The parser names no line for something that began at the very start of the text.
fn began(message: &str) -> &str {
    message.split(" at line ").nth(2).and_then(|rest| rest.split(' ').next()).unwrap_or("1")
}
