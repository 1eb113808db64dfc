//! What no committed file may say, and what every folder of fixtures must.

use crate::{report, root};
use std::path::PathBuf;
use std::process::Command;

/// Paths that exist on one machine only. Put together here, so that this file does not find itself.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/"), concat!("/tmp", "/w/")];

/// Files that git knows; none in a copy without git.
fn committed() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.ok().filter(|out| out.status.success()).map(|out| out.stdout).unwrap_or_default();
    String::from_utf8_lossy(&listed).split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

/// Whether the line names an absolute path that begins so; `tests/fuzz/work/` is none.
fn begins_there(line: &str, path: &str) -> bool {
    let inside = |before: char| before.is_alphanumeric() || "._-}/$".contains(before);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(inside))
}

#[test]
fn no_path_of_a_machine() {
    let mut findings = Vec::new();
    for path in committed() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        for (n, line) in text.lines().enumerate() {
            if let Some(found) = MACHINE_PATHS.iter().find(|path| begins_there(line, path)) {
                findings.push(format!("{}:{}: {found}", path.display(), n + 1));
            }
        }
    }
    report("no committed file names a path of one machine:", &findings);
}

#[test]
fn fixtures_say_where_they_come_from() {
    let mut findings = Vec::new();
    for path in committed() {
        let Ok(below) = path.strip_prefix("fixtures") else { continue };
        let documented = below.ancestors().skip(1).any(|folder| root().join("fixtures").join(folder).join("README.md").exists());
        if !documented {
            findings.push(path.display().to_string());
        }
    }
    report("every folder of fixtures has a README.md of origins, itself or above it:", &findings);
}
