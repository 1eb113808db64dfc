//! Quotas: set by the operator, seen by the tenant, refused at the door.

use super::gate::Door;
use super::{Desk, Signer, root};
use crate::api::plane::{NoPicture, Refusal};
use crate::api::{Playback, error};
use crate::base::id::StreamKey;
use crate::model::quota::{Exceeded, What};
use crate::stream::access::{Access, Act, Ask, Denied, Grant};
use serde_json::{Value, json};

/// Names, limits and what there is.
fn rows(answer: &Value) -> Vec<(String, i64, i64)> {
    let row = |row: &Value| (super::text(&row["Name"]), row["Limit"].as_i64().unwrap(), row["Used"].as_i64().unwrap());
    answer["Quotas"].as_array().unwrap().iter().map(row).collect()
}

fn of(answer: &Value, name: &str) -> (i64, i64) {
    rows(answer).into_iter().find(|row| row.0 == name).map(|(_, limit, used)| (limit, used)).unwrap()
}

#[tokio::test]
async fn the_operator_sets_quotas_and_a_tenant_sees_its_own() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("t").await;
    let names = ["Groups", "Devices", "Streams", "Viewers", "Recordings", "Bandwidth", "Storage"];
    let shown = desk.call(&tenant, "DescribeTenantQuota", &[]).await.ok();
    assert_eq!(shown["UserId"], "t");
    assert_eq!(rows(&shown), names.map(|name| (name.to_owned(), -1, 0)));
    let set = |pairs: &'static [(&str, &str)]| desk.root("SetTenantQuota", pairs);
    set(&[("UserId", "t"), ("Groups", "2"), ("Viewers", "0"), ("Storage", "5000000000000")]).await.ok();
    // What is not given stays, what is empty goes.
    let answer = set(&[("UserId", "t"), ("Devices", "7"), ("Viewers", "")]).await.ok();
    let limits = |answer: &Value| rows(answer).into_iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(limits(&answer), [2, 7, -1, -1, -1, -1, 5_000_000_000_000]);
    assert_eq!(rows(&desk.call(&tenant, "DescribeTenantQuota", &[("UserId", "t")]).await.ok()), rows(&answer));
    assert_eq!(rows(&desk.root("DescribeTenantQuota", &[("UserId", "t")]).await.ok()), rows(&answer));
    assert_eq!(desk.root("DescribeTenantQuota", &[]).await.ok()["UserId"], "operator");
    // Clients that leave out what is empty say -1.
    let answer = set(&[("UserId", "t"), ("Devices", "-1")]).await.ok();
    assert_eq!(limits(&answer)[1], -1);
    set(&[("UserId", "t"), ("Devices", "7")]).await.ok();
    // It outlives the tenant's service.
    desk.root("DeleteMtsService", &[("UserId", "t")]).await.ok();
    let tenant = desk.tenant("t").await;
    assert_eq!(limits(&desk.call(&tenant, "DescribeTenantQuota", &[]).await.ok())[..2], [2, 7]);
    // A new tenant may have them from the start.
    let access = r#"{"AccessKeyId":"b","AccessKeySecret":"s"}"#;
    desk.root("CreateMtsService", &[("UserId", "u"), ("AccessInfo", access), ("Streams", "3")]).await.ok();
    assert_eq!(of(&desk.root("DescribeTenantQuota", &[("UserId", "u")]).await.ok(), "Streams"), (3, 0));

    desk.call(&tenant, "SetTenantQuota", &[("UserId", "t"), ("Groups", "9")]).await.refused(403, "Forbidden");
    desk.call(&tenant, "DescribeTenantQuota", &[("UserId", "u")]).await.refused(404, "ResourceNotFound.User");
    desk.call(&tenant, "DescribeTenantQuota", &[("UserId", "operator")]).await.refused(404, "ResourceNotFound.User");
    for action in ["SetTenantQuota", "DescribeTenantQuota"] {
        desk.root(action, &[("UserId", "nobody")]).await.refused(404, "ResourceNotFound.User");
    }
    for wrong in ["-2", "x", "1000000000000000001"] {
        desk.root("SetTenantQuota", &[("UserId", "t"), ("Groups", wrong)]).await.refused(400, "InvalidParameter");
    }
}

