//! The handle: what the signalling asks for.

use super::Settings;
use super::answer::{Locals, Maker, Use};
use super::choice::{self, Sound};
use super::crowd::{self, Ground};
use super::figures::{Counts, Figures};
use super::inbox::{Full, Inbox, Mail, Number};
use super::ingest;
use super::line::Lines;
use super::peer::Peer;
use super::port::Port;
use super::table::Table;
use super::viewer::{self, Viewer};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::edge::session::{Role, Session};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{Tracks, VideoCodec};
use crate::proto::webrtc::fragment::{self, Fragment};
use crate::proto::webrtc::{Coding, Offer};
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, PublishError, Recv, Registry, Source, Start, Stream, Subscriber};
use dashmap::DashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a stream may take to bring its first frame.
const FIRST: Duration = Duration::from_secs(10);
/// How long the sound of a stream that has only just begun may take to be known, and sound that is made to begin.
const SOUND: Duration = Duration::from_millis(1_500);
/// How often it is looked whether it is there.
const GLANCE: Duration = Duration::from_millis(20);
/// Pictures that are looked at before a stream is believed to have no B-frames, and how long they may take to come.
const LOOKED_AT: usize = 6;
const LOOK: Duration = Duration::from_millis(600);
/// Viewers that one task takes before a stream gets another one on another core.
const CROWD: usize = 128;

/// What WebRTC stands on.
pub struct Parts {
    /// The streams.
    pub registry: Registry,
    /// The tasks of its sessions.
    pub tasks: Tasks,
    /// The address of `public.host`, if it is one.
    pub public: Option<IpAddr>,
}

/// The name of a stream in plain H.264 that somebody makes of another one when it is asked for, if anybody does.
pub type Plain = Arc<dyn Fn(&StreamKey) -> Option<StreamKey> + Send + Sync>;

/// What a client wishes.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The stream.
    pub key: StreamKey,
    /// Its SDP offer.
    pub offer: String,
    /// The address that it sent its request to, if it named one.
    pub host: Option<IpAddr>,
}

/// A session that begins when the client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The SDP answer.
    pub answer: String,
    /// What the session is called over HTTP.
    pub resource: String,
    /// Names its present state.
    pub tag: String,
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The offer makes no sense.
    Bad,
    /// The offer and the stream do not fit together.
    NotAcceptable,
    /// There is no such session or stream.
    NotFound,
    /// Somebody else publishes the stream.
    Taken,
    /// The session is in another state than the client believes.
    Stale,
    /// That cannot be changed in a session.
    Unprocessable,
    /// Not now.
    Unavailable,
}

/// No, and why; the text is shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The kind.
    pub status: Status,
    /// The sentence.
    pub why: String,
}

impl Refused {
    pub(super) fn new(status: Status, why: impl Into<String>) -> Refused {
        Refused { status, why: why.into() }
    }

    /// How the session ends that is refused so.
    fn end(&self) -> End {
        match self.status {
            Status::Unavailable => End::Network(self.why.clone()),
            _ => End::Denied(self.why.clone()),
        }
    }
}

/// The WebRTC side of the server. Cloning shares it.
#[derive(Clone)]
pub struct WebRtc(Arc<Inner>);

struct Inner {
    registry: Registry,
    tasks: Tasks,
    maker: Maker,
    table: Arc<Table>,
    counts: Arc<Counts>,
    ground: Arc<Ground>,
    /// Our addresses, without those that a request names.
    addresses: Vec<IpAddr>,
    numbers: AtomicU64,
    crowds: DashMap<usize, Vec<Arc<Inbox>>>,
    most_crowds: usize,
    plain: OnceLock<Plain>,
}

impl WebRtc {
    /// Opens the port.
    pub fn open(settings: Settings, parts: Parts) -> Result<WebRtc, String> {
        let (table, counts) = (Arc::new(Table::default()), Arc::new(Counts::default()));
        let port = Port::open(settings.listen, &table, &counts, &parts.tasks)
            .map_err(|e| format!("webrtc.listen: cannot listen on {} (UDP): {e}", settings.listen))?;
        let lines =
            match settings.tcp {
                true => Some(Lines::open(&settings, &table, &counts, &parts.tasks).map_err(|e| {
                    format!("webrtc.listen: cannot listen on {} (TCP; webrtc.tcp = false does without): {e}", settings.listen)
                })?),
                false => None,
            };
        let addresses = match &*settings.addresses {
            [] => own_addresses(port.bound().ip(), parts.public),
            given => given.to_vec(),
        };
        let ground = Arc::new(Ground { settings, port, lines });
        Ok(WebRtc(Arc::new(Inner {
            registry: parts.registry,
            tasks: parts.tasks,
            maker: Maker::new()?,
            table,
            counts,
            ground,
            addresses,
            numbers: AtomicU64::new(1),
            crowds: DashMap::new(),
            most_crowds: std::thread::available_parallelism().map_or(1, |n| n.get()),
            plain: OnceLock::new(),
        })))
    }

