//! Upper platforms and voices: made, changed, listed; another tenant's do not exist.

use super::{Desk, root, text};

const MADE: &[(&str, &str)] = &[
    ("Name", "town"),
    ("Host", "up.example.com"),
    ("Port", "5060"),
    ("ServerGbId", "34000000002000000001"),
    ("LocalGbId", "34010000002000000001"),
    ("Password", "hidden-password"),
];

#[tokio::test]
async fn upper_platforms_are_made_changed_and_deleted() {
    let desk = Desk::new().await;
    let id = text(&desk.root("CreateUpperPlatform", MADE).await.ok()["Id"]);
    desk.root("CreateUpperPlatform", MADE).await.refused(409, "AlreadyExists.UpperPlatform");
    let list = desk.root("DescribeUpperPlatforms", &[("Id", &id)]).await.ok();
    let row = &list["UpperPlatforms"][0];
    assert_eq!(list["TotalCount"], 1);
    for (name, value) in [
        ("Status", "off"),
        ("Domain", "3400000000"),
        ("Username", "34010000002000000001"),
        ("Transport", "udp"),
        ("Edition", "2016"),
        ("Host", "up.example.com"),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    assert_eq!((&row["Expires"], &row["KeepaliveInterval"], &row["AllowControl"]), (&86_400.into(), &60.into(), &true.into()));
    assert!(!list.to_string().contains("hidden-password"), "{list}");

    let change = [("Id", id.as_str()), ("Enabled", "false"), ("Transport", "tcp"), ("Domain", "up:5060"), ("Password", "")];
    desk.root("ModifyUpperPlatform", &change).await.ok();
    let row = desk.root("DescribeUpperPlatforms", &[]).await.ok()["UpperPlatforms"][0].clone();
    assert_eq!(
        (&row["Enabled"], &row["Transport"], &row["Domain"], &row["Name"]),
        (&false.into(), &"tcp".into(), &"up:5060".into(), &"town".into())
    );
    let same = [("Id", id.as_str()), ("LocalGbId", "34000000002000000001")];
    desk.root("ModifyUpperPlatform", &same).await.refused(400, "InvalidParameter");
    desk.root("DeleteUpperPlatform", &[("Id", &id)]).await.ok();
    desk.root("DeleteUpperPlatform", &[("Id", &id)]).await.refused(404, "ResourceNotFound.UpperPlatform");
}

#[tokio::test]
async fn streams_are_shown_by_their_ids() {
    let desk = Desk::new().await;
    let upper = text(&desk.root("CreateUpperPlatform", MADE).await.ok()["Id"]);
    let (rtmp, gb) = (desk.group(&root(), "rtmp").await, desk.group(&root(), "gb28181").await);
    let stream = desk.pushed(&root(), &rtmp).await;
    let (device, _, _) = desk.camera(&root(), &gb).await;
    let device_gb = text(&desk.root("DescribeDevice", &[("Id", &device)]).await.ok()["GbId"]);
    let bind = async |action: &str, kind: &str, ids: &str, more: &[(&str, &str)]| {
        let pairs = [("Id", upper.as_str()), ("InstanceType", kind), ("InstanceId", ids)];
        desk.root(action, &[&pairs, more].concat()).await
    };
    let code = "34010000001310000042";
    let done = bind("BindUpperPlatformStreams", "stream", &stream, &[("GbId", code)]).await.ok();
    assert_eq!(done["Results"][0]["GbId"], code);
    let done = bind("BindUpperPlatformStreams", "group", &format!("{gb},404"), &[]).await.ok();
    assert!(done["Results"][0].get("Error").is_none() && text(&done["Results"][1]["Error"]).contains("404"), "{done}");
    bind("BindUpperPlatformStreams", "group", &gb, &[("GbId", code)]).await.refused(400, "InvalidParameter");

    let list =
        async |page: &str| desk.root("DescribeUpperPlatformStreams", &[("Id", &upper), ("PageSize", "1"), ("PageNum", page)]).await.ok();
    let (first, second) = (list("1").await, list("2").await);
    assert_eq!(
        (&first["TotalCount"], &first["Streams"][0]["GbId"], &first["Streams"][0]["StreamId"]),
        (&2.into(), &code.into(), &stream.as_str().into())
    );
    assert_eq!((&second["Streams"][0]["GbId"], &second["Streams"][0]["DeviceId"]), (&device_gb.as_str().into(), &device.as_str().into()));
    assert_eq!(desk.root("DescribeUpperPlatforms", &[]).await.ok()["UpperPlatforms"][0]["GroupIds"][0], gb.as_str());

    bind("UnbindUpperPlatformStreams", "group", &gb, &[]).await.ok();
    let again = bind("UnbindUpperPlatformStreams", "group", &gb, &[]).await.ok();
    assert!(again["Results"][0]["Error"].is_string());
    bind("UnbindUpperPlatformStreams", "stream", &stream, &[]).await.ok();
    assert_eq!(list("1").await["TotalCount"], 0);
}

#[tokio::test]
async fn another_tenants_upper_platforms_are_not_found() {
    let desk = Desk::new().await;
    let (a, b) = (desk.tenant("a").await, desk.tenant("b").await);
    let upper = text(&desk.call(&a, "CreateUpperPlatform", MADE).await.ok()["Id"]);
    let group = desk.group(&b, "rtmp").await;
    let stream = desk.pushed(&b, &group).await;
    let instance = [("Id", upper.as_str()), ("InstanceId", group.as_str()), ("InstanceType", "group")];
    for (action, pairs) in [
        ("ModifyUpperPlatform", &[("Id", upper.as_str()), ("Name", "x")][..]),
        ("DescribeUpperPlatforms", &[("Id", &upper)]),
        ("DescribeUpperPlatformStreams", &[("Id", &upper)]),
        ("BindUpperPlatformStreams", &instance),
        ("UnbindUpperPlatformStreams", &instance),
        ("DeleteUpperPlatform", &[("Id", &upper)]),
    ] {
        desk.call(&b, action, pairs).await.refused(404, "ResourceNotFound.UpperPlatform");
    }
    assert_eq!(desk.call(&b, "DescribeUpperPlatforms", &[]).await.ok()["TotalCount"], 0);
    for (kind, id) in [("group", &group), ("stream", &stream)] {
        let done = desk.call(&a, "BindUpperPlatformStreams", &[("Id", &upper), ("InstanceId", id), ("InstanceType", kind)]).await.ok();
        assert!(text(&done["Results"][0]["Error"]).contains("not found"), "{done}");
    }
}

#[tokio::test]
async fn voices_go_to_devices() {
    let desk = Desk::new().await;
    let (rtmp, gb) = (desk.group(&root(), "rtmp").await, desk.group(&root(), "gb28181").await);
    let stream = desk.pushed(&root(), &rtmp).await;
    let (device, channel, _) = desk.camera(&root(), &gb).await;
    let device_gb = text(&desk.root("DescribeDevice", &[("Id", &device)]).await.ok()["GbId"]);
    desk.devices.asked();
    let voice = desk.root("StartVoiceBroadcast", &[("Id", &device), ("StreamId", &stream)]).await.ok();
    assert_eq!((&voice["Mode"], &voice["Status"], &voice["StreamId"]), (&"broadcast".into(), &"on".into(), &stream.as_str().into()));
    assert_eq!(desk.devices.asked(), [format!("voice {device_gb} live/{stream} false")]);
    let list = desk.root("DescribeVoiceBroadcasts", &[("Id", &channel)]).await.ok();
    assert_eq!((&list["TotalCount"], &list["Voices"][0]["DeviceId"]), (&1.into(), &device.as_str().into()));
    let stranger = desk.tenant("t").await;
    assert_eq!(desk.call(&stranger, "DescribeVoiceBroadcasts", &[]).await.ok()["TotalCount"], 0);
    desk.call(&stranger, "StopVoiceBroadcast", &[("Id", &device)]).await.refused(404, "ResourceNotFound.Device");
    desk.root("StopVoiceBroadcast", &[("Id", &channel)]).await.ok();
    desk.root("StopVoiceBroadcast", &[("Id", &channel)]).await.refused(409, "IncorrectStatus.Device");
    desk.devices.asked();

    let speaker = "34020000001370000001";
    let talk = [("Id", channel.as_str()), ("StreamId", &stream), ("Mode", "talk"), ("TargetGbId", speaker)];
    desk.root("StartVoiceBroadcast", &talk).await.ok();
    assert_eq!(desk.devices.asked(), [format!("voice {speaker} live/{stream} true")]);
    desk.root("StartVoiceBroadcast", &[("Id", &device), ("StreamId", "404")]).await.refused(404, "ResourceNotFound.Stream");
}

#[tokio::test]
async fn devices_are_asked_about_themselves() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, _) = desk.camera(&root(), &gb).await;
    let code = text(&desk.root("DescribeDevice", &[("Id", &device)]).await.ok()["GbId"]);
    desk.devices.asked();
    let info = desk.root("DescribeDeviceInfo", &[("Id", &device)]).await.ok();
    assert_eq!((&info["Model"], &info["ChannelNum"]), (&"M1".into(), &2.into()));
    let status = desk.root("DescribeDeviceStatus", &[("Id", &channel)]).await.ok();
    assert_eq!(
        (&status["Online"], &status["Recording"], &status["DeviceTime"]),
        (&true.into(), &false.into(), &"2026-03-01T08:00:00".into())
    );
    let config = desk.root("DescribeDeviceConfig", &[("Id", &device), ("ConfigType", "BasicParam/VideoParamOpt")]).await.ok();
    assert_eq!((&config["Config"][0]["Name"], &config["Config"][0]["Value"]), (&"BasicParam.Expiration".into(), &"3600".into()));
    let asked = ["Info", "Status", "Config(\"BasicParam/VideoParamOpt\")"].map(|question| format!("question {code} {question}"));
    assert_eq!(desk.devices.asked(), asked);
    desk.devices.refuse(super::Refusal::Timeout);
    desk.root("DescribeDeviceStatus", &[("Id", &device)]).await.refused(504, "DeviceTimeout");
    desk.call(&desk.tenant("t").await, "DescribeDeviceInfo", &[("Id", &device)]).await.refused(404, "ResourceNotFound.Device");
}

