//! Sends a stream or a clip as RTP: a program stream for platforms above us and for simulated cameras, G.711 for talk.

use super::call::Transport;
use super::clip::{Control, Player};
use super::line::Line;
use crate::base::error::End;
use crate::container::ps;
use crate::media::frame::{Frame, Kind};
use crate::media::g711;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, Tracks};
use crate::proto::rtp::{Framing, Header, Packetizer, rtcp};
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::{Recv, Subscriber, Unit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What is sent, and how.
pub struct Send {
    /// Where frames come from.
    pub feed: Feed,
    /// How it travels, seen from here.
    pub transport: Transport,
    /// The local address; port 0 picks a free one.
    pub local: SocketAddr,
    /// The receiver; not needed when it connects to us.
    pub to: Option<SocketAddr>,
    /// The SSRC.
    pub ssrc: u32,
    /// The payload type.
    pub payload_type: u8,
    /// What the payload is.
    pub payload: Payload,
    /// How packets are framed on a connection.
    pub framing: Framing,
    /// The largest payload of a packet.
    pub mtu: usize,
    /// The last packet of a frame has the marker.
    pub markers: bool,
    /// How long the receiver may take to connect.
    pub patience: Duration,
}

impl Send {
    /// A program stream as platforms want it.
    pub fn program(feed: Feed, transport: Transport, to: Option<SocketAddr>, ssrc: u32) -> Send {
        let unspecified = match to {
            Some(SocketAddr::V6(_)) => SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)),
            _ => SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0)),
        };
        Send {
            feed,
            transport,
            local: unspecified,
            to,
            ssrc,
            payload_type: 96,
            payload: Payload::Program(ps::Style::default()),
            framing: Framing::Rfc4571,
            mtu: Packetizer::MTU,
            markers: true,
            patience: Duration::from_secs(10),
        }
    }

    /// G.711 towards a device: what `feed` has of sound, in packets of `packet` milliseconds.
    pub fn voice(feed: Feed, transport: Transport, to: Option<SocketAddr>, ssrc: u32, law: Law) -> Send {
        let payload_type = if law == Law::A { 8 } else { 0 };
        // 100 ms: shorter ones crackle on some devices (ZLMediaKit issue 3316)
        let payload = Payload::Voice { law, packet: Duration::from_millis(100) };
        Send { payload_type, payload, markers: false, ..Send::program(feed, transport, to, ssrc) }
    }
}

/// Where frames come from.
pub enum Feed {
    /// A stream of ours.
    Live(Subscriber),
    /// A clip.
    Clip(Player),
}

/// What the payload is.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A program stream, with the muxer's habits.
    Program(ps::Style),
    /// G.711.
    Voice {
        /// Which law.
        law: Law,
        /// How much sound is in a packet.
        packet: Duration,
    },
}

/// The two laws of G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A-law.
    A,
    /// µ-law.
    U,
}

/// What went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
    /// Frames of codecs that the payload cannot carry.
    pub left_out: u64,
    /// Reports of the receiver that came (RTCP).
    pub reports: u64,
    /// Packets that are lost by its last report.
    pub reported_lost: u64,
}

/// One stream on its way out. Dropping it ends it.
pub struct Sending {
    port: u16,
    state: watch::Receiver<Option<End>>,
    control: mpsc::Sender<Control>,
    totals: Arc<Totals>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Totals {
    packets: AtomicU64,
    bytes: AtomicU64,
    frames: AtomicU64,
    left_out: AtomicU64,
    reports: AtomicU64,
    reported_lost: AtomicU64,
}

impl Sending {
    /// Opens the local port and starts sending in a task of `tasks`.
    pub fn start(send: Send, clock: Clock, tasks: &Tasks) -> io::Result<Sending> {
        let line = Line::new(send.transport, send.local, send.to, send.framing)?;
        let port = line.port();
        let (told, state) = watch::channel(None);
        let (control, controls) = mpsc::channel(16);
        let (stop, dropped) = watch::channel(false);
        let totals = Arc::<Totals>::default();
        let (now, encoder) = (clock.now(), Encoder::new(&send));
        let task = Task { line, clock, controls, totals: totals.clone(), encoder, ssrc: send.ssrc, looked: now, reported: None };
        let stopping = tasks.stopping();
        tasks.spawn("media out", async move {
            let end = task.run(send.feed, send.patience, stopping, dropped).await;
            told.send_replace(Some(end));
        });
        Ok(Sending { port, state, control, totals, stop })
    }