#[tokio::test]
async fn groups_and_devices_beyond_the_quota_are_not_made() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("t").await;
    desk.root("SetTenantQuota", &[("UserId", "t"), ("Groups", "1"), ("Devices", "1")]).await.ok();
    let group = desk.group(&tenant, "gb28181").await;
    let pairs = [("Name", "g"), ("InProtocol", "rtmp"), ("OutProtocol", "flv")];
    let told = desk.call(&tenant, "CreateGroup", &pairs).await.refused(409, "QuotaExceeded.Group");
    assert_eq!(told, "The tenant's quota of 1 groups is reached (QuotaExceeded.Group).");
    let camera = [("GroupId", group.as_str()), ("Type", "ipc"), ("Password", "p")];
    desk.call(&tenant, "CreateDevice", &camera).await.ok();
    desk.call(&tenant, "CreateDevice", &camera).await.refused(409, "QuotaExceeded.Device");
    // Whoever makes it: the group's owner pays.
    desk.root("CreateDevice", &camera).await.refused(409, "QuotaExceeded.Device");
    desk.group(&root(), "rtmp").await;
    let shown = desk.call(&tenant, "DescribeTenantQuota", &[]).await.ok();
    assert_eq!((of(&shown, "Groups"), of(&shown, "Devices")), ((1, 1), (1, 1)));
    desk.root("SetTenantQuota", &[("UserId", "t"), ("Groups", "2"), ("Devices", "")]).await.ok();
    desk.group(&tenant, "rtmp").await;
    desk.call(&tenant, "CreateDevice", &camera).await.ok();
}

/// A tenant's stream behind a gate that asks for no signature.
struct Gated {
    door: Door,
    tenant: Signer,
    group: String,
}

impl Gated {
    async fn new() -> Gated {
        let door = Door::new(Playback { auth: false, push_auth: false, ..Playback::default() }, &[]).await;
        let tenant = door.desk.tenant("t").await;
        let group = door.desk.group(&tenant, "rtmp").await;
        Gated { door, tenant, group }
    }

    async fn limit(&self, what: &str, limit: &str) {
        self.door.desk.root("SetTenantQuota", &[("UserId", "t"), (what, limit)]).await.ok();
    }

    async fn stream(&self) -> StreamKey {
        StreamKey::new("live", &self.door.desk.pushed(&self.tenant, &self.group).await).unwrap()
    }

    async fn ask(&self, act: Act, protocol: &'static str, key: &StreamKey) -> Result<Grant, Denied> {
        let peer = "192.0.2.7:1000".parse().unwrap();
        self.door.gate.check(Ask { act, key, protocol, peer, path: "", query: "" }).await
    }

    async fn used(&self, what: &str) -> i64 {
        of(&self.door.desk.call(&self.tenant, "DescribeTenantQuota", &[]).await.ok(), what).1
    }
}

#[track_caller]
fn refused(answer: Result<Grant, Denied>, what: What, limit: i64) {
    assert!(matches!(&answer, Err(Denied::Quota(_, e)) if *e == Exceeded { what, limit }), "{answer:?}");
}

#[tokio::test]
async fn pushes_and_calls_beyond_the_quota_are_refused() {
    let rig = Gated::new().await;
    let (a, b) = (rig.stream().await, rig.stream().await);
    rig.limit("Streams", "1").await;
    let first = rig.ask(Act::Publish, "rtmp", &a).await.unwrap();
    refused(rig.ask(Act::Publish, "rtmp", &b).await, What::Streams, 1);
    refused(rig.ask(Act::Publish, "webrtc", &b).await, What::Streams, 1);
    // A device that would have to be called counts like one that pushes, and so does a playback of its recording.
    refused(rig.ask(Act::Publish, "gb28181", &b).await, What::Streams, 1);
    let playback = StreamKey::new("live", &format!("{}_1_2", b.name())).unwrap();
    refused(rig.ask(Act::Publish, "gb28181", &playback).await, What::Streams, 1);
    let told = rig.ask(Act::Publish, "rtmp", &b).await.unwrap_err().to_string();
    assert_eq!(told, format!("{b}: the tenant's quota of 1 streams at once is reached (QuotaExceeded.Stream)"));
    // Who comes again takes over.
    let again = rig.ask(Act::Publish, "rtmp", &a).await.unwrap();
    assert_eq!(rig.used("Streams").await, 1);
    drop(first);
    refused(rig.ask(Act::Publish, "rtmp", &b).await, What::Streams, 1);
    drop(again);
    let called = rig.ask(Act::Publish, "gb28181", &playback).await.unwrap();
    assert_eq!(rig.used("Streams").await, 1);
    drop(called);
    assert_eq!(rig.used("Streams").await, 0);
    // Another tenant has its own; what nobody manages has none.
    let other = rig.door.desk.pushed(&root(), &rig.door.desk.group(&root(), "rtmp").await).await;
    let _first = rig.ask(Act::Publish, "rtmp", &a).await.unwrap();
    assert!(rig.ask(Act::Publish, "rtmp", &StreamKey::new("live", &other).unwrap()).await.unwrap().is_counted());
    assert!(!rig.ask(Act::Publish, "gb28181", &StreamKey::parse("live/nobodys").unwrap()).await.unwrap().is_counted());
}