/// A platform's tree of two levels: its directories are listed, and its channels stand in them.
#[tokio::test]
async fn a_platforms_tree_is_listed() {
    use crate::model::channel::{Branch, Catalog, Item};
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let other = desk.group(&root(), "gb28181").await;
    let platform = text(&desk.root("CreateDevice", &[("GroupId", &gb), ("Type", "platform"), ("Password", "p")]).await.ok()["Id"]);
    let branch = |code: &str, parent: &str, name: &str| Branch { code: code.into(), parent: parent.into(), name: name.into() };
    let (town, street) = ("34020000002160000001", "34020000002160000002");
    let item = |code: &str, directory: &str| Item {
        gb_id: code.parse().unwrap(),
        name: format!("camera in {directory}"),
        directory: directory.into(),
        parent_code: directory.into(),
        online: true,
        info: Default::default(),
    };
    let catalog = Catalog {
        directories: vec![branch(street, town, "street"), branch(town, "", "town")],
        items: vec![item("34020000001310000001", town), item("34020000001310000002", street)],
        complete: true,
        ..Catalog::default()
    };
    desk.api.store().sync_catalog(platform.parse().unwrap(), catalog).await.unwrap();

    let list = async |more: &[(&str, &str)]| {
        let pairs = [("GroupId", gb.as_str()), ("DeviceId", platform.as_str())];
        desk.root("DescribeDirectories", &[&pairs, more].concat()).await.ok()
    };
    let all = list(&[]).await;
    assert_eq!(all["TotalCount"], 2, "{all}");
    let top = all["Directories"].as_array().unwrap().iter().find(|row| row["Name"] == "town").unwrap()["Id"].clone();
    let below = list(&[("ParentId", &text(&top))]).await;
    assert_eq!((&below["TotalCount"], &below["Directories"][0]["Name"]), (&1.into(), &"street".into()));
    for (name, id) in [("town", &top), ("street", &below["Directories"][0]["Id"])] {
        let channels = desk.root("DescribeDeviceChannels", &[("Id", &platform), ("DirectoryId", &text(id))]).await.ok();
        let code = if name == "town" { town } else { street };
        assert_eq!(
            (&channels["TotalCount"], &channels["Channels"][0]["Name"]),
            (&1.into(), &format!("camera in {code}").into()),
            "{channels}"
        );
    }
    // those that an operator made are others
    assert_eq!(desk.root("DescribeDirectories", &[("GroupId", &gb)]).await.ok()["TotalCount"], 0);
    desk.root("DescribeDirectories", &[("GroupId", &other), ("DeviceId", &platform)]).await.refused(404, "ResourceNotFound.Device");
}

