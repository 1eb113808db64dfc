//! Sessions: every connection that publishes or plays is one. It is listed, counted, can be kicked, and logs two lines.

use crate::base::error::{Blame, End};
use crate::base::id::{SessionId, StreamKey};
use crate::base::pii::Pii;
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::stream::access::Grant;
use dashmap::DashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// All sessions of the server. Cloning shares the table.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    clock: Clock,
    next: AtomicU64,
    live: DashMap<SessionId, Arc<Live>>,
    totals: DashMap<(&'static str, Role), Arc<Totals>>,
    /// What ended players took that [`Sessions::take_sent`] has not told yet.
    ended: DashMap<(StreamKey, &'static str), u64>,
}

/// Streams whose ended players are remembered at most, where nobody calls [`Sessions::take_sent`].
const ENDED: usize = 65_536;

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Not known yet.
    Unknown,
    /// Sends a stream to us.
    Publish,
    /// Gets a stream from us.
    Play,
}

impl Role {
    /// The word that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Role::Unknown => "unknown",
            Role::Publish => "publish",
            Role::Play => "play",
        }
    }
}

/// Counters of one session; written by it alone.
#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    wrote: AtomicU64,
    frames: AtomicU64,
    skips: AtomicU64,
}

#[derive(Debug)]
struct Live {
    id: SessionId,
    protocol: &'static str,
    peer: SocketAddr,
    opened: Timestamp,
    opened_unix: Timestamp,
    what: OnceLock<(Role, StreamKey)>,
    counters: Counters,
    /// How much of what it wrote was told by [`Sessions::take_sent`].
    told: AtomicU64,
    kick: OnceLock<String>,
    kicked: Notify,
}

/// Sums over the sessions of one protocol and role, ended ones included.
#[derive(Debug, Default)]
struct Totals {
    opened: AtomicU64,
    read: AtomicU64,
    wrote: AtomicU64,
    frames: AtomicU64,
    skips: AtomicU64,
    blamed: [AtomicU64; 3],
}

/// What lists show of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Its number.
    pub id: SessionId,
    /// Its protocol.
    pub protocol: &'static str,
    /// What it does.
    pub role: Role,
    /// The stream.
    pub key: Option<StreamKey>,
    /// The other side.
    pub peer: SocketAddr,
    /// When it began, on the wall clock.
    pub since: Timestamp,
    /// Bytes from the peer.
    pub read: u64,
    /// Bytes to the peer.
    pub wrote: u64,
    /// Frames taken or given.
    pub frames: u64,
    /// Times that it had to skip to a newer key frame.
    pub skips: u64,
}

/// What metrics show of one protocol and role.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    /// The protocol.
    pub protocol: &'static str,
    /// The role.
    pub role: Role,
    /// Sessions now.
    pub live: u64,
    /// Sessions ever.
    pub opened: u64,
    /// Bytes from peers.
    pub read: u64,
    /// Bytes to peers.
    pub wrote: u64,
    /// Frames taken or given.
    pub frames: u64,
    /// Skips to a newer key frame.
    pub skips: u64,
    /// Ends that were the peer's, the environment's, our fault.
    pub blamed: [u64; 3],
}

/// One session. [`close`](Session::close) says how it ended.
pub struct Session {
    sessions: Sessions,
    live: Arc<Live>,
    span: tracing::Span,
    /// What it was let in with, until it ends.
    grant: Grant,
    closed: bool,
}

impl Sessions {
    /// An empty table.
    pub fn new(clock: Clock) -> Sessions {
        Sessions(Arc::new(Inner { clock, next: AtomicU64::new(1), live: DashMap::new(), totals: DashMap::new(), ended: DashMap::new() }))
    }

    /// Opens a session; its log line comes when it says what it wants ([`Session::begin`]).
    pub fn open(&self, protocol: &'static str, peer: SocketAddr) -> Session {
        let id = SessionId(self.0.next.fetch_add(1, Ordering::Relaxed));
        let live = Arc::new(Live {
            id,
            protocol,
            peer,
            opened: self.0.clock.now(),
            opened_unix: self.0.clock.unix(),
            what: OnceLock::new(),
            counters: Counters::default(),
            told: AtomicU64::new(0),
            kick: OnceLock::new(),
            kicked: Notify::new(),
        });
        self.0.live.insert(id, live.clone());
        let span = tracing::info_span!("session", session = id.0, proto = protocol, peer = %Pii(peer), stream = tracing::field::Empty);
        Session { sessions: self.clone(), live, span, grant: Grant::default(), closed: false }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.0.live.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.live.is_empty()
    }

    /// All sessions now.
    pub fn list(&self) -> Vec<Info> {
        self.0.live.iter().map(|live| live.info()).collect()
    }

