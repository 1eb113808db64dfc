//! The AudioSpecificConfig (ISO/IEC 14496-3 clause 1.6.2.1).

use crate::media::bits::Bits;
use crate::media::malformed::Malformed;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack};
use bytes::Bytes;

/// `samplingFrequencyIndex` 0 to 12 (table 1.18).
pub const RATES: [u32; 13] = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What an AudioSpecificConfig declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The audio object type of the core coder: 2 is AAC-LC.
    pub object_type: u8,
    /// Samples a second of the core coder; the rate in an ADTS header.
    pub core_rate: u32,
    /// Samples a second that come out of a decoder: with SBR (HE-AAC) twice the core's. A stream that uses SBR without
    /// saying so (implicit signalling) shows its core rate here; decoders find out from the blocks.
    pub output_rate: u32,
    /// `channelConfiguration`; 0 means that a program config element tells.
    pub channel_config: u8,
    /// Channels that come out of a decoder.
    pub channels: u8,
    /// Samples of the core in one block: 1024, 960, 512 or 480.
    pub block: u32,
    /// Spectral band replication is declared.
    pub sbr: bool,
    /// Parametric stereo is declared.
    pub ps: bool,
}

impl Config {
    /// How long one block sounds.
    pub fn block_duration(&self) -> Timestamp {
        Timestamp::from_ticks(self.block.into(), self.core_rate)
    }
}

const SBR: u8 = 5;
const PS: u8 = 29;

/// Reads an AudioSpecificConfig, with SBR and PS in front (hierarchical signalling) or behind (backward compatible).
pub fn parse_asc(asc: &[u8]) -> Result<Config, Malformed> {
    let mut bits = Bits::new(asc, "AudioSpecificConfig");
    let bits = &mut bits;
    let mut object_type = read_object_type(bits)?;
    let core_rate = read_rate(bits)?;
    let channel_config = bits.u(4)? as u8;
    let mut output_rate = core_rate;
    let (mut sbr, mut ps) = (false, false);
    if object_type == SBR || object_type == PS {
        (sbr, ps) = (true, object_type == PS);
        output_rate = read_rate(bits)?;
        object_type = read_object_type(bits)?;
        if object_type == 22 {
            bits.skip(4)?; // extensionChannelConfiguration
        }
    }
    let mut channels = match channel_config {
        0 => None,
        1..=6 => Some(channel_config),
        11 => Some(7),
        7 | 12 | 14 => Some(8),
        other => return Err(Malformed::Range { field: "channelConfiguration", value: other.into() }),
    };
    let block = match object_type {
        1..=4 | 6 | 7 | 17 | 19..=23 => {
            let short = bits.flag()?;
            if bits.flag()? {
                bits.skip(14)?; // coreCoderDelay
            }
            let extension = bits.flag()?;
            if channels.is_none() {
                channels = Some(program_config(bits)?);
            }
            if matches!(object_type, 6 | 20) {
                bits.skip(3)?; // layerNr
            }
            if extension {
                bits.skip(match object_type {
                    22 => 16,
                    17 | 19 | 20 | 23 => 3,
                    _ => 0,
                })?;
                bits.skip(1)?; // extensionFlag3
            }
            match (object_type, short) {
                (23, true) => 480,
                (23, false) => 512,
                (_, true) => 960,
                (_, false) => 1024,
            }
        }
        39 => {
            if bits.flag()? {
                480
            } else {
                512
            }
        }
        other => return Err(Malformed::Range { field: "audioObjectType", value: other.into() }),
    };
    if matches!(object_type, 17 | 19..=23) {
        bits.skip(2)?; // epConfig
    }
    if !sbr && bits.left() >= 16 && bits.u(11)? == 0x2b7 {
        (sbr, ps, output_rate) = backward_compatible(bits, core_rate).unwrap_or((false, false, core_rate));
    }
    let channels = channels.ok_or(Malformed::Missing("channel layout"))?;
    let channels = if ps && channels == 1 { 2 } else { channels };
    Ok(Config { object_type, core_rate, output_rate, channel_config, channels, block, sbr, ps })
}

