//! Just enough of Rust's grammar to know which module uses which: tokens, test code, paths.

use std::collections::HashSet;
use std::path::Path;

/// One token with the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Inside an item that exists in tests only.
    pub test: bool,
    /// The inline modules (`mod x { … }`) around it.
    pub inner: Vec<String>,
}

/// A path that starts at the crate's root, as used at some place.
#[derive(Debug, PartialEq)]
pub struct Use {
    pub path: Vec<String>,
    pub line: usize,
    pub test: bool,
}

/// One source file, taken apart.
#[derive(Debug)]
pub struct Source {
    /// `edge/rtmp/play.rs` is `["edge", "rtmp", "play"]`.
    pub module: Vec<String>,
    pub tokens: Vec<Token>,
}

impl Source {
    /// Takes a file of `src/` apart; `file` is its path below `src/`.
    pub fn new(file: &Path, text: &str) -> Source {
        let mut module: Vec<String> = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|name| name == "mod" || name == "lib" || name == "main") {
            module.pop();
        }
        let mut tokens = tokens(text);
        mark_items(&mut tokens);
        Source { module, tokens }
    }

    /// The modules in files of their own that exist in tests only: `#[cfg(test)] mod tests;`.
    pub fn test_files(&self) -> HashSet<Vec<String>> {
        let mut found = HashSet::new();
        for at in 0..self.tokens.len().saturating_sub(2) {
            let [a, b, c] = &self.tokens[at..at + 3] else { unreachable!() };
            if a.test && a.text == "mod" && c.text == ";" {
                let mut module = self.module.clone();
                module.extend(a.inner.iter().cloned());
                module.push(b.text.clone());
                found.insert(module);
            }
        }
        found
    }

    /// Every path of our own crate that the file names, from the root on: `crate::…`, `super::…`.
    pub fn uses(&self) -> Vec<Use> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let token = &self.tokens[at];
            let follows = self.tokens.get(at + 1).is_some_and(|next| next.text == "::");
            let starts = at == 0 || self.tokens[at - 1].text != "::";
            if follows && starts && (token.text == "crate" || token.text == "super") {
                let mut here = self.module.clone();
                here.extend(token.inner.iter().cloned());
                let base = if token.text == "crate" {
                    Vec::new()
                } else {
                    here.pop();
                    here
                };
                at = self.tree(at + 2, base, token, &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// Reads a path or a tree of paths (`a::{b, c::d}`) that begins at `at`; returns where it ends.
    fn tree(&self, mut at: usize, mut base: Vec<String>, from: &Token, found: &mut Vec<Use>) -> usize {
        while let Some(token) = self.tokens.get(at) {
            match token.text.as_str() {
                "{" => {
                    at += 1;
                    while let Some(token) = self.tokens.get(at) {
                        match token.text.as_str() {
                            "}" => return at + 1,
                            "," => at += 1,
                            _ => {
                                let before = at;
                                at = self.tree(at, base.clone(), token, found);
                                // Something that is not a tree of paths after all, as a block in a macro.
                                if at == before {
                                    return at + 1;
                                }
                            }
                        }
                    }
                    return at;
                }
                "super" => {
                    base.pop();
                    at += 1;
                }
                word if is_word(word) => {
                    base.push(word.to_owned());
                    at += 1;
                }
                "*" => {
                    at += 1;
                    found.push(Use { path: base, line: from.line, test: from.test });
                    return at;
                }
                _ => return at,
            }
            match self.tokens.get(at).map(|token| token.text.as_str()) {
                Some("::") => at += 1,
                Some("as") => {
                    at += 2;
                    break;
                }
                _ => break,
            }
        }
        found.push(Use { path: base, line: from.line, test: from.test });
        at
    }

    /// Lines that hold code, tests left out.
    pub fn code_lines(&self) -> usize {
        self.tokens.iter().filter(|token| !token.test).map(|token| token.line).collect::<HashSet<_>>().len()
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single characters; comments, strings and numbers are left out.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut found = Vec::new();
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => at += bytes[at..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - at),
            b'/' if bytes[at..].starts_with(b"/*") => at = after_comment(bytes, at),
            b'"' => at = after_string(bytes, at),
            b'\'' => at = after_quote(text, at),
            b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => {
                at += bytes[at..].iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80)).unwrap_or(bytes.len() - at);
                let word = &text[from..at];
                let raw = matches!(word, "r" | "br" | "cr") && matches!(bytes.get(at), Some(b'"' | b'#'));
                if raw && let Some(end) = after_raw_string(bytes, at) {
                    at = end;
                } else if !matches!((word, bytes.get(at)), ("b" | "c", Some(b'"'))) {
                    found.push(Token { text: word.to_owned(), line, test: false, inner: Vec::new() });
                }
            }
            b if b.is_ascii_digit() => {
                at += bytes[at..].iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(bytes.len() - at)
            }
            b if b.is_ascii_whitespace() => at += 1,
            _ => {
                at += if bytes[at..].starts_with(b"::") { 2 } else { 1 };
                found.push(Token { text: text[from..at].to_owned(), line, test: false, inner: Vec::new() });
            }
        }
        line += bytes[from..at].iter().filter(|b| **b == b'\n').count();
    }
    found
}

