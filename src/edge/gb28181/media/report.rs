//! What a call found out, for lists and for the call doctor.

use super::call::{Answer, Call, State, Transport};
use super::codec::Codec;
use super::intake::Intake;
use crate::container::ps::Findings;
use crate::media::track::Tracks;
use crate::proto::rtp::Framing;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One call, as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Report {
    /// The stream.
    pub stream: String,
    /// waiting, arriving, live or ended.
    pub state: &'static str,
    /// How it ended.
    pub end: Option<String>,
    /// How the media travels.
    pub transport: Transport,
    /// The port that the device was told.
    pub port: u16,
    /// The SSRC that it was told.
    pub expected_ssrc: u32,
    /// The SSRC that it announced.
    pub answered_ssrc: Option<u32>,
    /// The SSRC that came.
    pub ssrc: Option<u32>,
    /// The address that the device registered from.
    pub device: Option<IpAddr>,
    /// The address that it announced.
    pub answered_source: Option<SocketAddr>,
    /// The address that the media came from.
    pub source: Option<SocketAddr>,
    /// Payload types that came, and what they are.
    pub payloads: Vec<(u8, Codec)>,
    /// How packets are framed on the connection.
    pub framing: Option<Framing>,
    /// How often the framing was lost.
    pub resyncs: u64,
    /// Packets that came.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Bits a second.
    pub bits_per_second: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came too late.
    pub late: u64,
    /// Packets that came in another order.
    pub reordered: u64,
    /// Times that the sequence began anew.
    pub jumps: u64,
    /// Changes of the SSRC.
    pub ssrc_changes: u64,
    /// Packets of other senders that were refused.
    pub foreign: u64,
    /// Datagrams that are no RTP.
    pub malformed: u64,
    /// Packets of payloads that are not supported.
    pub unsupported: u64,
    /// RTCP sender reports that came.
    pub sender_reports: u64,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: f64,
    /// From the call's start to the first packet, in milliseconds.
    pub first_packet_ms: Option<u64>,
    /// From the call's start to the first frame, in milliseconds.
    pub first_frame_ms: Option<u64>,
    /// Since the last packet, in milliseconds.
    pub silence_ms: Option<u64>,
    /// Frames that went out.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Frames with missing packets.
    pub damaged: u64,
    /// The pictures: codec and size.
    pub video: Option<String>,
    /// The sound: codec and rate.
    pub audio: Option<String>,
    /// What the program stream is like.
    pub findings: Option<Findings>,
    /// What an operator should know, a sentence each.
    pub notes: Vec<String>,
}

/// What a report is made of.
pub struct Facts<'a> {
    /// The sender.
    pub source: Option<SocketAddr>,
    /// The answer to the INVITE.
    pub answer: &'a Answer,
    /// The intake, once something came.
    pub intake: Option<&'a Intake>,
    /// Packets of other senders.
    pub foreign: u64,
    /// Bytes that are no RTP.
    pub malformed: u64,
    /// The framing of a connection.
    pub framing: Option<Framing>,
    /// How often the framing was lost.
    pub resyncs: u64,
    /// From the call's start to the first packet.
    pub first_packet: Option<Duration>,
    /// From the call's start to the first frame.
    pub first_frame: Option<Duration>,
    /// Since the last packet.
    pub silence: Option<Duration>,
    /// Bits a second.
    pub bits_per_second: u64,
    /// The sender said goodbye.
    pub goodbye: bool,
    /// Reports of the sender about itself.
    pub sender_reports: u64,
}

