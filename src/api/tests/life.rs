//! Objects through their lives: states, conflicts, batches, and what the media plane and devices are told.

use super::{Desk, root, text};
use crate::api::plane::Refusal;
use crate::api::{Playback, Settings};
use crate::model::device;
use crate::model::id::GroupId;
use crate::model::time::Time;
use crate::model::usage::{Peak, Peaks, Sums, Total, Usage};

#[tokio::test]
async fn a_group_lives() {
    let desk = Desk::new().await;
    let made = desk
        .root("CreateGroup", &[("Name", "国标"), ("InProtocol", "GB28181"), ("OutProtocol", r#"["flv","HLS"]"#), ("LazyPull", "1")])
        .await
        .ok();
    let id = text(&made["Id"]);
    assert_eq!((text(&made["GbId"]).len(), &made["GbIp"], &made["GbPort"]), (20, &"192.0.2.1".into(), &5060.into()));
    let group = desk.root("DescribeGroup", &[("Id", &id), ("IncludeStats", "TRUE")]).await.ok();
    assert_eq!((&group["GbUdpPort"], &group["GbTcpPort"], &group["PushRtmpBaseUrl"]), (&5060.into(), &5061.into(), &"".into()));
    assert_eq!(
        (&group["OutProtocol"], &group["LazyPull"], &group["Region"], &group["App"]),
        (&"flv,hls".into(), &true.into(), &"default".into(), &"live".into())
    );
    assert_eq!(group["Stats"]["DeviceNum"], 0);

    // What is not given stays, what is empty goes.
    let pairs = [("Id", id.as_str()), ("Callback", "my.callback.com"), ("Description", "d")];
    desk.root("ModifyGroup", &pairs).await.ok();
    desk.root("ModifyGroup", &[("Id", &id), ("Description", ""), ("Enabled", "false")]).await.ok();
    let group = desk.root("DescribeGroup", &[("Id", &id)]).await.ok();
    assert_eq!((&group["Callback"], &group["Description"], &group["Status"]), (&"my.callback.com".into(), &"".into(), &"off".into()));
    assert_eq!(desk.devices.asked(), [format!("halted {id}")]);
    desk.root("EnableGroup", &[("Id", &id)]).await.ok();
    desk.root("DeleteGroup", &[("Id", &id)]).await.refused(409, "IncorrectStatus.Group");
    desk.root("HaltGroup", &[("Id", &id)]).await.ok();
    let gone = desk.root("DeleteGroup", &[("Id", &id)]).await.ok();
    assert_eq!((&gone["Id"], &gone["ID"]), (&id.as_str().into(), &id.as_str().into()));
    desk.root("DeleteGroup", &[("Id", &id)]).await.refused(404, "ResourceNotFound.Group");
    desk.root("ModifyGroup", &[("Id", &desk.group(&root(), "rtmp").await), ("InProtocol", "gb28181")])
        .await
        .refused(409, "IncorrectStatus.Group");
}

#[tokio::test]
async fn limits_hold() {
    let settings = Settings { rate: 0, groups: 1, streams: 2, templates: 1, ..Settings::default() };
    let desk = Desk::with(settings, Playback::default()).await;
    let group = desk.group(&root(), "rtmp").await;
    let pairs = [("Name", "g"), ("InProtocol", "rtmp"), ("OutProtocol", "flv")];
    desk.root("CreateGroup", &pairs).await.refused(409, "QuotaExceeded.Group");
    // Another tenant's limit is another one.
    desk.call(&desk.tenant("t").await, "CreateGroup", &pairs).await.ok();
    desk.root("CreateRtmpGroupStreamurls", &[("Id", &group), ("Name", "a,b,c")]).await.refused(409, "QuotaExceeded.Stream");
    assert_eq!(desk.root("DescribeStreams", &[]).await.ok()["TotalCount"], 0);
    desk.root("CreateTemplate", &[("Name", "t"), ("Type", "record")]).await.ok();
    desk.root("CreateTemplate", &[("Name", "t"), ("Type", "record")]).await.refused(409, "QuotaExceeded.Template");
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    let desk = Desk::new().await;
    for name in ["b", "a", "c"] {
        desk.root("CreateGroup", &[("Name", name), ("InProtocol", "rtmp"), ("OutProtocol", "flv"), ("Region", name)]).await.ok();
    }
    let names = async |pairs: &[(&str, &str)]| -> Vec<String> {
        let page = desk.root("DescribeGroups", pairs).await.ok();
        page["Groups"].as_array().unwrap().iter().map(|g| text(&g["Name"])).collect()
    };
    assert_eq!(names(&[("SortBy", "name"), ("SortDirection", "desc")]).await, ["c", "b", "a"]);
    assert_eq!(names(&[("SortBy", "Name")]).await, ["a", "b", "c"]);
    assert_eq!(names(&[("SortBy", "createdTime"), ("SortDirection", "desc")]).await, ["c", "a", "b"]);
    assert_eq!(names(&[("Region", "a")]).await, ["a"]);
    assert_eq!(names(&[("Status", "off")]).await, Vec::<String>::new());
    assert_eq!(names(&[("Name", ""), ("PageSize", "2"), ("PageNum", "2")]).await, ["c"]);
    let past = desk.root("DescribeGroups", &[("PageSize", "2"), ("PageNum", "9")]).await.ok();
    assert_eq!((&past["PageCount"], &past["TotalCount"], past["Groups"].as_array().unwrap().len()), (&2.into(), &3.into(), 0));
    let told = desk.root("DescribeGroups", &[("SortBy", "password")]).await.refused(400, "InvalidParameter");
    assert!(told.contains("SortBy") && told.contains("createdtime"), "{told}");
}

#[tokio::test]
async fn a_pushed_stream_lives() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let made = desk.root("CreateRtmpGroupStreamurl", &[("Id", &group), ("Name", "门口")]).await.ok();
    let (id, url) = (text(&made["StreamId"]), text(&made["PushUrl"]));
    assert_eq!(made["Id"], group.as_str());
    assert!(url.starts_with(&format!("rtmp://vs.example.com:1935/live/{id}?auth_key=4102444800-0-0-")), "{url}");
    let stream = async || desk.root("DescribeStream", &[("Id", &id)]).await.ok();
    let row = stream().await;
    assert_eq!(
        (&row["Name"], &row["PushUrl"], &row["Status"], &row["StartTime"], &row["Protocol"]),
        (&"门口".into(), &url.as_str().into(), &"off".into(), &"".into(), &"rtmp".into())
    );

    // Live status and times are those of the media plane.
    let key = format!("live/{id}");
    desk.media.publish(&key);
    desk.media.play(&key, "rtmp");
    let row = stream().await;
    assert_eq!((&row["Status"], &row["StartTime"], &row["Width"]), (&"on".into(), &"2026-03-01T00:00:00Z".into(), &1280.into()));
    desk.root("ForbidVsStream", &[("AppName", "live"), ("StreamName", &id), ("DomainName", "d"), ("LiveStreamType", "publisher")])
        .await
        .ok();
    assert!(!desk.media.is_live(&key) && desk.media.playing() == 0);
    assert_eq!(stream().await["Enabled"], false);
    desk.root("StartStream", &[("Id", &id)]).await.refused(409, "IncorrectStatus.Stream");
    desk.root("ResumeVsStream", &[("Id", &id)]).await.ok();
    assert_eq!(stream().await["Enabled"], true);
    desk.root("ForbidVsStream", &[]).await.refused(400, "MissingParameter");
    desk.root("ForbidVsStream", &[("AppName", "live"), ("StreamName", "nobody")]).await.refused(404, "ResourceNotFound.Stream");

    // To stop a pushed stream is to cut it off.
    desk.media.publish(&key);
    desk.root("StopStream", &[("Id", &id)]).await.ok();
    assert!(!desk.media.is_live(&key));
    desk.root("StartStream", &[("Id", &id)]).await.refused(409, "IncorrectStatus.Stream");

    desk.media.publish(&key);
    desk.root("HaltGroup", &[("Id", &group)]).await.ok();
    assert!(!desk.media.is_live(&key));
    let gb = desk.group(&root(), "gb28181").await;
    desk.root("CreateRtmpGroupStreamurl", &[("Id", &gb), ("Name", "x")]).await.refused(409, "IncorrectStatus.Group");
}

#[tokio::test]
async fn urls_are_signed_and_checked() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let id = desk.pushed(&root(), &group).await;
    let ask = async |pairs: &[(&str, &str)]| {
        let mut all = vec![("Id", id.as_str()), ("AuthKey", "play-key")];
        all.extend_from_slice(pairs);
        desk.root("DescribeStreamURL", &all).await
    };
    let url = ask(&[("OutProtocol", "flv"), ("Expire", "60")]).await.ok();
    assert_eq!(url["ExpireTime"], super::NOW + 60);
    let want = format!("http://vs.example.com:8080/live/{id}.flv?auth_key={}-0-0-", super::NOW + 60);
    assert!(text(&url["Url"]).starts_with(&want), "{url}");
    assert_eq!(ask(&[("OutProtocol", "rtmp")]).await.ok()["ExpireTime"], super::NOW + 3600);
    for (pairs, code) in [
        (vec![("OutProtocol", "flv"), ("Expire", "0")], "InvalidParameter"),
        (vec![("OutProtocol", "flv"), ("Expire", "-1")], "InvalidParameter"),
        (vec![("OutProtocol", "rtsp")], "InvalidParameter"),
        (vec![("OutProtocol", "flv"), ("Transcode", "sd")], "InvalidParameter"),
        (vec![("OutProtocol", "flv"), ("Type", "vod")], "MissingParameter"),
        (vec![("OutProtocol", "flv"), ("Type", "vod"), ("StartTime", "1"), ("EndTime", "2")], "InvalidParameter"),
        (vec![("OutProtocol", "flv"), ("Type", "vod"), ("StartTime", "2"), ("EndTime", "2")], "InvalidParameter"),
    ] {
        assert_eq!(ask(&pairs).await.body["Code"], code, "{pairs:?}");
    }
    let told = desk
        .root("DescribeStreamURL", &[("Id", &id), ("OutProtocol", "flv"), ("AuthKey", "push-key")])
        .await
        .refused(400, "InvalidParameter");
    assert!(told.contains("AuthKey"), "{told}");
    desk.root("DescribeStreamURL", &[("Id", &id), ("OutProtocol", "flv"), ("AuthKey", "play-key-backup")]).await.ok();
    desk.root("ModifyGroup", &[("Id", &group), ("OutProtocol", "hls")]).await.ok();
    let told = ask(&[("OutProtocol", "flv")]).await.refused(400, "InvalidParameter");
    assert!(told.contains("OutProtocol") && told.contains("hls"), "{told}");
    // The recording of a device plays under a name of its own.
    let gb = desk.group(&root(), "gb28181").await;
    let (_, _, stream) = desk.camera(&root(), &gb).await;
    let pairs = [
        ("Id", stream.as_str()),
        ("AuthKey", "play-key"),
        ("OutProtocol", "flv"),
        ("Type", "vod"),
        ("StartTime", "100"),
        ("EndTime", "200"),
    ];
    let url = desk.root("DescribeStreamURL", &pairs).await.ok();
    assert!(text(&url["Url"]).contains(&format!("/live/{stream}_100_200.flv?auth_key=")), "{url}");
}

#[tokio::test]
async fn a_device_lives() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let pairs = [
        ("GroupId", gb.as_str()),
        ("Type", "ipc"),
        ("GbId", "34020000001320000006"),
        ("Name", "n"),
        ("Password", "secret"),
        ("Port", "8080"),
        ("Longitude", "119.20"),
        ("AlarmMethod", "5,7"),
        ("Params", r#"{"a":1}"#),
    ];
    let id = text(&desk.root("CreateDevice", &pairs).await.ok()["Id"]);
    desk.root("CreateDevice", &pairs).await.refused(409, "AlreadyExists.Device");
    // The same id in another group is another device.
    let other = desk.group(&root(), "gb28181").await;
    let elsewhere = [("GroupId", other.as_str()), pairs[1], pairs[2]];
    desk.root("CreateDevice", &elsewhere).await.ok();
    let device = async || desk.root("DescribeDevice", &[("Id", &id), ("IncludeStats", "true"), ("IncludeDirectory", "true")]).await.ok();
    let row = device().await;
    assert_eq!(
        (&row["Password"], &row["Status"], &row["Protocol"], &row["Port"], &row["Params"]),
        (&"******".into(), &"new".into(), &"gb28181".into(), &8080.into(), &r#"{"a":1}"#.into())
    );
    assert_eq!((&row["AlarmMethod"], &row["Stats"]["ChannelNum"], &row["Stats"]["StreamNum"]), (&"5,7".into(), &1.into(), &1.into()));
    let pairs = [("Id", id.as_str()), ("AlarmMethod", ""), ("Password", ""), ("Params", ""), ("Name", "徐家汇路口")];
    desk.root("ModifyDevice", &pairs).await.ok();
    let row = device().await;
    assert_eq!(
        (&row["AlarmMethod"], &row["Password"], &row["Params"], &row["Name"]),
        (&"".into(), &"".into(), &"{}".into(), &"徐家汇路口".into())
    );
    desk.devices.asked();

    let rtmp = desk.group(&root(), "rtmp").await;
    desk.root("CreateDevice", &[("GroupId", &rtmp), ("Type", "ipc")]).await.refused(409, "IncorrectStatus.Group");

    // A locked device is unlocked.
    let locked = device::Change { id: id.parse().unwrap(), status: device::Status::Failed, at: Time::from_secs(0), registration: None };
    desk.api.store().set_device_states(vec![locked]).await.unwrap();
    desk.root("StartDevice", &[("Id", &id)]).await.refused(409, "IncorrectStatus.Device");
    desk.root("UnlockDevice", &[("Id", &id)]).await.ok();
    assert_eq!(device().await["Status"], "off");
    assert_eq!(desk.devices.asked(), [format!("unlock {id}")]);

    // Sending devices are not deleted.
    let stream = text(&desk.root("DescribeStreams", &[("DeviceId", &id)]).await.ok()["Streams"][0]["Id"]);
    desk.media.publish(&format!("live/{stream}"));
    desk.root("DeleteDevice", &[("Id", &id)]).await.refused(409, "IncorrectStatus.Device");
    let rows = desk.root("BatchDeleteDevices", &[("Id", &format!("{id},404"))]).await.ok();
    assert!(text(&rows["Results"][0]["Error"]).contains("sending") && text(&rows["Results"][1]["Error"]).contains("404"), "{rows}");
    desk.media.live.lock().unwrap().clear();
    desk.root("DeleteDevice", &[("Id", &id)]).await.ok();
    assert_eq!(desk.devices.asked(), [format!("forgotten {id}")]);
    desk.root("DescribeStream", &[("Id", &stream)]).await.refused(404, "ResourceNotFound.Stream");
}

#[tokio::test]
async fn devices_are_asked_and_their_answers_told() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, stream) = desk.camera(&root(), &gb).await;
    desk.devices.asked();
    for (start, stop, id) in
        [("StartDevice", "StopDevice", &device), ("StartChannel", "StopChannel", &channel), ("StartStream", "StopStream", &stream)]
    {
        assert_eq!(desk.root(start, &[("Id", id)]).await.ok()["Id"], id.as_str());
        assert_eq!(desk.devices.asked(), [format!("start live/{stream}")]);
        assert!(desk.api.store().started_streams().await.unwrap().iter().any(|s| s.id.to_string() == stream));
        desk.root(stop, &[("Id", id)]).await.ok();
        assert_eq!(desk.devices.asked(), [format!("stop live/{stream}")]);
        assert!(desk.api.store().started_streams().await.unwrap().is_empty());
    }
    for (refusal, status, code) in [
        (Refusal::Timeout, 504, "DeviceTimeout"),
        (Refusal::Refused { status: 486, reason: "Busy Here".into() }, 502, "DeviceRefused"),
        (Refusal::Offline, 409, "IncorrectStatus.Device"),
        (Refusal::Unavailable("no signalling".into()), 503, "ServiceUnavailable"),
    ] {
        desk.devices.refuse(refusal.clone());
        for (action, id) in [("StartDevice", &device), ("StartChannel", &channel), ("StartStream", &stream), ("RefreshChannels", &device)] {
            let told = desk.root(action, &[("Id", id)]).await.refused(status, code);
            assert!(told.contains(&refusal.to_string()), "{action}: {told}");
        }
        let rows = desk.root("BatchStartStreams", &[("Id", &format!("404,{stream}"))]).await.ok();
        assert!(
            text(&rows["Results"][0]["Error"]).contains("not found") && text(&rows["Results"][1]["Error"]).contains(&refusal.to_string()),
            "{rows}"
        );
        let rows = desk.root("BatchStartDevices", &[("Id", &device)]).await.ok();
        assert!(rows["Results"][0].get("Error").is_none() && rows["Results"][0]["Streams"][0]["Error"].is_string(), "{rows}");
        // A stream that could not be started is not one that is to run.
        assert!(desk.api.store().started_streams().await.unwrap().is_empty());
    }
    desk.devices.agree();
    desk.devices.asked();
    desk.root("RefreshChannels", &[("Id", &device)]).await.ok();
    assert_eq!(desk.devices.asked(), [format!("refresh {device}")]);
    desk.root("ForbidVsStream", &[("Id", &stream)]).await.ok();
    desk.root("StartStream", &[("Id", &stream)]).await.refused(409, "IncorrectStatus.Stream");
    desk.root("ResumeVsStream", &[("Id", &stream)]).await.ok();
    desk.root("HaltGroup", &[("Id", &gb)]).await.ok();
    desk.root("StartStream", &[("Id", &stream)]).await.refused(409, "IncorrectStatus.Group");
    // A platform whose channels nobody knows has nothing to start.
    desk.root("EnableGroup", &[("Id", &gb)]).await.ok();
    let platform = text(&desk.root("CreateDevice", &[("GroupId", &gb), ("Type", "platform")]).await.ok()["Id"]);
    desk.root("StartDevice", &[("Id", &platform)]).await.refused(409, "IncorrectStatus.Device");
}

