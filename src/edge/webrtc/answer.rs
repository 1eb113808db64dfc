//! From an offer to an answer: the codecs that a session may use, and our addresses.

use super::hub::{Refused, Status};
use super::table::Names;
use crate::proto::webrtc::{Coding, fragment};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;
use str0m::format::CodecConfig;
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, Mid, Pt};
use str0m::net::{Protocol, TcpType};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};

/// H.264 in packetization mode 1 by profile (RFC 6184 table 5), as `profile-level-id`; browsers ignore the level of an answer.
const H264: [(u8, u8, u32); 5] =
    [(127, 121, 0x42001f), (108, 109, 0x42e01f), (123, 119, 0x4d001f), (114, 115, 0x64001f), (112, 113, 0xf4001f)];
/// Packets of pictures that are kept to be sent again: more than a second of 4 Mbit/s.
const RESENDS: usize = 512;
/// How often sessions report what players asked for.
const REPORTS: Duration = Duration::from_secs(5);

/// What all sessions share: the certificate, the cryptography.
pub(super) struct Maker {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// A session that has answered.
pub(super) struct Made {
    pub rtc: Rtc,
    pub names: Names,
    pub answer: String,
    pub mids: Vec<(MediaKind, Mid)>,
}

/// Our addresses, as a client reaches them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Locals {
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
}

impl Locals {
    /// Those for one of the two.
    pub fn of(&self, way: Protocol) -> impl Iterator<Item = SocketAddr> {
        if way == Protocol::Udp { self.udp.iter().copied() } else { self.tcp.iter().copied() }
    }

    /// What an answer offers: UDP is preferred by its kind, and clients connect over TCP, not we (RFC 6544 section 4.5).
    fn candidates(&self) -> Result<Vec<Candidate>, String> {
        let udp = self.udp.iter().map(|local| Candidate::host(*local, "udp"));
        let tcp = self.tcp.iter().map(|local| Candidate::builder().tcp().host(*local).tcptype(TcpType::Passive).build());
        udp.chain(tcp).map(|candidate| candidate.map_err(|e| e.to_string())).collect()
    }
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Play,
    Publish,
}

impl Maker {
    /// Makes a certificate, which lives as long as the server.
    pub fn new() -> Result<Maker, String> {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = crypto.dtls_provider.generate_certificate().ok_or("no certificate can be made for DTLS")?;
        Ok(Maker { crypto, certificate })
    }