impl Report {
    pub(super) fn new(call: &Call, state: &State, facts: &Facts<'_>) -> Report {
        let counts = facts.intake.map(|intake| *intake.counts()).unwrap_or_default();
        let (frames, key_frames) = facts.intake.map_or((0, 0), |intake| intake.frames());
        let tracks = call.stream().map(|stream| stream.tracks()).unwrap_or_default();
        let (video, audio) = describe(&tracks);
        let millis = |span: std::time::Duration| span.as_millis() as u64;
        let mut report = Report {
            stream: call.expect.key.to_string(),
            state: match state {
                State::Waiting => "waiting",
                State::Arriving => "arriving",
                State::Live => "live",
                State::Ended(_) => "ended",
            },
            end: if let State::Ended(end) = state { Some(end.to_string()) } else { None },
            transport: call.expect.transport,
            port: call.port,
            expected_ssrc: call.expect.ssrc,
            answered_ssrc: facts.answer.ssrc,
            ssrc: facts.intake.and_then(|intake| intake.ssrc()),
            device: call.expect.device,
            answered_source: facts.answer.source,
            source: facts.source,
            payloads: facts.intake.map(|intake| intake.codecs()).unwrap_or_default(),
            framing: facts.framing,
            resyncs: facts.resyncs,
            packets: counts.packets,
            bytes: counts.bytes,
            bits_per_second: facts.bits_per_second,
            lost: counts.lost,
            duplicates: counts.duplicates,
            late: counts.late,
            reordered: counts.reordered,
            jumps: counts.jumps,
            ssrc_changes: counts.ssrc_changes,
            foreign: facts.foreign,
            malformed: facts.malformed,
            unsupported: facts.intake.map_or(0, |intake| intake.unsupported()),
            sender_reports: facts.sender_reports,
            jitter_ms: facts.intake.map_or(0.0, |intake| intake.jitter().as_secs_f64() * 1e3),
            first_packet_ms: facts.first_packet.map(millis),
            first_frame_ms: facts.first_frame.map(millis),
            silence_ms: facts.silence.map(millis),
            frames,
            key_frames,
            damaged: facts.intake.map_or(0, |intake| intake.damaged()),
            video,
            audio,
            findings: facts.intake.and_then(|intake| intake.findings().copied()),
            notes: Vec::new(),
        };
        report.notes = report.sentences(facts.goodbye);
        report
    }

    fn sentences(&self, goodbye: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |yes: bool, text: String| {
            if yes {
                notes.push(text);
            }
        };
        note(self.packets == 0 && self.foreign == 0, "no packet has arrived".to_owned());
        if let (Some(source), Some(device)) = (self.source, self.device) {
            note(source.ip() != device, format!("the media comes from {source}, the device registered from {device}"));
        }
        if let Some(ssrc) = self.ssrc {
            note(
                ssrc != self.expected_ssrc,
                format!("the device sends SSRC {ssrc:010} instead of {:010}; it was followed", self.expected_ssrc),
            );
        }
        for (number, codec) in &self.payloads {
            let unsupported = matches!(codec, Codec::Ts | Codec::Other);
            note(unsupported, format!("payload type {number} is {}, which is not supported: set the device to PS", codec.name()));
        }
        let expected = self.packets + self.lost;
        if expected > 0 {
            let percent = self.lost as f64 * 100.0 / expected as f64;
            note(self.lost > 0, format!("{} of {expected} packets were lost ({percent:.2} %)", self.lost));
        }
        note(self.resyncs > 0, format!("the framing of the connection slipped {} times", self.resyncs));
        note(self.foreign > 0, format!("{} packets of other senders were refused", self.foreign));
        note(self.malformed > 0, format!("{} datagrams were no RTP", self.malformed));
        note(goodbye, "the sender said goodbye (RTCP BYE)".to_owned());
        let silent = self.state != "ended" && self.silence_ms.is_some_and(|ms| ms > 2_000);
        note(silent, format!("no packet for {} s", self.silence_ms.unwrap_or(0) / 1_000));
        notes.extend(self.findings.iter().flat_map(Findings::notes));
        notes
    }
}

fn describe(tracks: &Tracks) -> (Option<String>, Option<String>) {
    let video = tracks.video.as_ref().map(|v| format!("{} {}x{}", v.codec.name(), v.width, v.height));
    let audio = tracks.audio.as_ref().map(|a| format!("{} {} Hz", a.codec.name(), a.sample_rate));
    (video, audio)
}
