//! What every action answers to bad parameters, generated from the declarations: a new action is covered at once.

use super::super::NOUNS;
use super::super::action::{Entry, Who};
use super::super::param::{Kind, Spec};
use super::super::query::Given;
use super::{Desk, Signer};

fn entries() -> impl Iterator<Item = &'static Entry> {
    NOUNS.iter().flat_map(|noun| noun.actions)
}

/// Parameters that pass validation.
fn good(entry: &Entry) -> Vec<(&'static str, String)> {
    entry.params.iter().map(|spec| (spec.name, spec.shape.sample.to_owned())).collect()
}

/// Values that a parameter must refuse.
fn wrong(spec: &Spec) -> Vec<String> {
    let shape = spec.shape;
    let mut values = Vec::new();
    match shape.kind {
        Kind::Integer => {
            values.extend(["x", "1.5", "1e3", "0x1", "99999999999999999999", "１", "1 2"].map(str::to_owned));
            if let Some((min, max)) = shape.range {
                values.extend([(i128::from(min) - 1).to_string(), (i128::from(max) + 1).to_string()]);
            }
        }
        Kind::Number => {
            values.extend(["x", "nan", "inf", "1e1"].map(str::to_owned));
            if let Some((min, max)) = shape.range {
                values.extend([(min - 1).to_string(), (max + 1).to_string()]);
            }
        }
        Kind::Boolean => values.extend(["2", "yes", "truefalse", "-1"].map(str::to_owned)),
        Kind::String => {
            values.extend(["a\u{0}b", "a\nb", "\u{7f}", "a\u{85}b"].map(str::to_owned));
            if let Some(max) = shape.max_len {
                values.push("x".repeat(max + 1));
                values.push("视".repeat(max + 1));
            }
            if !shape.values.is_empty() {
                values.extend(["nosuchword", "'; --", "<script>"].map(str::to_owned));
            }
            if shape.format == Some("date-time") {
                values.extend(["yesterday", "2020-02-30T00:00:00Z", "2020-09-09", "1599667200", "2020-09-09T16:00:00"].map(str::to_owned));
            }
            if shape.format == Some("json") {
                values.extend(["{", "[]", "x", "1"].map(str::to_owned));
            }
            if shape.format == Some("uri") {
                values.extend(["ftp://a", "http://", "http://u:p@h/", "file:///etc/passwd", "http://a b"].map(str::to_owned));
            }
        }
    }
    if shape.list {
        values.extend([",", "[", "[{}]", "[[]]", "[]"].map(str::to_owned));
        values.push((0..200).map(|n| format!("v{n}")).collect::<Vec<_>>().join(","));
    }
    values
}

#[test]
fn samples_pass() {
    for entry in entries() {
        let given = Given::from_pairs(good(entry));
        assert_eq!((entry.check)(&given), Ok(()), "{}", entry.name);
    }
}

#[test]
fn a_required_parameter_that_is_missing_is_named() {
    let mut n = 0;
    for entry in entries() {
        for spec in entry.params.iter().filter(|p| p.required) {
            for empty in [false, true] {
                let pairs = good(entry).into_iter().filter(|(name, _)| empty || *name != spec.name);
                let pairs = pairs.map(|(name, value)| (name, if name == spec.name { String::new() } else { value }));
                let error = (entry.check)(&Given::from_pairs(pairs)).unwrap_err();
                assert_eq!(error.code, "MissingParameter", "{}.{}", entry.name, spec.name);
                assert!(error.message.contains(spec.name), "{}", error.message);
                n += 1;
            }
        }
    }
    assert!(n > 150, "{n}");
}

#[test]
fn a_wrong_value_is_refused_and_the_parameter_named() {
    let mut n = 0;
    for entry in entries() {
        for spec in entry.params {
            for value in wrong(spec) {
                let pairs = good(entry).into_iter().map(|(name, v)| (name, if name == spec.name { value.clone() } else { v }));
                let error = (entry.check)(&Given::from_pairs(pairs)).err();
                let error = error.unwrap_or_else(|| panic!("{}.{} takes {value:?}", entry.name, spec.name));
                assert_eq!(error.code, "InvalidParameter", "{}.{}", entry.name, spec.name);
                assert!(error.message.contains(spec.name), "{}", error.message);
                assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
                n += 1;
            }
        }
    }
    assert!(n > 1000, "{n}");
}

