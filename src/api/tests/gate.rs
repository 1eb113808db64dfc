//! Who may publish and play: signatures, groups, protocols, states.

use super::{Desk, root, text};
use crate::api::access::{Gate, Rules};
use crate::api::url::auth_key;
use crate::api::{Playback, Settings};
use crate::base::id::StreamKey;
use crate::stream::access::{self, Access, Act, Ask, Denied, Open};

pub(super) struct Door {
    pub(super) desk: Desk,
    pub(super) gate: Gate,
}

impl Door {
    pub(super) async fn new(playback: Playback, open: &[&str]) -> Door {
        let desk = Desk::with(Settings { rate: 0, ..Settings::default() }, playback.clone()).await;
        let open = Open::new(&access::Settings { open: open.iter().map(|s| (*s).to_owned()).collect() });
        let api = &desk.api;
        let gate = Gate::new(
            api.book().clone(),
            desk.media.clone(),
            desk.clock.clone(),
            Rules { playback, play: api.play_keys().clone(), push: api.push_keys().clone(), open, tally: api.tally().clone() },
        );
        Door { gate, desk }
    }

    async fn ask(&self, act: Act, protocol: &'static str, path: &str, query: &str) -> Result<(), Denied> {
        let bare = path.trim_start_matches('/');
        let (name, _) = bare.split_once('.').unwrap_or((bare, ""));
        let key = StreamKey::parse(name).unwrap();
        let peer = "192.0.2.7:1000".parse().unwrap();
        self.gate.check(Ask { act, key: &key, protocol, peer, path, query }).await.map(drop)
    }

    /// Plays what an URL says.
    async fn play(&self, protocol: &'static str, url: &str) -> Result<(), Denied> {
        let (_, rest) = url.split_once("://").unwrap();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (_, path) = path.split_once('/').unwrap();
        self.ask(Act::Play, protocol, &format!("/{path}"), query).await
    }

    async fn url(&self, stream: &str, protocol: &str) -> String {
        let pairs = [("Id", stream), ("OutProtocol", protocol), ("AuthKey", "play-key"), ("Expire", "60")];
        text(&self.desk.root("DescribeStreamURL", &pairs).await.ok()["Url"])
    }
}

#[tokio::test]
async fn urls_of_the_api_play_expire_and_cannot_be_altered() {
    let door = Door::new(Playback::default(), &[]).await;
    let group = door.desk.group(&root(), "rtmp").await;
    let (stream, other) = (door.desk.pushed(&root(), &group).await, door.desk.pushed(&root(), &group).await);
    for (way, protocols) in [("rtmp", &["rtmp"][..]), ("flv", &["flv", "ws-flv"]), ("hls", &["hls"])] {
        let url = door.url(&stream, way).await;
        for protocol in protocols {
            assert_eq!(door.play(protocol, &url).await, Ok(()), "{url}");
            for altered in [
                url.replace(&stream, &other),
                url.replace("auth_key=1", "auth_key=2"),
                url[..url.len() - 1].to_owned(),
                url.split('?').next().unwrap().to_owned(),
            ] {
                assert!(matches!(door.play(protocol, &altered).await, Err(Denied::Forbidden(_))), "{altered}");
            }
        }
    }
    // A segment opens with its playlist's signature; a URL of one way does not open another.
    let hls = door.url(&stream, "hls").await;
    let (_, query) = hls.split_once('?').unwrap();
    assert_eq!(door.ask(Act::Play, "hls", &format!("/live/{stream}.m3u8"), query).await, Ok(()));
    assert!(door.ask(Act::Play, "rtmp", &format!("/live/{stream}"), query).await.is_err());
    // Whoever may play, by whatever way, may see the picture; of this stream only.
    for way in ["rtmp", "flv", "hls"] {
        let url = door.url(&stream, way).await;
        let (_, query) = url.split_once('?').unwrap();
        assert_eq!(door.ask(Act::Play, "jpg", &format!("/live/{stream}.jpg"), query).await, Ok(()), "{way}");
        let alien = door.ask(Act::Play, "jpg", &format!("/live/{other}.jpg"), query).await;
        assert!(matches!(alien, Err(Denied::Forbidden(_))), "{way}");
    }
    assert!(door.ask(Act::Play, "jpg", &format!("/live/{stream}.jpg"), "").await.is_err());
    // The backup key opens as well, a push key does not.
    let with = |key: &str| format!("auth_key={}", auth_key(&format!("/live/{stream}.flv"), super::NOW + 60, "a", "b", key));
    let flv = format!("/live/{stream}.flv");
    assert_eq!(door.ask(Act::Play, "flv", &flv, &with("play-key-backup")).await, Ok(()));
    assert!(door.ask(Act::Play, "flv", &flv, &with("push-key")).await.is_err());
    door.desk.clock.advance(std::time::Duration::from_secs(60));
    assert!(matches!(door.play("hls", &hls).await, Err(Denied::Forbidden(why)) if why.contains("expired")));
}

