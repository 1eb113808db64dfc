//! The commented reference file, made from the declarations, so that it cannot lie.

use super::{Config, Top, sections};
use crate::base::settings::{Key, Section};
use std::fmt::Write;
use toml::{Table, Value};

const INTRO: &str = "\
# Weir's configuration: every key with its default value. Made by `weir config`; a test keeps it true.
# Values are taken from here, then from the environment (WEIR_RTMP__LISTEN sets rtmp.listen), then from the command line
# (--set rtmp.listen=…). To change a key, remove the # before it. Lengths of time: \"500ms\", \"10s\", \"5m\", \"2h\", \"7d\".
# Sizes: \"64KiB\", \"16MiB\", \"1GiB\".
";

/// The text of `config/weir.toml`.
pub fn reference() -> String {
    let Ok(Value::Table(defaults)) = Value::try_from(Config::default()) else { unreachable!("the configuration is a table") };
    let mut text = INTRO.to_owned();
    keys(&mut text, Top::KEYS, &defaults);
    for (name, doc, of_section) in sections() {
        text.push('\n');
        lines(&mut text, doc);
        let _ = writeln!(text, "[{name}]");
        let empty = Table::new();
        keys(&mut text, of_section, defaults.get(name).and_then(Value::as_table).unwrap_or(&empty));
    }
    text
}

fn keys(text: &mut String, keys: &[Key], defaults: &Table) {
    for key in keys {
        text.push('\n');
        lines(text, key.doc);
        let _ = match defaults.get(key.name) {
            Some(value) => writeln!(text, "#{} = {}", key.name, value),
            None => writeln!(text, "#{} =", key.name),
        };
    }
}

fn lines(text: &mut String, doc: &[&str]) {
    for line in doc {
        let _ = writeln!(text, "#{}", line.trim_end());
    }
}
