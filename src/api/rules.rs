//! `TransConfigsJSON`: the rules of a transcode template.

use super::error::Error;
use crate::model::template::TransConfig;
use std::collections::HashSet;

/// The most rules of a template.
const MOST: usize = 8;
const NAME: &str = "TransConfigsJSON";

/// Reads the rules of a new template: their ids are given by the store.
pub fn read(text: &str) -> Result<Vec<TransConfig>, Error> {
    let mut rules = parse(text)?;
    rules.iter_mut().for_each(|rule| rule.id.clear());
    Ok(rules)
}

/// Reads the rules that replace the present ones; an id must be one of theirs.
pub fn modified(present: &[TransConfig], text: &str) -> Result<Vec<TransConfig>, Error> {
    let rules = parse(text)?;
    let mut seen = HashSet::new();
    for rule in rules.iter().filter(|rule| !rule.id.is_empty()) {
        if !present.iter().any(|old| old.id == rule.id) {
            return Err(Error::invalid(NAME, format!("names the Id {}, which is no rule of the template", super::error::shown(&rule.id))));
        }
        if !seen.insert(&rule.id) {
            return Err(Error::invalid(NAME, "names an Id twice"));
        }
    }
    Ok(rules)
}

fn parse(text: &str) -> Result<Vec<TransConfig>, Error> {
    let rules: Vec<TransConfig> =
        serde_json::from_str(text).map_err(|why| Error::invalid(NAME, format!("must be a JSON array of rules: {why}")))?;
    if rules.is_empty() || rules.len() > MOST {
        return Err(Error::invalid(NAME, format!("must hold 1 to {MOST} rules")));
    }
    let mut names = HashSet::new();
    for rule in &rules {
        rule.check().map_err(|(field, range)| Error::invalid(NAME, format!("holds a rule whose {field} must be {range}")))?;
        if !names.insert(&rule.name) {
            return Err(Error::invalid(NAME, format!("holds two rules of the name {}", rule.name)));
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"{"Name":"sd","VideoCodec":"h264","VideoBitrate":800,"Fps":25,"Gop":50,"Height":720,"Width":1280}"#;

    #[test]
    fn rules_are_read() {
        let rules = read(&format!("[{RULE}]")).unwrap();
        assert_eq!((rules[0].name.as_str(), rules[0].fps, rules[0].id.as_str()), ("sd", 25, ""));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_named() {
        let many = [RULE; 9].join(",");
        for (text, part) in [
            ("sd".to_owned(), "JSON array"),
            ("[]".to_owned(), "1 to 8"),
            (format!("[{many}]"), "1 to 8"),
            (format!("[{RULE},{RULE}]"), "two rules"),
            (RULE.replace("800", "1").replace('{', "[{").replace('}', "}]"), "VideoBitrate"),
            (format!("[{}]", RULE.replace("sd", "../x")), "Name"),
            (format!("[{}]", RULE.replace("h264", "vp9")), "vp9"),
            (format!("[{}]", RULE.replace(r#""Fps":25,"#, "")), "Fps"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.code == "InvalidParameter" && error.message.contains(part) && error.message.contains(NAME), "{text}: {error}");
        }
    }

    #[test]
    fn present_rules_are_changed_by_their_ids() {
        let mut present = read(&format!("[{RULE}]")).unwrap();
        present[0].id = "7".into();
        let with = |id: &str| format!("[{}]", RULE.replace('{', &format!(r#"{{"Id":"{id}","#)).replace("25", "15"));
        assert_eq!(modified(&present, &with("7")).unwrap()[0].fps, 15);
        assert!(modified(&present, &with("8")).unwrap_err().message.contains('8'));
    }
}
