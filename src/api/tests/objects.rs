//! Every action on objects: of another tenant, in states that forbid it, of devices that refuse. Generated from the declarations.

use super::super::NOUNS;
use super::super::action::{Entry, Who};
use super::super::param::Value as _;
use super::super::plane::Refusal;
use super::super::value::Id;
use super::{Answer, Desk, Signer, root, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// The codes that calls may be refused with (the part before the object's kind).
const DOCUMENTED: &[(u16, &[&str])] = &[
    (400, &["MissingParameter", "InvalidParameter"]),
    (403, &["Forbidden"]),
    (404, &["ResourceNotFound"]),
    (409, &["IncorrectStatus", "AlreadyExists", "QuotaExceeded"]),
    (502, &["DeviceRefused"]),
    (503, &["ServiceUnavailable"]),
    (504, &["DeviceTimeout"]),
];

/// One object of each kind, by what names it.
type Objects = BTreeMap<&'static str, String>;

async fn world(desk: &Desk, by: &Signer) -> Objects {
    let (rtmp, gb) = (desk.group(by, "rtmp").await, desk.group(by, "gb28181").await);
    let (device, channel, pulled) = desk.camera(by, &gb).await;
    let directory = text(&desk.call(by, "CreateDirectory", &[("GroupId", &gb), ("Name", "d")]).await.ok()["Id"]);
    let template = text(&desk.call(by, "CreateTemplate", &[("Name", "t"), ("Type", "record")]).await.ok()["Id"]);
    let pushed = desk.pushed(by, &rtmp).await;
    let bind = [("TemplateId", template.as_str()), ("InstanceId", &rtmp), ("InstanceType", "group")];
    desk.call(by, "BindTemplate", &bind).await.ok();
    // Codes of upper platforms are unique: the number of those that are there makes one.
    let number = text(&desk.call(by, "CreateDirectory", &[("GroupId", &gb), ("Name", "n")]).await.ok()["Id"]);
    let number = format!("{:010}", number.parse::<u64>().unwrap() % 10_000_000_000);
    // A tenant has a hundred of them at most.
    let left = desk.call(by, "DescribeUpperPlatforms", &[("PageSize", "100")]).await.ok();
    for row in left["UpperPlatforms"].as_array().into_iter().flatten() {
        desk.call(by, "DeleteUpperPlatform", &[("Id", &text(&row["Id"]))]).await.ok();
    }
    let (server, local) = (format!("3400000000{number}"), format!("3401000000{number}"));
    let upper = [("Name", "u"), ("Host", "up.example.com"), ("Port", "5060"), ("ServerGbId", server.as_str()), ("LocalGbId", &local)];
    let upper = text(&desk.call(by, "CreateUpperPlatform", &upper).await.ok()["Id"]);
    let all = [
        ("Upper", upper),
        ("Group", rtmp),
        ("gb", gb),
        ("Device", device),
        ("Channel", channel),
        ("Stream", pulled),
        ("pushed", pushed),
        ("Template", template),
        ("Directory", directory),
    ];
    all.into_iter().collect()
}

/// What the parameter of this name stands for in this action; `None`: it names no object.
fn noun(action: &str, name: &str) -> Option<&'static str> {
    const NOUNS: [&str; 6] = ["Group", "Device", "Channel", "Stream", "Template", "Directory"];
    if let Some(kind) = name.strip_suffix("Id").and_then(|kind| NOUNS.into_iter().find(|n| *n == kind)) {
        // Devices, their channels and directories are in gb28181 groups.
        let gb = kind == "Group" && ["Device", "Director", "Channel", "Alarm", "ModifyStream"].iter().any(|n| action.contains(n));
        // What is counted of a stream is asked for with its group.
        let pushed = kind == "Stream" && action.contains("UsageStat");
        return Some(if gb {
            "gb"
        } else if pushed {
            "pushed"
        } else {
            kind
        });
    }
    match name {
        "ParentId" if action.contains("Device") => Some("Device"),
        "ParentId" => Some("Directory"),
        "Id" if ["DescribeDeviceChannels", "RefreshChannels", "SyncCatalogs"].contains(&action) => Some("Device"),
        "Id" if action.starts_with("CreateRtmpGroup") => Some("Group"),
        "Id" if action == "DeleteStream" => Some("pushed"),
        "Id" if action.contains("Upper") => Some("Upper"),
        "Id" if action.contains("Voice") => Some("Device"),
        "InstanceId" => Some("Group"),
        "Id" | "ID" if action.contains("VsStream") => Some("pushed"),
        "Id" | "ID" => Some(NOUNS.into_iter().rev().find(|n| action.contains(n) || action.contains(&n[..n.len() - 1])).unwrap_or("Stream")),
        _ => None,
    }
}