    /// The local port, to tell the receiver.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells a clip what to do. A live stream cannot be controlled.
    pub async fn control(&self, control: Control) {
        // An error means that it is over.
        let _ = self.control.send(control).await;
    }

    /// Returns when it is over: everything was sent, or it failed.
    pub async fn ended(&self) -> End {
        let mut state = self.state.clone();
        match state.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(End::Stopped),
            Err(_) => End::Stopped,
        }
    }

    /// Whether it is over, and why.
    pub fn end(&self) -> Option<End> {
        self.state.borrow().clone()
    }

    /// What went out so far.
    pub fn sent(&self) -> Sent {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let Totals { packets, bytes, frames, left_out, reports, reported_lost } = &*self.totals;
        Sent {
            packets: get(packets),
            bytes: get(bytes),
            frames: get(frames),
            left_out: get(left_out),
            reports: get(reports),
            reported_lost: get(reported_lost),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

struct Task {
    line: Line,
    clock: Clock,
    controls: mpsc::Receiver<Control>,
    totals: Arc<Totals>,
    encoder: Encoder,
    ssrc: u32,
    /// When reports were last looked for, and when one was last sent.
    looked: Timestamp,
    reported: Option<Timestamp>,
}

/// How often a report about what was sent goes out, and how often the receiver's are looked for.
const REPORT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);

impl Task {
    async fn run(mut self, feed: Feed, patience: Duration, stopping: Stop, mut dropped: watch::Receiver<bool>) -> End {
        let work = async {
            if let Err(end) = self.line.open(patience).await {
                return end;
            }
            match feed {
                Feed::Live(subscriber) => self.live(subscriber).await,
                Feed::Clip(player) => self.clip(player).await,
            }
        };
        tokio::select! {
            end = work => end,
            () = stopping.requested() => End::Stopped,
            _ = dropped.wait_for(|dropped| *dropped) => End::Stopped,
        }
    }

    async fn live(&mut self, mut subscriber: Subscriber) -> End {
        let mut batch: Vec<Arc<Unit>> = Vec::new();
        loop {
            let read = tokio::select! {
                read = subscriber.recv(&mut batch) => read,
                end = self.line.closed() => return end,
            };
            match read {
                // The cursor stands on a key frame: the receiver sees a jump.
                Recv::Lagged { .. } => continue,
                Recv::Ended(end) => return end,
                Recv::Units => {}
            }
            for unit in &batch {
                if let Err(end) = self.frame(&unit.frame, &unit.tracks).await {
                    return end;
                }
            }
        }
    }

    async fn clip(&mut self, mut player: Player) -> End {
        let tracks = player.tracks().clone();
        loop {
            let now = self.clock.now();
            while let Some(frame) = player.pull(now) {
                if let Err(end) = self.frame(&frame, &tracks).await {
                    return end;
                }
            }
            if player.is_over() {
                return End::StreamEnded;
            }
            let wait = async {
                match player.due(now) {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                control = self.controls.recv() => match control {
                    Some(control) => player.control(self.clock.now(), control),
                    None => return End::Stopped,
                },
                end = self.line.closed() => return end,
            }
        }
    }

    async fn frame(&mut self, frame: &Frame, tracks: &Tracks) -> Result<(), End> {
        let add = |n: &AtomicU64, by: usize| n.fetch_add(by as u64, Ordering::Relaxed);
        let wanted = self.encoder.wants(frame);
        let packets = self.encoder.encode(frame, tracks);
        add(&self.totals.frames, 1);
        if wanted && packets.is_empty() {
            add(&self.totals.left_out, 1);
        }
        add(&self.totals.packets, packets.len());
        add(&self.totals.bytes, packets.iter().map(|(_, payload)| payload.len()).sum());
        self.line.send(&packets).await?;
        self.report();
        Ok(())
    }

    /// RTCP: what was sent, and what the receiver says of it.
    fn report(&mut self) {
        let now = self.clock.now();
        let packets = self.totals.packets.load(Ordering::Relaxed);
        let due = packets > 0 && self.reported.is_none_or(|last| now.since(last) >= REPORT);
        if !due && now.since(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        let ours = due.then(|| {
            self.reported = Some(now);
            let report = rtcp::SenderReport {
                ssrc: self.ssrc,
                ntp: rtcp::ntp(self.clock.unix()),
                timestamp: self.encoder.timestamp,
                packets: packets as u32,
                bytes: self.totals.bytes.load(Ordering::Relaxed) as u32,
            };
            rtcp::sender_report(&report, "weir")
        });
        let (ssrc, totals) = (self.ssrc, &self.totals);
        self.line.report(ours.as_deref(), |bytes| {
            for block in
                rtcp::parse(bytes).filter_map(|one| if let rtcp::Rtcp::Receiver(blocks) = one { Some(blocks) } else { None }).flatten()
            {
                if block.ssrc == ssrc {
                    totals.reports.fetch_add(1, Ordering::Relaxed);
                    totals.reported_lost.store(u64::try_from(block.lost).unwrap_or(0), Ordering::Relaxed);
                }
            }
        });
    }
}

/// Frames to packets.
struct Encoder {
    form: Form,
    packetizer: Packetizer,
    markers: bool,
    bytes: Vec<u8>,
    /// Of the last packet.
    timestamp: u32,
}

enum Form {
    Program(ps::Muxer),
    Voice { law: Law, packet: usize, rest: Vec<u8>, samples: u32 },
}

impl Encoder {
    fn new(send: &Send) -> Encoder {
        let form = match &send.payload {
            Payload::Program(style) => Form::Program(ps::Muxer::new(style.clone())),
            Payload::Voice { law, packet } => {
                let packet = (packet.as_millis() as usize * 8).clamp(80, 1_440);
                Form::Voice { law: *law, packet, rest: Vec::new(), samples: 0 }
            }
        };
        // The first number is no secret here, and a receiver that counts from 0 is easier to follow in a capture.
        let packetizer = Packetizer::new(send.ssrc, send.payload_type, send.mtu, 0);
        Encoder { form, packetizer, markers: send.markers, bytes: Vec::new(), timestamp: 0 }
    }

    /// Whether a frame of this kind leaves at once, if its codec can be carried. Sound is gathered into packets.
    fn wants(&self, frame: &Frame) -> bool {
        matches!(self.form, Form::Program(_)) && !frame.data.is_empty()
    }

    fn encode(&mut self, frame: &Frame, tracks: &Tracks) -> Vec<(Header, &[u8])> {
        self.bytes.clear();
        match &mut self.form {
            Form::Program(muxer) => {
                muxer.put(frame, tracks, &mut self.bytes);
                let timestamp = frame.dts.to_ticks(90_000) as u32;
                self.timestamp = timestamp;
                let mut packets: Vec<_> = self.packetizer.packets(&self.bytes, timestamp).collect();
                if !self.markers {
                    packets.iter_mut().for_each(|(head, _)| head[1] &= 0x7f);
                }
                packets
            }
            Form::Voice { law, packet, rest, samples } => {
                if let (Kind::Audio, Some(track)) = (frame.kind, &tracks.audio) {
                    put_voice(*law, &track.codec, &frame.data, rest);
                }
                let whole = rest.len() - rest.len() % *packet;
                self.bytes.extend(rest.drain(..whole));
                self.timestamp = *samples;
                let packetizer = &mut self.packetizer;
                let one = |payload| {
                    let timestamp = *samples;
                    *samples = samples.wrapping_add(*packet as u32);
                    (packetizer.header(*packet, timestamp, false), payload)
                };
                self.bytes.chunks(*packet).map(one).collect()
            }
        }
    }
}

/// Appends sound in the law that is asked for. Other codecs than G.711 have to be transcoded before they come here.
fn put_voice(law: Law, codec: &AudioCodec, data: &[u8], out: &mut Vec<u8>) {
    match (codec, law) {
        (AudioCodec::G711A, Law::A) | (AudioCodec::G711U, Law::U) => out.extend_from_slice(data),
        (AudioCodec::G711A, Law::U) => out.extend(data.iter().map(|code| g711::linear_to_u(g711::A_TO_LINEAR[usize::from(*code)]))),
        (AudioCodec::G711U, Law::A) => out.extend(data.iter().map(|code| g711::linear_to_a(g711::U_TO_LINEAR[usize::from(*code)]))),
        _ => {}
    }
}