#[tokio::test]
async fn the_screens_urls_play_by_webrtc() {
    let door = Door::new(Playback::default(), &[]).await;
    let stream = door.desk.pushed(&root(), &door.desk.group(&root(), "rtmp").await).await;
    let on = crate::model::stream::Change { id: stream.parse().unwrap(), status: crate::model::stream::Status::On, at: Default::default() };
    door.desk.api.store().set_stream_states(vec![on]).await.unwrap();
    let row = door.desk.root("ScreenShowStreams", &[]).await.ok()["Streams"][0].clone();
    let url = text(&row["Url"]);
    assert!(url.starts_with(&format!("rtc://vs.example.com:8080/live/{stream}?auth_key=")), "{url}");
    assert_eq!(door.play("webrtc", &url).await, Ok(()));
}

#[tokio::test]
async fn a_push_url_opens_whip_as_well() {
    let door = Door::new(Playback::default(), &[]).await;
    let stream = door.desk.pushed(&root(), &door.desk.group(&root(), "rtmp").await).await;
    let whip = format!("/live/{stream}.whip");
    let signed = |path: &str, key: &str| format!("auth_key={}", auth_key(path, super::NOW + 60, "0", "0", key));
    let publish = async |query: &str| door.ask(Act::Publish, "webrtc", &whip, query).await;
    assert_eq!(publish(&signed(&format!("/live/{stream}"), "push-key")).await, Ok(()));
    assert_eq!(publish(&signed(&whip, "push-key")).await, Ok(()));
    for wrong in [String::new(), signed(&whip, "play-key"), signed("/live/1234567", "push-key")] {
        assert!(matches!(publish(&wrong).await, Err(Denied::Forbidden(_))), "{wrong}");
    }
    // What plays the stream does not push it, and the other way round.
    let play = door.ask(Act::Play, "webrtc", &format!("/live/{stream}.whep"), &signed(&whip, "push-key")).await;
    assert!(matches!(play, Err(Denied::Forbidden(_))));
}

#[tokio::test]
async fn all_urls_of_a_stream_play() {
    let door = Door::new(Playback::default(), &[]).await;
    let desk = &door.desk;
    let tenant = desk.tenant("t").await;
    let (group, theirs) = (desk.group(&root(), "rtmp").await, desk.group(&tenant, "rtmp").await);
    let (stream, alien) = (desk.pushed(&root(), &group).await, desk.pushed(&tenant, &theirs).await);
    let answer = desk.root("DescribePlayUrls", &[("Id", &format!("{stream},99")), ("Expire", "60")]).await.ok();
    assert_eq!(answer["ExpireTime"], super::NOW + 60);
    let row = &answer["Results"][0];
    for (field, protocol) in
        [("RtmpUrl", "rtmp"), ("FlvUrl", "flv"), ("FlvUrl", "ws-flv"), ("HlsUrl", "hls"), ("WhepUrl", "webrtc"), ("SnapshotUrl", "jpg")]
    {
        let url = text(&row[field]);
        assert_eq!(door.play(protocol, &url).await, Ok(()), "{url}");
        assert!(door.play(protocol, &url.replace(&stream, &alien)).await.is_err(), "{url}");
    }
    // One that does not exist spoils none of the others; another tenant's does not exist.
    assert!(text(&answer["Results"][1]["Error"]).contains("99"), "{answer}");
    let answer = desk.call(&tenant, "DescribePlayUrls", &[("Id", &stream)]).await.ok();
    assert!(answer["Results"][0]["Error"].is_string() && answer["Results"][0].get("FlvUrl").is_none(), "{answer}");
    // What the group does not allow is not offered.
    desk.root("ModifyGroup", &[("Id", &group), ("OutProtocol", "hls")]).await.ok();
    let answer = desk.root("DescribePlayUrls", &[("Id", &stream)]).await.ok();
    assert!(answer["Results"][0].get("FlvUrl").is_none() && answer["Results"][0]["HlsUrl"].is_string(), "{answer}");
    // What devices recorded: both ends, in order, and of devices only.
    for wrong in [&[("StartTime", "5")][..], &[("EndTime", "5")], &[("StartTime", "5"), ("EndTime", "5")]] {
        let pairs = [&[("Id", stream.as_str())], wrong].concat();
        assert_eq!(desk.root("DescribePlayUrls", &pairs).await.status, 400);
    }
    let pairs = [("Id", stream.as_str()), ("StartTime", "5"), ("EndTime", "9")];
    assert!(desk.root("DescribePlayUrls", &pairs).await.ok()["Results"][0]["Error"].is_string());
}