    /// Where it listens.
    pub fn bound(&self) -> SocketAddr {
        self.0.ground.port.bound()
    }

    /// Where it listens for connections over TCP, if it does.
    pub fn bound_tcp(&self) -> Option<SocketAddr> {
        let bound = self.bound();
        self.0.ground.lines.as_ref().map(|lines| SocketAddr::new(bound.ip(), lines.port()))
    }

    /// What metrics show.
    pub fn figures(&self) -> Figures {
        self.0.counts.read(self.0.table.len())
    }

    /// A viewer of a stream that it may play. A refusal has closed the session.
    pub async fn play(&self, subscriber: Subscriber, session: Session, wish: Wish) -> Result<Opened, Refused> {
        let pictures = subscriber.stream().tracks().video.is_some();
        let mut watched = self.watch(subscriber, &wish).await;
        if pictures
            && watched.as_ref().is_err_and(|refused| refused.status == Status::NotAcceptable)
            && let Some(plain) = self.plain(&wish).await
            && let Ok(found) = self.watch(plain, &wish).await
        {
            watched = Ok(found);
        }
        let watched = match watched {
            Ok(watched) => watched,
            Err(refused) => {
                session.close(refused.end());
                return Err(refused);
            }
        };
        session.begin(Role::Play, &wish.key);
        self.admit(watched, session, &wish)
    }

    /// Streams that a browser cannot show are shown as the plain streams that somebody makes of them. The first one who says so stays.
    pub fn show_plain(&self, plain: Plain) {
        let _ = self.0.plain.set(plain);
    }

    /// The stream in plain H.264, if that helps.
    async fn plain(&self, wish: &Wish) -> Option<Subscriber> {
        let key = self.0.plain.get()?(&wish.key)?;
        Offer::parse(&wish.offer).video.filter(|takes| takes.contains(&Coding::H264))?;
        self.0.registry.wait_for(&key, Class::Viewer, Start::Key, FIRST).await.ok()
    }

    /// What it takes to decide, which may take its time.
    async fn watch(&self, mut subscriber: Subscriber, wish: &Wish) -> Result<Watched, Refused> {
        self.room()?;
        let offer = Offer::parse(&wish.offer);
        let tracks = self.look(&mut subscriber).await?;
        let choice = choice::choose(&tracks, &offer)?;
        let profile = tracks.video.as_ref().and_then(|video| match &video.codec {
            VideoCodec::H264 { sps, .. } => sps.first()?.get(1).copied(),
            _ => None,
        });
        let stream = subscriber.stream().clone();
        let (seat, _) = subscriber.into_parts();
        let mut watched = Watched { stream, seats: vec![seat], choice, profile };
        if watched.choice.sound == Sound::Made {
            self.make_sound(&mut watched).await;
        }
        Ok(watched)
    }

    /// The tracks of a stream, once they can be known, if its pictures can be shown.
    async fn look(&self, subscriber: &mut Subscriber) -> Result<Arc<Tracks>, Refused> {
        let stream = subscriber.stream().clone();
        let nothing = || Refused::new(Status::Unavailable, format!("{}: no frame came in time", stream.key()));
        let (mut seen, mut batch) = (Vec::new(), Vec::new());
        let first = async {
            while seen.is_empty() {
                match subscriber.recv(&mut batch).await {
                    Recv::Units => seen.append(&mut batch),
                    Recv::Lagged { .. } => {}
                    Recv::Ended(_) => return,
                }
            }
        };
        tokio::time::timeout(FIRST, first).await.map_err(|_| nothing())?;
        if seen.is_empty() {
            return Err(Refused::new(Status::NotFound, format!("{}: the stream is over", stream.key())));
        }
        let declared = stream.tracks().video.as_ref().and_then(|video| video.reorder);
        let pictures = |seen: &[Arc<crate::stream::Unit>]| seen.iter().filter(|unit| unit.frame.kind == Kind::Video).count();
        let enough = async {
            while stream.tracks().video.is_some() && declared != Some(0) && pictures(&seen) < LOOKED_AT {
                match subscriber.recv(&mut batch).await {
                    Recv::Units => seen.append(&mut batch),
                    Recv::Lagged { .. } | Recv::Ended(_) => return,
                }
            }
        };
        // Few pictures a second are judged by what they declare.
        let judged = tokio::time::timeout(LOOK, enough).await.is_ok() || declared.is_none();
        if choice::is_reordered(&seen) || !judged {
            let why = format!(
                "{}: the stream has B-frames, which browsers cannot show by WebRTC: play it by FLV or HLS, let its encoder make none, or play {{stream}}_{{rule}} of a transcode template",
                stream.key()
            );
            return Err(Refused::new(Status::NotAcceptable, why));
        }
        let young = stream.info().since + Timestamp::from(SOUND);
        while stream.tracks().audio.is_none() && self.0.registry.clock().unix() < young {
            tokio::time::sleep(GLANCE).await;
        }
        Ok(stream.tracks())
    }

