//! Connects the HTTP edge, which takes WebRTC offers, with the WebRTC edge, which answers them.

use crate::config::Config;
use crate::edge::http::{self, Refusal};
use crate::edge::session::Session;
use crate::edge::webrtc::{Parts, Refused, Status, WebRtc, Wish};
use crate::runtime::task::Tasks;
use crate::stream::{Registry, Subscriber};
use crate::worker::transcode;
use axum::http::StatusCode;
use std::sync::Arc;

/// Opens the port, unless the configuration has none.
pub(super) fn open(config: &Config, registry: &Registry, tasks: &Tasks) -> Result<Option<Arc<dyn http::Calls>>, String> {
    if !config.webrtc.enabled {
        return Ok(None);
    }
    let public = config.public.host.trim_matches(['[', ']']).parse().ok();
    let rtc = WebRtc::open(config.webrtc.clone(), Parts { registry: registry.clone(), tasks: tasks.clone(), public })?;
    if config.transcode.h264 {
        rtc.show_plain(Arc::new(|key| transcode::output(key, transcode::H264)));
    }
    tracing::info!(listen = %rtc.bound(), "WebRTC: media over UDP and, where webrtc.tcp says so, TCP; offers to /{{app}}/{{stream}}.whep and .whip, or /rtc/v1/play");
    Ok(Some(Arc::new(Answers(rtc))))
}

struct Answers(WebRtc);

impl http::Calls for Answers {
    fn play<'a>(&'a self, subscriber: Subscriber, session: Session, offer: http::Offer) -> http::Answering<'a> {
        Box::pin(async move { self.0.play(subscriber, session, wish(offer)).await.map(opened).map_err(refusal) })
    }

    fn publish(&self, session: Session, offer: http::Offer) -> Result<http::Opened, Refusal> {
        self.0.publish(session, &wish(offer)).map(opened).map_err(refusal)
    }

    fn patch(&self, id: &str, tag: Option<&str>, fragment: &str) -> Result<(), Refusal> {
        self.0.patch(id, tag, fragment).map_err(refusal)
    }

    fn leave(&self, id: &str) -> Result<(), Refusal> {
        self.0.leave(id).map_err(refusal)
    }

    fn metrics(&self) -> Vec<(&'static str, &'static str, &'static str, u64)> {
        let figures = self.0.figures();
        vec![
            ("weir_webrtc_sessions", "gauge", "WebRTC sessions, those that are still connecting included.", figures.sessions),
            ("weir_webrtc_received_packets_total", "counter", "Datagrams that came to the WebRTC port.", figures.received),
            ("weir_webrtc_sent_packets_total", "counter", "Datagrams that were sent from it.", figures.sent),
            ("weir_webrtc_unsent_packets_total", "counter", "Datagrams that the system did not take.", figures.lost),
            ("weir_webrtc_stray_packets_total", "counter", "Datagrams of no session.", figures.strangers),
            ("weir_webrtc_dropped_packets_total", "counter", "Datagrams that came faster than they could be read.", figures.overflow),
            ("weir_webrtc_nacks_total", "counter", "Requests of players for packets that were lost.", figures.nacks),
            ("weir_webrtc_key_requests_total", "counter", "Requests of players for a key frame (PLI, FIR).", figures.key_requests),
            ("weir_webrtc_congested_viewers", "gauge", "Viewers that get less than the stream: their way is too narrow.", figures.spared),
            ("weir_webrtc_congestion_total", "counter", "How often a viewer's way was found too narrow.", figures.congested),
            ("weir_webrtc_left_out_pictures_total", "counter", "Pictures that such viewers did not get.", figures.left_out),
        ]
    }
}

fn wish(offer: http::Offer) -> Wish {
    Wish { key: offer.key, offer: offer.sdp, host: offer.host }
}

fn opened(opened: crate::edge::webrtc::Opened) -> http::Opened {
    http::Opened { answer: opened.answer, id: opened.resource, tag: opened.tag }
}

fn refusal(refused: Refused) -> Refusal {
    let status = match refused.status {
        Status::Bad => StatusCode::BAD_REQUEST,
        Status::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Status::NotFound => StatusCode::NOT_FOUND,
        Status::Taken => StatusCode::CONFLICT,
        Status::Stale => StatusCode::PRECONDITION_FAILED,
        Status::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal::new(status, refused.why)
}
