//! ADTS headers (ISO/IEC 14496-3 §1.A.2) for raw AAC frames, made from an AudioSpecificConfig.

/// The size of an ADTS header without CRC.
pub const HEADER: usize = 7;
/// The longest raw frame that the 13-bit length field can describe.
pub const FRAME_MAX: usize = 0x1fff - HEADER;

const RATES: [u32; 13] = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What every ADTS header of a track has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adts {
    profile: u8,
    rate: u8,
    channels: u8,
}

impl Adts {
    /// Reads an AudioSpecificConfig; `None` where ADTS cannot say it: object types above 4 (the low-delay family), a
    /// rate outside the table, a channel layout given by a program config element, or a config that is cut short.
    pub fn new(config: &[u8]) -> Option<Adts> {
        let mut bits = Bits { bytes: config, at: 0 };
        let mut object = object_type(&mut bits)?;
        let rate = rate_index(&mut bits)?;
        let channels = bits.take(4)? as u8;
        // Explicit SBR or PS signalling (AOT 5, 29): ADTS describes the core, decoders find the extension in the data.
        if object == 5 || object == 29 {
            rate_index(&mut bits)?;
            object = object_type(&mut bits)?;
        }
        let profile = u8::try_from(object).ok()?.checked_sub(1).filter(|p| *p < 4)?;
        (1..=7).contains(&channels).then_some(Adts { profile, rate, channels })
    }

    /// Samples a second of the core.
    pub fn rate(self) -> u32 {
        RATES[usize::from(self.rate)]
    }

    /// The header of a raw frame of `len` bytes, which is at most [`FRAME_MAX`].
    pub fn header(self, len: usize) -> [u8; HEADER] {
        let len = len + HEADER;
        [
            0xff,
            0xf1, // MPEG-4, no CRC
            self.profile << 6 | self.rate << 2 | self.channels >> 2,
            (self.channels & 3) << 6 | (len >> 11) as u8 & 3,
            (len >> 3) as u8,
            (len << 5) as u8 | 0x1f, // buffer fullness 0x7ff: variable rate
            0xfc,                    // one raw data block
        ]
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.take(5)? {
        31 => Some(32 + bits.take(6)?),
        n => Some(n),
    }
}

fn rate_index(bits: &mut Bits<'_>) -> Option<u8> {
    let index = match bits.take(4)? {
        15 => {
            let hz = bits.take(24)?;
            RATES.iter().position(|r| *r == hz)?
        }
        n => n as usize,
    };
    (index < RATES.len()).then_some(index as u8)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> Option<u32> {
        (0..n).try_fold(0, |value, _| {
            let byte = *self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_become_headers() {
        let lc_stereo_44k = Adts::new(&[0x12, 0x10]).unwrap();
        assert_eq!(lc_stereo_44k, Adts { profile: 1, rate: 4, channels: 2 });
        assert_eq!(lc_stereo_44k.header(371 - 7), [0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc]);
        // Explicit rate 48,000 in 24 bits: AOT 2, index 15.
        assert_eq!(Adts::new(&[0x17, 0x80, 0x5d, 0xc0, 0x10]).unwrap(), Adts { profile: 1, rate: 3, channels: 2 });
        // HE-AAC: AOT 5, core 24,000, extension 48,000, core AOT 2.
        assert_eq!(Adts::new(&[0x2b, 0x11, 0x88]).unwrap(), Adts { profile: 1, rate: 6, channels: 2 });
    }

    #[test]
    fn what_adts_cannot_say_is_refused() {
        let cases: [(&str, &[u8]); 6] = [
            ("empty", &[]),
            ("cut short", &[0x12]),
            ("ER AAC ELD, AOT 39", &[0xf8, 0xe8, 0x50, 0x00]),
            ("AOT 0", &[0x02, 0x10]),
            ("reserved rate index 13", &[0x16, 0x90]),
            ("channels by program config element", &[0x12, 0x00]),
        ];
        for (name, config) in cases {
            assert_eq!(Adts::new(config), None, "{name}");
        }
    }
}