/// The samples of the declaration, with objects for the ids; `None`: the action names no object.
fn pairs(entry: &Entry, objects: &Objects) -> Option<Vec<(&'static str, String)>> {
    let mut some = false;
    let pairs = entry.params.iter().map(|spec| match noun(entry.name, spec.name).and_then(|noun| objects.get(noun)) {
        Some(id) => {
            some = true;
            (spec.name, id.clone())
        }
        None => (spec.name, spec.shape.sample.to_owned()),
    });
    let pairs = pairs.collect();
    some.then_some(pairs)
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    NOUNS.iter().flat_map(|noun| noun.actions).filter(|entry| entry.who == Who::Tenant)
}

async fn call(desk: &Desk, by: &Signer, entry: &Entry, objects: &Objects) -> Option<Answer> {
    let pairs = pairs(entry, objects)?;
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Some(desk.call(by, entry.name, &pairs).await)
}

/// Everything that a tenant has.
async fn snapshot(desk: &Desk, by: &Signer, objects: &Objects) -> Vec<Value> {
    let mut all = Vec::new();
    for (action, pairs) in [
        ("DescribeGroups", vec![]),
        ("DescribeStreams", vec![]),
        ("DescribeDevices", vec![("GroupId", objects["gb"].as_str())]),
        ("DescribeDeviceChannels", vec![("Id", objects["Device"].as_str())]),
        ("DescribeDirectories", vec![("GroupId", objects["gb"].as_str())]),
        ("DescribeUpperPlatforms", vec![]),
        ("DescribeTemplates", vec![]),
        ("DescribeTemplates", vec![("InstanceId", objects["Group"].as_str())]),
    ] {
        let mut answer = desk.call(by, action, &pairs).await.ok();
        answer["RequestId"] = Value::Null;
        all.push(answer);
    }
    all
}

#[tokio::test]
async fn no_application_is_called_like_a_path_of_the_server() {
    let desk = Desk::new().await;
    desk.api.book().take(["records", "v1"].into());
    for (app, free) in [("records", false), ("v1", false), ("record", true), ("V1", true), ("live", true)] {
        let pairs = [("Name", "g"), ("InProtocol", "rtmp"), ("OutProtocol", "flv"), ("App", app)];
        let answer = desk.root("CreateGroup", &pairs).await;
        match free {
            true => drop(answer.ok()),
            false => assert!(answer.refused(400, "InvalidParameter").contains("App"), "{app}"),
        }
    }
}

/// An id parameter that the tests of this file do not know would be tested with an id of nothing.
#[test]
fn every_id_names_an_object_of_these_tests() {
    let known = ["Upper", "Group", "gb", "Device", "Channel", "Stream", "pushed", "Template", "Directory"];
    for entry in entries() {
        for spec in entry.params.iter().filter(|spec| spec.shape.sample == Id::SHAPE.sample) {
            // Recordings are made by a worker that is not there.
            let named = noun(entry.name, spec.name).is_some_and(|noun| known.contains(&noun)) || spec.name == "RecordingId";
            assert!(named, "{}.{}", entry.name, spec.name);
        }
    }
}