#[tokio::test]
async fn channels_are_listed_and_deleted() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, stream) = desk.camera(&root(), &gb).await;
    let list = async |pairs: &[(&str, &str)]| {
        let mut all = vec![("Id", device.as_str())];
        all.extend_from_slice(pairs);
        desk.root("DescribeDeviceChannels", &all).await.ok()
    };
    let row = list(&[]).await["Channels"][0].clone();
    assert_eq!(
        (&row["Id"], &row["StreamId"], &row["DeviceId"], &row["StreamStatus"]),
        (&channel.as_str().into(), &stream.as_str().into(), &device.as_str().into(), &"off".into())
    );
    assert_eq!(list(&[("Name", "no such name")]).await["TotalCount"], 0);
    desk.media.publish(&format!("live/{stream}"));
    desk.root("DeleteChannel", &[("Id", &channel)]).await.refused(409, "IncorrectStatus.Channel");
    desk.media.live.lock().unwrap().clear();
    let rows = desk.root("BatchDeleteChannels", &[("Id", &format!("{channel},{channel},9"))]).await.ok();
    assert_eq!(rows["Results"].as_array().unwrap().len(), 2);
    assert!(rows["Results"][0].get("Error").is_none() && rows["Results"][1]["Error"].is_string());
    assert_eq!(list(&[]).await["TotalCount"], 0);
    desk.root("DeleteChannel", &[("Id", &channel)]).await.refused(404, "ResourceNotFound.Channel");
}