    /// The same pictures with Opus, made once for all. Where nobody can make it, the pictures come without sound.
    async fn make_sound(&self, watched: &mut Watched) {
        watched.choice.sound = Sound::None;
        let Some(key) = Derived::Opus.of(watched.stream.key()) else { return };
        let Ok(other) = self.0.registry.wait_for(&key, Class::Worker, Start::Key, SOUND).await else { return };
        let until = Instant::now() + SOUND;
        while other.stream().tracks().audio.is_none() && Instant::now() < until {
            tokio::time::sleep(GLANCE).await;
        }
        if other.stream().tracks().audio.is_some() {
            watched.choice.sound = Sound::Own(Coding::Opus);
            watched.stream = other.stream().clone();
            watched.seats.push(other.into_parts().0);
        }
    }

    fn admit(&self, watched: Watched, session: Session, wish: &Wish) -> Result<Opened, Refused> {
        let now = Instant::now();
        let locals = self.locals(wish.host);
        let codings = viewer::codings(&watched.choice);
        let made = match self.0.maker.answer(&wish.offer, Use::Play, &codings, &locals, now) {
            Ok(made) => made,
            Err(refused) => {
                session.close(refused.end());
                return Err(refused);
            }
        };
        let (names, mids) = (made.names.clone(), made.mids.clone());
        let opened = Opened { answer: made.answer.clone(), resource: names.resource.clone(), tag: names.name.clone() };
        let number = self.number();
        // The guard keeps two newcomers from making two tasks, and a task from ending between the choice and the entry.
        let mut crowds = self.0.crowds.entry(Arc::as_ptr(&watched.stream) as usize).or_default();
        crowds.retain(|inbox| !inbox.is_closed());
        let chosen = crowds.iter().min_by_key(|inbox| inbox.sessions()).cloned();
        let fits = |inbox: &Arc<Inbox>| inbox.sessions() < CROWD || crowds.len() >= self.0.most_crowds;
        let (inbox, fresh) = match chosen.filter(fits) {
            Some(inbox) => (inbox, false),
            None => (Arc::new(Inbox::new()), true),
        };
        let entry = self.0.table.enter(names, number, inbox.clone());
        let peer = Box::new(Peer::new(made, session, entry, locals, now));
        let Watched { stream, seats, choice, profile } = watched;
        let viewer = match Viewer::new(peer, &mids, &choice, profile, seats, (self.0.counts.clone(), self.0.ground.settings.relief), now) {
            Ok(viewer) => viewer,
            Err(peer) => {
                let refused = Refused::new(Status::NotAcceptable, "nothing of the stream fits the offer's sections and their directions");
                peer.session.close(refused.end());
                return Err(refused);
            }
        };
        let mut inbox = inbox;
        let mut fresh = fresh;
        if let Err(Full::Closed(Mail::Viewer(mut viewer))) = inbox.push(Mail::Viewer(Box::new(viewer))) {
            // Its last viewer has left just now, and the task with it: another one.
            (inbox, fresh) = (Arc::new(Inbox::new()), true);
            viewer.peer.reroute(inbox.clone());
            let _new_and_open = inbox.push(Mail::Viewer(viewer));
        }
        if fresh {
            crowds.push(inbox.clone());
            drop(crowds);
            self.gather(inbox, stream);
        }
        Ok(opened)
    }

    /// Runs a crowd.
    fn gather(&self, inbox: Arc<Inbox>, stream: Arc<Stream>) {
        let hub = self.clone();
        self.0.tasks.spawn("webrtc viewers", async move {
            crowd::run(&hub.0.ground, &inbox, stream.clone(), hub.0.tasks.stopping()).await;
            // The stream is alive here, so that its address, the key, cannot mean another one.
            hub.0.crowds.remove_if_mut(&(Arc::as_ptr(&stream) as usize), |_, crowds| {
                crowds.retain(|inbox| !inbox.is_closed());
                crowds.is_empty()
            });
        });
    }

    /// A publisher that may publish. A refusal has closed the session.
    pub fn publish(&self, session: Session, wish: &Wish) -> Result<Opened, Refused> {
        match self.take(&session, wish) {
            Ok((made, publisher, locals)) => {
                let now = Instant::now();
                session.begin(Role::Publish, &wish.key);
                let opened = Opened { answer: made.answer.clone(), resource: made.names.resource.clone(), tag: made.names.name.clone() };
                let inbox = Arc::new(Inbox::new());
                let entry = self.0.table.enter(made.names.clone(), self.number(), inbox.clone());
                let mids = made.mids.clone();
                let peer = Peer::new(made, session, entry, locals, now);
                let (ground, stop) = (self.0.ground.clone(), self.0.tasks.stopping());
                self.0.tasks.spawn("webrtc publisher", async move { ingest::run(&ground, &inbox, peer, publisher, &mids, stop).await });
                Ok(opened)
            }
            Err(refused) => {
                session.close(refused.end());
                Err(refused)
            }
        }
    }

