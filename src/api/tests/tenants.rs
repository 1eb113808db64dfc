//! Isolation: what is one tenant's does not exist for another; suspension cuts everything.

use super::{Desk, root, text};

/// What is not found, the action and its parameters.
type Call<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

#[tokio::test]
async fn another_tenants_objects_are_not_found() {
    let desk = Desk::new().await;
    let (a, b) = (desk.tenant("a").await, desk.tenant("b").await);
    let (rtmp, gb) = (desk.group(&a, "rtmp").await, desk.group(&a, "gb28181").await);
    let stream = desk.pushed(&a, &rtmp).await;
    let (device, channel, pulled) = desk.camera(&a, &gb).await;
    let template = text(&desk.call(&a, "CreateTemplate", &[("Name", "t"), ("Type", "record")]).await.ok()["Id"]);
    let own = desk.group(&b, "rtmp").await;
    let own_template = text(&desk.call(&b, "CreateTemplate", &[("Name", "t"), ("Type", "record")]).await.ok()["Id"]);
    desk.devices.asked();

    let range = [("StartTime", "2026-02-01T00:00:00Z"), ("EndTime", "2026-02-01T01:00:00Z")];
    let calls: &[Call<'_>] = &[
        ("Group", "DescribeGroup", &[("Id", &rtmp)]),
        ("Group", "ModifyGroup", &[("Id", &rtmp), ("Name", "x")]),
        ("Group", "HaltGroup", &[("Id", &rtmp)]),
        ("Group", "EnableGroup", &[("Id", &rtmp)]),
        ("Group", "DeleteGroup", &[("Id", &rtmp)]),
        ("Group", "CreateRtmpGroupStreamurl", &[("Id", &rtmp), ("Name", "x")]),
        ("Group", "CreateRtmpGroupStreamurls", &[("Id", &rtmp), ("Name", "x,y")]),
        ("Group", "DescribeDevices", &[("GroupId", &gb)]),
        ("Group", "CreateDevice", &[("GroupId", &gb), ("Type", "ipc")]),
        ("Device", "DescribeDevice", &[("Id", &device)]),
        ("Device", "ModifyDevice", &[("Id", &device), ("Name", "x")]),
        ("Device", "DeleteDevice", &[("Id", &device)]),
        ("Device", "StartDevice", &[("Id", &device)]),
        ("Device", "StopDevice", &[("Id", &device)]),
        ("Device", "UnlockDevice", &[("Id", &device)]),
        ("Device", "DescribeDeviceChannels", &[("Id", &device)]),
        ("Device", "RefreshChannels", &[("Id", &device)]),
        ("Channel", "DeleteChannel", &[("Id", &channel)]),
        ("Channel", "StartChannel", &[("Id", &channel)]),
        ("Channel", "StopChannel", &[("Id", &channel)]),
        ("Stream", "DescribeStream", &[("Id", &stream)]),
        ("Stream", "StartStream", &[("Id", &pulled)]),
        ("Stream", "StopStream", &[("Id", &pulled)]),
        ("Stream", "ForbidVsStream", &[("Id", &stream)]),
        ("Stream", "ForbidVsStream", &[("AppName", "live"), ("StreamName", &stream)]),
        ("Stream", "ResumeVsStream", &[("Id", &stream)]),
        ("Stream", "DescribeStreamURL", &[("Id", &stream), ("OutProtocol", "flv"), ("AuthKey", "play-key")]),
        ("Stream", "ModifyStream", &[("Id", &stream), ("GroupId", &own), ("Name", "x")]),
        ("Stream", "DescribeRecords", &[("Type", "record"), ("StreamId", &stream), range[0], range[1]]),
        ("Group", "DescribeUsageStatTrafficData", &[("GroupId", &rtmp), range[0], range[1]]),
        ("Stream", "DescribeUsageStatUpVideoAudioInfo", &[("GroupId", &own), ("StreamId", &stream), range[0], range[1]]),
        ("Template", "DescribeTemplate", &[("Id", &template)]),
        ("Template", "ModifyTemplate", &[("Id", &template), ("Name", "x")]),
        ("Template", "DeleteTemplate", &[("Id", &template)]),
        ("Template", "BindTemplate", &[("TemplateId", &template), ("InstanceId", &own), ("InstanceType", "group")]),
        ("Group", "BindTemplate", &[("TemplateId", &own_template), ("InstanceId", &rtmp), ("InstanceType", "group")]),
        ("Stream", "BindTemplate", &[("TemplateId", &own_template), ("InstanceId", &stream), ("InstanceType", "stream")]),
    ];
    for (noun, action, pairs) in calls {
        let told = desk.call(&b, action, pairs).await.refused(404, &format!("ResourceNotFound.{noun}"));
        assert!(pairs.iter().any(|(_, value)| told.contains(value)), "{action}: {told}");
    }
    for (action, id) in [
        ("BatchDeleteDevices", &device),
        ("BatchStartDevices", &device),
        ("BatchStopDevices", &device),
        ("BatchDeleteChannels", &channel),
        ("BatchStartStreams", &pulled),
        ("BatchStopStreams", &pulled),
    ] {
        let answer = desk.call(&b, action, &[("Id", id)]).await.ok();
        assert!(text(&answer["Results"][0]["Error"]).contains("not found"), "{action}: {answer}");
    }
    for (action, pairs) in [
        ("DescribeGroups", vec![("Id", rtmp.as_str())]),
        ("DescribeStreams", vec![("GroupId", &rtmp)]),
        ("DescribeStreams", vec![("DeviceId", &device)]),
        ("DescribeTemplates", vec![("InstanceId", &rtmp)]),
        ("ScreenShowStreams", vec![("GroupId", &rtmp)]),
    ] {
        assert_eq!(desk.call(&b, action, &pairs).await.ok()["TotalCount"], 0, "{action}");
    }
    // Nothing has been asked of any device, and everything is as it was.
    assert_eq!(desk.devices.asked(), Vec::<String>::new());
    assert_eq!(desk.call(&a, "DescribeGroup", &[("Id", &rtmp)]).await.ok()["Name"], "g");
    // The operator sees all.
    assert_eq!(desk.root("DescribeStream", &[("Id", &stream)]).await.ok()["Id"], stream.as_str());
    assert_eq!(desk.root("DescribeGroups", &[]).await.ok()["TotalCount"], 3);
}