#[tokio::test]
async fn players_beyond_the_quota_are_refused() {
    let rig = Gated::new().await;
    let (a, b) = (rig.stream().await, rig.stream().await);
    rig.limit("Viewers", "3").await;
    let mut there = Vec::new();
    for (protocol, key) in [("rtmp", &a), ("hls", &a), ("webrtc", &b)] {
        there.push(rig.ask(Act::Play, protocol, key).await.unwrap());
    }
    for protocol in ["rtmp", "flv", "ws-flv", "fmp4", "hls", "webrtc"] {
        refused(rig.ask(Act::Play, protocol, &a).await, What::Viewers, 3);
    }
    // Pictures and the past come request by request: they are no players.
    for protocol in ["jpg", "hls-past"] {
        assert!(!rig.ask(Act::Play, protocol, &a).await.unwrap().is_counted());
    }
    assert_eq!(rig.used("Viewers").await, 3);
    there.pop();
    assert!(rig.ask(Act::Play, "flv", &b).await.unwrap().is_counted());
    drop(there);
    assert_eq!(rig.used("Viewers").await, 0);
}

#[tokio::test]
async fn players_beyond_the_bandwidth_are_refused() {
    let rig = Gated::new().await;
    let (a, b) = (rig.stream().await, rig.stream().await);
    // Streams of the stage bring a megabit a second each.
    rig.door.desk.media.publish(a.as_str());
    rig.limit("Bandwidth", "2500000").await;
    let one = rig.ask(Act::Play, "flv", &a).await.unwrap();
    let _two = rig.ask(Act::Play, "rtmp", &a).await.unwrap();
    assert_eq!(rig.used("Bandwidth").await, 2_000_000);
    refused(rig.ask(Act::Play, "hls", &a).await, What::Bandwidth, 2_500_000);
    assert_eq!((rig.used("Bandwidth").await, rig.used("Viewers").await), (2_000_000, 2), "who was refused holds nothing");
    // One that nobody sends takes nothing yet.
    let _waiting = rig.ask(Act::Play, "flv", &b).await.unwrap();
    drop(one);
    let _three = rig.ask(Act::Play, "hls", &a).await.unwrap();
    assert_eq!(rig.used("Bandwidth").await, 2_000_000);
}

#[tokio::test]
async fn what_workers_refuse_is_told_with_its_code() {
    let desk = Desk::new().await;
    let gb = desk.group(&root(), "gb28181").await;
    let (_, _, stream) = desk.camera(&root(), &gb).await;
    desk.devices.refuse(Refusal::Quota(Exceeded { what: What::Streams, limit: 4 }));
    let told = desk.root("StartStream", &[("Id", &stream)]).await.refused(409, "QuotaExceeded.Stream");
    assert!(told.contains("quota of 4 streams"), "{told}");
    let told = error::Error::from(NoPicture::Quota(Exceeded { what: What::Storage, limit: 9 }));
    assert_eq!((told.code.as_ref(), told.kind.status().as_u16()), ("QuotaExceeded.Storage", 409));
    assert_eq!(json!(told.message), "The tenant's quota of 9 bytes of recordings and pictures is reached (QuotaExceeded.Storage).");
}
