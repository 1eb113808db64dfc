//! Questions and answers.

use super::*;
use crate::proto::gb28181::Version;
use crate::proto::gb28181::catalog::End;
use crate::proto::gb28181::manscdp::{Body, Cmd, Control, DeviceInfo, Item, Query, RecordQuery, Root, document};
use crate::proto::gb28181::ptz;
use crate::proto::sip::fixtures;

fn online() -> (World, Path) {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    (w, path)
}

/// Asks, takes the MESSAGE and lets the device say 200; gives the number.
fn ask(w: &mut World, path: Path, target: &str, query: &Query) -> (QueryId, u32) {
    let question = w.server.query(w.now, &key(), id(target), query).unwrap();
    w.drain();
    let request = w.request(Method::Message);
    assert_eq!(request.uri, format!("sip:{target}@198.51.100.8:5060"));
    let body = Body::parse(&request.body).unwrap();
    assert_eq!(body.cmd, query.cmd());
    w.take(path, ok(&request));
    (question, body.sn)
}

fn part(sn: u32, sum: usize, range: std::ops::Range<usize>) -> bytes::Bytes {
    let mut doc = document(Version::V2016, Root::Response, &Cmd::Catalog, sn, NVR);
    doc.field("SumNum", sum);
    if !range.is_empty() {
        doc.list("DeviceList", range.len());
        for n in range {
            let item = Item { id: Id::new(&format!("34020000001310{n:06}")), name: format!("门 {n}"), online: true, ..Item::default() };
            item.write(Version::V2016, &mut doc);
        }
    }
    manscdp::bytes(doc)
}

fn send(w: &mut World, path: Path, body: impl Into<bytes::Bytes>) {
    let request = w.body(NVR, body);
    w.take(path, request);
    assert_eq!(w.response().status, 200);
}

#[test]
fn a_catalog_in_parts_doubled_and_out_of_order() {
    let (mut w, path) = online();
    let (query, sn) = ask(&mut w, path, NVR, &Query::Catalog);
    for range in [4..6, 0..2, 0..2, 2..4] {
        send(&mut w, path, part(sn, 6, range));
    }
    w.wait(secs(1));
    let mut names = Vec::new();
    while let Some(Event::Items { items, query: of, .. }) = w.events.pop_front_if(|event| matches!(event, Event::Items { .. })) {
        assert_eq!(of, query);
        names.extend(items.into_iter().map(|item| item.name));
    }
    assert_eq!(names, ["门 4", "门 5", "门 0", "门 1", "门 2", "门 3"]);
    assert_eq!(w.event(), Event::Answered { query, device: key(), answer: Ok(Answer::Catalog { end: End::Complete, items: 6 }) });
    // a part that comes after the end is news all the same
    send(&mut w, path, part(sn, 7, 6..7));
    assert!(matches!(w.event(), Event::Changes { items, .. } if items.len() == 1));
    w.wait(secs(300));
    assert_eq!(w.server.open_queries(), 0);
}

#[test]
fn the_sheets_catalog_over_the_wire() {
    let (mut w, path) = online();
    let (query, sn) = ask(&mut w, path, NVR, &Query::Catalog);
    for name in ["13_catalog_part1", "14_catalog_part2"] {
        let body = fixtures::request(name).body;
        let body = String::from_utf8_lossy(&body).replace("<SN>301</SN>", &format!("<SN>{sn}</SN>"));
        send(&mut w, path, body.into_bytes());
    }
    w.wait(secs(1));
    assert!(
        matches!(w.events.pop_back(), Some(Event::Answered { query: q, answer: Ok(Answer::Catalog { end: End::Complete, items: 3 }), .. }) if q == query)
    );
}

#[test]
fn an_empty_catalog_a_short_one_and_none() {
    let (mut w, path) = online();
    for (parts, wait, expected) in [
        (vec![(0, 0..0)], 0, Ok(Answer::Catalog { end: End::Complete, items: 0 })),
        (vec![(300, 0..7)], 6, Ok(Answer::Catalog { end: End::Short, items: 7 })),
        (vec![], 121, Err(Unanswered::Timeout)),
    ] {
        let (query, sn) = ask(&mut w, path, NVR, &Query::Catalog);
        for (sum, range) in parts {
            send(&mut w, path, part(sn, sum, range));
        }
        w.wait(secs(wait));
        let answered = w.events.pop_back().unwrap();
        assert_eq!(answered, Event::Answered { query, device: key(), answer: expected });
        w.keepalive(path, NVR);
        w.clear();
    }
}

