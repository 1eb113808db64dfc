//! One entry for each fuzz target: takes bytes as an attacker would send them, fails by panicking.
//!
//! Three kinds: *nothing panics and memory is bounded*, *what is written reads back*, *whatever comes in, invariants hold*.
//! `tests/fuzz` runs them with libFuzzer; `tests/law/corpus.rs` replays the committed corpus in every `cargo test`.
//! A new parser gets an entry here and a line in [`TARGETS`].

mod dialogs;
mod gb28181;
mod http;
mod media;
mod ps;
mod recording;
mod rtmp;
mod rtp;
mod sip;
mod stored;
mod webrtc;

/// An entry.
pub type Target = fn(&[u8]);

/// Every target by name; its corpus is `tests/fuzz/corpus/NAME`.
pub const TARGETS: &[(&str, Target)] = &[
    ("aac", media::aac),
    ("amf", rtmp::amf),
    ("annexb", media::annexb),
    ("audio", media::audio),
    ("av1c", media::av1c),
    ("avcc", media::avcc),
    ("flv", rtmp::flv),
    ("framing", rtp::framing),
    ("gb28181_client", dialogs::client),
    ("gb28181_server", dialogs::server),
    ("h264_sps", media::h264_sps),
    ("h265_sps", media::h265_sps),
    ("http_head", http::head),
    ("hvcc", media::hvcc),
    ("manscdp", gb28181::manscdp),
    ("mansrtsp", gb28181::mansrtsp),
    ("nal_depack", rtp::nal_depack),
    ("ps", ps::ps),
    ("recording", recording::recording),
    ("rtcp", rtp::rtcp),
    ("rtmp_chunk", rtmp::chunk),
    ("rtmp_client", rtmp::client),
    ("rtmp_handshake", rtmp::handshake),
    ("rtmp_server", rtmp::server),
    ("rtp", rtp::rtp),
    ("sdp", gb28181::sdp),
    ("sip", sip::message),
    ("sip_stream", sip::stream),
    ("stored_playlist", stored::playlist),
    ("stun", webrtc::stun),
    ("timeline", media::timeline),
    ("webrtc_offer", webrtc::offer),
];

/// Runs one target by name; nothing if there is none of that name.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        target(data);
    }
}

/// Cuts `data` into pieces as a network does: the first byte says how.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (how, data) = data.split_first().map_or((0, data), |(how, data)| (*how, data));
    // 0: at once; otherwise pieces of 1 to 255 bytes
    let size = if how == 0 { data.len().max(1) } else { usize::from(how) };
    data.chunks(size)
}
