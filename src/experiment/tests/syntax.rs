//! What is said of texts that are no YAML, word for word.

use super::{parse, with};

/// Asserts what is said of the example with one change.
#[track_caller]
fn says(old: &str, new: &str, message: &str) {
    assert_eq!(parse(&with(old, new), &[]).unwrap_err(), message);
}

#[test]
fn broken_yaml() {
    says("  batch: 512", "\tbatch: 512", "moons.yaml:10:1: a tab in the indentation; indent with spaces");
    says("train:\n  steps", "train:\n\tsteps", "moons.yaml:9:1: a tab in the indentation; indent with spaces");
    says(
        "  batch: 512",
        "   batch: 512",
        "moons.yaml:10:9: a `:` where no key can stand; \
         indent the line like its neighbours, and put quotes around a text that contains `: `",
    );
    says(
        "  batch: 512",
        "  batch 512",
        "moons.yaml:11:3: the key on line 10 has no `:`; write `key: value`, with a space after the colon",
    );
    says(
        "20, 50, 100]",
        "20, 50, 100",
        "moons.yaml:22:10: the list that starts with `[` on line 21 is not closed; add the missing `,` or `]`",
    );
    says(
        "name: two-moons-vp",
        "name: 'two-moons-vp",
        "moons.yaml:24:1: the quote that opens on line 1 is never closed; close the quote",
    );
    says("seed: 0", "seed: \u{7}", "moons.yaml:2:7: a control character; remove it");
    says("seed: 0", "---", "moons.yaml: a second document after `---`; keep one of them");
    says(
        "batch: 512",
        "batch: !!int many",
        "moons.yaml:10:10: a tag such as `!!float` on something else; remove the tag",
    );
    says(
        "batch: 512",
        &format!("batch: {}", "[".repeat(1000)),
        "moons.yaml:10:522: more than 128 levels of nesting; flatten it",
    );
    says(
        "batch: 512",
        "batch: *nothing",
        "moons.yaml:10:10: a `*name` without an `&name` before it; define the anchor first, or quote the text",
    );
    says("seed: 0", "seed: &a [*a]", "moons.yaml:2:7: more than 128 levels of nesting; flatten it");
    says("sde: {", "sde: !this {", "moons.yaml:4:6: a tag such as `!this`, which means nothing here; remove the tag");
    says(
        "sde: {vp:",
        "sde: {{vp}:",
        "moons.yaml:4:7: a key that is not a word; write `key: value`, and quote a text that starts with `{` or `[`",
    );
}