#[test]
fn a_parameter_that_is_given_twice_is_refused() {
    for entry in entries() {
        for spec in entry.params {
            let mut pairs = good(entry);
            pairs.push((spec.name, format!("{}9", spec.shape.sample)));
            let error = (entry.check)(&Given::from_pairs(pairs)).unwrap_err();
            assert_eq!(error.code, "InvalidParameter", "{}.{}", entry.name, spec.name);
            assert!(error.message.contains("more than once"), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn every_action_is_denied_without_a_key_and_with_a_wrong_one() {
    let desk = Desk::new().await;
    for entry in entries() {
        let url = format!("/?Action={}&Version=2018-12-12", entry.name);
        let bare = http::Request::get(url).body(axum::body::Body::empty()).unwrap();
        desk.send(bare).await.refused(400, "MissingParameter");
        let wrong = Signer { id: super::ROOT.into(), secret: "guess".into() };
        desk.call(&wrong, entry.name, &[]).await.refused(400, "SignatureDoesNotMatch");
    }
}

/// The operator's actions likewise: tenants and products that there are not.
#[tokio::test]
async fn unknown_tenants_and_products_are_not_found() {
    let desk = Desk::new().await;
    let mut n = 0;
    for entry in entries().filter(|e| e.who == Who::Operator) {
        let pairs: Vec<(&str, String)> = good(entry)
            .into_iter()
            .filter(|(name, _)| entry.params.iter().any(|spec| spec.name == *name && spec.required) || *name == "UserId")
            // That one makes it.
            .map(|(name, value)| (name, if name == "UserId" && entry.name != "CreateMtsService" { "nobody".to_owned() } else { value }))
            .collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let named = pairs.iter().any(|(name, _)| ["UserId", "Pid"].contains(name));
        let answer = desk.root(entry.name, &pairs).await;
        let code = answer.body["Code"].as_str().unwrap_or_default();
        match entry.name {
            "CreateMtsService" => assert_eq!(answer.status, 200, "{}", answer.body),
            _ if answer.status == 200 => {
                let empty = answer.body["TotalCount"] == 0 || answer.body["Status"] == 0 || !named;
                assert!(empty, "{}: {}", entry.name, answer.body);
            }
            name => assert!(answer.status == 404 && code.starts_with("ResourceNotFound."), "{name}: {}", answer.body),
        }
        n += usize::from(named);
    }
    assert!(n >= 6, "{n}");
}

/// Ids that name nothing, ids that are not ours, hostile ids: the answer is the documented code, whatever the action.
#[tokio::test]
async fn unknown_ids_are_not_found() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("t").await;
    for id in ["1", "9223372036854775807", "abc", "1' OR '1'='1", "../../etc/passwd", "123-cn-qingdao", "１"] {
        for entry in entries().filter(|e| e.who == Who::Tenant) {
            let pairs: Vec<(&str, String)> = good(entry)
                .into_iter()
                .map(|(name, value)| match name.ends_with("Id") && !["GbId", "UserId"].contains(&name) {
                    true => (name, id.to_owned()),
                    false => (name, value),
                })
                .collect();
            if !pairs.iter().any(|(_, value)| value == id) {
                continue;
            }
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let answer = desk.call(&tenant, entry.name, &pairs).await;
            match entry.name {
                // Batches answer row by row, lists are empty where the filter finds nothing.
                name if name.starts_with("Batch") && answer.status == 200 => {
                    let rows = answer.body["Results"].as_array().unwrap().clone();
                    assert!(!rows.is_empty() && rows.iter().all(|row| row["Error"].is_string()), "{name}: {rows:?}");
                }
                name if answer.status == 200 => assert_eq!(answer.body["TotalCount"], 0, "{name}: {}", answer.body),
                name => {
                    let code = answer.body["Code"].as_str().unwrap_or_default().to_owned();
                    // A range that is wrong is told before the object is looked for.
                    let ranges = ["InvalidParameter"];
                    assert!(code.starts_with("ResourceNotFound.") || ranges.contains(&code.as_str()), "{name} {id}: {}", answer.body);
                    assert!(answer.status == 404 || answer.status == 400);
                }
            }
        }
    }
}
