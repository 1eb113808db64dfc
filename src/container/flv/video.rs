//! The head of a video tag: annex E.4.3.1, the codec ids that Chinese servers added, and Enhanced RTMP's FourCC form.

use super::Error;
use crate::base::bytes::Reader;
use bytes::Bytes;

/// A codec that a video tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
}

/// What a video tag carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The codec's configuration record.
    Header(Codec, Bytes),
    /// A coded frame.
    Frame {
        /// Its codec.
        codec: Codec,
        /// The sender calls it a key frame.
        key: bool,
        /// Presentation time minus decoding time, in milliseconds.
        offset: i32,
        /// The coded bytes.
        data: Bytes,
    },
    /// Nothing that a decoder needs: end of sequence, seek marks, colour information.
    Nothing,
}

/// Enhanced RTMP's FourCC of H.265.
pub const HVC1: [u8; 4] = *b"hvc1";
/// Enhanced RTMP's FourCC of AV1.
pub const AV01: [u8; 4] = *b"av01";
/// Enhanced RTMP's FourCC of VP9.
pub const VP09: [u8; 4] = *b"vp09";
const AVC1: [u8; 4] = *b"avc1";

/// `AVCPacketType`, and Enhanced RTMP's `VideoPacketType`, as far as they agree.
pub(super) const SEQUENCE_HEADER: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
/// Enhanced: coded frames whose composition time is zero and left out.
pub(super) const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const TS_SEQUENCE_START: u8 = 5;
const MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;

/// Frame types (upper bits of the first byte).
const KEY: u8 = 1;
const COMMAND: u8 = 5;

/// Reads the body of a video tag.
pub fn parse(body: &Bytes) -> Result<Packet, Error> {
    let first = *body.first().ok_or(Error::Short)?;
    if first & 0x80 != 0 {
        return enhanced(body, first);
    }
    let (frame_type, id) = (first >> 4, first & 0x0f);
    if frame_type == COMMAND {
        return Ok(Packet::Nothing);
    }
    let codec = match id {
        7 => Codec::H264,
        // Not Adobe's: what Chinese encoders and players agreed on before Enhanced RTMP.
        12 => Codec::H265,
        13 => Codec::Av1,
        id => return Err(Error::VideoCodec(name(id))),
    };
    let mut head = Reader::new(body);
    let (Some(_), Some(packet), Some(offset)) = (head.u8(), head.u8(), head.u24()) else { return Err(Error::Short) };
    let data = body.slice(5..);
    Ok(match packet {
        SEQUENCE_HEADER => Packet::Header(codec, data),
        CODED_FRAMES => Packet::Frame { codec, key: frame_type == KEY, offset: signed(offset), data },
        _ => Packet::Nothing,
    })
}

fn enhanced(body: &Bytes, first: u8) -> Result<Packet, Error> {
    let frame_type = first >> 4 & 7;
    let mut head = Reader::new(body);
    head.u8();
    let packet = mod_ex(&mut head, first & 0x0f, MOD_EX)?;
    if packet == METADATA || frame_type == COMMAND {
        return Ok(Packet::Nothing);
    }
    if packet == MULTITRACK {
        return Err(Error::Multitrack);
    }
    let fourcc = head.take(4).ok_or(Error::Short)?;
    let codec = match fourcc.try_into().unwrap_or_default() {
        AVC1 => Codec::H264,
        HVC1 => Codec::H265,
        AV01 => Codec::Av1,
        VP09 => Codec::Vp9,
        other => return Err(Error::VideoCodec(String::from_utf8_lossy(&other).escape_default().to_string())),
    };
    let offset = match (packet, codec) {
        (CODED_FRAMES, Codec::H264 | Codec::H265) => signed(head.u24().ok_or(Error::Short)?),
        _ => 0,
    };
    let data = body.slice(body.len() - head.len()..);
    Ok(match packet {
        SEQUENCE_HEADER => Packet::Header(codec, data),
        CODED_FRAMES | CODED_FRAMES_X => Packet::Frame { codec, key: frame_type == KEY, offset, data },
        SEQUENCE_END | TS_SEQUENCE_START => Packet::Nothing,
        _ => Packet::Nothing,
    })
}

/// Steps over Enhanced RTMP v2's modifiers (nanosecond offsets) to the packet type behind them.
pub(super) fn mod_ex(head: &mut Reader<'_>, mut packet: u8, mod_ex: u8) -> Result<u8, Error> {
    while packet == mod_ex {
        let mut size = usize::from(head.u8().ok_or(Error::Short)?) + 1;
        if size == 256 {
            size = usize::from(head.u16().ok_or(Error::Short)?) + 1;
        }
        head.take(size).ok_or(Error::Short)?;
        packet = head.u8().ok_or(Error::Short)? & 0x0f;
    }
    Ok(packet)
}

/// 24 bits with sign.
fn signed(n: u32) -> i32 {
    ((n << 8) as i32) >> 8
}

fn name(id: u8) -> String {
    match id {
        2 => "Sorenson H.263".to_owned(),
        3 | 6 => "Screen video".to_owned(),
        4 | 5 => "On2 VP6".to_owned(),
        id => format!("FLV codec id {id}"),
    }
}
