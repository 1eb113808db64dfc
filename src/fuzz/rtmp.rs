//! RTMP, AMF and FLV: what publishers, players and origins send.

use super::pieces;
use crate::base::amf0;
use crate::container::flv::{self, Hevc, Item};
use crate::container::ts;
use crate::media::nal;
use crate::media::track::{Track, Tracks, VideoCodec};
use crate::proto::rtmp::chunk::{self, Limits};
use crate::proto::rtmp::handshake::Handshake;
use crate::proto::rtmp::{Client, ClientEvent, Event, Message, Refusal, Role, Server, Url, message};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// No message of a test is longer.
const LIMITS: Limits = Limits { message: 1 << 20, streams: 16, partial: 4 << 20 };

/// AMF values; what is written reads back as what was written.
pub(super) fn amf(data: &[u8]) {
    let Ok(values) = amf0::decode(data) else { return };
    let written = amf0::encode(&values);
    let again = amf0::decode(&written).expect("what we write can be read");
    assert_eq!(amf0::encode(&again), written);
}

/// The handshake of either side.
pub(super) fn handshake(data: &[u8]) {
    let mut out = BytesMut::new();
    for mut handshake in [Handshake::server(1), Handshake::client(1, &mut BytesMut::new())] {
        for mut piece in pieces(data) {
            while !piece.is_empty() {
                let before = piece.len();
                match handshake.read(&mut piece, &mut out) {
                    Ok(true) | Err(_) => break,
                    Ok(false) => assert!(piece.len() < before, "bytes are taken or the handshake ends"),
                }
            }
        }
    }
    assert!(out.len() < 16 << 10);
}

/// Chunks; each message, written by us, reads back.
pub(super) fn chunk(data: &[u8]) {
    let mut reader = chunk::Reader::new(LIMITS);
    for mut piece in pieces(data) {
        loop {
            match reader.read(&mut piece) {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(message)) => rewrite(&message),
            }
        }
    }
}

fn rewrite(message: &Message) {
    assert!(message.data.len() <= LIMITS.message);
    let head = chunk::Head { kind: message.kind, timestamp: message.timestamp, stream: message.stream };
    let written = chunk::whole(chunk::SIZE_DEFAULT, 6, head, &message.data);
    assert_eq!(written.len(), chunk::written(chunk::SIZE_DEFAULT, message.timestamp, message.data.len()));
    // control messages change the reader
    if message.kind > message::kind::BANDWIDTH && !message.data.is_empty() {
        let again = chunk::Reader::new(LIMITS).read(&mut &written[..]);
        assert_eq!(again.expect("our own chunks are whole").as_ref(), Some(message));
    }
}

/// A server's session: the handshake is done for the fuzzer, then its bytes are the client's.
pub(super) fn server(data: &[u8]) {
    let mut server = Server::new(1);
    let hello = [&[3u8][..], &[0; 2 * 1536]].concat();
    let _ = server.next(&mut &hello[..]);
    let accept = data.first().is_some_and(|first| first & 1 == 0);
    let mut demuxer = flv::Demuxer::new();
    for mut piece in pieces(data) {
        loop {
            match server.next(&mut piece) {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(Event::Publish(_))) if accept => server.start_publish(LIMITS),
                Ok(Some(Event::Play(_))) if accept => server.start_play(),
                Ok(Some(Event::Publish(_) | Event::Play(_))) => server.refuse(Refusal::Denied, "no"),
                Ok(Some(Event::Media(message))) => {
                    let _ = demuxer.push(message.kind, message.timestamp, &message.data);
                    while demuxer.pull().is_some() {}
                }
                Ok(Some(_)) => {}
            }
            assert!(server.output().len() < 1 << 20, "answers are bounded");
        }
    }
}

/// A client's session: the bytes are the server's, the handshake included.
pub(super) fn client(data: &[u8]) {
    let Ok(url) = Url::parse("rtmp://example.net/live/a?key=1") else { return };
    let role = if data.first().is_some_and(|first| first & 1 == 0) { Role::Play } else { Role::Publish };
    let mut client = Client::new(url, role, LIMITS, 1);
    client.output();
    let hello = [&[3u8][..], &[0; 2 * 1536]].concat();
    let _ = client.next(&mut &hello[..]);
    for mut piece in pieces(data) {
        loop {
            match client.next(&mut piece) {
                Err(_) | Ok(Some(ClientEvent::Ended)) => return,
                Ok(None) => break,
                Ok(Some(_)) => {}
            }
            assert!(client.output().len() < 1 << 20, "answers are bounded");
        }
    }
}

/// An FLV file in pieces; its frames are canonical, and survive the way through our own muxers.
pub(super) fn flv(data: &[u8]) {
    let mut reader = flv::Reader::new(1 << 20);
    let mut demuxer = flv::Demuxer::new();
    let mut tracks = Tracks::default();
    let mut ts = ts::Muxer::new();
    for mut piece in pieces(data) {
        loop {
            let tag = match reader.read(&mut piece) {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(tag)) => tag,
            };
            let _ = demuxer.push(tag.kind, tag.timestamp, &tag.data);
            while let Some(item) = demuxer.pull() {
                match item {
                    Item::Track(Track::Video(track)) => tracks.video = Some(Arc::new(track)),
                    Item::Track(Track::Audio(track)) => tracks.audio = Some(Arc::new(track)),
                    Item::Frame(frame) => {
                        canonical(&frame, &tracks);
                        for hevc in [Hevc::Enhanced, Hevc::Legacy] {
                            let tag = flv::mux::frame_tag(&frame, &tracks, hevc);
                            let _ = flv::mux::start(&tracks, 0, hevc);
                            assert!(tag.len() <= frame.data.len() + 32);
                        }
                        let carried = ts::carried(&tracks);
                        let mut out = BytesMut::new();
                        ts.tables(&carried, &mut out);
                        ts.frame(&frame, &carried, &mut out);
                        ts.flush(&mut out);
                        assert!(out.len().is_multiple_of(ts::PACKET));
                    }
                }
            }
        }
    }
}

/// Every length in a video frame fits.
pub(super) fn canonical(frame: &crate::media::frame::Frame, tracks: &Tracks) {
    use crate::media::frame::Kind;
    let track = tracks.video.as_ref().filter(|_| frame.kind == Kind::Video);
    if let Some(VideoCodec::H264 { .. } | VideoCodec::H265 { .. }) = track.map(|track| &track.codec) {
        let length: usize = nal::units(&frame.data).map(|nal| nal.len() + 4).sum();
        assert_eq!(length, frame.data.len(), "{:?}", Bytes::copy_from_slice(&frame.data));
    }
}