#[tokio::test]
async fn the_overview_counts_what_the_caller_sees() {
    let desk = Desk::new().await;
    let tenant = desk.tenant("t").await;
    let (ours, theirs) = (desk.group(&root(), "rtmp").await, desk.group(&tenant, "rtmp").await);
    let gb = desk.group(&tenant, "gb28181").await;
    desk.camera(&tenant, &gb).await;
    let (one, two) = (desk.pushed(&root(), &ours).await, desk.pushed(&tenant, &theirs).await);
    desk.media.publish(&format!("live/{one}"));
    desk.media.publish(&format!("live/{two}"));
    let count = |answer: &serde_json::Value| {
        ["GroupNum", "DeviceNum", "OnlineDeviceNum", "StreamNum", "ViewerNum", "InBps", "OutBps", "AlarmNum"]
            .map(|name| answer[name].as_u64().unwrap())
    };
    // Each live stream of the stage has 2 viewers and 1 Mbit/s.
    assert_eq!(count(&desk.root("DescribeOverview", &[]).await.ok()), [3, 1, 0, 3, 4, 2_000_000, 4_000_000, 0]);
    assert_eq!(count(&desk.call(&tenant, "DescribeOverview", &[]).await.ok()), [2, 1, 0, 2, 2, 1_000_000, 2_000_000, 0]);

    desk.call(&tenant, "DescribeTenants", &[]).await.refused(403, "Forbidden");
    let tenants = desk.root("DescribeTenants", &[("PageSize", "100")]).await.ok();
    let row = tenants["Tenants"].as_array().unwrap().iter().find(|row| row["UserId"] == "t").unwrap().clone();
    assert_eq!((&row["Status"], &row["AccessKeyIds"]), (&2.into(), &serde_json::json!([tenant.id])));
    assert!(!tenants.to_string().contains(&tenant.secret));
}

#[tokio::test]
async fn groups_and_streams_decide() {
    let door = Door::new(Playback { auth: false, push_auth: false, ..Playback::default() }, &[]).await;
    let desk = &door.desk;
    let group = desk.group(&root(), "rtmp").await;
    let stream = desk.pushed(&root(), &group).await;
    let path = format!("/live/{stream}");
    let publish = async |path: &str| door.ask(Act::Publish, "rtmp", path, "").await;
    let play = async |protocol: &'static str| door.ask(Act::Play, protocol, &path, "").await;
    assert_eq!(
        (publish(&path).await, play("rtmp").await, play("flv").await, play("hls").await, play("webrtc").await),
        (Ok(()), Ok(()), Ok(()), Ok(()), Ok(()))
    );
    assert!(matches!(publish("/live/1234567").await, Err(Denied::NotFound(_))));
    assert!(matches!(publish(&format!("/other/{stream}")).await, Err(Denied::NotFound(_))));
    assert!(matches!(publish(&format!("{path}_sd")).await, Err(Denied::NotFound(_))));
    assert_eq!(door.ask(Act::Publish, "webrtc", &format!("{path}.whip"), "").await, Ok(()));
    assert!(matches!(door.ask(Act::Publish, "hls", &path, "").await, Err(Denied::Forbidden(why)) if why.contains("RTMP or WHIP")));

    // Changes are seen at once.
    desk.root("ModifyGroup", &[("Id", &group), ("OutProtocol", "hls")]).await.ok();
    assert!(matches!(play("flv").await, Err(Denied::Forbidden(why)) if why.contains("flv")));
    assert_eq!((play("hls").await, play("webrtc").await, play("jpg").await), (Ok(()), Ok(()), Ok(())));
    desk.root("ForbidVsStream", &[("Id", &stream)]).await.ok();
    assert!(matches!(publish(&path).await, Err(Denied::Forbidden(why)) if why.contains("forbidden")));
    desk.root("ResumeVsStream", &[("Id", &stream)]).await.ok();
    assert_eq!(publish(&path).await, Ok(()));
    desk.root("HaltGroup", &[("Id", &group)]).await.ok();
    assert!(publish(&path).await.is_err() && play("hls").await.is_err() && play("jpg").await.is_err());
    desk.root("EnableGroup", &[("Id", &group)]).await.ok();
    assert!(publish(&path).await.is_ok() && play("hls").await.is_ok());
    desk.root("HaltGroup", &[("Id", &group)]).await.ok();
    desk.root("DeleteGroup", &[("Id", &group)]).await.ok();
    assert!(matches!(publish(&path).await, Err(Denied::NotFound(_))));

    // What comes from a device is played, never pushed.
    let gb = desk.group(&root(), "gb28181").await;
    let (device, _, pulled) = desk.camera(&root(), &gb).await;
    let path = format!("/live/{pulled}");
    assert!(matches!(publish(&path).await, Err(Denied::Forbidden(_))));
    assert_eq!(door.ask(Act::Play, "rtmp", &path, "").await, Ok(()));
    desk.root("DeleteDevice", &[("Id", &device)]).await.ok();
    assert!(matches!(door.ask(Act::Play, "rtmp", &path, "").await, Err(Denied::NotFound(_))));
}

