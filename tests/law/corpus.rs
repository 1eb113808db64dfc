//! Replays the fuzz corpus: what once broke a parser, or merely reached far into it, never does so again.

use crate::{report, root};
use std::panic::catch_unwind;
use weir::fuzz::TARGETS;

/// What a corpus may weigh: seeds and mended findings, not everything that a fuzzer ever saw.
const SIZE_MAX: u64 = 512 << 10;

#[test]
fn the_corpus_passes() {
    let mut findings = Vec::new();
    for (name, target) in TARGETS {
        let folder = root().join("tests/fuzz/corpus").join(name);
        let Ok(entries) = std::fs::read_dir(&folder) else {
            findings.push(format!("{name}: no corpus in tests/fuzz/corpus/{name}"));
            continue;
        };
        let mut size = 0;
        for entry in entries {
            let path = entry.expect("a folder can be read").path();
            let data = std::fs::read(&path).expect("a file can be read");
            size += data.len() as u64;
            if catch_unwind(|| target(&data)).is_err() {
                findings.push(path.strip_prefix(root()).expect("below the top").display().to_string());
            }
        }
        match size {
            0 => findings.push(format!("{name}: the corpus is empty")),
            size if size > SIZE_MAX => findings.push(format!("{name}: {size} bytes of corpus, at most {SIZE_MAX}")),
            _ => {}
        }
    }
    report("every input of the fuzz corpus passes:", &findings);
}

#[test]
fn every_target_is_declared() {
    let manifest = std::fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).expect("the fuzz workspace is there");
    let mut findings = Vec::new();
    for (name, _) in TARGETS {
        let source = std::fs::read_to_string(root().join(format!("tests/fuzz/targets/{name}.rs"))).unwrap_or_default();
        if !source.contains(&format!("weir::fuzz::run(\"{name}\", data)")) {
            findings.push(format!("tests/fuzz/targets/{name}.rs does not call the entry {name}"));
        }
        if !manifest.contains(&format!("path = \"targets/{name}.rs\"")) {
            findings.push(format!("tests/fuzz/Cargo.toml does not declare {name}"));
        }
    }
    report("every entry of src/fuzz is a fuzz target:", &findings);
}