    fn take(&self, session: &Session, wish: &Wish) -> Result<(super::answer::Made, crate::stream::Publisher, Locals), Refused> {
        self.room()?;
        let offer = Offer::parse(&wish.offer);
        let brings = |list: &Option<Vec<Coding>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if !brings(&offer.video) && !brings(&offer.audio) {
            let why = "the offer brings nothing that is taken here: H.264, H.265, Opus, G.711";
            return Err(Refused::new(Status::NotAcceptable, why));
        }
        let codings = [Coding::H264, Coding::H265, Coding::Opus, Coding::Pcma, Coding::Pcmu];
        let locals = self.locals(wish.host);
        let made = self.0.maker.answer(&wish.offer, Use::Publish, &codings, &locals, Instant::now())?;
        let source = Source { protocol: "webrtc", peer: session.peer().to_string(), session: session.id() };
        let publisher = self.0.registry.publish(&wish.key, source).map_err(|e| match e {
            PublishError::Taken(_) => Refused::new(Status::Taken, e.to_string()),
            PublishError::Stopping => Refused::new(Status::Unavailable, e.to_string()),
        })?;
        Ok((made, publisher, locals))
    }

    fn room(&self) -> Result<(), Refused> {
        let most = self.0.ground.settings.sessions;
        match self.0.table.len() >= most {
            true => Err(Refused::new(Status::Unavailable, format!("{most} WebRTC sessions are open, which is the limit"))),
            false => Ok(()),
        }
    }

    fn number(&self) -> Number {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a client's change of its session; only candidates can come, which a server that is reached directly does not need
    /// (RFC 8445 section 2.5).
    pub fn patch(&self, resource: &str, tag: Option<&str>, text: &str) -> Result<(), Refused> {
        let (present, client) = self.0.table.resource(resource).ok_or_else(no_session)?;
        let fits = |tag: &str| tag == "*" || tag.trim_matches('"') == present;
        if !tag.is_none_or(fits) {
            return Err(Refused::new(Status::Stale, "the session has another ETag"));
        }
        match fragment::parse(text, &client).map_err(|why| Refused::new(Status::Bad, why))? {
            Fragment::Candidates(_) => Ok(()),
            Fragment::Restart => Err(Refused::new(Status::Unprocessable, "ICE cannot be restarted here: open a new session")),
        }
    }

    /// The client ends its session.
    pub fn leave(&self, resource: &str) -> Result<(), Refused> {
        if self.0.table.leave(resource) { Ok(()) } else { Err(no_session()) }
    }

    /// The addresses of an answer: those that are given, or ours and the one that the client used.
    fn locals(&self, host: Option<IpAddr>) -> Locals {
        let Inner { ground, addresses, .. } = &*self.0;
        let bound = ground.port.bound();
        let told = |port: u16| if ground.settings.port == 0 { port } else { ground.settings.port };
        let used = host.filter(|_| ground.settings.addresses.is_empty() && bound.ip().is_unspecified());
        let mut locals = Locals::default();
        for ip in used.into_iter().chain(addresses.iter().copied()) {
            let local = SocketAddr::new(ip, told(bound.port()));
            let reachable = !ip.is_unspecified() && (ip.is_ipv4() || bound.is_ipv6());
            if reachable && !locals.udp.contains(&local) {
                locals.udp.push(local);
                locals.tcp.extend(ground.lines.as_ref().map(|lines| SocketAddr::new(ip, told(lines.port()))));
            }
        }
        locals
    }
}

/// What a viewer is going to watch.
struct Watched {
    stream: Arc<Stream>,
    seats: Vec<crate::stream::Seat>,
    choice: choice::Choice,
    profile: Option<u8>,
}

fn no_session() -> Refused {
    Refused::new(Status::NotFound, "there is no such session: it has ended")
}

/// The addresses that this machine talks to the world from, or the one that is listened on.
fn own_addresses(bound: IpAddr, public: Option<IpAddr>) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    // Connecting a UDP socket chooses a source address and sends nothing; these are addresses for documentation.
    let outward = |from: &str, to: &str| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let v4 = outward("0.0.0.0:0", "192.0.2.1:9");
    let v6 = if bound.is_ipv6() { outward("[::]:0", "[2001:db8::1]:9") } else { None };
    public.into_iter().chain(v4).chain(v6).collect()
}
