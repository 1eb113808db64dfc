//! Stream types of the program stream map (GB/T 28181-2022 annex C; ISO/IEC 13818-1 table 2-34).

/// What a stream type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video(VideoKind),
    /// Sound.
    Audio(AudioKind),
}

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoKind {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// MPEG-4 part 2.
    Mpeg4,
    /// SVAC (GB/T 25724).
    Svac,
}

/// An audio codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioKind {
    /// G.711 A-law.
    G711A,
    /// G.711 µ-law.
    G711U,
    /// AAC behind ADTS headers.
    Aac,
    /// MPEG-1 or MPEG-2 audio.
    Mpeg,
    /// G.722.1.
    G7221,
    /// G.723.1.
    G7231,
    /// G.729.
    G729,
    /// SVAC audio.
    Svac,
}

impl Kind {
    /// The meaning of a stream type; `None` for types that no device was seen to send.
    pub fn of(stream_type: u8) -> Option<Kind> {
        Some(match stream_type {
            0x10 => Kind::Video(VideoKind::Mpeg4),
            0x1b => Kind::Video(VideoKind::H264),
            0x24 => Kind::Video(VideoKind::H265),
            0x80 => Kind::Video(VideoKind::Svac),
            0x03 | 0x04 => Kind::Audio(AudioKind::Mpeg),
            // 0x0f by the standard; 0x1c: ZLMediaKit issue 1801
            0x0f | 0x1c => Kind::Audio(AudioKind::Aac),
            0x90 => Kind::Audio(AudioKind::G711A),
            0x91 => Kind::Audio(AudioKind::G711U),
            0x92 => Kind::Audio(AudioKind::G7221),
            0x93 => Kind::Audio(AudioKind::G7231),
            0x99 => Kind::Audio(AudioKind::G729),
            0x9b => Kind::Audio(AudioKind::Svac),
            _ => return None,
        })
    }
}

impl VideoKind {
    /// The codec's usual name.
    pub fn name(self) -> &'static str {
        match self {
            VideoKind::H264 => "H264",
            VideoKind::H265 => "H265",
            VideoKind::Mpeg4 => "MPEG-4",
            VideoKind::Svac => "SVAC",
        }
    }
}

impl AudioKind {
    /// The codec's usual name.
    pub fn name(self) -> &'static str {
        match self {
            AudioKind::G711A => "G711A",
            AudioKind::G711U => "G711U",
            AudioKind::Aac => "AAC",
            AudioKind::Mpeg => "MPEG audio",
            AudioKind::G7221 => "G722.1",
            AudioKind::G7231 => "G723.1",
            AudioKind::G729 => "G729",
            AudioKind::Svac => "SVAC audio",
        }
    }
}