fn after_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn after_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn after_raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = at + hashes + 1;
    let end = bytes[body..].windows(close.len()).position(|w| w == close).map_or(bytes.len(), |n| body + n + close.len());
    Some(end)
}

/// A character (`'a'`, `'\n'`) or a lifetime (`'a`).
fn after_quote(text: &str, at: usize) -> usize {
    let rest = &text[at + 1..];
    if rest.starts_with('\\') {
        return at + 3 + rest.get(2..).and_then(|r| r.find('\'')).unwrap_or(0) + 1;
    }
    let mut chars = rest.char_indices();
    let (_, first) = chars.next().unwrap_or((0, '\''));
    match chars.next() {
        Some((n, '\'')) => at + 1 + n + 1,
        _ if first.is_alphabetic() || first == '_' => at + 1,
        _ => at + 1 + first.len_utf8(),
    }
}

/// Notes for each token whether it is test code and in which inline modules it stands.
fn mark_items(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].text == "#" && tokens.get(at + 1).is_some_and(|t| t.text == "[") {
            let end = closing(tokens, at + 1);
            let words: Vec<&str> = tokens[at..end].iter().map(|t| t.text.as_str()).collect();
            if words.contains(&"cfg") && words.contains(&"test") && !words.contains(&"not") {
                let item = end_of_item(tokens, end + 1);
                tokens[at..item].iter_mut().for_each(|token| token.test = true);
            }
            at = end;
        }
        at += 1;
    }
    let mut open: Vec<Option<String>> = Vec::new();
    for at in 0..tokens.len() {
        tokens[at].inner = open.iter().flatten().cloned().collect();
        match tokens[at].text.as_str() {
            "{" => open.push((at >= 2 && tokens[at - 2].text == "mod").then(|| tokens[at - 1].text.clone())),
            "}" => drop(open.pop()),
            _ => {}
        }
    }
}

/// Where the item ends that begins at `at`: after its `;` or its closing brace.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "{" => return closing(tokens, at) + 1,
            "(" | "[" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}

/// The token that closes the bracket at `at`.
fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (n, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 {
                    return n;
                }
            }
            _ => {}
        }
    }
    tokens.len() - 1
}

#[test]
fn paths_are_found_in_all_their_forms() {
    let text = r##"
//! crate::comment::no
use crate::media::{Frame, track::{self, Track as T}};
use super::super::base;
fn a<'a>(x: &'a crate::stream::Unit) -> char { let _ = ("crate::string::no", r#"crate::raw::no"#, '"', '\''); 'c' }
mod inner { use super::play; use crate::edge::net::*; }
#[cfg(test)]
mod tests { use super::*; use crate::api::x; }
#[cfg(not(test))]
fn not_test() {}
"##;
    let source = Source::new(Path::new("edge/rtmp/mod.rs"), text);
    let told: Vec<(String, usize, bool)> = source.uses().into_iter().map(|u| (u.path.join("::"), u.line, u.test)).collect();
    let expected = [
        ("media::Frame", 3, false),
        ("media::track::self", 3, false),
        ("media::track::Track", 3, false),
        ("base", 4, false),
        ("stream::Unit", 5, false),
        ("edge::rtmp::play", 6, false),
        ("edge::net", 6, false),
        ("edge::rtmp", 8, true),
        ("api::x", 8, true),
    ];
    assert_eq!(told, expected.map(|(path, line, test)| (path.to_owned(), line, test)));
    assert_eq!(source.code_lines(), 6, "two uses, a function, a module, a function with its attribute");
    let parent = Source::new(Path::new("media/mod.rs"), "mod a;\n#[cfg(test)]\nmod tests;\n");
    assert_eq!(parent.test_files(), HashSet::from([vec!["media".to_owned(), "tests".to_owned()]]));
}
