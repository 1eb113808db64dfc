//! A player with a task of its own, for connections that a pump cannot write to: TLS, and requests that came through hyper.
//! It sends the same shared bytes.

use crate::base::error::End;
use crate::edge::net::pump::{Format, Inbound, Input};
use crate::edge::session::Session;
use crate::media::frame::Kind;
use crate::runtime::task::Stop;
use crate::stream::{Recv, Subscriber, Unit};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Copied together before one write, so that a batch becomes few TLS records.
const GATHER: usize = 64 << 10;

/// What a player needs.
pub struct Player {
    /// Its place in the stream.
    pub subscriber: Subscriber,
    /// Its session.
    pub session: Session,
    /// The wire form.
    pub format: Arc<dyn Format>,
    /// Understands what it sends.
    pub inbound: Option<Box<dyn Inbound>>,
    /// What has to be sent first.
    pub first: Bytes,
}

struct Sending<'a, W> {
    writer: W,
    session: &'a Session,
    stall: Duration,
    gathered: BytesMut,
}

impl Player {
    /// Sends until the player leaves, the stream ends, or it takes nothing for as long as `stall`.
    pub async fn run<S: AsyncRead + AsyncWrite>(self, io: S, stop: Stop, stall: Duration) {
        let Player { mut subscriber, session, format, mut inbound, first } = self;
        let (mut reader, writer) = tokio::io::split(io);
        let mut sending = Sending { writer, session: &session, stall, gathered: BytesMut::new() };
        let mut scratch = BytesMut::with_capacity(2048);
        let mut batch = Vec::new();
        let mut start: Option<Arc<Unit>> = None;
        let mut paused = false;
        let end = async {
            sending.put(&first).await?;
            sending.flush().await?;
            // What came with the handshake is in the listener already.
            hear(&mut inbound, &[], &mut sending, &mut paused).await?;
            loop {
                tokio::select! {
                    () = stop.requested() => return Err(End::Stopped),
                    end = session.kicked() => return Err(end),
                    read = reader.read_buf(&mut scratch) => {
                        match read {
                            Ok(0) => return Err(End::PeerClosed),
                            Ok(n) => session.read(n),
                            Err(e) => return Err(End::from_io(&e)),
                        }
                        hear(&mut inbound, &scratch, &mut sending, &mut paused).await?;
                        scratch.clear();
                    }
                    got = subscriber.recv(&mut batch), if !paused => match got {
                        Recv::Units => {
                            for unit in batch.drain(..) {
                                let wire = format.unit(&unit);
                                let Some(start) = &start else {
                                    sending.put(&format.head(&unit)).await?;
                                    sending.put(wire).await?;
                                    start = Some(unit.clone());
                                    session.frames(1);
                                    continue;
                                };
                                if wire.is_empty() {
                                    continue;
                                }
                                if unit.announce && !told(start, &unit) {
                                    sending.put(&format.announce(&unit)).await?;
                                }
                                sending.put(wire).await?;
                                session.frames(1);
                            }
                            sending.flush().await?;
                        }
                        Recv::Lagged { .. } => session.skipped(),
                        Recv::Ended(end) => {
                            sending.put(&format.end()).await?;
                            sending.flush().await?;
                            return Err(end);
                        }
                    },
                }
            }
        };
        let end: Result<std::convert::Infallible, End> = end.await;
        let Err(end) = end;
        // A TLS peer is owed a close_notify; one that does not take it is closed all the same.
        let _ = tokio::time::timeout(Duration::from_secs(1), sending.writer.shutdown()).await;
        session.close(end);
    }
}

/// Whether the head that `start` began with told this unit's track.
fn told(start: &Unit, unit: &Unit) -> bool {
    let (a, b) = (&start.tracks, &unit.tracks);
    match unit.frame.kind {
        Kind::Video => a.video.is_some() && a.video.as_ref().map(Arc::as_ptr) == b.video.as_ref().map(Arc::as_ptr),
        Kind::Audio => a.audio.is_some() && a.audio.as_ref().map(Arc::as_ptr) == b.audio.as_ref().map(Arc::as_ptr),
    }
}

async fn hear<W: AsyncWrite + Unpin>(
    inbound: &mut Option<Box<dyn Inbound>>,
    bytes: &[u8],
    sending: &mut Sending<'_, W>,
    paused: &mut bool,
) -> Result<(), End> {
    let Some(inbound) = inbound else { return Ok(()) };
    let mut input = inbound.input(bytes);
    loop {
        match input {
            Input::Continue => return sending.flush().await,
            Input::Reply(bytes) => sending.put(&bytes).await?,
            Input::Last(bytes, end) => {
                sending.put(&bytes).await?;
                sending.flush().await?;
                return Err(end);
            }
            Input::Pause(on) => *paused = on,
            Input::Close(end) => return Err(end),
        }
        input = inbound.input(&[]);
    }
}

impl<W: AsyncWrite + Unpin> Sending<'_, W> {
    async fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), End> {
        while !self.gathered.is_empty() {
            let written = tokio::time::timeout(self.stall, self.writer.write_buf(&mut self.gathered)).await;
            match written {
                Err(_) => return Err(End::TooSlow),
                Ok(Ok(0)) => return Err(End::PeerClosed),
                Ok(Ok(n)) => self.session.wrote(n),
                Ok(Err(e)) => return Err(End::from_io(&e)),
            }
        }
        match tokio::time::timeout(self.stall, self.writer.flush()).await {
            Err(_) => Err(End::TooSlow),
            Ok(flushed) => flushed.map_err(|e| End::from_io(&e)),
        }
    }
}