    /// Ends a session; `false` if there is no such one.
    pub fn kick(&self, id: SessionId, why: &str) -> bool {
        self.0.live.get(&id).map(|live| live.clone()).is_some_and(|live| live.kick(why))
    }

    /// Ends all sessions that `which` picks; returns how many.
    pub fn kick_all(&self, why: &str, which: impl Fn(&Info) -> bool) -> usize {
        let picked: Vec<_> = self.0.live.iter().filter(|live| which(&live.info())).map(|live| live.clone()).collect();
        picked.iter().filter(|live| live.kick(why)).count()
    }

    /// Sums by protocol and role.
    pub fn sums(&self) -> Vec<Sum> {
        let mut sums: Vec<Sum> = self.0.totals.iter().map(|t| t.value().sum(t.key().0, t.key().1)).collect();
        for live in self.0.live.iter() {
            let info = live.info();
            if let Some(sum) = sums.iter_mut().find(|s| s.protocol == info.protocol && s.role == info.role) {
                sum.live += 1;
                sum.read += info.read;
                sum.wrote += info.wrote;
                sum.frames += info.frames;
                sum.skips += info.skips;
            }
        }
        sums.sort_by_key(|s| (s.protocol, s.role.name()));
        sums
    }

    /// Bytes that players took since the last call, by stream and protocol; those that ended meanwhile included, each byte once.
    pub fn take_sent(&self) -> Vec<(StreamKey, &'static str, u64)> {
        let mut sent = Vec::new();
        for live in self.0.live.iter() {
            if let Some((Role::Play, key)) = live.what.get() {
                sent.push((key.clone(), live.protocol, live.untold()));
            }
        }
        self.0.ended.retain(|(key, protocol), bytes| {
            sent.push((key.clone(), *protocol, *bytes));
            false
        });
        sent.retain(|(.., bytes)| *bytes > 0);
        sent
    }

    /// Bytes of a stream that somebody took without a session, as of its past; [`Sessions::take_sent`] tells them.
    pub fn sent(&self, key: &StreamKey, protocol: &'static str, bytes: u64) {
        let ended = &self.0.ended;
        if bytes > 0 && ended.len() < ENDED {
            *ended.entry((key.clone(), protocol)).or_default() += bytes;
        }
    }

    fn totals(&self, protocol: &'static str, role: Role) -> Arc<Totals> {
        self.0.totals.entry((protocol, role)).or_default().clone()
    }
}

impl Live {
    fn info(&self) -> Info {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let what = self.what.get();
        Info {
            id: self.id,
            protocol: self.protocol,
            role: what.map_or(Role::Unknown, |(role, _)| *role),
            key: what.map(|(_, key)| key.clone()),
            peer: self.peer,
            since: self.opened_unix,
            read: get(&self.counters.read),
            wrote: get(&self.counters.wrote),
            frames: get(&self.counters.frames),
            skips: get(&self.counters.skips),
        }
    }

    /// Bytes that it wrote and that were not told yet; they are told with this. Two callers share them, whoever comes first.
    fn untold(&self) -> u64 {
        let wrote = self.counters.wrote.load(Ordering::Relaxed);
        wrote.saturating_sub(self.told.fetch_max(wrote, Ordering::AcqRel))
    }

    fn kick(&self, why: &str) -> bool {
        let first = self.kick.set(why.to_owned()).is_ok();
        self.kicked.notify_waiters();
        first
    }
}

impl Totals {
    fn sum(&self, protocol: &'static str, role: Role) -> Sum {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Sum {
            protocol,
            role,
            live: 0,
            opened: get(&self.opened),
            read: get(&self.read),
            wrote: get(&self.wrote),
            frames: get(&self.frames),
            skips: get(&self.skips),
            blamed: [get(&self.blamed[0]), get(&self.blamed[1]), get(&self.blamed[2])],
        }
    }
}