#[tokio::test]
async fn templates_are_made_bound_and_deleted() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    let make = async |pairs: &[(&str, &str)]| desk.root("CreateTemplate", pairs).await;
    for (pairs, code, part) in [
        (vec![("Type", "record"), ("Mp4", "{StreamName}")], "InvalidParameter", "Mp4"),
        (vec![("Type", "record"), ("Mp4", "../{EscapedStartTime}_{EscapedEndTime}")], "InvalidParameter", "Mp4"),
        (vec![("Type", "record"), ("HlsTs", "{Sequence}")], "InvalidParameter", "HlsTs"),
        (vec![("Type", "record"), ("Flv", "/{EscapedStartTime}_{EscapedEndTime}")], "InvalidParameter", "Flv"),
        (vec![("Type", "snapshot"), ("JpgSequence", "{StreamName}")], "InvalidParameter", "JpgSequence"),
        (vec![("Type", "snapshot"), ("FileFormat", "mp4")], "InvalidParameter", "FileFormat"),
        (vec![("Type", "record"), ("FileFormat", "jpg")], "InvalidParameter", "FileFormat"),
        (vec![("Type", "record"), ("oNestBucket", "b")], "MissingParameter", "oNestEndpoint"),
        (vec![("Type", "timeshift")], "MissingParameter", "Retention"),
        (vec![("Type", "transcode")], "MissingParameter", "TransConfigsJSON"),
        (vec![("Type", "transcode"), ("TransConfigsJSON", "[]")], "InvalidParameter", "TransConfigsJSON"),
    ] {
        let mut all = vec![("Name", "t")];
        all.extend(pairs);
        let answer = make(&all).await;
        let told = answer.refused(400, code);
        assert!(told.contains(part), "{told}");
    }
    let id = async |pairs: &[(&str, &str)]| text(&make(pairs).await.ok()["Id"]);
    let first = id(&[("Name", "录制模板"), ("Type", "record"), ("FileInterval", "600"), ("FileFormat", "mp4,hls")]).await;
    let second =
        id(&[("Name", "2"), ("Type", "record"), ("oNestBucket", "b"), ("oNestEndpoint", "http://s3.example.com"), ("Expired", "7")]).await;
    let row = desk.root("DescribeTemplate", &[("ID", &first)]).await.ok();
    assert_eq!(
        (&row["Interval"], &row["FileFormat"], &row["Trigger"], &row["Expired"], &row["OssBucket"]),
        (&600.into(), &"mp4,hls".into(), &"auto".into(), &0.into(), &"".into())
    );

    let bind = async |template: &str, instance: &str, kind: &str, more: &[(&str, &str)]| {
        let mut all = vec![("TemplateId", template), ("InstanceId", instance), ("InstanceType", kind)];
        all.extend_from_slice(more);
        desk.root("BindTemplate", &all).await
    };
    assert_eq!(bind(&first, &group, "group", &[]).await.ok()["TemplateType"], "record");
    bind(&second, &group, "group", &[]).await.refused(409, "AlreadyExists.Binding");
    bind(&second, &group, "group", &[("Replace", "true"), ("ApplyAll", "true")]).await.ok();
    bind(&first, &group, "group", &[("TemplateType", "snapshot")]).await.refused(400, "InvalidParameter");
    bind(&first, "404", "stream", &[]).await.refused(404, "ResourceNotFound.Stream");
    assert_eq!(
        desk.root("DescribeTemplates", &[("InstanceId", &stream), ("Type", "record")]).await.ok()["Templates"][0]["Id"],
        second.as_str()
    );
    let told = desk.root("DeleteTemplate", &[("Id", &second)]).await;
    assert_eq!(told.status, 409, "{}", told.body);

    // A template that stores to a bucket needs its key, once.
    desk.root("CreateRtmpGroupStreamurl", &[("Id", &group), ("Name", "x")]).await.refused(400, "MissingParameter");
    let access = r#"{"key":"111","secret":"111"}"#;
    desk.root("CreateRtmpGroupStreamurl", &[("Id", &group), ("Name", "x"), ("AccessInfo", access)]).await.ok();
    desk.root("CreateRtmpGroupStreamurl", &[("Id", &group), ("Name", "y")]).await.ok();

    desk.root("UnbindTemplate", &[("InstanceId", &group), ("InstanceType", "group")]).await.refused(400, "MissingParameter");
    let gone = desk.root("UnbindTemplate", &[("InstanceId", &group), ("InstanceType", "group"), ("TemplateType", "record")]).await.ok();
    assert_eq!(gone["TemplateId"], second.as_str());
    desk.root("UnbindTemplate", &[("InstanceId", &group), ("InstanceType", "group"), ("TemplateType", "record")])
        .await
        .refused(404, "ResourceNotFound.Binding");
    let ids = format!("{stream},{group}");
    let rows = desk.root("BatchUnbindTemplate", &[("TemplateId", &second), ("InstanceId", &ids), ("InstanceType", "stream")]).await.ok();
    assert_eq!(rows["Results"], rows["Bindings"]);
    assert!(rows["Results"][0].get("Error").is_none() && rows["Results"][1]["Error"].is_string(), "{rows}");
    desk.root("DeleteTemplate", &[("Id", &second)]).await.ok();

    let rules = r#"[{"Name":"sd","VideoCodec":"h264","VideoBitrate":800,"Fps":25,"Gop":50,"Height":720,"Width":1280}]"#;
    let transcode = id(&[("Name", "t"), ("Type", "transcode"), ("TransConfigsJSON", rules)]).await;
    bind(&transcode, &stream, "stream", &[]).await.ok();
    let pairs = [("Id", stream.as_str()), ("OutProtocol", "flv"), ("AuthKey", "play-key"), ("Transcode", "sd")];
    let url = text(&desk.root("DescribeStreamURL", &pairs).await.ok()["Url"]);
    assert!(url.contains(&format!("/live/{stream}_sd.flv?auth_key=")), "{url}");
    let rule = desk.root("DescribeTemplate", &[("Id", &transcode)]).await.ok()["TransConfigs"][0].clone();
    let changed = rules.replace('{', &format!(r#"{{"Id":{},"#, rule["Id"])).replace("25", "15");
    desk.root("ModifyTemplate", &[("Id", &transcode), ("TransConfigsJSON", &changed), ("Description", "d")]).await.ok();
    let row = desk.root("DescribeTemplate", &[("Id", &transcode)]).await.ok();
    assert_eq!(
        (&row["TransConfigs"][0]["Fps"], &row["TransConfigs"][0]["Id"], &row["Description"]),
        (&15.into(), &rule["Id"], &"d".into())
    );
    desk.root("ModifyTemplate", &[("Id", &first), ("Mp4", "")]).await.ok();
    desk.root("ModifyTemplate", &[("Id", &first), ("HlsTs", "x")]).await.refused(400, "InvalidParameter");
}

#[tokio::test]
async fn statistics_add_up_and_empty_intervals_are_there() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (_, _, stream) = desk.camera(&root(), &gb).await;
    let at: Time = "2026-02-01T10:00:00Z".parse().unwrap();
    let sums = Sums {
        bytes_in: 3_000_000,
        bytes_out: 6_000_000,
        video_frames: 1500,
        audio_frames: 3000,
        live_ms: 60_000,
        mp4_ms: 60_000,
        snapshots: 2,
        ..Sums::default()
    };
    let minute = |n: i64| Usage {
        at: Time::from_secs(at.as_secs() + n * 60),
        owner: crate::model::tenant::OPERATOR,
        group: gb.parse::<GroupId>().unwrap(),
        stream: stream.parse().unwrap(),
        sums,
    };
    let total = |n: i64, group| {
        let at = Time::from_secs(at.as_secs() + n * 60);
        let peak = |most| Peak { most, at };
        let peaks = Peaks { streams: peak(1 + n % 3), viewers: peak(2), recordings: peak(n), devices: peak(7) };
        Total { sums: Sums { viewers: 0, ..sums }, peaks, ..Total::new(at, crate::model::tenant::OPERATOR, group, "") }
    };
    let store = desk.api.store();
    let totals = (0..5).flat_map(|n| [total(n, None), total(n, Some(gb.parse().unwrap()))]).collect();
    store.put_usage((0..5).map(minute).collect(), totals).await.unwrap();
    let end = Time::from_secs(at.as_secs() + 3600);
    for span in [300, 3600, 86_400] {
        store.roll_usage(span, at.floor(span), Time(end.0 + 86_400_000)).await.unwrap();
        store.roll_totals(span, at.floor(span), Time(end.0 + 86_400_000)).await.unwrap();
    }
    let range = [("GroupId", gb.as_str()), ("StartTime", "2026-02-01T09:55:00Z"), ("EndTime", "2026-02-01T10:10:00Z")];
    let ask = async |action: &str| desk.root(action, &range).await.ok();
    let values = |answer: &serde_json::Value, list: &str, value: &str| -> Vec<i64> {
        answer[list]["DataModule"].as_array().unwrap().iter().map(|row| row[value].as_i64().unwrap()).collect()
    };
    assert_eq!(values(&ask("DescribeUsageStatTrafficData").await, "TrafficDataPerInterval", "TrafficValue"), [0, 30_000_000, 0]);
    assert_eq!(values(&ask("DescribeUsageStatReqTrafficData").await, "ReqTrafficDataPerInterval", "ReqTrafficValue"), [0, 15_000_000, 0]);
    assert_eq!(values(&ask("DescribeUsageStatBpsData").await, "BpsDataPerInterval", "BpsValue"), [0, 800_000, 0]);
    assert_eq!(values(&ask("DescribeUsageStatReqBpsData").await, "ReqBpsDataPerInterval", "ReqBpsValue"), [0, 400_000, 0]);
    let day = ask("DescribeUsageStatRecordData").await["RecordDataInfos"]["RecordDataInfo"][0].clone();
    assert_eq!(
        (&day["Date"], &day["Total"], &day["Detail"]["MP4"], &day["Detail"]["HLS"]),
        (&"2026-02-01".into(), &300.into(), &300.into(), &0.into())
    );
    assert_eq!(ask("DescribeUsageStatSnapshotData").await["SnapshotDataInfos"]["SnapshotDataInfo"][0]["Total"], 10);
    let peak =
        ask("DescribeUsageStatUpPeakPublishStreamData").await["DescribeVsUpPeakPublishStreamDatas"]["DescribeVsUpPeakPublishStreamData"][0]
            .clone();
    assert_eq!((&peak["PeakTime"], &peak["PublishStreamNum"]), (&"2026-02-01T10:02:00Z".into(), &3.into()));
    let mut rates = range.to_vec();
    rates.push(("StreamId", &stream));
    let rows =
        desk.root("DescribeUsageStatUpVideoAudioInfo", &rates).await.ok()["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"].clone();
    // Newest first.
    assert_eq!((&rows[0]["Time"], &rows[0]["VideoFrameRate"]), (&"2026-02-01T10:05:00Z".into(), &"0".into()));
    assert_eq!(
        (&rows[1]["Time"], &rows[1]["VideoFrameRate"], &rows[1]["AudioFrameRate"], &rows[1]["BitRate"]),
        (&"2026-02-01T10:00:00Z".into(), &"25".into(), &"50".into(), &"400".into())
    );
    let charged = desk.root("QueryChargingBpsMaxUsage", &[("Type", "down"), range[1], range[2]]).await.ok();
    assert_eq!(charged["Datas"][0]["Usage"], "800000");
    assert_eq!(desk.root("QueryChargingScreenshotTotal", &range[1..]).await.ok()["Datas"][0]["Usage"], "10");
    assert_eq!(desk.root("QueryChargingRecordMaxNum", &range[1..]).await.ok()["Datas"][0]["Usage"], "4");
    assert_eq!(desk.root("QueryChargingDevicesOnlineMaxNum", &range[1..]).await.ok()["datas"][0]["Usage"], "7");
    // A range of whole days reads the days, one whose borders lie within an hour the five minutes: the answer is the same.
    for (from, to) in [("2026-01-31T00:00:00Z", "2026-02-03T00:00:00Z"), ("2026-02-01T09:59:59Z", "2026-02-01T10:04:01Z")] {
        let of = [("Type", "up"), ("StartTime", from), ("EndTime", to)];
        assert_eq!(desk.root("QueryChargingTrafficTotalUsage", &of).await.ok()["Datas"][0]["Usage"], "15000000");
        assert_eq!(desk.root("QueryChargingBpsMaxUsage", &of).await.ok()["Datas"][0]["Usage"], "400000");
    }

    // Ranges that are too long or turned around are refused.
    let long = [range[0], ("StartTime", "2025-01-01T00:00:00Z"), ("EndTime", "2026-01-01T00:00:00Z")];
    desk.root("DescribeUsageStatTrafficData", &long).await.refused(400, "InvalidParameter");
    let seven_hours = [range[0], ("StreamId", stream.as_str()), ("StartTime", "2026-02-01T00:00:00Z"), ("EndTime", "2026-02-01T06:00:01Z")];
    desk.root("DescribeUsageStatUpVideoAudioInfo", &seven_hours).await.refused(400, "InvalidParameter");
}

