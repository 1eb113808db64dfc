//! Every example call of the document, signed anew and with ids that exist, gets an answer of the documented shape.

use super::{Desk, root, text};
use crate::model::id::{GroupId, StreamId};
use crate::model::record::{Draft, Format, Kind, Place};
use crate::model::stream::{Change, Status};
use crate::model::tenant::OPERATOR;
use crate::model::time::Time;
use serde_json::{Map, Value};
use std::collections::HashMap;

fn examples() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../fixtures/api/examples.json")).unwrap()
}

/// Objects in the state that an example needs, by the name of the parameter that names them.
struct World {
    desk: Desk,
    rtmp: String,
    gb: String,
    device: String,
    channel: String,
    stream: String,
    pushed: String,
    record: String,
}

impl World {
    async fn new() -> World {
        let desk = Desk::new().await;
        let (rtmp, gb) = (desk.group(&root(), "rtmp").await, desk.group(&root(), "gb28181").await);
        let (device, channel, stream) = desk.camera(&root(), &gb).await;
        let pushed = desk.pushed(&root(), &rtmp).await;
        let record = desk.root("CreateTemplate", &[("Name", "r"), ("Type", "record")]).await.ok();
        World { record: text(&record["Id"]), desk, rtmp, gb, device, channel, stream, pushed }
    }

    /// Brings the world into the state that the action's example presumes; returns the ids that its parameters stand for.
    async fn prepare(&self, action: &str) -> HashMap<&'static str, String> {
        let desk = &self.desk;
        let mut ids: HashMap<&str, String> = HashMap::from([
            ("GroupId", self.gb.clone()),
            ("StreamId", self.stream.clone()),
            ("TemplateId", self.record.clone()),
            ("InstanceId", self.rtmp.clone()),
            ("UserId", "tenant-1".to_owned()),
            ("ID", self.record.clone()),
            ("AuthKey", "play-key".to_owned()),
        ]);
        let id = match action {
            "DeleteGroup" => {
                desk.root("HaltGroup", &[("Id", &self.rtmp)]).await.ok();
                &self.rtmp
            }
            name if name.contains("Rtmp") || (name.contains("Group") && !name.starts_with("Create")) => &self.rtmp,
            name if name.contains("Channel") && name != "DescribeDeviceChannels" && name != "RefreshChannels" => &self.channel,
            name if name.contains("Template") => &self.record,
            name if name.contains("Device") || name == "RefreshChannels" => &self.device,
            "ModifyStream" => &self.stream,
            name if name.contains("VsStream") => &self.pushed,
            _ => &self.stream,
        };
        ids.insert("Id", id.clone());
        let bind = [("TemplateId", self.record.as_str()), ("InstanceId", &self.rtmp), ("InstanceType", "group")];
        match action {
            "UnbindTemplate" | "BatchUnbindTemplate" => drop(desk.root("BindTemplate", &bind).await.ok()),
            "SuspendMtsService" | "RenewMtsService" | "DeleteMtsService" | "GetMtsServiceStatus" => drop(desk.tenant("tenant-1").await),
            "DescribeRecords" => self.add_record().await,
            "ScreenShowStreams" => {
                let change = Change { id: self.pushed.parse().unwrap(), status: Status::On, at: Time::from_secs(desk.api.now()) };
                desk.api.store().set_stream_states(vec![change]).await.unwrap();
            }
            _ => {}
        }
        ids
    }

    async fn add_record(&self) {
        let start: Time = "2018-12-10T17:10:00Z".parse().unwrap();
        let draft = Draft {
            stream: self.stream.parse().unwrap(),
            group: self.gb.parse().unwrap(),
            owner: OPERATOR,
            template: None,
            recording: None,
            kind: Kind::Record,
            format: Some(Format::Mp4),
            place: Place { endpoint: "http://s3.example.com".into(), bucket: "b".into(), object: "my/object.mp4".into() },
            start,
            end: Time(start.0 + 60_000),
            duration_ms: 60_000,
            width: 1920,
            height: 1080,
            size: 1000,
            expires: None,
        };
        self.desk.api.store().add_records(vec![draft]).await.unwrap();
    }
}

/// Parameters that the table requires and the document's example left out, where nothing sensible stands for them.
fn missing_in_the_example(action: &str) -> &'static [(&'static str, &'static str)] {
    match action {
        "CreateGroup" => &[("Region", "cn-shanghai")],
        "DescribeDevices" => &[],
        "DescribeRecords" => {
            &[("Type", "record"), ("StreamId", "?"), ("StartTime", "2018-12-10T17:00:00Z"), ("EndTime", "2018-12-10T18:00:00Z")]
        }
        "ModifyStream" => &[],
        _ => &[],
    }
}

/// Every field of the document's answer is in ours, of the same type; ids and numbers in quotes may be either.
fn same_shape(path: &str, want: &Value, have: &Value) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            for (name, value) in want {
                // Ports are numbers, and absent where there are none, whatever the examples say.
                if name == "GbUdpPort" || name == "GbTcpPort" {
                    assert!(have.get(name).is_none_or(Value::is_number), "{path}.{name}");
                    continue;
                }
                let field = have.get(name).unwrap_or_else(|| panic!("{path}.{name} is missing: {have:?}"));
                same_shape(&format!("{path}.{name}"), value, field);
            }
        }
        (Value::Array(want), Value::Array(have)) => {
            assert!(!have.is_empty() || path.ends_with("Channels"), "{path} is empty");
            for item in have {
                same_shape(&format!("{path}[]"), &want[0], item);
            }
        }
        (Value::String(text), Value::Number(_)) => assert!(text.parse::<f64>().is_ok(), "{path}: a number instead of {text:?}"),
        (want, have) => {
            assert_eq!(std::mem::discriminant(want), std::mem::discriminant(have), "{path}: {have} instead of {want}");
        }
    }
}

#[tokio::test]
async fn every_example_gets_an_answer_of_the_documented_shape() {
    let examples = examples();
    assert_eq!(examples.len(), 65);
    for example in examples {
        let action = example["action"].as_str().unwrap();
        let world = World::new().await;
        let ids = world.prepare(action).await;
        let mut pairs: Map<String, Value> = example["parameters"].as_object().unwrap().clone();
        for (name, value) in missing_in_the_example(action) {
            pairs.entry(*name).or_insert_with(|| (*value).into());
        }
        for (name, value) in &mut pairs {
            let group_list = matches!(action, "DescribeDevices" | "ModifyStream" | "CreateDevice");
            match ids.get(name.as_str()) {
                Some(id) if !(name == "GroupId" && group_list) => *value = id.clone().into(),
                Some(_) => *value = world.gb.clone().into(),
                None => {}
            }
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
        let answer = world.desk.root(action, &pairs).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        let mut want = example["answer"].clone();
        // An example of a successful deletion or start names no error; ours must not either.
        for row in answer.body["Results"].as_array().into_iter().flatten() {
            assert!(row.get("Error").is_none(), "{action}: {row}");
        }
        // An example that shows optional parts of an object only when asked for.
        if action == "DescribeGroups" {
            want["Groups"][0].as_object_mut().unwrap().remove("Stats");
        }
        same_shape(action, &want, &answer.body);
    }
}

#[tokio::test]
async fn ids_are_texts_and_times_are_utc() {
    let world = World::new().await;
    let stream = world.desk.root("DescribeStream", &[("Id", &world.pushed)]).await.ok();
    assert!(text(&stream["Id"]).parse::<StreamId>().is_ok() && text(&stream["GroupId"]).parse::<GroupId>().is_ok());
    assert_eq!(stream["CreatedTime"], "2026-03-01T00:00:00Z");
}