#[tokio::test]
async fn tenant_services_are_the_operators_alone() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("a").await;
    for action in ["SuspendMtsService", "RenewMtsService", "DeleteMtsService", "GetMtsServiceStatus"] {
        desk.call(&tenant, action, &[("UserId", "a")]).await.refused(403, "Forbidden");
    }
    let access = r#"{"AccessKeyId":"b","AccessKeySecret":"s"}"#;
    desk.call(&tenant, "CreateMtsService", &[("UserId", "c"), ("AccessInfo", access)]).await.refused(403, "Forbidden");
    desk.root("CreateMtsService", &[("UserId", "a"), ("AccessInfo", access)]).await.refused(409, "AlreadyExists.User");
    desk.root("SuspendMtsService", &[("UserId", "nobody")]).await.refused(404, "ResourceNotFound.User");
    desk.root("SuspendMtsService", &[("UserId", "operator")]).await.refused(409, "IncorrectStatus.User");
    assert_eq!(desk.root("GetMtsServiceStatus", &[("UserId", "nobody")]).await.ok()["Status"], 0);
}

#[tokio::test]
async fn suspension_cuts_calls_pushes_and_plays_and_renewal_restores_them() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("a").await;
    let (rtmp, gb) = (desk.group(&tenant, "rtmp").await, desk.group(&tenant, "gb28181").await);
    let stream = desk.pushed(&tenant, &rtmp).await;
    let other = desk.pushed(&root(), &desk.group(&root(), "rtmp").await).await;
    let (key, others) = (format!("live/{stream}"), format!("live/{other}"));
    for key in [&key, &others] {
        desk.media.publish(key);
        desk.media.play(key, "flv");
    }
    desk.media.play(&format!("{key}@opus"), "webrtc");
    desk.devices.asked();

    let status = async || desk.root("GetMtsServiceStatus", &[("UserId", "a")]).await.ok()["Status"].clone();
    assert_eq!(status().await, 2);
    desk.root("SuspendMtsService", &[("UserId", "a")]).await.ok();
    assert_eq!(status().await, 1);
    desk.call(&tenant, "DescribeGroups", &[]).await.refused(403, "InvalidAccessKeyId.Inactive");
    assert!(!desk.media.is_live(&key) && desk.media.is_live(&others));
    assert_eq!(desk.media.playing(), 1);
    assert_eq!(desk.devices.asked(), [format!("halted {gb}")]);

    desk.root("RenewMtsService", &[("UserId", "a")]).await.ok();
    assert_eq!(status().await, 2);
    assert_eq!(desk.call(&tenant, "DescribeGroups", &[]).await.ok()["TotalCount"], 2);

    desk.root("DeleteMtsService", &[("UserId", "a")]).await.ok();
    assert_eq!(status().await, 3);
    desk.call(&tenant, "DescribeGroups", &[]).await.refused(403, "InvalidAccessKeyId.Inactive");
    desk.root("RenewMtsService", &[("UserId", "a")]).await.refused(409, "IncorrectStatus.User");
}

#[tokio::test]
async fn charging_answers_a_row_a_tenant_in_both_spellings() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("a").await;
    let range = [("StartTime", "2020-09-09T16:00:00Z"), ("EndTime", "2020-09-09T21:59:00Z")];
    let pairs = [("Type", "up"), range[0], range[1]];
    let all = desk.root("QueryChargingBpsMaxUsage", &pairs).await.ok();
    let users: Vec<&str> = all["Datas"].as_array().unwrap().iter().map(|row| row["UserId"].as_str().unwrap()).collect();
    assert_eq!(users, ["operator", "a"]);
    assert_eq!(all["Datas"], all["datas"]);
    let own = desk.call(&tenant, "QueryChargingBpsMaxUsage", &pairs).await.ok();
    assert_eq!(
        (own["datas"].as_array().unwrap().len(), &own["datas"][0]["Userid"], &own["datas"][0]["Usage"]),
        (1, &"a".into(), &"0".into())
    );
    let wrong = [("Type", "sideways"), range[0], range[1]];
    desk.root("QueryChargingBpsMaxUsage", &wrong).await.refused(400, "InvalidParameter");
    let turned = [("StartTime", range[1].1), ("EndTime", range[0].1)];
    desk.root("QueryChargingScreenshotTotal", &turned).await.refused(400, "InvalidParameter");
}