#[tokio::test]
async fn cameras_move_by_any_of_their_ids() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, stream) = desk.camera(&root(), &gb).await;
    desk.devices.asked();
    for id in [&device, &channel, &stream] {
        assert_eq!(desk.root("ContinuousMove", &[("Id", id), ("Pan", "-0.5")]).await.ok()["Id"], id.as_str());
        desk.root("StopMove", &[("Id", id), ("Pan", "true")]).await.ok();
        desk.root("GotoPreset", &[("Id", id), ("PresetId", "7")]).await.ok();
        let key = format!("live/{stream}");
        assert_eq!(desk.devices.asked(), [format!("steer {key}"), format!("steer {key}"), format!("preset {key} 7")]);
    }
    let presets = desk.root("DescribePresets", &[("Id", &device)]).await.ok();
    assert_eq!((&presets["Presets"][0]["Id"], &presets["Presets"][0]["Name"]), (&"1".into(), &"door".into()));
    desk.root("ContinuousMove", &[("Id", "404")]).await.refused(404, "ResourceNotFound.Device");
    desk.root("ContinuousMove", &[("Id", &device), ("Pan", "1.1")]).await.refused(400, "InvalidParameter");
    desk.call(&desk.tenant("t").await, "StopMove", &[("Id", &device)]).await.refused(404, "ResourceNotFound.Device");
    let pushed = desk.pushed(&root(), &desk.group(&root(), "rtmp").await).await;
    desk.root("StopMove", &[("Id", &pushed)]).await.refused(409, "IncorrectStatus.Stream");
}