/// The extension behind the core's configuration; a damaged one counts as absent.
fn backward_compatible(bits: &mut Bits<'_>, core_rate: u32) -> Result<(bool, bool, u32), Malformed> {
    if read_object_type(bits)? != SBR || !bits.flag()? {
        return Ok((false, false, core_rate));
    }
    let output_rate = read_rate(bits)?;
    let ps = bits.left() >= 12 && bits.u(11)? == 0x548 && bits.flag()?;
    Ok((true, ps, output_rate))
}

fn read_object_type(bits: &mut Bits<'_>) -> Result<u8, Malformed> {
    match bits.u(5)? {
        31 => Ok(32 + bits.u(6)? as u8),
        plain => Ok(plain as u8),
    }
}

fn read_rate(bits: &mut Bits<'_>) -> Result<u32, Malformed> {
    const FIELD: &str = "samplingFrequency";
    match bits.u(4)? {
        15 => match bits.u(24)? {
            rate @ 1_000..=384_000 => Ok(rate),
            rate => Err(Malformed::Range { field: FIELD, value: rate.into() }),
        },
        index => RATES.get(index as usize).copied().ok_or(Malformed::Range { field: FIELD, value: index.into() }),
    }
}

/// program_config_element (clause 4.4.1.1): its channels, LFE included.
fn program_config(bits: &mut Bits<'_>) -> Result<u8, Malformed> {
    bits.skip(10)?; // element_instance_tag, object_type, sampling_frequency_index
    let [front, side, back] = [bits.u(4)?, bits.u(4)?, bits.u(4)?];
    let lfe = bits.u(2)?;
    let (data, coupling) = (bits.u(3)?, bits.u(4)?);
    for size in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(size)?; // mono, stereo and matrix mixdown
        }
    }
    let mut channels = lfe;
    for _ in 0..front + side + back {
        channels += if bits.flag()? { 2 } else { 1 };
        bits.skip(4)?;
    }
    bits.skip((lfe * 4 + data * 4 + coupling * 5) as usize)?;
    let into_byte = (8 - bits.position() % 8) % 8;
    bits.skip(into_byte)?;
    let comment = bits.u(8)? as usize;
    bits.skip(comment * 8)?;
    match channels {
        1..=64 => Ok(channels as u8),
        none => Err(Malformed::Range { field: "program_config_element channels", value: none.into() }),
    }
}

/// Writes the AudioSpecificConfig of a plain stream: 2 bytes, or 5 with a rate that has no index. `None` if it cannot be said.
pub fn build_asc(object_type: u8, rate: u32, channels: u8) -> Option<Bytes> {
    let channel_config = match channels {
        1..=6 => channels,
        8 => 7,
        _ => return None,
    };
    if !(1..=30).contains(&object_type) || rate >= 1 << 24 {
        return None;
    }
    let (kind, channel_config) = (u64::from(object_type), u64::from(channel_config));
    Some(match RATES.iter().position(|known| *known == rate) {
        Some(index) => {
            let asc = kind << 11 | (index as u64) << 7 | channel_config << 3;
            Bytes::copy_from_slice(&asc.to_be_bytes()[6..])
        }
        None => {
            let asc = kind << 35 | 15 << 31 | u64::from(rate) << 7 | channel_config << 3;
            Bytes::copy_from_slice(&asc.to_be_bytes()[3..])
        }
    })
}

/// A track from its AudioSpecificConfig.
pub fn track_from_asc(asc: &[u8]) -> Result<AudioTrack, Malformed> {
    let config = parse_asc(asc)?;
    Ok(AudioTrack {
        codec: AudioCodec::Aac { config: Bytes::copy_from_slice(asc) },
        sample_rate: config.output_rate,
        channels: config.channels,
    })
}