    /// Answers an offer. Of `codings` those are answered that the offer has; `locals` are our addresses.
    pub fn answer(&self, offer: &str, purpose: Use, codings: &[Coding], locals: &Locals, now: Instant) -> Result<Made, Refused> {
        let bad = |why: String| Refused::new(Status::Bad, why);
        let client = fragment::name(offer).ok_or_else(|| bad("the offer has no ice-ufrag".to_owned()))?.to_owned();
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|e| bad(format!("the offer cannot be read: {e}")))?;
        let creds = IceCreds { ufrag: random(12), pass: random(32) };
        let names = Names { name: creds.ufrag.clone(), client, resource: random(32) };
        let config = self.config(purpose, codings, creds);
        // Strange offers must cost their senders a refusal, whatever str0m makes of them.
        let made = catch_unwind(AssertUnwindSafe(|| {
            let mut rtc = config.build(now);
            for candidate in locals.candidates()? {
                rtc.add_local_candidate(candidate);
            }
            let answer = rtc.sdp_api().accept_offer(parsed).map_err(|e| e.to_string())?;
            Ok::<_, String>((rtc, answer.to_sdp_string()))
        }));
        let (rtc, answer) = match made {
            Ok(Ok(made)) => made,
            Ok(Err(why)) => return Err(bad(format!("the offer cannot be answered: {why}"))),
            Err(_) => return Err(bad("the offer cannot be answered".to_owned())),
        };
        let mids = sections(offer);
        Ok(Made { rtc, names, answer, mids })
    }

    fn config(&self, purpose: Use, codings: &[Coding], creds: IceCreds) -> RtcConfig {
        let mut config = RtcConfig::new()
            .set_crypto_provider(self.crypto.clone())
            .set_dtls_cert(self.certificate.clone())
            .set_local_ice_credentials(creds)
            .set_ice_lite(true)
            .set_rtp_mode(purpose == Use::Play)
            .set_send_buffer_video(RESENDS)
            .set_stats_interval(Some(REPORTS))
            .clear_codecs();
        if purpose == Use::Play {
            // From the times of sending players estimate what comes through, and tell it (REMB); `relief` judges it. Reports on each
            // packet (transport-wide feedback) would cost more than they bring: a stream has the rate that it has.
            let mut extensions = ExtensionMap::empty();
            extensions.set(2, Extension::AbsoluteSendTime);
            extensions.set(4, Extension::RtpMid);
            config = config.set_extension_map(extensions);
        }
        let codecs = config.codec_config();
        *codecs = CodecConfig::empty();
        for coding in codings {
            match coding {
                Coding::H264 => {
                    for (pt, resend, profile) in H264 {
                        codecs.add_h264(pt.into(), Some(resend.into()), true, profile);
                    }
                }
                Coding::H265 => codecs.enable_h265(true),
                Coding::Opus => codecs.enable_opus(true, false),
                Coding::Pcma => codecs.enable_pcma(true, false),
                Coding::Pcmu => codecs.enable_pcmu(true, false),
            }
        }
        config
    }
}

/// The payload types that were agreed on for a coding in a section; for H.264 the one nearest to the profile comes first.
pub(super) fn types(rtc: &Rtc, mid: Mid, coding: Coding, profile: Option<u8>) -> Vec<Pt> {
    use str0m::format::Codec;
    let wanted = match coding {
        Coding::H264 => Codec::H264,
        Coding::H265 => Codec::H265,
        Coding::Opus => Codec::Opus,
        Coding::Pcma => Codec::PCMA,
        Coding::Pcmu => Codec::PCMU,
    };
    let Some(media) = rtc.media(mid) else { return Vec::new() };
    let mut found: Vec<_> = rtc
        .codec_config()
        .params()
        .iter()
        .filter(|params| params.spec().codec == wanted && media.remote_pts().contains(&params.pt()))
        .map(|params| (params.pt(), params.spec().format.profile_level_id.map_or(0, |id| (id >> 16) as u8)))
        .collect();
    // A decoder for one profile takes lower ones as well; the others are worth a try, which most browsers honour.
    let far = |offered: u8| match profile {
        Some(profile) if offered == profile => 0,
        _ => match offered {
            0x64 => 1,
            0x4d => 2,
            0x42 => 3,
            _ => 4,
        },
    };
    found.sort_by_key(|(_, offered)| far(*offered));
    found.into_iter().map(|(pt, _)| pt).collect()
}

/// The sections of an offer that are in use, with their names.
fn sections(offer: &str) -> Vec<(MediaKind, Mid)> {
    let mut found = Vec::new();
    let mut kind = None;
    for line in offer.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            kind = match media.split(' ').next() {
                Some("video") => Some(MediaKind::Video),
                Some("audio") => Some(MediaKind::Audio),
                _ => None,
            };
        } else if let (Some(kind), Some(mid)) = (kind, line.strip_prefix("a=mid:")) {
            found.push((kind, Mid::from(mid)));
        }
    }
    found
}

/// Random letters and digits (`ice-char` of RFC 8839 section 5.4); with 64 symbols each of them is 6 bits.
fn random(length: usize) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // `-` and `_` are no ice-chars: they stand for letters again, which costs a fraction of a bit.
    let pick = |n: u8| match SYMBOLS[usize::from(n & 63)] {
        b'-' => 'x',
        b'_' => 'y',
        c => c as char,
    };
    (0..length).map(|_| pick(rand::random())).collect()
}
