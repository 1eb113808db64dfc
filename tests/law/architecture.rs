//! Imports only point down, the core does no IO and reads no clock, files stay small and say what they are for.

use crate::source::{Source, Use};
use crate::{files, report, root};
use std::collections::HashSet;
use std::path::PathBuf;

/// From the bottom up. A module may use modules of lower layers, not its siblings, none above.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["media", "model"],
    &["container", "proto", "runtime"],
    &["stream", "store"],
    &["av", "storage"],
    &["edge", "worker"],
    &["api", "console"],
    &["config"],
    &["server"],
    &["cli", "fuzz"],
];

/// In these layers each folder is a world of its own; only what is listed is shared: (layer, shared part, why).
const SHARED: &[(&str, &str, &str)] = &[
    ("edge", "net", "all edges stand on sockets, limits and pumps"),
    ("edge", "session", "all edges open sessions, which are listed together"),
    ("worker", "segment", "HLS and recording cut streams the same way"),
    ("worker", "dial", "pulls and relays both call other servers"),
];

/// Modules without tokio, sockets, files and clock.
const CORE: &[&str] = &["base", "media", "model", "container", "proto"];

/// What a module of the core must not name.
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["TcpStream"],
    &["TcpListener"],
    &["UdpSocket"],
    &["ToSocketAddrs"],
    &["Instant", "now"],
    &["SystemTime", "now"],
];

/// Lines of code in a file, tests left out.
const HARD_LIMIT: usize = 600;

fn sources() -> Vec<(PathBuf, Source, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(root().join(&path)).expect("sources are UTF-8");
        let source = Source::new(path.strip_prefix("src").expect("below src"), &text);
        (path, source, text)
    };
    let found: Vec<_> = files("src", ".rs").into_iter().map(read).collect();
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// Files that exist in tests only, with everything below them.
fn test_modules(sources: &[(PathBuf, Source, String)]) -> HashSet<Vec<String>> {
    sources.iter().flat_map(|(_, source, _)| source.test_files()).collect()
}

fn is_test(module: &[String], tests: &HashSet<Vec<String>>) -> bool {
    (1..=module.len()).any(|n| tests.contains(&module[..n]))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What is wrong with a use, if anything.
fn wrong(module: &[String], used: &Use) -> Option<String> {
    let (from, to) = (module.first()?.as_str(), used.path.first()?.as_str());
    // Macros of the crate stand at its root, items of `lib.rs` as well.
    let to_layer = layer(to)?;
    let Some(from_layer) = layer(from) else {
        return Some(format!("{from} stands in no layer: add it to LAYERS"));
    };
    if from == to {
        let shares = |part: &str| SHARED.iter().any(|(layer, shared, _)| *layer == from && *shared == part);
        let divided = SHARED.iter().any(|(layer, _, _)| *layer == from);
        let (a, b) = (module.get(1)?, used.path.get(1)?);
        let own_file = root().join(format!("src/{from}/{b}.rs")).exists() || root().join(format!("src/{from}/{b}")).exists();
        return (divided && a != b && !shares(b) && own_file).then(|| format!("{from}::{a} must not know {from}::{b}"));
    }
    match to_layer.cmp(&from_layer) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!("{from} and {to} are siblings and must not know each other")),
        std::cmp::Ordering::Greater => Some(format!("{from} (L{from_layer}) points up to {to} (L{to_layer})")),
    }
}

#[test]
fn imports_only_point_down() {
    let mut findings = Vec::new();
    for (path, source, _) in sources() {
        if is_executable(&source) {
            continue;
        }
        for used in source.uses() {
            if let Some(why) = wrong(&source.module, &used) {
                findings.push(format!("{}:{}: {why} (crate::{})", path.display(), used.line, used.path.join("::")));
            }
        }
    }
    report("imports only point down, siblings do not know each other:", &findings);
}

/// `src/bin/` holds programs of their own: `crate` means something else there.
fn is_executable(source: &Source) -> bool {
    source.module.first().is_some_and(|module| module == "bin")
}

#[test]
fn other_executables_use_the_core_only() {
    let mut findings = Vec::new();
    for (path, source, _) in sources().iter().filter(|(_, source, _)| is_executable(source)) {
        for at in source.tokens.windows(3) {
            if at[0].text == "weir" && at[1].text == "::" && !CORE.contains(&at[2].text.as_str()) {
                findings.push(format!("{}:{}: weir::{}", path.display(), at[2].line, at[2].text));
            }
        }
    }
    report("executables beside the server share its core, nothing else:", &findings);
}

#[test]
fn a_wrong_arrow_is_told() {
    let used = |path: &str| Use { path: path.split("::").map(str::to_owned).collect(), line: 1, test: false };
    let told = |module: &str, path: &str| {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        wrong(&module, &used(path))
    };
    assert_eq!(told("media::frame", "base::bytes"), None);
    assert_eq!(told("edge::session", "edge::net::limit"), None);
    assert!(told("base::id", "media::Frame").is_some_and(|why| why.contains("points up to media")));
    assert!(told("proto::sip", "container::ts").is_some_and(|why| why.contains("siblings")));
    assert!(told("nowhere", "base::id").is_some_and(|why| why.contains("in no layer")));
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let sources = sources();
    let tests = test_modules(&sources);
    let mut findings = Vec::new();
    for (path, source, _) in &sources {
        let core = source.module.first().is_some_and(|module| CORE.contains(&module.as_str()));
        if !core || is_test(&source.module, &tests) {
            continue;
        }
        let words: Vec<_> = source.tokens.iter().filter(|token| token.text != "::").collect();
        for at in 0..words.len() {
            let names = |impure: &&&[&str]| impure.iter().enumerate().all(|(n, word)| words.get(at + n).is_some_and(|t| t.text == *word));
            if let Some(impure) = IMPURE.iter().find(names).filter(|_| !words[at].test) {
                findings.push(format!("{}:{}: {}", path.display(), words[at].line, impure.join("::")));
            }
        }
    }
    report("the core does no IO and reads no clock:", &findings);
}

#[test]
fn files_are_small() {
    let sources = sources();
    let tests = test_modules(&sources);
    let long = sources.iter().filter(|(_, source, _)| !is_test(&source.module, &tests) && source.code_lines() > HARD_LIMIT);
    let findings: Vec<String> = long.map(|(path, source, _)| format!("{}: {} lines", path.display(), source.code_lines())).collect();
    report(&format!("a file has at most {HARD_LIMIT} lines of code:"), &findings);
}

#[test]
fn files_say_what_they_are_for() {
    let mut findings = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in files(folder, ".rs") {
            let text = std::fs::read_to_string(root().join(&path)).expect("sources are UTF-8");
            if !text.starts_with("//!") && !text.starts_with("#![doc") && !text.starts_with("#![no_main]") {
                findings.push(path.display().to_string());
            }
        }
    }
    report("the first line of a file says what it is for (//!):", &findings);
}

#[test]
fn every_module_is_in_a_layer_and_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let (mut findings, mut seen) = (Vec::new(), HashSet::new());
    for (path, source, _) in sources().into_iter().filter(|(_, source, _)| !is_executable(source)) {
        let Some(module) = source.module.first().cloned().filter(|module| seen.insert(module.clone())) else { continue };
        if layer(&module).is_none() {
            findings.push(format!("{}: {module} stands in no layer", path.display()));
        }
        if !map.contains(&format!("`{module}`")) {
            findings.push(format!("ARCHITECTURE.md: `{module}` is not on the map"));
        }
    }
    report("every module has its place:", &findings);
}
