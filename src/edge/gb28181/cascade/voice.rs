//! Voice of an upper platform: taken in as a stream, and passed to the camera below that it is meant for.

use super::super::media::{Answer, Codec, Expect, Receiving, Transport};
use super::super::service::Service;
use super::super::voice::VoiceOrder;
use super::call::{Refused, Way};
use super::list::Entry;
use crate::base::id::StreamKey;
use crate::model::upper;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::sdp::{Carriage, Description, Direction, Payload};
use crate::proto::gb28181::ssrc::Ssrc;
use crate::runtime::task::Stop;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long the camera may take to be heard at.
const PATIENCE: Duration = Duration::from_secs(20);
/// A platform that says nothing for so long is not there any more.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a voice is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The port of `m=` of who connects (RFC 4145 section 4.1).
const NO_PORT: u16 = 9;
/// The payload types of G.711 (RFC 3551 table 4).
const PCMU: u8 = 0;
const PCMA: u8 = 8;
/// An SSRC of a live stream begins with 0 (annex G).
const SSRCS: u32 = 1_000_000_000;
/// SSRCs that are tried.
const TRIES: usize = 16;

/// The platform's voice, on its way in.
pub(super) struct Voice {
    pub receiving: Receiving,
    /// Our half of the description.
    pub description: Description,
    /// What is ordered below.
    pub order: VoiceOrder,
}

/// For a broadcast: we call the platform, which then sends.
pub(super) fn to_call(service: &Service, entry: &Entry, setup: &upper::Setup, way: Way) -> Result<Voice, Refused> {
    // who is reached by a connection only cannot be reached by datagrams, as behind a translator
    let carriage = match setup.transport {
        upper::Transport::Udp => Carriage::Udp,
        upper::Transport::Tcp => Carriage::TcpActive,
    };
    take_in(service, entry, carriage, None, way, false)
}

/// For a talk: the platform calls us, and sends.
pub(super) fn called(service: &Service, entry: &Entry, offer: &Description, way: Way) -> Result<Voice, Refused> {
    let taken = [PCMA, PCMU].into_iter().find(|number| offer.formats.contains(number) || offer.formats.is_empty());
    let Some(number) = taken else { return Err((488, format!("its voice is no G.711 but {:?}", offer.formats))) };
    let mut voice = take_in(service, entry, offer.carriage.opposite(), offer.ssrc, way, true)?;
    voice.description.purpose = offer.purpose;
    if number == PCMU {
        voice.description.formats = vec![PCMU];
        voice.description.payloads = vec![Payload { number: PCMU, encoding: "PCMU".to_owned(), rate: 8000 }];
    }
    connect(&voice, offer, way);
    Ok(voice)
}

fn take_in(service: &Service, entry: &Entry, carriage: Carriage, told: Option<Ssrc>, way: Way, talk: bool) -> Result<Voice, Refused> {
    let (Some(device), Some(target)) = (entry.shown.device, entry.channel) else {
        return Err((488, "a stream that is pushed has no loudspeaker".to_owned()));
    };
    // beside the stream that the camera sends; nobody can play it, for the store does not know it
    let source = StreamKey::new(entry.key.app(), &format!("{}@voice", entry.key.name())).map_err(|error| (500, error.to_string()))?;
    let transport = match carriage {
        Carriage::Udp => Transport::Udp,
        Carriage::TcpPassive => Transport::TcpPassive,
        Carriage::TcpActive => Transport::TcpActive,
    };
    let mut last = (503, "no SSRC is free".to_owned());
    for _ in 0..TRIES {
        let ssrc = told.filter(|ssrc| ssrc.0 != 0).unwrap_or(Ssrc(rand::random::<u32>() % SSRCS));
        let expect = Expect {
            transport,
            device: Some(way.remote.to_canonical()),
            payloads: vec![(PCMA, Codec::Pcma), (PCMU, Codec::Pcmu)],
            silence: Some(SILENCE),
            ..Expect::new(source.clone(), ssrc.0)
        };
        match service.media.expect(expect) {
            Ok(receiving) => {
                let host = match service.media.address().ip() {
                    any if any.is_unspecified() => way.told,
                    bound => bound,
                };
                let port = if carriage == Carriage::TcpActive { NO_PORT } else { receiving.port() };
                let description =
                    Description { ssrc: Some(ssrc), ..Description::voice(entry.code.as_str(), host, port, carriage, Direction::RecvOnly) };
                return Ok(Voice { receiving, description, order: VoiceOrder { device, target, source, talk } });
            }
            Err(error) => last = (503, error.to_string()),
        }
        if told.is_some_and(|ssrc| ssrc.0 != 0) {
            break;
        }
    }
    Err(last)
}

/// Takes in what the platform says of its media, and connects where that is ours to do.
pub(super) fn connect(voice: &Voice, theirs: &Description, way: Way) {
    let host = theirs.host.parse::<IpAddr>().ok().filter(|host| !host.is_unspecified()).unwrap_or(way.remote);
    let payload = |number: &u8| {
        let named = theirs.encoding(*number).map(Codec::named);
        (*number, named.unwrap_or(Codec::usual(*number)))
    };
    voice.receiving.answer(Answer {
        ssrc: theirs.ssrc.map(|ssrc| ssrc.0).filter(|ssrc| *ssrc != 0),
        source: (theirs.port != 0 && theirs.port != NO_PORT).then(|| SocketAddr::new(host, theirs.port)),
        payloads: theirs.formats.iter().map(payload).collect(),
    });
    if voice.description.carriage == Carriage::TcpActive {
        voice.receiving.connect(SocketAddr::new(host, theirs.port));
    }
}

/// Has the voice heard at the camera until one of both ends is gone; gives the reason.
pub(super) async fn pass_on(service: Arc<Service>, code: Id, voice: Voice, stop: Stop) -> String {
    let Voice { receiving, order, .. } = voice;
    let heard = tokio::select! {
        heard = service.voices.start(&service, order.clone(), PATIENCE) => heard,
        end = receiving.ended() => return format!("no voice came: {end}"),
        () = stop.requested() => return "hung up".to_owned(),
    };
    if let Err(why) = heard {
        return format!("the camera does not take it: {why}");
    }
    tracing::info!(channel = %code, "voice of the upper platform is heard below");
    let why = loop {
        tokio::select! {
            end = receiving.ended() => break format!("the platform's voice ended: {end}"),
            () = stop.requested() => break "hung up".to_owned(),
            () = tokio::time::sleep(LOOK) => if !service.voices.goes_to(&order) {
                return "the camera hung up".to_owned();
            },
        }
    };
    service.voices.stop(order.device).await;
    why
}