#[test]
fn a_hundred_thousand_channels() {
    let (mut w, path) = online();
    let (_, sn) = ask(&mut w, path, NVR, &Query::Catalog);
    let mut items = 0;
    for n in 0..10 {
        send(&mut w, path, part(sn, 100_000, n * 10_000..(n + 1) * 10_000));
        w.wait(Duration::from_millis(10));
        let Event::Items { items: fresh, .. } = w.event() else { panic!() };
        items += fresh.len();
    }
    w.wait(secs(1));
    assert_eq!(items, 100_000);
    assert!(matches!(w.event(), Event::Answered { answer: Ok(Answer::Catalog { end: End::Complete, items: 100_000 }), .. }));
}

#[test]
fn answers_with_a_wrong_number_go_to_the_only_question_of_their_kind() {
    let (mut w, path) = online();
    let (query, _) = ask(&mut w, path, NVR, &Query::DeviceInfo);
    let info = DeviceInfo { name: "Recorder".into(), ..DeviceInfo::default() };
    // number 0 and another DeviceID
    send(&mut w, path, info.write(Version::V2016, 0, CHANNEL));
    let Event::Answered { query: of, answer: Ok(Answer::Info(found)), .. } = w.event() else { panic!() };
    assert_eq!((of, found.name.as_str()), (query, "Recorder"));
    // two of a kind: only the number tells
    let (first, sn) = ask(&mut w, path, NVR, &Query::DeviceInfo);
    ask(&mut w, path, CHANNEL, &Query::DeviceInfo);
    send(&mut w, path, info.write(Version::V2016, 0, NVR));
    assert!(matches!(w.event(), Event::Unknown { .. }));
    send(&mut w, path, info.write(Version::V2016, sn, NVR));
    assert!(matches!(w.event(), Event::Answered { query: of, .. } if of == first));
}

#[test]
fn an_answer_signed_by_a_channel_is_known_by_its_way() {
    let (mut w, path) = online();
    let (query, sn) = ask(&mut w, path, NVR, &Query::DeviceInfo);
    let request = w.body(CHANNEL, DeviceInfo::default().write(Version::V2016, sn, CHANNEL));
    w.take(path, request);
    assert_eq!(w.response().status, 200);
    assert!(matches!(w.event(), Event::Answered { query: of, answer: Ok(_), .. } if of == query));
}

#[test]
fn recordings_with_pauses_between_parts() {
    let (mut w, path) = online();
    let range = RecordQuery { start: 1_740_758_400_000, end: 1_740_801_600_000, kind: String::new() };
    let (query, sn) = ask(&mut w, path, CHANNEL, &Query::RecordInfo(range));
    let part = |n: u32| {
        format!(
            "<Response><CmdType>RecordInfo</CmdType><SN>{sn}</SN><SumNum>2</SumNum><RecordList Num=\"1\"><Item><DeviceID>{CHANNEL}</DeviceID>\
             <StartTime>2025-03-01T0{n}:00:00</StartTime><EndTime>2025-03-01T0{n}:30:00</EndTime></Item></RecordList></Response>"
        )
    };
    send(&mut w, path, part(1));
    w.wait(secs(7));
    send(&mut w, path, part(2));
    w.wait(secs(1));
    assert!(matches!(w.event(), Event::Records { records, .. } if records.len() == 1));
    assert!(matches!(w.event(), Event::Records { .. }));
    assert_eq!(w.event(), Event::Answered { query, device: key(), answer: Ok(Answer::Records { end: End::Complete, records: 2 }) });
}

#[test]
fn configuration_comes_in_one_answer_for_each_kind() {
    let (mut w, path) = online();
    let (query, sn) = ask(&mut w, path, NVR, &Query::ConfigDownload("BasicParam/OSDConfig".into()));
    let body = |inner: &str| format!("<Response><CmdType>ConfigDownload</CmdType><SN>{sn}</SN><Result>OK</Result>{inner}</Response>");
    send(&mut w, path, body("<BasicParam><Name>IPC 1</Name><HeartBeatInterval>60</HeartBeatInterval></BasicParam>"));
    w.quiet();
    send(&mut w, path, body("<OSDCfg><Length>704</Length></OSDCfg>"));
    let Event::Answered { query: of, answer: Ok(Answer::Config(found)), .. } = w.event() else { panic!() };
    assert_eq!(of, query);
    assert!(
        found.contains(&("BasicParam.HeartBeatInterval".into(), "60".into())) && found.contains(&("OSDCfg.Length".into(), "704".into()))
    );
}