#[tokio::test]
async fn devices_take_orders() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (device, channel, stream) = desk.camera(&root(), &gb).await;
    let device_gb = text(&desk.root("DescribeDevice", &[("Id", &device)]).await.ok()["GbId"]);
    let channel_gb = text(&desk.root("DescribeDeviceChannels", &[("Id", &device)]).await.ok()["Channels"][0]["GbId"]);
    desk.devices.asked();

    desk.root("RebootDevice", &[("Id", &device)]).await.ok();
    desk.root("ResetDeviceAlarm", &[("Id", &device)]).await.ok();
    desk.root("ForceKeyFrame", &[("Id", &stream)]).await.ok();
    desk.root("SetHomePosition", &[("Id", &channel), ("Enabled", "true"), ("PresetId", "3"), ("ResetTime", "90")]).await.ok();
    let home = "Home(Home { enabled: true, reset_after: 90, preset: 3 })";
    let expected = [
        format!("order {device_gb} Reboot"),
        format!("order {device_gb} ResetAlarm"),
        format!("order {channel_gb} KeyFrame"),
        format!("order {channel_gb} {home}"),
    ];
    assert_eq!(desk.devices.asked(), expected);
    desk.root("SetHomePosition", &[("Id", &channel), ("Enabled", "true")]).await.refused(400, "MissingParameter");

    let (from, to) = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
    let records = desk.root("DescribeDeviceRecords", &[("Id", &channel), ("StartTime", from), ("EndTime", to)]).await.ok();
    assert_eq!((&records["TotalCount"], &records["Records"][0]["Name"]), (&1.into(), &"gate".into()));
    assert_eq!((&records["Records"][0]["StartTime"], &records["Records"][0]["FileSize"]), (&from.into(), &7.into()));
    assert_eq!(desk.devices.asked(), [format!("recordings {channel_gb} {from} {to}")]);
    desk.root("DescribeDeviceRecords", &[("Id", &channel), ("StartTime", to), ("EndTime", from)]).await.refused(400, "InvalidParameter");

    let control = async |command: &str, more: &[(&str, &str)]| {
        let stretch = [("Id", stream.as_str()), ("StartTime", "100"), ("EndTime", "160"), ("Command", command)];
        desk.root("ControlPlayback", &[&stretch, more].concat()).await
    };
    control("pause", &[]).await.ok();
    control("seek", &[("Position", "30")]).await.ok();
    control("speed", &[("Speed", "-2")]).await.ok();
    let asked = ["Pause", "Seek(30.0)", "Speed(-2.0)"].map(|trick| format!("control {channel_gb} 100 160 {trick}"));
    assert_eq!(desk.devices.asked(), asked);
    control("seek", &[]).await.refused(400, "MissingParameter");
    control("seek", &[("Position", "60")]).await.refused(400, "InvalidParameter");
    control("speed", &[("Speed", "0")]).await.refused(400, "InvalidParameter");
    desk.devices.refuse(Refusal::NotOpen);
    control("resume", &[]).await.refused(409, "IncorrectStatus.Playback");
    desk.devices.agree();

    let findings = desk.root("DiagnoseDevice", &[("Id", &device)]).await.ok();
    assert_eq!((&findings["Verdict"][0], &findings["Findings"]["status"]), (&"Nothing is wrong.".into(), &"on".into()));
    let stranger = desk.tenant("t").await;
    desk.devices.asked();
    for action in ["RebootDevice", "ResetDeviceAlarm", "ForceKeyFrame", "DiagnoseDevice"] {
        desk.call(&stranger, action, &[("Id", &device)]).await.refused(404, "ResourceNotFound.Device");
    }
    assert_eq!(desk.devices.asked(), [""; 0], "a stranger's order reaches nobody");
}