#[tokio::test]
async fn a_suspended_tenant_neither_pushes_nor_is_played() {
    let door = Door::new(Playback { auth: false, push_auth: false, ..Playback::default() }, &[]).await;
    let tenant = door.desk.tenant("a").await;
    let stream = door.desk.pushed(&tenant, &door.desk.group(&tenant, "rtmp").await).await;
    let path = format!("/live/{stream}");
    for (action, open) in [("SuspendMtsService", false), ("RenewMtsService", true), ("DeleteMtsService", false)] {
        door.desk.root(action, &[("UserId", "a")]).await.ok();
        assert_eq!(door.ask(Act::Publish, "rtmp", &path, "").await.is_ok(), open, "{action}");
        assert_eq!(door.ask(Act::Play, "rtmp", &path, "").await.is_ok(), open, "{action}");
    }
}

#[tokio::test]
async fn push_urls_push() {
    let door = Door::new(Playback::default(), &[]).await;
    let group = door.desk.group(&root(), "rtmp").await;
    let made = door.desk.root("CreateRtmpGroupStreamurl", &[("Id", &group), ("Name", "x")]).await.ok();
    let url = text(&made["PushUrl"]);
    let (path, query) = url.strip_prefix("rtmp://vs.example.com:1935").unwrap().split_once('?').unwrap();
    assert_eq!(door.ask(Act::Publish, "rtmp", path, query).await, Ok(()));
    assert!(matches!(door.ask(Act::Publish, "rtmp", path, "").await, Err(Denied::Forbidden(_))));
    assert!(matches!(door.ask(Act::Publish, "rtmp", path, &query.replace("4102", "5102")).await, Err(Denied::Forbidden(_))));
    // To push is not to play.
    assert!(door.ask(Act::Play, "rtmp", path, query).await.is_err());
}

#[tokio::test]
async fn outputs_play_when_there_is_a_rule_or_they_are_live() {
    let door = Door::new(Playback { auth: false, ..Playback::default() }, &[]).await;
    let desk = &door.desk;
    let stream = desk.pushed(&root(), &desk.group(&root(), "rtmp").await).await;
    let output = format!("/live/{stream}_sd");
    assert!(matches!(door.ask(Act::Play, "flv", &output, "").await, Err(Denied::NotFound(_))));
    let rules = r#"[{"Name":"sd","VideoCodec":"h264","VideoBitrate":800,"Fps":25,"Gop":50,"Height":720,"Width":1280}]"#;
    let template =
        text(&desk.root("CreateTemplate", &[("Name", "t"), ("Type", "transcode"), ("TransConfigsJSON", rules)]).await.ok()["Id"]);
    desk.root("BindTemplate", &[("TemplateId", &template), ("InstanceId", &stream), ("InstanceType", "stream")]).await.ok();
    assert_eq!(door.ask(Act::Play, "flv", &output, "").await, Ok(()));
    assert!(door.ask(Act::Play, "flv", &format!("/live/{stream}_hd"), "").await.is_err());
    // A playback that runs.
    desk.media.publish(&format!("live/{stream}_1_2"));
    assert_eq!(door.ask(Act::Play, "flv", &format!("/live/{stream}_1_2"), "").await, Ok(()));
}