/// Adds to a counter that only this session writes.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl Session {
    /// Its number.
    pub fn id(&self) -> SessionId {
        self.live.id
    }

    /// The other side's address.
    pub fn peer(&self) -> SocketAddr {
        self.live.peer
    }

    /// The span that belongs around everything it does.
    pub fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// It publishes or plays a stream from now on: the first of its two log lines.
    pub fn begin(&self, role: Role, key: &StreamKey) {
        if self.live.what.set((role, key.clone())).is_ok() {
            add_shared(&self.sessions.totals(self.live.protocol, role).opened, 1);
            self.span.record("stream", tracing::field::display(key));
            let _entered = self.span.enter();
            tracing::info!(role = role.name(), "opened");
        }
    }

    /// It was let in: what it holds is given back when it ends.
    pub fn admitted(&mut self, grant: Grant) {
        self.grant = grant;
    }

    /// So many bytes came from the peer.
    pub fn read(&self, bytes: usize) {
        add(&self.live.counters.read, bytes as u64);
    }

    /// So many bytes went to the peer.
    pub fn wrote(&self, bytes: usize) {
        add(&self.live.counters.wrote, bytes as u64);
    }

    /// So many frames were taken or given.
    pub fn frames(&self, frames: u64) {
        add(&self.live.counters.frames, frames);
    }

    /// It skipped to a newer key frame.
    pub fn skipped(&self) {
        add(&self.live.counters.skips, 1);
    }

    /// Whether it must end, and how.
    pub fn is_kicked(&self) -> Option<End> {
        self.live.kick.get().map(|why| End::Kicked(why.clone()))
    }

    /// Returns when it must end.
    pub async fn kicked(&self) -> End {
        loop {
            let kicked = self.live.kicked.notified();
            tokio::pin!(kicked);
            kicked.as_mut().enable();
            if let Some(end) = self.is_kicked() {
                return end;
            }
            kicked.await;
        }
    }

    /// It is over: the second log line, with who is to blame.
    pub fn close(mut self, end: End) {
        self.finish(end);
    }

    fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        drop(std::mem::take(&mut self.grant));
        let Inner { clock, live, .. } = &*self.sessions.0;
        live.remove(&self.live.id);
        let info = self.live.info();
        if let Some((Role::Play, key)) = self.live.what.get() {
            self.sessions.sent(key, self.live.protocol, self.live.untold());
        }
        let totals = self.sessions.totals(info.protocol, info.role);
        add_shared(&totals.read, info.read);
        add_shared(&totals.wrote, info.wrote);
        add_shared(&totals.frames, info.frames);
        add_shared(&totals.skips, info.skips);
        let blame = end.blame();
        if let Some(blame) = blame {
            let at = match blame {
                Blame::Peer => 0,
                Blame::Environment => 1,
                Blame::Us => 2,
            };
            add_shared(&totals.blamed[at], 1);
        }
        let seconds = clock.now().since(self.live.opened).as_secs_f64();
        let _entered = self.span.enter();
        let blamed = blame.map_or("nobody", |b| match b {
            Blame::Peer => "peer",
            Blame::Environment => "environment",
            Blame::Us => "us",
        });
        macro_rules! closed {
            ($level:ident) => {
                tracing::$level!(
                    role = info.role.name(), %end, blame = blamed, seconds = format_args!("{seconds:.3}"),
                    read = info.read, wrote = info.wrote, frames = info.frames, skips = info.skips, "closed"
                )
            };
        }
        match blame {
            Some(Blame::Us) => closed!(error),
            Some(Blame::Environment) => closed!(warn),
            _ => closed!(info),
        }
    }
}

/// Adds to a counter that many write.
fn add_shared(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody said how it ended: its task was ended with the server.
        self.finish(End::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_are_listed_counted_and_kicked() {
        let sessions = Sessions::new(Clock::real());
        let key = StreamKey::parse("live/a").unwrap();
        let session = sessions.open("rtmp", "127.0.0.1:1".parse().unwrap());
        session.begin(Role::Play, &key);
        session.wrote(100);
        session.frames(3);
        assert_eq!(sessions.list()[0].key.as_ref(), Some(&key));
        assert!(sessions.kick(session.id(), "enough"));
        assert_eq!(session.kicked().await, End::Kicked("enough".to_owned()));
        assert_eq!(sessions.sums()[0].live, 1);
        session.close(End::TooSlow);
        let sum = sessions.sums()[0];
        assert_eq!((sum.live, sum.opened, sum.wrote, sum.frames, sum.blamed), (0, 1, 100, 3, [1, 0, 0]));
        assert!(sessions.is_empty());
    }

    #[test]
    fn each_byte_that_was_sent_is_told_once() {
        let sessions = Sessions::new(Clock::real());
        let (a, b) = (StreamKey::parse("live/a").unwrap(), StreamKey::parse("live/b").unwrap());
        let open = |role, key| {
            let session = sessions.open("rtmp", "127.0.0.1:1".parse().unwrap());
            session.begin(role, key);
            session
        };
        let (stays, goes, publishes) = (open(Role::Play, &a), open(Role::Play, &a), open(Role::Publish, &b));
        let taken = || {
            let mut sums = std::collections::BTreeMap::new();
            sessions.take_sent().into_iter().for_each(|(key, _, bytes)| *sums.entry(key).or_insert(0) += bytes);
            sums.into_iter().collect::<Vec<_>>()
        };
        stays.wrote(100);
        goes.wrote(10);
        publishes.wrote(7);
        assert_eq!(taken(), [(a.clone(), 110)]);
        goes.wrote(5);
        goes.close(End::Stopped);
        stays.wrote(1);
        assert_eq!(taken(), [(a, 6)]);
        assert_eq!(taken(), []);
    }
}