/// What the owner of the objects is answered: they are there, so that the refusals of others are about whose they are.
#[tokio::test]
async fn every_action_finds_its_own_objects() {
    let desk = Desk::new().await;
    let owner = desk.tenant("a").await;
    let mut findings = Vec::new();
    for entry in entries() {
        let objects = world(&desk, &owner).await;
        let Some(answer) = call(&desk, &owner, entry, &objects).await else { continue };
        let code = answer.body["Code"].as_str().unwrap_or_default();
        if code.starts_with("ResourceNotFound.") {
            findings.push(format!("{}: {}", entry.name, answer.body["Message"]));
        }
    }
    assert_eq!(findings, Vec::<String>::new());
}

#[tokio::test]
async fn no_action_reaches_another_tenants_objects() {
    let desk = Desk::new().await;
    let (a, b) = (desk.tenant("a").await, desk.tenant("b").await);
    let objects = world(&desk, &a).await;
    let before = snapshot(&desk, &a, &objects).await;
    desk.devices.asked();
    let mut n = 0;
    for entry in entries() {
        let Some(answer) = call(&desk, &b, entry, &objects).await else { continue };
        n += 1;
        let (name, body) = (entry.name, &answer.body);
        let code = body["Code"].as_str().unwrap_or_default();
        let rows = body["Results"].as_array();
        match answer.status {
            200 if rows.is_some() => {
                assert!(rows.is_some_and(|r| !r.is_empty() && r.iter().all(|r| r["Error"].is_string())), "{name}: {body}")
            }
            200 => assert_eq!(body["TotalCount"], 0, "{name}: {body}"),
            404 => assert!(code.starts_with("ResourceNotFound."), "{name}: {body}"),
            // A range that is wrong is told before the object is looked for.
            _ => assert_eq!((answer.status, code), (400, "InvalidParameter"), "{name}: {body}"),
        }
    }
    assert!(n >= 60, "{n} actions name objects");
    assert_eq!(desk.devices.asked(), Vec::<String>::new());
    assert_eq!(snapshot(&desk, &a, &objects).await, before);
}

/// Every action in every state: an answer, or a documented code; never a defect of ours.
#[tokio::test]
async fn states_that_forbid_an_action_are_told_by_documented_codes() {
    let refused = || Refusal::Refused { status: 486, reason: "Busy Here".to_owned() };
    type State<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<Refusal>, u16);
    let states: [State<'_>; 8] = [
        ("halted", &[("HaltGroup", "Group"), ("HaltGroup", "gb")], None, 409),
        ("forbidden", &[("ForbidVsStream", "pushed"), ("ForbidVsStream", "Stream")], None, 409),
        ("deleted", &[("DeleteChannel", "Channel"), ("DeleteDevice", "Device")], None, 404),
        ("offline", &[], Some(Refusal::Offline), 409),
        ("silent", &[], Some(Refusal::Timeout), 504),
        ("refusing", &[], Some(refused()), 502),
        ("unable", &[], Some(Refusal::Unsupported("it has no motor".to_owned())), 502),
        ("overloaded", &[], Some(Refusal::Unavailable("too many calls".to_owned())), 503),
    ];
    for (state, steps, refusal, usual) in states {
        let desk = Desk::new().await;
        let mut seen = 0;
        for entry in entries() {
            let by = root();
            let objects = world(&desk, &by).await;
            for (action, noun) in steps {
                desk.call(&by, action, &[("Id", &objects[noun])]).await.ok();
            }
            if let Some(refusal) = &refusal {
                desk.devices.refuse(refusal.clone());
            }
            let answer = call(&desk, &by, entry, &objects).await;
            desk.devices.agree();
            let Some(answer) = answer.filter(|answer| answer.status != 200) else { continue };
            let code = answer.body["Code"].as_str().unwrap_or_default().to_owned();
            let documented = DOCUMENTED.iter().find(|(status, _)| *status == answer.status);
            let known = documented.is_some_and(|(_, codes)| codes.iter().any(|c| code == *c || code.starts_with(&format!("{c}."))));
            assert!(known, "{} while {state}: {} {}", entry.name, answer.status, answer.body);
            assert!(answer.body["Message"].as_str().is_some_and(|m| !m.is_empty()), "{} while {state}: {}", entry.name, answer.body);
            seen += usize::from(answer.status == usual);
        }
        assert!(seen >= 3, "{state}: only {seen} actions answered {usual}");
    }
}
