//! The declarations against the document's tables, and what is made from them.

use super::super::action::Entry;
use super::super::param::{chinese, english};
use super::super::reply::{Field, Shape};
use super::super::{NOUNS, openapi, reference};
use serde_json::Value;
use std::collections::HashSet;

fn entries() -> impl Iterator<Item = &'static Entry> {
    NOUNS.iter().flat_map(|noun| noun.actions)
}

fn entry(name: &str) -> &'static Entry {
    entries().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name} is not declared"))
}

fn tables() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../fixtures/api/actions.json")).unwrap()
}

fn fields(shape: Shape) -> Vec<&'static Field> {
    match shape {
        Shape::Object(_, fields) => fields.iter().collect(),
        Shape::List(item) => fields(item()),
        _ => Vec::new(),
    }
}

/// Fields at any depth, by their names.
fn all_names(shape: Shape, into: &mut HashSet<&'static str>) {
    for field in fields(shape) {
        into.insert(field.name);
        into.extend(field.also);
        all_names((field.shape)(), into);
    }
}

/// What the document's table marks as required and its own example, or the rest of the document, leaves out.
const OPTIONAL: &[(&str, &str)] = &[
    ("*", "Region"),
    ("*", "AccessInfo"),
    ("ModifyDevice", "GroupId"),
    ("CreateDevice", "GbId"),
    ("CreateDevice", "Username"),
    ("CreateDevice", "Password"),
    ("DescribeStreams", "StartTime"),
    ("DescribeStreams", "StopTime"),
    ("*", "TemplateType"),
    ("UnbindTemplate", "TemplateId"),
    ("BatchUnbindTemplate", "TemplateId"),
    ("CreateTemplate", "oNestBucket"),
    ("CreateTemplate", "oNestEndpoint"),
    ("CreateTemplate", "Interval"),
    ("CreateTemplate", "FileFormat"),
    // These belong to one type of template each, which is checked with the type.
    ("CreateTemplate", "Retention"),
    ("CreateTemplate", "TransConfigsJSON"),
    // The public SDKs name the stream by application and name instead.
    ("ForbidVsStream", "Id"),
    ("ResumeVsStream", "Id"),
];

#[test]
fn all_actions_of_the_document_are_declared_with_all_their_parameters() {
    let tables = tables();
    assert_eq!(tables.len(), 65);
    for table in tables {
        let name = table["action"].as_str().unwrap();
        let entry = entry(name);
        for row in table["request"].as_array().unwrap() {
            let parameter = row["name"].as_str().unwrap();
            // Rules of a transcode template travel inside TransConfigsJSON.
            if parameter == "Action" || row["section"] == "TransConfig类型" {
                continue;
            }
            let spec = entry.params.iter().find(|p| p.name == parameter).unwrap_or_else(|| panic!("{name} has no {parameter}"));
            let excepted = OPTIONAL.iter().any(|(action, p)| (*action == "*" || *action == name) && *p == parameter);
            let required = row["required"] == true && (!excepted || (name, parameter) == ("CreateMtsService", "AccessInfo"));
            assert_eq!(spec.required, required, "{name}.{parameter} is required: {}", row["required"]);
            let kind = row["type"].as_str().unwrap().to_ascii_lowercase();
            let shape = spec.shape;
            let fits = match kind.as_str() {
                "bool" | "boolean" => shape.kind == super::super::param::Kind::Boolean,
                "int" => shape.kind == super::super::param::Kind::Integer || parameter == "Id",
                _ => true,
            };
            assert!(fits, "{name}.{parameter} is {kind} in the document and {:?} here", shape.kind);
        }
    }
}

#[test]
fn all_answers_of_the_document_are_declared_with_all_their_fields() {
    for table in tables() {
        let name = table["action"].as_str().unwrap();
        let mut names = HashSet::from(["RequestId"]);
        all_names((entry(name).reply)(), &mut names);
        let own = table["response"].as_array().unwrap().iter();
        let inner = table["types"].as_object().unwrap().values().flat_map(|rows| rows.as_array().unwrap());
        for row in own.chain(inner) {
            let field = row["name"].as_str().unwrap();
            assert!(names.contains(field), "{name} does not answer {field}");
        }
    }
}

#[test]
fn every_action_parameter_and_field_is_documented_in_both_languages() {
    let told = |what: String, doc: &[&str]| {
        assert!(
            !english(doc).is_empty() && english(doc).is_ascii() || english(doc).contains('…'),
            "{what} has no English: {:?}",
            english(doc)
        );
        assert!(chinese(doc).chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{what} has no Chinese");
    };
    fn answer(name: &str, shape: Shape, told: &dyn Fn(String, &[&str])) {
        for field in fields(shape) {
            told(format!("{name}: {}", field.name), field.doc);
            answer(name, (field.shape)(), told);
        }
    }
    for entry in entries() {
        told(entry.name.to_owned(), entry.doc);
        for spec in entry.params {
            told(format!("{}.{}", entry.name, spec.name), spec.doc);
        }
        answer(entry.name, (entry.reply)(), &told);
    }
}

#[test]
fn names_are_unique() {
    let mut seen = HashSet::new();
    for entry in entries() {
        assert!(seen.insert(entry.name), "{} is declared twice", entry.name);
        let mut names = HashSet::new();
        for spec in entry.params {
            for name in std::iter::once(&spec.name).chain(spec.aliases) {
                assert!(names.insert(*name), "{} has two {name}", entry.name);
            }
        }
    }
}

#[test]
fn the_reference_names_everything() {
    let page = reference::page();
    for entry in entries() {
        assert!(page.contains(&format!("<section id=\"{}\">", entry.name)), "{}", entry.name);
        for spec in entry.params {
            assert!(page.contains(&format!("<code>{}</code>", spec.name)), "{}.{}", entry.name, spec.name);
        }
    }
    // Nothing of it is read as markup.
    assert!(!page.contains("<script") && page.ends_with("</html>\n"));
}

#[test]
fn the_openapi_description_holds_together() {
    let document = openapi::document("/");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), entries().count());
    let mut ids = HashSet::new();
    for (path, item) in paths {
        for method in ["get", "post"] {
            let id = item[method]["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(path.ends_with(id.trim_end_matches("Form")), "{path} {id}");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some_and(|v| !v.is_null()), "{pointer} leads nowhere");
    }
}
