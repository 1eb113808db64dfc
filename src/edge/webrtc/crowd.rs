//! The task of viewers of one stream. It wakes once a frame, however many they are.

use super::Settings;
use super::inbox::{Inbox, Mail, Number};
use super::line::Lines;
use super::peer::Outbox;
use super::port::Port;
use super::reel::Reel;
use super::viewer::Viewer;
use crate::base::error::End;
use crate::runtime::task::Stop;
use crate::stream::Stream;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What players send is gathered for this long: reports of hundreds of them come as often as hundreds of times a second.
const GATHER: Duration = Duration::from_millis(4);
/// Who is behind is tried again after this.
const RETRY: Duration = Duration::from_millis(5);
/// Whether somebody was kicked or is gone is looked at this often.
const LOOK: Duration = Duration::from_millis(200);

/// What a crowd stands on.
pub(super) struct Ground {
    pub settings: Settings,
    pub port: Port,
    /// The same over TCP.
    pub lines: Option<Lines>,
}

struct Crowd<'a> {
    ground: &'a Ground,
    inbox: &'a Inbox,
    reel: Reel,
    viewers: HashMap<Number, Viewer>,
    ended: Vec<(Number, End)>,
    out: Outbox,
    looked: Instant,
}

/// Serves viewers until the last one has left or the stream is over.
pub(super) async fn run(ground: &Ground, inbox: &Inbox, stream: Arc<Stream>, stop: Stop) {
    let now = Instant::now();
    let (reel, viewers, out) = (Reel::new(stream.clone()), HashMap::new(), Outbox::default());
    let mut crowd = Crowd { ground, inbox, reel, viewers, ended: Vec::new(), out, looked: now };
    let stopping = stop.requested();
    tokio::pin!(stopping);
    loop {
        let changed = stream.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let now = Instant::now();
        crowd.mail(now);
        let goes_on = crowd.reel.load(now);
        let behind = crowd.serve(now);
        if !goes_on {
            return crowd.close(&End::StreamEnded);
        }
        if crowd.viewers.is_empty() && inbox.close_if_empty() {
            return;
        }
        let quiet = tokio::time::Instant::from_std(now + GATHER);
        let arrived = async {
            tokio::time::sleep_until(quiet).await;
            inbox.arrived().await;
        };
        let wake = tokio::time::Instant::from_std(crowd.wake(now, behind));
        tokio::select! {
            biased;
            () = &mut stopping => return crowd.close(&End::Stopped),
            () = changed => {}
            () = arrived => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

impl Crowd<'_> {
    fn mail(&mut self, now: Instant) {
        for mail in self.inbox.take() {
            match mail {
                Mail::Viewer(viewer) => {
                    self.viewers.insert(viewer.peer.number(), *viewer);
                }
                Mail::Leave(session) => self.ended.push((session, End::PeerClosed)),
                Mail::Datagram { session, way, from, bytes } => {
                    let Some(viewer) = self.viewers.get_mut(&session) else { continue };
                    if let Err(end) = viewer.datagram(now, (way, from), &bytes, &mut self.out) {
                        self.ended.push((session, end));
                    }
                    self.out.relieve(self.ground);
                }
            }
        }
        self.bury();
    }

    /// Gives everybody a share; whether somebody is behind.
    fn serve(&mut self, now: Instant) -> bool {
        let look = now.duration_since(self.looked) >= LOOK;
        if look {
            self.looked = now;
        }
        let (mut behind, mut rushing) = (false, false);
        for (number, viewer) in &mut self.viewers {
            let overdue = if look { viewer.peer.overdue(now, &self.ground.settings) } else { None };
            let served = match overdue {
                Some(end) => Err(end),
                None => viewer.serve(&mut self.reel, now, &mut self.out),
            };
            match served {
                Ok(waits) => behind |= waits,
                Err(end) => self.ended.push((*number, end)),
            }
            rushing |= viewer.rushes();
            self.out.relieve(self.ground);
        }
        if !rushing {
            self.reel.forget_old();
        }
        self.bury();
        self.out.flush(self.ground);
        behind
    }

    fn bury(&mut self) {
        for (number, end) in self.ended.drain(..) {
            if let Some(viewer) = self.viewers.remove(&number) {
                viewer.peer.close(end, &mut self.out);
                self.inbox.left();
            }
        }
    }

    fn wake(&self, now: Instant, behind: bool) -> Instant {
        let next = self.viewers.values().map(|viewer| viewer.peer.next).min().unwrap_or(now + LOOK);
        // Timers of many viewers fall anywhere: those that are close to each other are served together.
        let next = next.min(self.looked + LOOK).max(now + GATHER);
        if behind { next.min(now + RETRY) } else { next }
    }

    fn close(mut self, end: &End) {
        let waiting = self.inbox.close();
        let late = waiting.into_iter().filter_map(|mail| match mail {
            Mail::Viewer(viewer) => Some(*viewer),
            _ => None,
        });
        for viewer in self.viewers.drain().map(|(_, viewer)| viewer).chain(late) {
            viewer.peer.close(end.clone(), &mut self.out);
        }
        self.out.flush(self.ground);
    }
}
