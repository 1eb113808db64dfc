//! A publisher: bytes in, frames into the stream.
//!
//! This loop runs for every message of every publisher, so it is spare: one read for a wake-up, into a buffer on the stack
//! that all sessions of a thread share; nothing is kept for a session between two reads but half-received messages.

use super::session::{Peer, Shared};
use super::socket::Socket;
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::container::flv::{self, Demuxer, Item};
use crate::edge::session::Session;
use crate::media::frame::Frame;
use crate::proto::rtmp::{Event, Refusal, Server};
use crate::runtime::rarely::Rarely;
use crate::stream::{Publisher, Raw, Source};
use bytes::BytesMut;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

/// What one read takes at most.
const READ: usize = 64 << 10;
/// So many broken tags in a row, and the publisher is taken for hostile.
const BROKEN: u32 = 50;

/// Runs a granted publisher to its end.
pub(super) async fn run(shared: &Shared, mut peer: Peer, key: &StreamKey) {
    let source = Source { protocol: peer.socket.protocol(), peer: peer.session.peer().to_string(), session: peer.session.id() };
    let publisher = match shared.parts.registry.publish(key, source) {
        Ok(publisher) => publisher,
        Err(e) => return peer.refuse(Refusal::BadName, End::Denied(e.to_string())).await,
    };
    peer.server.start_publish(shared.limits);
    let intake = Intake { publisher, demuxer: Demuxer::new(), broken: 0, told: false };
    // The stream is given back before the peer is told anything: it may come again at once.
    match receive(shared, &mut peer, intake).await {
        end @ (End::PeerClosed | End::Network(_)) => peer.session.close(end),
        End::StreamEnded => peer.leave(End::PeerClosed).await,
        end => {
            peer.server.end_publish(&end.to_string());
            peer.leave(end).await;
        }
    }
}

async fn receive(shared: &Shared, peer: &mut Peer, mut intake: Intake) -> End {
    // What came along with the publish command.
    let rest = std::mem::take(&mut peer.rest);
    if let Err(end) = intake.take(&mut peer.server, &peer.session, &rest) {
        return end;
    }
    drop::<BytesMut>(rest);
    if let Err(end) = peer.flush().await {
        return end;
    }
    let messages = AtomicU64::new(0);
    let stop = shared.parts.tasks.stopping();
    let ejected = intake.publisher.stopped();
    let Peer { socket, server, session, .. } = peer;
    let session = &*session;
    let ends = pin!(async {
        tokio::select! {
            end = ejected => end,
            end = session.kicked() => end,
            () = stop.requested() => End::Stopped,
            () = silence(&messages, shared.settings.idle.0) => End::Silent,
        }
    });
    let mut ends = Rarely::new(ends);
    loop {
        let step = poll_fn(|cx| match poll_read(socket, server, session, &mut intake, cx) {
            Poll::Ready(step) => Poll::Ready(step),
            Poll::Pending => ends.poll(cx).map(Err),
        });
        match step.await {
            Ok(taken) => messages.store(messages.load(Ordering::Relaxed).wrapping_add(taken), Ordering::Relaxed),
            Err(end) => return end,
        }
        if server.has_output() {
            // Acknowledgements and pongs: a few bytes a megabyte. A peer that does not take them will not send for long either.
            let out = server.output();
            match tokio::time::timeout(shared.settings.idle.0, socket.write_all(&out)).await {
                Ok(Ok(())) => session.wrote(out.len()),
                Ok(Err(e)) => return End::from_io(&e),
                Err(_) => return End::TooSlow,
            }
        }
    }
}

/// One read, and all that is in it: how many audio and video messages.
fn poll_read(
    socket: &mut Socket,
    server: &mut Server,
    session: &Session,
    intake: &mut Intake,
    cx: &mut Context<'_>,
) -> Poll<Result<u64, End>> {
    let mut space = [MaybeUninit::<u8>::uninit(); READ];
    let mut buffer = ReadBuf::uninit(&mut space);
    match Pin::new(socket).poll_read(cx, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(e)) => Poll::Ready(Err(End::from_io(&e))),
        Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(End::PeerClosed)),
        Poll::Ready(Ok(())) => {
            session.read(buffer.filled().len());
            Poll::Ready(intake.take(server, session, buffer.filled()))
        }
    }
}

/// Returns when the count has stood still for `idle`; looks rarely, so that counting is all that a message costs.
async fn silence(messages: &AtomicU64, idle: Duration) {
    const LOOKS: u32 = 4;
    let (mut seen, mut still) = (0, 0);
    while still < LOOKS {
        tokio::time::sleep(idle / LOOKS).await;
        let now = messages.load(Ordering::Relaxed);
        still = if now == seen { still + 1 } else { 0 };
        seen = now;
    }
}

/// The way from messages to the stream.
struct Intake {
    publisher: Publisher,
    demuxer: Demuxer,
    /// Broken tags since the last good one.
    broken: u32,
    /// A codec that is left out was told.
    told: bool,
}

impl Intake {
    /// Takes bytes from the wire; gives the number of audio and video messages among them.
    fn take(&mut self, server: &mut Server, session: &Session, mut bytes: &[u8]) -> Result<u64, End> {
        let mut count = 0;
        loop {
            match server.next(&mut bytes) {
                Ok(None) => return Ok(count),
                Ok(Some(Event::Media(message))) => {
                    if let Err(e) = self.demuxer.push(message.kind, message.timestamp, &message.data) {
                        self.complain(e, session)?;
                    }
                    count += u64::from(message.kind != flv::tag::kind::SCRIPT);
                    self.deliver(session);
                }
                Ok(Some(Event::Stop)) => return Err(End::StreamEnded),
                Ok(Some(Event::Publish(_) | Event::Play(_) | Event::Pause(_))) => {}
                Err(e) => return Err(End::PeerBroke(e.to_string())),
            }
        }
    }

    fn deliver(&mut self, session: &Session) {
        while let Some(item) = self.demuxer.pull() {
            match item {
                Item::Track(track) => self.publisher.set_track(track),
                Item::Frame(frame) => {
                    self.broken = 0;
                    session.frames(1);
                    let Frame { kind, dts, pts, key, data } = frame;
                    self.publisher.push(Raw { kind, dts: Some(dts), pts, key, data });
                }
            }
        }
    }

    /// A tag that cannot be used costs only itself, unless it is one of many or nothing better can follow.
    fn complain(&mut self, e: flv::Error, session: &Session) -> Result<(), End> {
        match e {
            e if e.is_final() => return Err(End::PeerBroke(e.to_string())),
            flv::Error::NoTrack(_) => {}
            flv::Error::AudioCodec(_) => {
                if !std::mem::replace(&mut self.told, true) {
                    session.span().in_scope(|| tracing::info!("{e}: the stream goes on without it"));
                }
            }
            e => {
                self.broken += 1;
                session.span().in_scope(|| tracing::debug!(error = %e, "broken tag"));
                if self.broken >= BROKEN {
                    return Err(End::PeerBroke(format!("{} broken tags in a row, the last: {e}", self.broken)));
                }
            }
        }
        Ok(())
    }
}
