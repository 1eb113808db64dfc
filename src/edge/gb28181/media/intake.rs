//! From packets to frames for one call: order, demux, publish. Runs in whichever reader the packet came to.

use super::codec::Codec;
use super::settings::Settings;
use crate::base::error::End;
use crate::container::ps;
use crate::media::frame::Kind;
use crate::media::nal::Family;
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::proto::rtp::nal_depack::Depacketizer;
use crate::proto::rtp::{Arrival, Counts, Packet, Receiver, Window, rtcp};
use crate::stream::{Publisher, Raw};
use bytes::Bytes;
use std::time::Duration;

const G711_RATE: u32 = 8_000;

/// Receives one call's packets. Frames go where [`Outlet`] leads.
pub struct Intake {
    options: ps::Options,
    payloads: Vec<(u8, Codec)>,
    receiver: Receiver,
    lines: Vec<Line>,
    /// Frames of each kind that went out.
    frames: u64,
    key_frames: u64,
    damaged: u64,
    unsupported: u64,
}

/// Where frames go: opens the stream when the first track is known.
pub trait Outlet {
    /// The publisher; an error ends the call.
    fn publisher(&mut self) -> Result<&mut Publisher, End>;
}

/// One payload type of the call.
struct Line {
    payload_type: u8,
    codec: Codec,
    pipe: Pipe,
}

enum Pipe {
    Ps(Box<ps::Demuxer>),
    Nal(Box<Depacketizer>, Box<Follow>),
    G711 { codec: AudioCodec, announced: bool },
    Refused,
}

impl Intake {
    /// More payload types than any call uses.
    const LINES: usize = 4;

    /// For a call over a transport that keeps the order, or not.
    pub fn new(settings: &Settings, payloads: Vec<(u8, Codec)>, ordered: bool, first: &Packet<'_>) -> Intake {
        let window = match ordered {
            true => Window::ORDERED,
            false => Window { packets: settings.reorder_packets.max(1), patience: settings.reorder.0 },
        };
        let clock = codec(&payloads, first.payload_type, first.payload).clock();
        Intake {
            options: ps::Options { damaged: settings.damaged, max_frame: settings.max_frame.bytes() },
            payloads,
            receiver: Receiver::new(clock, window),
            lines: Vec::new(),
            frames: 0,
            key_frames: 0,
            damaged: 0,
            unsupported: 0,
        }
    }

    /// Takes a packet.
    pub fn packet(&mut self, now: Timestamp, packet: &Packet<'_>, out: &mut dyn Outlet) -> Result<(), End> {
        if let Some(arrival) = self.receiver.handle(now, packet) {
            self.deliver(&arrival, out)?;
        }
        self.poll(now, out)
    }

    /// Gives up packets that are missing for too long.
    pub fn poll(&mut self, now: Timestamp, out: &mut dyn Outlet) -> Result<(), End> {
        if self.receiver.is_empty() {
            return Ok(());
        }
        let mut receiver = std::mem::replace(&mut self.receiver, Receiver::new(1, Window::ORDERED));
        let mut done = Ok(());
        while let (Ok(()), Some(arrival)) = (&done, receiver.poll(now)) {
            done = self.deliver(&arrival, out);
        }
        self.receiver = receiver;
        done
    }

    /// The call is over: what was held back and collected goes out.
    pub fn finish(&mut self, out: &mut dyn Outlet) -> Result<(), End> {
        self.receiver.finish();
        self.poll(Timestamp::ZERO, out)?;
        for at in 0..self.lines.len() {
            match &mut self.lines[at].pipe {
                Pipe::Ps(demuxer) => demuxer.finish(),
                Pipe::Nal(depacketizer, _) => depacketizer.finish(),
                Pipe::G711 { .. } | Pipe::Refused => {}
            }
            self.drain(at, out)?;
        }
        Ok(())
    }

    /// What the receiver counted.
    pub fn counts(&self) -> &Counts {
        self.receiver.counts()
    }

    /// The SSRC that is received.
    pub fn ssrc(&self) -> Option<u32> {
        self.receiver.ssrc()
    }

    /// When the last packet came.
    pub fn last_arrival(&self) -> Option<Timestamp> {
        self.receiver.last_arrival()
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        self.receiver.jitter()
    }

    /// Frames that went out, key frames among them.
    pub fn frames(&self) -> (u64, u64) {
        (self.frames, self.key_frames)
    }

    /// Frames with missing packets.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Packets of payloads that are not supported.
    pub fn unsupported(&self) -> u64 {
        self.unsupported
    }

    /// The payload types that came, and what they are.
    pub fn codecs(&self) -> Vec<(u8, Codec)> {
        self.lines.iter().map(|line| (line.payload_type, line.codec)).collect()
    }

    /// What the demuxer found, if the call is a program stream.
    pub fn findings(&self) -> Option<&ps::Findings> {
        self.lines.iter().find_map(|line| if let Pipe::Ps(demuxer) = &line.pipe { Some(demuxer.findings()) } else { None })
    }