#[tokio::test]
async fn playbacks_open_with_their_own_url_while_their_owner_and_group_may() {
    let door = Door::new(Playback::default(), &[]).await;
    let desk = &door.desk;
    let (tenant, other) = (desk.tenant("a").await, desk.tenant("b").await);
    let gb = desk.group(&tenant, "gb28181").await;
    let (_, _, stream) = desk.camera(&tenant, &gb).await;
    let url = async |by: &super::Signer, from: &str| {
        let range = [("StartTime", from), ("EndTime", "200")];
        let pairs = [("Id", stream.as_str()), ("AuthKey", "play-key"), ("OutProtocol", "flv"), ("Type", "vod"), range[0], range[1]];
        desk.call(by, "DescribeStreamURL", &pairs).await
    };
    url(&other, "100").await.refused(404, "ResourceNotFound.Stream");
    let (one, two) = (text(&url(&tenant, "100").await.ok()["Url"]), text(&url(&tenant, "150").await.ok()["Url"]));
    assert!(one.contains(&format!("/live/{stream}_100_200.flv")), "{one}");
    // It plays once the device sends.
    assert!(matches!(door.play("flv", &one).await, Err(Denied::NotFound(_))));
    desk.media.publish(&format!("live/{stream}_100_200"));
    desk.media.publish(&format!("live/{stream}_150_200"));
    for protocol in ["flv", "ws-flv"] {
        assert_eq!((door.play(protocol, &one).await, door.play(protocol, &two).await), (Ok(()), Ok(())));
    }
    // The signature is for this stretch: neither another one nor the live stream opens with it, nor another way to play.
    for altered in [one.replace("_100_", "_150_"), one.replace("_100_200", ""), one.replace("auth_key", "key")] {
        assert!(matches!(door.play("flv", &altered).await, Err(Denied::Forbidden(_))), "{altered}");
    }
    assert!(matches!(door.play("hls", &one.replace(".flv", ".m3u8")).await, Err(Denied::Forbidden(_))));
    // What the group allows, and whether it and its owner may, counts for playbacks as well.
    desk.call(&tenant, "ModifyGroup", &[("Id", &gb), ("OutProtocol", "hls")]).await.ok();
    assert!(matches!(door.play("flv", &one).await, Err(Denied::Forbidden(why)) if why.contains("flv")));
    desk.call(&tenant, "ModifyGroup", &[("Id", &gb), ("OutProtocol", "flv")]).await.ok();
    desk.call(&tenant, "HaltGroup", &[("Id", &gb)]).await.ok();
    assert!(matches!(door.play("flv", &one).await, Err(Denied::Forbidden(why)) if why.contains("halted")));
    desk.call(&tenant, "EnableGroup", &[("Id", &gb)]).await.ok();
    assert_eq!(door.play("flv", &one).await, Ok(()));
    desk.root("SuspendMtsService", &[("UserId", "a")]).await.ok();
    assert!(matches!(door.play("flv", &one).await, Err(Denied::Forbidden(_))));
    desk.root("RenewMtsService", &[("UserId", "a")]).await.ok();
    assert_eq!(door.play("flv", &one).await, Ok(()));
    // Nobody pushes under such a name.
    let (path, query) = one.strip_prefix("http://vs.example.com:8080").unwrap().split_once('?').unwrap();
    assert!(door.ask(Act::Publish, "rtmp", path.trim_end_matches(".flv"), query).await.is_err());
    desk.clock.advance(std::time::Duration::from_secs(3600));
    assert!(matches!(door.play("flv", &one).await, Err(Denied::Forbidden(why)) if why.contains("expired")));
}

#[tokio::test]
async fn the_open_list_holds_where_no_group_has_the_application() {
    let door = Door::new(Playback::default(), &["*"]).await;
    assert_eq!(door.ask(Act::Publish, "rtmp", "/live/anything", "").await, Ok(()));
    // Where the server answers itself nothing could be played.
    door.desk.api.book().take(["past"].into());
    assert!(matches!(door.ask(Act::Publish, "rtmp", "/past/anything", "").await, Err(Denied::Forbidden(why)) if why.contains("/past")));
    door.desk.group(&root(), "rtmp").await;
    assert!(door.ask(Act::Publish, "rtmp", "/live/anything", "").await.is_err());
    assert_eq!(door.ask(Act::Play, "flv", "/free/anything.flv", "").await, Ok(()));
}
