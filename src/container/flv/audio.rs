//! The head of an audio tag: annex E.4.2.1 and Enhanced RTMP's FourCC form.

use super::Error;
use super::video::mod_ex;
use crate::base::bytes::Reader;
use bytes::Bytes;

/// A codec that an audio tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// AAC.
    Aac,
    /// MP3.
    Mp3,
    /// G.711 A-law.
    G711A,
    /// G.711 µ-law.
    G711U,
    /// Opus.
    Opus,
}

/// What an audio tag carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The codec's configuration: AudioSpecificConfig, `OpusHead`.
    Header(Codec, Bytes),
    /// A coded frame.
    Frame {
        /// Its codec.
        codec: Codec,
        /// What the head says of the number of channels; only G.711 needs it.
        stereo: bool,
        /// The coded bytes.
        data: Bytes,
    },
    /// Nothing that a decoder needs.
    Nothing,
}

/// Sound formats (upper bits of the first byte).
pub(super) const MP3: u8 = 2;
pub(super) const G711A: u8 = 7;
pub(super) const G711U: u8 = 8;
pub(super) const ENHANCED: u8 = 9;
pub(super) const AAC: u8 = 10;
/// Not Adobe's: what servers agreed on before Enhanced RTMP.
const OPUS: u8 = 13;
/// MP3 at 8 kHz has a number of its own.
pub(super) const MP3_8K: u8 = 14;

pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
const MULTITRACK: u8 = 5;
const MOD_EX: u8 = 7;

/// Enhanced RTMP's FourCC of Opus.
pub const FOURCC_OPUS: [u8; 4] = *b"Opus";
const FOURCC_AAC: [u8; 4] = *b"mp4a";
const FOURCC_MP3: [u8; 4] = *b".mp3";

/// Reads the body of an audio tag.
pub fn parse(body: &Bytes) -> Result<Packet, Error> {
    let first = *body.first().ok_or(Error::Short)?;
    let stereo = first & 1 != 0;
    let codec = match first >> 4 {
        ENHANCED => return enhanced(body, first),
        AAC => {
            let packet = *body.get(1).ok_or(Error::Short)?;
            let data = body.slice(2..);
            return Ok(match packet {
                0 => Packet::Header(Codec::Aac, data),
                1 => Packet::Frame { codec: Codec::Aac, stereo, data },
                _ => Packet::Nothing,
            });
        }
        MP3 | MP3_8K => Codec::Mp3,
        G711A => Codec::G711A,
        G711U => Codec::G711U,
        OPUS => Codec::Opus,
        id => return Err(Error::AudioCodec(name(id))),
    };
    Ok(Packet::Frame { codec, stereo, data: body.slice(1..) })
}

fn enhanced(body: &Bytes, first: u8) -> Result<Packet, Error> {
    let mut head = Reader::new(body);
    head.u8();
    let packet = mod_ex(&mut head, first & 0x0f, MOD_EX)?;
    if packet == MULTITRACK {
        return Err(Error::Multitrack);
    }
    let fourcc = head.take(4).ok_or(Error::Short)?;
    let codec = match fourcc.try_into().unwrap_or_default() {
        FOURCC_AAC => Codec::Aac,
        FOURCC_MP3 => Codec::Mp3,
        FOURCC_OPUS => Codec::Opus,
        other => return Err(Error::AudioCodec(String::from_utf8_lossy(&other).escape_default().to_string())),
    };
    let data = body.slice(body.len() - head.len()..);
    Ok(match packet {
        SEQUENCE_START => Packet::Header(codec, data),
        CODED_FRAMES => Packet::Frame { codec, stereo: true, data },
        _ => Packet::Nothing,
    })
}

fn name(id: u8) -> String {
    match id {
        0 | 3 => "linear PCM".to_owned(),
        1 => "ADPCM".to_owned(),
        4..=6 => "Nellymoser".to_owned(),
        11 => "Speex".to_owned(),
        id => format!("FLV sound format {id}"),
    }
}