    /// Notes a sender report.
    pub fn sender_report(&mut self, now: Timestamp, report: &rtcp::SenderReport) {
        self.receiver.sender_report(now, report);
    }

    /// The receiver report that is due.
    pub fn report(&mut self, now: Timestamp) -> Option<rtcp::ReportBlock> {
        self.receiver.report(now)
    }

    fn deliver(&mut self, arrival: &Arrival<'_>, out: &mut dyn Outlet) -> Result<(), End> {
        let at = match self.lines.iter().position(|line| line.payload_type == arrival.payload_type) {
            Some(at) => at,
            None if self.lines.len() < Self::LINES && !arrival.payload.is_empty() => self.open(arrival),
            None => {
                self.unsupported += 1;
                return Ok(());
            }
        };
        match &mut self.lines[at].pipe {
            Pipe::Ps(demuxer) => demuxer.push(ps::Input {
                payload: arrival.payload,
                timestamp: Some(arrival.timestamp),
                marker: arrival.marker,
                lost: arrival.lost > 0 || arrival.fresh,
            }),
            Pipe::Nal(depacketizer, _) => depacketizer.push(arrival),
            Pipe::G711 { codec, announced } => {
                let publisher = out.publisher()?;
                if !std::mem::replace(announced, true) {
                    let codec = codec.clone();
                    publisher.set_track(Track::Audio(AudioTrack { codec, sample_rate: G711_RATE, channels: 1 }));
                }
                let pts = Timestamp::from_ticks(arrival.timestamp, G711_RATE);
                let data = Bytes::copy_from_slice(arrival.payload);
                publisher.push(Raw { kind: Kind::Audio, dts: Some(pts), pts, key: true, data });
                self.frames += 1;
                return Ok(());
            }
            Pipe::Refused => {
                self.unsupported += 1;
                return Ok(());
            }
        }
        self.drain(at, out)
    }

    fn open(&mut self, arrival: &Arrival<'_>) -> usize {
        let codec = codec(&self.payloads, arrival.payload_type, arrival.payload);
        let nal = |family| {
            let depacketizer = Depacketizer::new(family, self.options.max_frame);
            Pipe::Nal(Box::new(depacketizer), Box::new(Follow::new(family)))
        };
        let pipe = match codec {
            Codec::Ps => Pipe::Ps(Box::new(ps::Demuxer::new(self.options.clone()))),
            Codec::H264 => nal(Family::H264),
            Codec::H265 => nal(Family::H265),
            Codec::Pcma => Pipe::G711 { codec: AudioCodec::G711A, announced: false },
            Codec::Pcmu => Pipe::G711 { codec: AudioCodec::G711U, announced: false },
            Codec::Ts | Codec::Other => Pipe::Refused,
        };
        self.lines.push(Line { payload_type: arrival.payload_type, codec, pipe });
        self.lines.len() - 1
    }

    /// Hands on what a pipe has ready.
    fn drain(&mut self, at: usize, out: &mut dyn Outlet) -> Result<(), End> {
        match &mut self.lines[at].pipe {
            Pipe::Ps(demuxer) => {
                while let Some(item) = demuxer.pull() {
                    match item {
                        ps::Item::Track(track) => out.publisher()?.set_track(track),
                        ps::Item::Frame(frame) => {
                            self.frames += 1;
                            self.key_frames += u64::from(frame.key && frame.kind == Kind::Video);
                            let ps::Frame { kind, dts, pts, key, data } = frame;
                            out.publisher()?.push(Raw { kind, dts, pts, key, data });
                        }
                        ps::Item::Damaged => self.damaged += 1,
                        ps::Item::Refused(_) => self.unsupported += 1,
                    }
                }
            }
            Pipe::Nal(depacketizer, follow) => {
                while let Some(unit) = depacketizer.pull() {
                    if unit.damaged {
                        self.damaged += 1;
                        if self.options.damaged != ps::Damaged::Keep {
                            continue;
                        }
                    }
                    // Sets that make no sense leave those that were.
                    if let Ok(Some(track)) = follow.take(&unit.access.sets) {
                        out.publisher()?.set_track(Track::Video(track));
                    }
                    if follow.track().is_none() || unit.access.data.is_empty() {
                        continue;
                    }
                    self.frames += 1;
                    self.key_frames += u64::from(unit.access.key);
                    let pts = Timestamp::from_ticks(unit.timestamp, 90_000);
                    let (key, data) = (unit.access.key, unit.access.data);
                    out.publisher()?.push(Raw { kind: Kind::Video, dts: None, pts, key, data });
                }
            }
            Pipe::G711 { .. } | Pipe::Refused => {}
        }
        Ok(())
    }
}

/// What the bytes show, else what the SDP said, else what is usual.
fn codec(payloads: &[(u8, Codec)], payload_type: u8, payload: &[u8]) -> Codec {
    let said = payloads.iter().find(|(number, _)| *number == payload_type).map(|(_, codec)| *codec);
    Codec::seen(payload).or(said).unwrap_or(Codec::usual(payload_type))
}
