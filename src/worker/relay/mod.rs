//! Relay push: live streams sent on to other RTMP servers, as long as they are live.

use crate::base::id::StreamKey;
use crate::base::units::Span;
use crate::container::flv::{Hevc, mux, script, tag};
use crate::proto::rtmp::{Client, ClientEvent, Role, Url, chunk};
use crate::runtime::task::{Stop, Tasks};
use crate::stream::{Class, Recv, Registry, Start, Subscriber, Unit};
use crate::worker::dial::{Backoff, Stream, dial};
use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A target, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relayed {
    /// Which stream of ours: `app/name`.
    pub stream: String,
    /// Where it goes: `rtmp://` or `rtmps://`.
    pub url: String,
    /// How H.265 is marked.
    #[serde(default)]
    pub hevc: Hevc,
}

crate::settings! {
    /// Streams that are sent on to other RTMP servers.
    pub struct Settings {
        /// The targets: [[relay.targets]] with stream = "live/cam1", url = "rtmp://host/app/name", and hevc = "enhanced"
        /// (the default) or "legacy".
        pub targets: Vec<Relayed> = Vec::new(),
        /// The longest wait between two attempts.
        pub retry_most: Span = Span::secs(30),
    }
}

/// What servers say to a publisher is small.
const LIMITS: chunk::Limits = chunk::Limits { message: 1 << 20, streams: 16, partial: 2 << 20 };
/// A server that takes nothing for so long is given up.
const STALL: Duration = Duration::from_secs(10);

/// Starts to serve the targets in `tasks`. An error names the target that cannot be.
pub fn start(settings: &Settings, registry: &Registry, tasks: &Tasks) -> Result<(), String> {
    for target in &settings.targets {
        let wrong = |e: &dyn std::fmt::Display| format!("relay.targets: {}: {e}", target.stream);
        let key = StreamKey::parse(&target.stream).map_err(|e| wrong(&e))?;
        let url = Url::parse(&target.url).map_err(|e| wrong(&e))?;
        let relay = Relay { key, url, hevc: target.hevc, most: settings.retry_most.0, registry: registry.clone() };
        tasks.spawn("relay", relay.run(tasks.stopping()));
    }
    Ok(())
}

struct Relay {
    key: StreamKey,
    url: Url,
    hevc: Hevc,
    most: Duration,
    registry: Registry,
}

impl Relay {
    async fn run(self, stop: Stop) {
        tokio::select! {
            () = stop.requested() => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&self) {
        let mut backoff = Backoff::new(self.most);
        loop {
            let subscriber = self.registry.meet(&self.key, Class::Worker, Start::Key).await;
            let began = self.registry.clock().now();
            match self.push(subscriber).await {
                Ok(()) => backoff.reset(),
                Err(why) => {
                    if self.registry.clock().now().since(began) > Duration::from_secs(30) {
                        backoff.reset();
                    }
                    let wait = backoff.wait();
                    tracing::warn!(stream = %self.key, target = %self.url, why, again_in = ?wait, "the relay failed");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One connection, to the end of the stream.
    async fn push(&self, mut subscriber: Subscriber) -> Result<(), String> {
        let mut link = Outgoing::connect(&self.url).await?;
        tracing::info!(stream = %self.key, target = %self.url, "relaying");
        let (mut batch, mut begun) = (Vec::new(), false);
        loop {
            tokio::select! {
                got = subscriber.recv(&mut batch) => match got {
                    Recv::Units => {
                        for unit in batch.drain(..) {
                            self.send(&mut link.client, &unit, !std::mem::replace(&mut begun, true));
                        }
                        link.flush().await?;
                    }
                    Recv::Lagged { missed } => {
                        tracing::warn!(stream = %self.key, target = %self.url, missed, "the relay is too slow");
                        // A change of a track may be among what was missed.
                        begun = false;
                    }
                    Recv::Ended(_) => {
                        link.client.stop();
                        return link.flush().await;
                    }
                },
                heard = link.hear() => heard?,
            }
        }
    }

    fn send(&self, client: &mut Client, unit: &Unit, first: bool) {
        let (tracks, time) = (&unit.tracks, mux::time_of(&unit.frame));
        if first || unit.announce {
            // A track that changed, or came late: metadata and headers anew.
            let data = script::build(tracks, self.hevc);
            client.send(tag::kind::SCRIPT, 0, [b"\x02\x00\x0d@setDataFrame", &data]);
            for kind in [crate::media::frame::Kind::Video, crate::media::frame::Kind::Audio] {
                if let Some(body) = mux::sequence_header(kind, tracks, self.hevc) {
                    client.send(mux::kind_of(kind), time, [&body, &[]]);
                }
            }
        }
        if let Some(head) = mux::head(&unit.frame, tracks, self.hevc) {
            client.send(mux::kind_of(unit.frame.kind), time, [&head, &unit.frame.data]);
        }
    }
}

/// A connection that publishes; `weir push` uses it as well.
pub struct Outgoing {
    stream: Box<dyn Stream>,
    /// What it says goes in here, then [`flush`](Outgoing::flush).
    pub client: Client,
    buffer: BytesMut,
}

impl Outgoing {
    /// Connects and returns when the server lets us publish.
    pub async fn connect(url: &Url) -> Result<Outgoing, String> {
        let stream = dial(&url.host, url.port, url.tls).await.map_err(|e| e.to_string())?;
        let client = Client::new(url.clone(), Role::Publish, LIMITS, rand::random());
        let mut link = Outgoing { stream, client, buffer: BytesMut::new() };
        let start = async {
            loop {
                let event = link.step()?;
                link.flush().await?;
                match event {
                    Some(ClientEvent::Started) => return Ok(()),
                    Some(ClientEvent::Refused(why)) => return Err(why),
                    Some(_) => {}
                    None => link.read().await?,
                }
            }
        };
        tokio::time::timeout(STALL, start).await.map_err(|_| "the server does not answer".to_owned())??;
        Ok(link)
    }

    /// Sends what was said.
    pub async fn flush(&mut self) -> Result<(), String> {
        let output = self.client.output();
        let write = async {
            self.stream.write_all(&output).await?;
            // TLS may hold back the end of what was written.
            self.stream.flush().await
        };
        match tokio::time::timeout(STALL, write).await {
            Ok(done) => done.map_err(|e| e.to_string()),
            Err(_) => Err(format!("the server took nothing for {STALL:?}")),
        }
    }

    /// Listens until the server has said something; an error if it wants no more. Cancel-safe.
    pub async fn hear(&mut self) -> Result<(), String> {
        self.read().await?;
        while let Some(event) = self.step()? {
            match event {
                ClientEvent::Refused(why) => return Err(why),
                ClientEvent::Ended => return Err("the server ended the stream".to_owned()),
                ClientEvent::Started | ClientEvent::Media(_) => {}
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<ClientEvent>, String> {
        let mut input = &self.buffer[..];
        let event = self.client.next(&mut input).map_err(|e| e.to_string())?;
        let used = self.buffer.len() - input.len();
        self.buffer.advance(used);
        Ok(event)
    }

    async fn read(&mut self) -> Result<(), String> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(e) => Err(e.to_string()),
        }
    }
}
