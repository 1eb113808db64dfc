//! Reads the layers and says precisely what is wrong: which file or variable, which key, and what was probably meant.

use super::{Config, config_from, known_keys, sections};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Where values come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that the user named; it must exist.
    pub file: Option<PathBuf>,
    /// The environment; names that do not start with `WEIR_` are ignored.
    pub environment: Vec<(String, String)>,
    /// `key=value` of the command line.
    pub flags: Vec<(String, String)>,
}

/// What is wrong with the configuration, each with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub Vec<String>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Error {}

const PREFIX: &str = "WEIR_";
/// Variables of the same prefix that are not keys.
const NOT_KEYS: [&str; 1] = ["WEIR_CONFIG"];

/// Puts the layers together: defaults < file < environment < flags.
pub fn load(sources: &Sources) -> Result<Config, Error> {
    let mut wrong = Vec::new();
    let mut table = defaults();
    if let Some(path) = &sources.file {
        match read(path) {
            Ok(file) => merge(&mut table, file, path, &mut wrong),
            Err(why) => wrong.push(why),
        }
    }
    for (name, text) in &sources.environment {
        if let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !NOT_KEYS.contains(&name.as_str())) {
            let key = rest.to_ascii_lowercase().replace("__", ".");
            set(&mut table, &key, text, &format!("environment variable {name}"), &mut wrong);
        }
    }
    for (key, text) in &sources.flags {
        set(&mut table, key, text, "command line", &mut wrong);
    }
    if !wrong.is_empty() {
        return Err(Error(wrong));
    }
    config_from(table).map_err(|(section, e)| Error(vec![whole_error(&section, &e)]))
}

fn whole_error(section: &str, e: &toml::de::Error) -> String {
    format!("configuration: {}{}", if section.is_empty() { String::new() } else { format!("[{section}] ") }, e.message())
}

fn defaults() -> Table {
    match Value::try_from(Config::default()) {
        Ok(Value::Table(table)) => table,
        _ => unreachable!("the configuration is a table"),
    }
}

fn read(path: &Path) -> Result<(Table, String), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let table = text.parse::<Table>().map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((table, text))
}

/// Lays a file over the defaults; every key is checked on its own, so that all mistakes are told at once.
fn merge(table: &mut Table, (file, text): (Table, String), path: &Path, wrong: &mut Vec<String>) {
    let names: Vec<_> = sections().into_iter().map(|(name, ..)| name).collect();
    for (name, value) in file {
        match value {
            Value::Table(section) if names.contains(&name.as_str()) => {
                for (key, value) in section {
                    let place = place(path, &text, &name, &key);
                    put(table, &format!("{name}.{key}"), value, &place, wrong);
                }
            }
            value => put(table, &name, value, &place(path, &text, "", &name), wrong),
        }
    }
}

/// `file:line`, found by looking for the key in its section.
fn place(path: &Path, text: &str, section: &str, key: &str) -> String {
    let mut current = String::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
            current = name.trim_matches(['[', ']', ' ']).to_owned();
            if section.is_empty() && current == key {
                return format!("{}:{}", path.display(), n + 1);
            }
        } else if current == section && line.split('=').next().is_some_and(|k| k.trim() == key) {
            return format!("{}:{}", path.display(), n + 1);
        }
    }
    path.display().to_string()
}

/// Sets a key from text, which is read as the type that the default has.
fn set(table: &mut Table, key: &str, text: &str, place: &str, wrong: &mut Vec<String>) {
    let value = match find(table, key) {
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
        Some(Value::Float(_)) => text.parse().map(Value::Float).ok(),
        Some(Value::Array(_)) if text.trim_start().starts_with('[') => inline(text),
        Some(Value::Array(_)) => {
            Some(Value::Array(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.to_owned())).collect()))
        }
        Some(Value::Table(_)) => inline(text),
        _ => Some(Value::String(text.to_owned())),
    };
    match value {
        Some(value) => put(table, key, value, place, wrong),
        None => wrong.push(format!(
            "{place}: {key}: {text:?} is not of the right kind (default: {})",
            find(table, key).map_or_else(String::new, Value::to_string)
        )),
    }
}

fn inline(text: &str) -> Option<Value> {
    format!("x = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("x"))
}

fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((section, key)) => table.get(section)?.as_table()?.get(key),
        None => table.get(key),
    }
}

/// Puts a value in, if the key exists and takes it.
fn put(table: &mut Table, key: &str, value: Value, place: &str, wrong: &mut Vec<String>) {
    let known = known_keys();
    if !known.iter().any(|k| k == key) {
        wrong.push(format!("{place}: there is no key {key}{}", meant(key, &known)));
        return;
    }
    let mut trial = defaults();
    insert(&mut trial, key, value.clone());
    match config_from(trial) {
        Ok(_) => insert(table, key, value),
        Err((_, e)) => wrong.push(format!("{place}: {key}: {}", e.message().trim_end())),
    }
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((section, key)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(key.to_owned(), value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

/// The nearest valid key, if one is near.
fn meant(key: &str, known: &[String]) -> String {
    let last = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |k: &String| {
        let whole = strsim::damerau_levenshtein(key, k);
        // The right word in the wrong section is as good a guess.
        if last(key) == last(k) { whole.min(2) } else { whole }
    };
    match known.iter().min_by_key(|k| distance(k)) {
        Some(near) if distance(near) <= 4.max(key.len() / 3) => format!("; did you mean {near}?"),
        _ => String::new(),
    }
}