#[tokio::test]
async fn where_a_device_was_is_listed() {
    use crate::model::position::Fix;
    use crate::model::time::Time;
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, _) = desk.camera(&root(), &gb).await;
    let row = desk.api.store().device(crate::model::tenant::Scope::Operator, device.parse().unwrap()).await.unwrap();
    let fix = |second: i64, gb_id: &str| Fix {
        owner: row.owner,
        group: row.group,
        device: row.id,
        gb_id: gb_id.parse().unwrap(),
        longitude: 121.5,
        latitude: 31.25,
        speed: Some(36.0),
        direction: None,
        altitude: None,
        at: Time::from_secs(super::NOW + second),
    };
    let own = row.gb_id.as_str();
    desk.api.store().add_positions(vec![fix(0, own), fix(10, own), fix(20, "34020000001310000009")]).await.unwrap();
    let all = desk.root("DescribeDevicePositions", &[("Id", &device)]).await.ok();
    assert_eq!((&all["TotalCount"], &all["Positions"][0]["GbId"]), (&3.into(), &"34020000001310000009".into()));
    let last = desk.root("DescribeDevicePositions", &[("Id", &channel), ("StartTime", "2026-03-01T00:00:05Z")]).await.ok();
    assert_eq!((&last["TotalCount"], &last["Positions"][0]["Time"]), (&1.into(), &"2026-03-01T00:00:10Z".into()));
    assert_eq!((&last["Positions"][0]["Speed"], last["Positions"][0].get("Altitude")), (&"36".into(), None));
    let wrong = [("Id", device.as_str()), ("StartTime", "2026-03-01T00:00:05Z"), ("EndTime", "2026-03-01T00:00:05Z")];
    desk.root("DescribeDevicePositions", &wrong).await.refused(400, "InvalidParameter");
    desk.call(&desk.tenant("t").await, "DescribeDevicePositions", &[("Id", &device)]).await.refused(404, "ResourceNotFound.Device");
}