/// The codec's name in playlists and MIME types (RFC 6381), such as `mp4a.40.2`.
pub fn codec_string(config: &Config) -> String {
    let object_type = match (config.sbr, config.ps) {
        (_, true) => PS,
        (true, _) => SBR,
        _ => config.object_type,
    };
    format!("mp4a.40.{object_type}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_real_streams() {
        let case = |asc: &[u8], object_type, core_rate, output_rate, channels, sbr, ps, name: &str| {
            let config = parse_asc(asc).unwrap();
            let found = (config.object_type, config.core_rate, config.output_rate, config.channels, config.sbr, config.ps);
            assert_eq!(found, (object_type, core_rate, output_rate, channels, sbr, ps), "{asc:02x?}");
            assert_eq!(codec_string(&config), name);
        };
        case(&[0x12, 0x10], 2, 44_100, 44_100, 2, false, false, "mp4a.40.2");
        case(&[0x15, 0x88], 2, 8_000, 8_000, 1, false, false, "mp4a.40.2"); // cameras: 8 kHz mono
        case(&[0x14, 0x08], 2, 16_000, 16_000, 1, false, false, "mp4a.40.2");
        case(&[0x13, 0x10, 0x56, 0xe5, 0x9d, 0x48, 0x80], 2, 24_000, 48_000, 2, true, true, "mp4a.40.29"); // libfdk: HE-AAC v2
        case(&[0x2b, 0x92, 0x08, 0x00], 2, 22_050, 44_100, 2, true, false, "mp4a.40.5");
        case(&[0xeb, 0x8a, 0x08, 0x00], 2, 22_050, 44_100, 2, true, true, "mp4a.40.29");
        case(&[0x13, 0x90, 0x56, 0xe5, 0xa0], 2, 22_050, 44_100, 2, true, false, "mp4a.40.5");
        case(&[0x17, 0x80, 0x0f, 0xa0, 0x10], 2, 8_000, 8_000, 2, false, false, "mp4a.40.2"); // rate written out
    }

    #[test]
    fn a_program_config_element_tells_the_channels() {
        // ffmpeg, AAC-LC 48 kHz 2 channels as element: config 0, one front pair
        let mut config = vec![0x11u8, 0x80];
        // tag 0, object type 1, rate index 3, front 1, side/back/lfe/data/coupling 0, no mixdown, pair, tag 0, aligned, no comment
        let mut bits = String::from("0000 01 0011 0001 0000 0000 00 000 0000 0 0 0 1 0000").replace(' ', "");
        bits.insert_str(0, "000"); // GASpecificConfig continues the second byte's three bits
        let header = format!("{:08b}{:08b}", config[0], config[1]);
        let all = format!("{}{}", &header[..13], bits);
        let padded = format!("{all}{}", "0".repeat((8 - all.len() % 8) % 8));
        config = padded.as_bytes().chunks(8).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect();
        config.push(0);
        let found = parse_asc(&config).unwrap();
        assert_eq!((found.channels, found.channel_config, found.core_rate), (2, 0, 48_000));
    }

    #[test]
    fn what_is_built_reads_back() {
        for rate in [8_000, 44_100, 48_000, 12_345] {
            for channels in [1, 2, 6, 8] {
                let config = parse_asc(&build_asc(2, rate, channels).unwrap()).unwrap();
                assert_eq!((config.object_type, config.core_rate, config.channels), (2, rate, channels));
            }
        }
        assert_eq!(build_asc(2, 44_100, 2).unwrap()[..], [0x12, 0x10]);
        assert_eq!(build_asc(2, 44_100, 7), None);
        assert_eq!(build_asc(31, 44_100, 2), None);
    }

    #[test]
    fn hostile_configurations_are_errors() {
        for asc in [&[][..], &[0x12], &[0xff, 0xff, 0xff], &[0x17, 0x80, 0, 0, 0x10], &[0x12, 0x78], &[0x16, 0x90], &[0x00, 0x00]] {
            assert!(parse_asc(asc).is_err(), "{asc:02x?}");
        }
    }
}