#[test]
fn several_types_in_one_answer_and_one_that_is_refused() {
    let (mut w, path) = online();
    let kinds = "BasicParam/VideoParamOpt/SVACEncodeConfig";
    let (query, sn) = ask(&mut w, path, NVR, &Query::ConfigDownload(kinds.into()));
    let both = "<BasicParam><Name>IPC 1</Name></BasicParam><VideoParamOpt><DownloadSpeed>1/2/4</DownloadSpeed></VideoParamOpt>";
    send(&mut w, path, format!("<Response><CmdType>ConfigDownload</CmdType><SN>{sn}</SN><Result>OK</Result>{both}</Response>"));
    w.quiet();
    send(&mut w, path, manscdp::result(Version::V2016, &Cmd::ConfigDownload, sn, NVR, false));
    let Event::Answered { query: of, answer: Ok(Answer::Config(found)), .. } = w.event() else { panic!() };
    assert_eq!(of, query);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["BasicParam.Name", "VideoParamOpt.DownloadSpeed"]);
    // what came counts, though one type never does
    let (_, sn) = ask(&mut w, path, NVR, &Query::ConfigDownload("BasicParam/OSDConfig".into()));
    send(
        &mut w,
        path,
        format!("<Response><CmdType>ConfigDownload</CmdType><SN>{sn}</SN><BasicParam><Name>IPC 1</Name></BasicParam></Response>"),
    );
    w.quiet();
    w.wait(secs(11));
    let Event::Answered { answer: Ok(Answer::Config(found)), .. } = w.event() else { panic!() };
    assert_eq!(found, [("BasicParam.Name".to_owned(), "IPC 1".to_owned())]);
}

#[test]
fn refused_failed_silent_gone() {
    let (mut w, path) = online();
    let result = |w: &mut World| match w.events.pop_front() {
        Some(Event::Answered { answer, .. }) => answer,
        other => panic!("{other:?}"),
    };
    w.server.query(w.now, &key(), id(NVR), &Query::DeviceInfo).unwrap();
    w.drain();
    let request = w.request(Method::Message);
    w.take(path, reply(&request, 488));
    assert_eq!(result(&mut w), Err(Unanswered::Refused(488)));

    let (_, sn) = ask(&mut w, path, NVR, &Query::DeviceInfo);
    send(&mut w, path, manscdp::result(Version::V2016, &Cmd::DeviceInfo, sn, NVR, false));
    assert_eq!(result(&mut w), Err(Unanswered::Failed));

    ask(&mut w, path, NVR, &Query::Presets);
    w.wait(secs(11));
    assert_eq!(result(&mut w), Err(Unanswered::Timeout));

    ask(&mut w, path, NVR, &Query::Presets);
    w.server.remove(w.now, &key());
    w.drain();
    assert_eq!(result(&mut w), Err(Unanswered::Offline));
    assert_eq!(w.server.query(w.now, &key(), id(NVR), &Query::Presets), Err(Unanswered::Offline));
    assert_eq!(w.server.open_queries(), 0);
}

#[test]
fn questions_to_one_device_are_bounded() {
    let (mut w, _) = online();
    for _ in 0..32 {
        w.server.query(w.now, &key(), id(NVR), &Query::DeviceInfo).unwrap();
    }
    assert_eq!(w.server.query(w.now, &key(), id(NVR), &Query::DeviceInfo), Err(Unanswered::Busy));
}

#[test]
fn orders_are_done_when_the_device_takes_them() {
    let (mut w, path) = online();
    let control = Control::Ptz(ptz::Command::Move { pan: 0x20, tilt: 0, zoom: 0 });
    let order = w.server.control(w.now, &key(), id(CHANNEL), &control).unwrap();
    w.drain();
    let request = w.request(Method::Message);
    assert!(String::from_utf8_lossy(&request.body).contains("<PTZCmd>A50F0101200000D6</PTZCmd>"));
    w.take(path, ok(&request));
    assert_eq!(w.event(), Event::Answered { query: order, device: key(), answer: Ok(Answer::Done) });

    // a key frame of a 2016 device: one of the two spellings is enough
    let order = w.server.control(w.now, &key(), id(CHANNEL), &Control::KeyFrame).unwrap();
    w.drain();
    let (first, second) = (w.request(Method::Message), w.request(Method::Message));
    w.take(path, reply(&first, 400));
    w.quiet();
    w.take(path, ok(&second));
    assert_eq!(w.event(), Event::Answered { query: order, device: key(), answer: Ok(Answer::Done) });
}

#[test]
fn alarms_are_answered_told_and_reset() {
    let (mut w, path) = online();
    let body = fixtures::request("40_alarm_notify").body;
    send(&mut w, path, body.clone());
    let answer = Body::parse(&w.request(Method::Message).body).unwrap();
    assert_eq!((answer.root, answer.cmd.clone(), answer.sn, answer.is_ok()), (Root::Response, Cmd::Alarm, 71, true));
    assert!(matches!(w.event(), Event::Alarm { alarm, .. } if alarm.kind == 2 && alarm.method.0 == 5));
    w.quiet();
    // method 2: silent until reset
    let body = String::from_utf8_lossy(&body).replace("<AlarmMethod>5", "<AlarmMethod>2");
    send(&mut w, path, body.into_bytes());
    w.request(Method::Message);
    let reset = Body::parse(&w.request(Method::Message).body).unwrap();
    assert_eq!(Control::read(&reset), Some(Control::ResetAlarm { method: Some(2), kind: Some(2) }));
}
