//! The handles: [`Media`] for the whole, [`Receiving`] for one call.

use super::call::{Answer, Call, Expect, State};
use super::hub::{CannotExpect, Hub, Parts};
use super::ports::Port;
use super::report::Report;
use super::table::Stranger;
use crate::base::error::End;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// All media. Cloning shares it.
#[derive(Clone)]
pub struct Media(Arc<Hub>);

/// One call that receives. Dropping it ends the call and gives its port back.
pub struct Receiving {
    hub: Arc<Hub>,
    call: Arc<Call>,
    state: watch::Receiver<State>,
    /// Behind `call`: the port comes back when the sockets are closed.
    _port: Option<Port>,
}

impl Media {
    /// Opens the ports and starts the readers.
    pub fn start(parts: Parts) -> io::Result<Media> {
        Hub::start(parts).map(Media)
    }

    /// The shared port, as it was really opened.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Expects media. From now on packets with its SSRC, or to its own port, become its stream.
    pub fn expect(&self, expect: Expect) -> Result<Receiving, CannotExpect> {
        let (call, port) = self.0.expect(expect)?;
        let state = call.watch();
        Ok(Receiving { hub: self.0.clone(), call, state, _port: port })
    }

    /// All calls, as they stand.
    pub fn reports(&self) -> Vec<Report> {
        let now = self.0.clock.now();
        let calls: Vec<_> = self.0.table().calls().cloned().collect();
        calls.iter().map(|call| call.report(now)).collect()
    }

    /// The senders whose SSRC no call has: of calls that ended, or of calls that were set up elsewhere.
    pub fn strangers(&self) -> Vec<Stranger> {
        self.0.strangers()
    }

    /// Datagrams on the shared port that were no RTP.
    pub fn no_rtp(&self) -> u64 {
        self.0.counts.no_rtp_total()
    }

    /// Ports of the range in use, and overall.
    pub fn ports(&self) -> Option<(usize, usize)> {
        self.0.ports.as_ref().map(|ports| ports.used())
    }
}

impl Receiving {
    /// The port to tell the device.
    pub fn port(&self) -> u16 {
        self.call.port
    }

    /// The SSRC to tell the device.
    pub fn ssrc(&self) -> u32 {
        self.call.expect.ssrc
    }

    /// Takes in what the answer to the INVITE told: another SSRC, where the media comes from, what the payload types mean.
    pub fn answer(&self, answer: Answer) {
        let (ssrc, source) = (answer.ssrc, answer.source);
        self.call.answer(answer);
        self.hub.learn(&self.call, ssrc, source);
    }

    /// Connects to the device's port (our `a=setup:active`). Tries for as long as `rtp.connect` says; a failure ends the call.
    pub fn connect(&self, to: SocketAddr) {
        self.hub.connect(&self.call, to);
    }

    /// Playback is paused: no time-out runs; or it goes on.
    pub fn hold(&self, held: bool) {
        self.call.hold(held, self.hub.clock.now());
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits for the next state; an ended call stays so.
    pub async fn changed(&mut self) -> State {
        if self.state.changed().await.is_err() {
            return State::Ended(End::Stopped);
        }
        self.state.borrow_and_update().clone()
    }

    /// Waits until the call is live, or over.
    pub async fn settled(&mut self) -> State {
        match self.state.wait_for(|state| matches!(state, State::Live | State::Ended(_))).await {
            Ok(state) => state.clone(),
            Err(_) => State::Ended(End::Stopped),
        }
    }

    /// Returns when the call is over, with the reason.
    pub async fn ended(&self) -> End {
        self.call.ended().await;
        match self.state() {
            State::Ended(end) => end,
            _ => End::Stopped,
        }
    }

    /// Returns when no packet has come for `span`, or none is to be expected.
    pub async fn quiet(&self, span: Duration) {
        const LOOK: Duration = Duration::from_millis(20);
        let since = self.hub.clock.now();
        while self.call.quiet_for(since, self.hub.clock.now()).is_some_and(|quiet| quiet < span) {
            self.hub.clock.sleep(LOOK).await;
        }
    }

    /// Whether its sender is gone, as far as can be seen: its connection is closed, or nothing came for `silence`.
    pub fn is_dead(&self, silence: Duration) -> bool {
        self.call.is_dead(self.hub.clock.now(), silence)
    }

    /// Returns when it is time to ask the device for a key frame: frames had missing packets (at most once a second), or a viewer
    /// lost the thread.
    pub async fn key_wanted(&self) {
        tokio::select! {
            () = self.call.key_wanted.notified() => {}
            () = self.viewer_wants() => {}
        }
    }

    async fn viewer_wants(&self) {
        let mut state = self.state.clone();
        let live = state.wait_for(|state| matches!(state, State::Live)).await.is_ok();
        match self.call.key_wanted_by_viewers().filter(|_| live) {
            Some(wanted) => wanted.await,
            // Nobody watches what is over.
            None => std::future::pending().await,
        }
    }

    /// All that is known.
    pub fn report(&self) -> Report {
        self.call.report(self.hub.clock.now())
    }

    /// Ends the call with a reason of the caller's, for the session's log line.
    pub fn end(self, end: End) {
        self.hub.end(&self.call, end);
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.hub.end(&self.call, End::PeerClosed);
    }
}
