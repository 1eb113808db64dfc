//! The bodies of GB/T 28181 messages.

use crate::proto::gb28181::localtime::Zone;
use crate::proto::gb28181::manscdp::{self, Body};
use crate::proto::gb28181::{charset, mansrtsp, ptz, sdp};

/// XML in any charset, and everything that is read out of it.
pub(super) fn manscdp(data: &[u8]) {
    let Ok(body) = Body::parse(data) else { return };
    let zone = Zone::default();
    let _ = (body.is_ok(), body.is_cut(), body.sum());
    for name in ["DeviceList", "RecordList", "PresetList"] {
        for element in body.list(name).1 {
            let _ = manscdp::Item::read(element);
            let _ = manscdp::Record::read(element, zone);
        }
    }
    let _ = manscdp::DeviceInfo::read(&body);
    let _ = manscdp::DeviceStatus::read(&body);
    let _ = manscdp::Alarm::read(&body, zone);
    let _ = manscdp::Control::read(&body);
    let _ = manscdp::Query::read(&body, zone);
    let _ = manscdp::positions(&body, zone);
    let _ = manscdp::presets(&body);
    let _ = manscdp::faulty(&body);
}

/// Session descriptions; what we write says the same.
pub(super) fn sdp(data: &[u8]) {
    let Some(description) = sdp::Description::parse(data) else { return };
    let again = sdp::Description::parse(description.write().as_bytes()).expect("what we write can be read");
    let gist = |d: &sdp::Description| (d.port, d.ssrc, d.audio, d.carriage, d.direction, d.formats.clone());
    assert_eq!(gist(&again), gist(&description));
}

/// Playback control, and the eight bytes of pan, tilt and zoom.
pub(super) fn mansrtsp(data: &[u8]) {
    let text = charset::decode(data);
    let _ = mansrtsp::Command::parse(&text);
    let _ = mansrtsp::Reply::parse(&text);
    if let Some(command) = ptz::Command::decode(&text) {
        assert!(ptz::Command::decode(&command.encode()).is_some());
    }
}
