//! What objects may be called: a relative path that leaves its directory neither by accident nor by intent.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The longest name, in bytes: what S3 allows is 1024.
const LONGEST: usize = 900;
/// The longest part of a path, in bytes: what file systems allow is 255.
const LONGEST_PART: usize = 200;

/// A name as it can be used, nearest to the one that was wished for.
pub fn safe(wished: &str) -> String {
    let mut name = String::with_capacity(wished.len());
    for part in wished.split('/').filter(|part| !part.is_empty()) {
        if name.len() + part.len() >= LONGEST {
            break;
        }
        if !name.is_empty() {
            name.push('/');
        }
        // A name that begins with a dot is hidden, ours (.spool), or climbs.
        let part = part.strip_prefix('.').map_or_else(|| part.to_owned(), |rest| format!("_{rest}"));
        let mut length = 0;
        name.extend(part.chars().map(|c| if c.is_control() || "\\:*?\"<>|".contains(c) { '_' } else { c }).take_while(|c| {
            length += c.len_utf8();
            length <= LONGEST_PART
        }));
    }
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The name with a number before its extension.
pub fn other(name: &str, n: u32) -> String {
    let at = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[at..].rfind('.').filter(|dot| *dot > 0) {
        Some(dot) => format!("{}_{n}{}", &name[..at + dot], &name[at + dot..]),
        None => format!("{name}_{n}"),
    }
}

/// A name that nobody else gets while this lives.
pub struct Reserved<'a> {
    set: &'a Mutex<HashSet<String>>,
    name: String,
    alone: bool,
}

impl<'a> Reserved<'a> {
    /// Takes the name, if nobody has it.
    pub fn in_set(set: &'a Mutex<HashSet<String>>, name: &str) -> Option<Reserved<'a>> {
        lock(set).insert(name.to_owned()).then(|| Reserved { set, name: name.to_owned(), alone: true })
    }

    /// The name, whoever has it.
    pub fn shared(set: &'a Mutex<HashSet<String>>, name: &str) -> Reserved<'a> {
        Reserved { set, name: name.to_owned(), alone: false }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.alone {
            lock(self.set).remove(&self.name);
        }
    }
}

fn lock(set: &Mutex<HashSet<String>>) -> MutexGuard<'_, HashSet<String>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_their_directory() {
        for (wished, name) in [
            ("a/b.mp4", "a/b.mp4"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc/passwd", "_./_./etc/passwd"),
            ("a/./b", "a/_/b"),
            (".spool/x", "_spool/x"),
            ("a//b\\..\\c", "a/b_.._c"),
            ("门口/1.jpg", "门口/1.jpg"),
            ("a\0b\n", "a_b_"),
            ("", "_"),
            ("///", "_"),
        ] {
            assert_eq!(safe(wished), name, "{wished:?}");
            assert_eq!(safe(name), name, "safe names stay as they are");
        }
        let long = safe(&format!("{}/{}", "门".repeat(300), "b/".repeat(2000)));
        assert!(long.len() <= LONGEST && long.split('/').all(|part| part.len() <= LONGEST_PART && !part.is_empty()), "{long}");
        assert_eq!(safe(&long), long);
    }

    #[test]
    fn other_names_keep_their_extension() {
        assert_eq!(other("a.b/c.mp4", 1), "a.b/c_1.mp4");
        assert_eq!(other("a.b/c", 2), "a.b/c_2");
        assert_eq!(other(".c", 3), ".c_3");
    }

    #[test]
    fn a_reserved_name_is_free_again_when_it_is_dropped() {
        let set = Mutex::default();
        let held = Reserved::in_set(&set, "a").unwrap();
        assert!(Reserved::in_set(&set, "a").is_none());
        drop(Reserved::shared(&set, "a"));
        assert!(Reserved::in_set(&set, "a").is_none());
        drop(held);
        assert!(Reserved::in_set(&set, "a").is_some());
    }
}