#[tokio::test]
async fn directories_hold_devices() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let make = async |name: &str, parent: &str| {
        text(&desk.root("CreateDirectory", &[("GroupId", &gb), ("Name", name), ("ParentId", parent)]).await.ok()["Id"])
    };
    let top = make("top", "").await;
    let below = make("below", &top).await;
    let device = text(&desk.root("CreateDevice", &[("GroupId", &gb), ("Type", "ipc"), ("DirectoryId", &below)]).await.ok()["Id"]);
    let row = desk.root("DescribeDevice", &[("Id", &device), ("IncludeDirectory", "true")]).await.ok();
    assert_eq!(
        (&row["DirectoryId"], &row["Directory"]["Name"], &row["Directory"]["ParentId"]),
        (&below.as_str().into(), &"below".into(), &top.as_str().into())
    );
    assert_eq!(desk.root("DescribeDirectories", &[("GroupId", &gb), ("ParentId", &top)]).await.ok()["TotalCount"], 1);
    let page = desk.root("DescribeDirectories", &[("GroupId", &gb), ("PageSize", "1"), ("PageNum", "2")]).await.ok();
    assert_eq!((&page["TotalCount"], &page["Directories"][0]["Id"]), (&2.into(), &below.as_str().into()));
    assert_eq!(desk.root("DeleteDirectory", &[("Id", &top)]).await.status, 409);
    desk.root("ModifyDirectory", &[("Id", &below), ("ParentId", ""), ("Name", "up")]).await.ok();
    assert_eq!(desk.root("DescribeDirectory", &[("Id", &below)]).await.ok()["ParentId"], "");
    desk.root("DeleteDirectory", &[("Id", &top)]).await.ok();
    desk.call(&desk.tenant("t").await, "DescribeDirectory", &[("Id", &below)]).await.refused(404, "ResourceNotFound.Directory");
}

#[tokio::test]
async fn pushed_streams_can_be_deleted() {
    let desk = Desk::new().await;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    desk.media.publish(&format!("live/{stream}"));
    desk.root("DeleteStream", &[("Id", &stream)]).await.ok();
    assert!(!desk.media.is_live(&format!("live/{stream}")));
    desk.root("DescribeStream", &[("Id", &stream)]).await.refused(404, "ResourceNotFound.Stream");
    let gb = desk.group(&root(), "gb28181").await;
    let (_, _, pulled) = desk.camera(&root(), &gb).await;
    desk.root("DeleteStream", &[("Id", &pulled)]).await.refused(409, "IncorrectStatus.Stream");
}
