//! Bodies of the fixtures, read; what we write, read again; what hostile ones do.

use super::*;
use crate::proto::gb28181::localtime::Zone;
use crate::proto::gb28181::ptz;
use crate::proto::sip::message::Envelope;
use crate::proto::sip::{Message, fixtures};

fn body(name: &str) -> Body {
    Body::parse(&fixtures::request(name).body).unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn again(bytes: &Bytes) -> Body {
    Body::parse(bytes).unwrap()
}

#[test]
fn every_fixtures_body_is_read() {
    let mut seen = 0;
    for name in fixtures::names() {
        let Message::Request(request) = fixtures::message(&name) else { continue };
        if request.is_type(TYPE) {
            let body = Body::parse(&request.body).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!matches!(body.cmd, Cmd::Other(_)), "{name}: {:?}", body.cmd);
            assert!(body.sn > 0 && !body.is_cut(), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn catalog_items() {
    let part = body("13_catalog_part1");
    assert_eq!((part.root, part.sn, part.sum()), (Root::Response, 301, Some(3)));
    let (num, items) = part.list("DeviceList");
    let items: Vec<_> = items.filter_map(Item::read).collect();
    assert_eq!((num, items.len()), (Some(2), 2));
    let gate = &items[0];
    assert_eq!((gate.name.as_str(), gate.online, gate.ptz_type), ("东门 1", true, Some(1)));
    assert_eq!((gate.longitude, gate.streams.as_str(), gate.civil_code.as_str()), (Some(118.376), "0/1", "340200"));
    assert_eq!(gate.parents().collect::<Vec<_>>(), [id("34020000001180000001")]);
    assert!(!items[1].online);
    let (_, items) = body("51_notify_catalog")
        .list("DeviceList")
        .1
        .map(|e| Item::read(e).unwrap())
        .map(|i| (i.id, i.change))
        .next()
        .map(|x| (0, x))
        .unwrap();
    assert_eq!(items, (Some(id("34020000001310000002")), Some(Change::Off)));
}

#[test]
fn items_in_odd_shapes() {
    let read = |inner: &str| {
        let text = format!("<Response><CmdType>Catalog</CmdType><DeviceList><Item>{inner}</Item></DeviceList></Response>");
        let body = Body::parse(text.as_bytes()).unwrap();
        let (_, mut items) = body.list("DeviceList");
        items.next().and_then(Item::read)
    };
    assert_eq!(read("<Name>x</Name>"), None);
    assert_eq!(read("<DeviceID></DeviceID>"), None);
    let item =
        read("<DeviceID>1</DeviceID><Parental>65535</Parental><Status>offline</Status><CivilCode>34020000001</CivilCode><Port></Port>")
            .unwrap();
    assert_eq!((item.parental, item.online, item.civil_code.as_str(), item.port), (Some(true), false, "", None));
    let item =
        read("<DeviceID>1</DeviceID><Status>OK</Status><ParentID>1/2/ /1</ParentID><Info><BusinessGroupID>9</BusinessGroupID></Info>")
            .unwrap();
    assert_eq!((item.online, item.business_group.as_str()), (true, "9"));
    assert_eq!(item.parents().collect::<Vec<_>>(), [id("2")]);
    let item = read("<DeviceID>1</DeviceID><Longitude>999</Longitude><Latitude>abc</Latitude>").unwrap();
    assert_eq!((item.longitude, item.latitude, item.online), (None, None, true));
}

#[test]
fn items_survive_writing_in_both_editions() {
    let (_, item) = (
        0,
        Item {
            id: Some(id("34020000001310000001")),
            name: "东门 & <1>".into(),
            manufacturer: "M".into(),
            model: "X".into(),
            owner: "Owner".into(),
            civil_code: "340200".into(),
            address: "A".into(),
            parental: Some(false),
            parent_id: "34020000001180000001".into(),
            business_group: "34020000002150000001".into(),
            register_way: Some(1),
            secrecy: Some(0),
            ip: "10.0.0.1".into(),
            port: Some(80),
            online: false,
            longitude: Some(118.5),
            latitude: Some(31.25),
            ptz_type: Some(1),
            resolution: "6".into(),
            streams: "0/1".into(),
            download_speeds: "1/2/4".into(),
            ..Item::default()
        },
    );
    for version in [Version::V2016, Version::V2022] {
        let mut w = document(version, Root::Response, &Cmd::Catalog, 1, "3402");
        w.field("SumNum", 1).list("DeviceList", 1);
        item.write(version, &mut w);
        let read = again(&bytes(w));
        let mut back = read.list("DeviceList").1.next().and_then(Item::read).unwrap();
        if version == Version::V2022 {
            back.owner = "Owner".into();
        }
        assert_eq!(back, item, "{version:?}");
    }
}

#[test]
fn information_status_presets() {
    let info = DeviceInfo::read(&body("21_deviceinfo_response"));
    assert_eq!((info.name.as_str(), info.model.as_str(), info.channels), ("Recorder 1", "D-NVR", Some(16)));
    assert_eq!(DeviceInfo::read(&again(&info.write(Version::V2016, 3, "1"))), info);
    let status = DeviceStatus::read(&body("23_devicestatus_response"));
    assert!(status.online && status.working && status.encoding && !status.recording);
    assert_eq!(status.alarms, [(id("34020000001340000001"), "ONDUTY".to_owned())]);
    assert_eq!(DeviceStatus::read(&again(&status.write(Version::V2016, 3, "1"))), status);
    let list = presets(&body("29_preset_response"));
    assert_eq!(list.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect::<Vec<_>>(), [("1", "Gate"), ("2", "Yard")]);
    assert_eq!(presets(&again(&Preset::write_all(&list, Version::V2016, 1, "1"))), list);
}

#[test]
fn records() {
    let zone = Zone::default();
    let list = body("25_recordinfo_response");
    let records: Vec<_> = list.list("RecordList").1.filter_map(|item| Record::read(item, zone)).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].start, records[0].end, records[0].size), (1_740_758_400_000, 1_740_762_000_000, Some(471_859_200)));
    assert_eq!((records[1].kind.as_str(), records[1].size), ("alarm", None));
    let mut w = document(Version::V2016, Root::Response, &Cmd::RecordInfo, 1, "1");
    w.list("RecordList", 1);
    records[0].write(zone, &mut w);
    let read = again(&bytes(w));
    assert_eq!(Record::read(read.list("RecordList").1.next().unwrap(), zone).unwrap(), records[0]);
}

#[test]
fn positions_of_both_editions() {
    let zone = Zone::default();
    for (name, whose) in [("54_notify_position_2022", Some(id("34020000001310000001"))), ("55_notify_position_2016", None)] {
        let found = positions(&body(name), zone);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!((found[0].id, found[0].longitude, found[0].speed), (whose, 118.376012, Some(12.5)), "{name}");
        assert!(found[0].time.is_some());
    }
    let position = positions(&body("54_notify_position_2022"), zone).remove(0);
    let written = position.write(Version::V2022, 1, "34020000001180000001", zone);
    assert_eq!(positions(&again(&written), zone), [position]);
}

#[test]
fn alarms() {
    let zone = Zone::default();
    let alarm = Alarm::read(&body("40_alarm_notify"), zone);
    assert_eq!((alarm.priority, alarm.method, alarm.kind, alarm.sn), (2, AlarmMethod(5), 2, 71));
    assert_eq!(alarm.description, "motion");
    assert_eq!(Alarm::read(&again(&alarm.write(Version::V2016, zone)), zone), alarm);
    assert_eq!(Alarm::read(&body("57_notify_alarm"), zone).method, AlarmMethod::DEVICE);
}

#[test]
fn queries_are_the_sheets_queries() {
    let zone = Zone::default();
    let record = Query::RecordInfo(RecordQuery { start: 1_740_758_400_000, end: 1_740_801_600_000, kind: String::new() });
    for (name, query) in [
        ("12_catalog_query", Query::Catalog),
        ("20_deviceinfo_query", Query::DeviceInfo),
        ("22_devicestatus_query", Query::DeviceStatus),
        ("24_recordinfo_query", record),
        ("26_configdownload_query", Query::ConfigDownload("BasicParam/OSDConfig".into())),
        ("28_presetquery", Query::Presets),
        ("53_sub_position", Query::MobilePosition { interval: 5 }),
        ("56_sub_alarm", Query::Alarm { priorities: (1, 4), method: 0 }),
    ] {
        let theirs = body(name);
        let ours = again(&query.write(Version::V2016, theirs.sn, theirs.device.unwrap().as_str(), zone));
        assert_eq!(lines(&ours), lines(&theirs), "{name}");
        let (read, device) = Query::read(&ours, zone);
        assert_eq!(device, theirs.device);
        assert_eq!(read.cmd(), query.cmd());
    }
}

/// Every element with its text, in order.
fn lines(body: &Body) -> Vec<(String, String)> {
    fn walk(element: Element<'_>, out: &mut Vec<(String, String)>) {
        out.push((element.name().to_owned(), element.text().to_owned()));
        element.children().for_each(|child| walk(child, out));
    }
    let mut out = Vec::new();
    walk(body.root_element(), &mut out);
    out
}

#[test]
fn controls_are_the_sheets_controls() {
    for (name, version, control) in [
        ("30_ptz_right", Version::V2016, Control::Ptz(ptz::Command::Move { pan: 0x20, tilt: 0, zoom: 0 })),
        ("31_iframe_2022", Version::V2022, Control::KeyFrame),
        ("32_iframe_2016", Version::V2016, Control::KeyFrame),
        ("33_guard_set", Version::V2016, Control::Guard(true)),
        ("35_homeposition", Version::V2016, Control::HomePosition(HomePosition { enabled: true, reset_after: 60, preset: 1 })),
        ("36_resetalarm", Version::V2016, Control::ResetAlarm { method: Some(2), kind: None }),
    ] {
        let theirs = body(name);
        let mut sn = theirs.sn - 1;
        let ours = control.write(
            version,
            &mut || {
                sn += 1;
                sn
            },
            theirs.device.unwrap().as_str(),
        );
        assert_eq!(lines(&again(&ours[0])), lines(&theirs), "{name}");
        assert_eq!(Control::read(&theirs), Some(control), "{name}");
    }
    let frame = Control::KeyFrame.write(Version::V2016, &mut || 1, "1");
    assert_eq!(frame.len(), 2, "both spellings for 2016");
    let area = DragZoom { window: (1920, 1080), middle: (10, 20), sides: (30, 40) };
    let drag = Control::DragZoom { zoom_in: false, area };
    assert_eq!(Control::read(&again(&drag.write(Version::V2022, &mut || 1, "1")[0])), Some(drag));
    for control in [Control::Reboot, Control::Record(false), Control::Guard(false)] {
        assert_eq!(Control::read(&again(&control.write(Version::V2016, &mut || 1, "1")[0])), Some(control));
    }
}

#[test]
fn attribute_form_commands_and_faulty_children() {
    let body = Body::parse(b"<Notify CmdType=\"Keepalive\" SN=\"1\"><DeviceID>34020000001320000001</DeviceID><Status>OK</Status></Notify>")
        .unwrap();
    assert_eq!((body.cmd.clone(), body.sn, body.device), (Cmd::Keepalive, 1, Some(id("34020000001320000001"))));
    assert_eq!(faulty(&super::tests::body("11_keepalive_faults")), [id("34020000001310000002")]);
    assert_eq!(faulty(&again(&keepalive(Version::V2016, 1, "1", &[id("7"), id("8")]))), [id("7"), id("8")]);
}

#[test]
fn what_is_not_manscdp() {
    for bytes in [&b""[..], b"hello", b"<html><CmdType>Catalog</CmdType></html>", b"<Notify><SN>1</SN></Notify>", b"\xff\xfe\xff"] {
        assert!(Body::parse(bytes).is_err(), "{bytes:?}");
    }
    let body = Body::parse(b"<Notify><CmdType>x</CmdType><SN>-5</SN><DeviceID>a b</DeviceID></Notify>").unwrap();
    assert_eq!((body.sn, body.device, body.cmd), (0, None, Cmd::Other("x".into())));
}

#[test]
fn ten_thousand_items_a_message() {
    let mut w = document(Version::V2016, Root::Response, &Cmd::Catalog, 1, "34020000002000000002");
    w.field("SumNum", 100_000).list("DeviceList", 10_000);
    for n in 0..10_000 {
        Item { id: Id::new(&format!("34020000001310{n:06}")), name: format!("门 {n}"), online: true, ..Item::default() }
            .write(Version::V2016, &mut w);
    }
    let bytes = bytes(w);
    assert!(bytes.len() > 2 << 20, "{}", bytes.len());
    let body = Body::parse(&bytes).unwrap();
    let items: Vec<_> = body.list("DeviceList").1.filter_map(Item::read).collect();
    assert_eq!((items.len(), body.is_cut()), (10_000, false));
    assert_eq!(items[9_999].name, "门 9999");
}

proptest::proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500), which in 0usize..101, at in 0usize..2000) {
        let _ = Body::parse(&bytes);
        let name = &fixtures::names()[which];
        if let Message::Request(request) = fixtures::message(name) {
            let mut damaged = request.body.to_vec();
            if !damaged.is_empty() {
                let at = at % damaged.len();
                damaged.splice(at..at, bytes.iter().copied().take(9));
            }
            if let Ok(body) = Body::parse(&damaged) {
                let zone = Zone::default();
                let _ = (DeviceInfo::read(&body), DeviceStatus::read(&body), Alarm::read(&body, zone), positions(&body, zone));
                let _ = (Query::read(&body, zone), Control::read(&body), presets(&body), faulty(&body));
                let _ = body.list("DeviceList").1.filter_map(Item::read).count();
            }
        }
    }
}
