//! NAL units: walking, the way from Annex B and other length sizes to the canonical frame, and back.

use super::malformed::Malformed;
use super::{h264, h265};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

/// The two codecs that are made of NAL units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// H.264: a header of one byte.
    H264,
    /// H.265: a header of two bytes.
    H265,
}

/// What a NAL unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A part of a picture.
    Slice,
    /// A part of a picture at which decoding can start (IDR; for H.265 any IRAP picture).
    KeySlice,
    /// A video parameter set (H.265).
    Vps,
    /// A sequence parameter set.
    Sps,
    /// A picture parameter set.
    Pps,
    /// Supplemental information.
    Sei,
    /// An access unit delimiter.
    Delimiter,
    /// Filler, end of sequence, end of stream, or a type that the standard leaves to private use: no decoder misses it.
    Waste,
    /// Anything else that a decoder may want.
    Other,
}

impl Family {
    /// What `nal` is for.
    pub fn role(self, nal: &[u8]) -> Role {
        match self {
            Family::H264 => h264::role(nal),
            Family::H265 => h265::role(nal),
        }
    }

    /// Whether `nal` is the first slice of a picture: between two of these lies an access unit's border.
    pub fn begins_picture(self, nal: &[u8]) -> bool {
        let after_header = match self {
            Family::H264 => 1,
            Family::H265 => 2,
        };
        // H.264: first_mb_in_slice is ue(v) 0, one set bit; H.265: first_slice_segment_in_pic_flag.
        matches!(self.role(nal), Role::Slice | Role::KeySlice) && nal.get(after_header).is_some_and(|byte| byte & 0x80 != 0)
    }
}

/// Walks the NAL units of a canonical frame; stops at the first length that does not fit.
pub fn units(data: &[u8]) -> Units<'_> {
    Units { rest: data, size: 4 }
}

/// Iterator of [`units`].
#[derive(Debug, Clone)]
pub struct Units<'a> {
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (length, rest) = self.rest.split_at_checked(self.size)?;
            let length = length.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            let (nal, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

/// Walks the NAL units of an Annex B byte stream: start codes of 3 or 4 bytes, zeros before and after, empty units left out.
/// Bytes in front of the first start code belong to no unit.
pub fn annex_b(data: &[u8]) -> AnnexB<'_> {
    let mut codes = memmem::find_iter(data, START_CODE);
    let at = codes.next().map(|at| at + 3);
    AnnexB { data, codes, at }
}

const START_CODE: &[u8] = &[0, 0, 1];

/// Iterator of [`annex_b`].
#[derive(Debug, Clone)]
pub struct AnnexB<'a> {
    data: &'a [u8],
    codes: memmem::FindIter<'a, 'static>,
    at: Option<usize>,
}

impl<'a> Iterator for AnnexB<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let start = self.at?;
            let code = self.codes.next();
            self.at = code.map(|at| at + 3);
            // trailing_zero_8bits and the fourth byte of the next start code; no NAL unit ends in a zero byte (clause 7.4.1)
            let nal = trim_zeros(&self.data[start..code.unwrap_or(self.data.len())]);
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    &nal[..end]
}

/// Whether `data` begins like an Annex B byte stream. A length-prefixed frame begins so only with a first unit of 1 byte, or of 256 to 511.
pub fn looks_like_annex_b(data: &[u8]) -> bool {
    data.starts_with(&[0, 0, 0, 1]) || data.starts_with(START_CODE)
}

/// The parameter sets that stood in the band, in their order; each as a NAL unit without prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sets {
    /// Video parameter sets (H.265).
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl Sets {
    /// More sets of one type than any stream has; the rest is left out.
    pub const MAX: usize = 64;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vps.is_empty() && self.sps.is_empty() && self.pps.is_empty()
    }

    /// Files `nal` under its type; anything but a parameter set is left alone.
    pub fn add(&mut self, role: Role, nal: &[u8]) {
        let list = match role {
            Role::Vps => &mut self.vps,
            Role::Sps => &mut self.sps,
            Role::Pps => &mut self.pps,
            _ => return,
        };
        if list.len() < Sets::MAX && !list.iter().any(|set| set == nal) {
            list.push(Bytes::copy_from_slice(nal)); // a copy, so that a set never keeps a whole frame in memory
        }
    }
}

/// An access unit in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Length-prefixed NAL units; from Annex B without parameter sets, delimiters and filler; empty if there was nothing else.
    pub data: Bytes,
    /// A decoder may start here.
    pub key: bool,
    /// The parameter sets that stood among them.
    pub sets: Sets,
}

/// Brings the Annex B bytes of one access unit into canonical form: one scan, one allocation of the exact size, one copy.
pub fn from_annex_b(family: Family, data: &[u8]) -> Access {
    let mut sort = Sort::new(family);
    let mut kept: Vec<&[u8]> = Vec::with_capacity(16);
    kept.extend(annex_b(data).filter(|nal| sort.keep(nal)));
    Access { data: join(&kept), key: sort.key, sets: sort.sets }
}

/// Brings NAL units that were found one by one (RTP depacketizers) into canonical form.
pub fn from_units<'a>(family: Family, units: impl IntoIterator<Item = &'a [u8]>) -> Access {
    let mut sort = Sort::new(family);
    let kept: Vec<&[u8]> = units.into_iter().filter(|nal| !nal.is_empty() && sort.keep(nal)).collect();
    Access { data: join(&kept), key: sort.key, sets: sort.sets }
}

/// Brings length-prefixed units (RTMP, FLV, MP4) into canonical form. Nothing is taken out, so that players get the very
/// frames that the encoder sent; the bytes are shared unless the lengths have another size than 4 bytes.
pub fn from_prefixed(family: Family, data: &Bytes, length_size: usize) -> Result<Access, Malformed> {
    if !(1..=4).contains(&length_size) {
        return Err(Malformed::Range { field: "NAL length size", value: length_size as u64 });
    }
    let mut sort = Sort::new(family);
    let mut walk = Units { rest: data, size: length_size };
    let mut kept: Vec<&[u8]> = Vec::new();
    // Sets, delimiters and filler alone are no frame.
    let mut frame = false;
    for nal in walk.by_ref() {
        frame |= sort.keep(nal);
        if length_size != 4 {
            kept.push(nal);
        }
    }
    // Zeros behind the last unit are padding that some encoders add; anything else means that the lengths are wrong.
    if walk.rest.iter().any(|byte| *byte != 0) {
        return Err(Malformed::Short("NAL unit"));
    }
    let data = match (frame, length_size) {
        (false, _) => Bytes::new(),
        (true, 4) => data.slice(..data.len() - walk.rest.len()),
        (true, _) => join(&kept),
    };
    Ok(Access { data, key: sort.key, sets: sort.sets })
}

struct Sort {
    family: Family,
    key: bool,
    sets: Sets,
}

impl Sort {
    fn new(family: Family) -> Sort {
        Sort { family, key: false, sets: Sets::default() }
    }

    fn keep(&mut self, nal: &[u8]) -> bool {
        match self.family.role(nal) {
            Role::KeySlice => self.key = true,
            // Open GOPs and cameras without IDR: a recovery point that needs no further frames is a place to start.
            Role::Sei => self.key |= self.family == Family::H264 && h264::is_recovery_point(nal),
            Role::Slice | Role::Other => {}
            role @ (Role::Vps | Role::Sps | Role::Pps) => {
                self.sets.add(role, nal);
                return false;
            }
            Role::Delimiter | Role::Waste => return false,
        }
        true
    }
}

fn join(kept: &[&[u8]]) -> Bytes {
    if kept.is_empty() {
        return Bytes::new();
    }
    let mut out = BytesMut::with_capacity(kept.iter().map(|nal| nal.len() + 4).sum());
    for nal in kept {
        out.put_u32(nal.len() as u32);
        out.put_slice(nal);
    }
    out.freeze()
}

/// Appends `data`, a canonical frame, to `out` as Annex B; with start codes of 4 bytes the size stays the same.
pub fn put_annex_b(data: &[u8], out: &mut impl BufMut) {
    for nal in units(data) {
        out.put_slice(&[0, 0, 0, 1]);
        out.put_slice(nal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 66, 0, 30, 0xff];
    const PPS: &[u8] = &[0x68, 0xee];
    const AUD: &[u8] = &[9, 0xf0];
    const IDR: &[u8] = &[0x65, 0x88, 1, 2, 3];
    const P: &[u8] = &[0x41, 0x9a, 7];

    fn bytes(units: &[&[u8]], prefix: &[u8]) -> Vec<u8> {
        units.iter().flat_map(|nal| [prefix, nal].concat()).collect()
    }

    fn prefixed(units: &[&[u8]], size: usize) -> Bytes {
        units.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[4 - size..], nal].concat()).collect()
    }

    #[test]
    fn start_codes_of_either_length_and_stray_zeros() {
        let data = [&[0, 0, 0, 0, 1][..], AUD, &[0, 0, 1], IDR, &[0, 0, 0, 0, 0, 1], P, &[0, 0, 0]].concat();
        assert_eq!(annex_b(&data).collect::<Vec<_>>(), [AUD, IDR, P]);
        assert_eq!(annex_b(&[7, 7, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1]).count(), 0);
        assert_eq!(annex_b(&[1, 2, 3]).count(), 0);
        assert_eq!(annex_b(&[]).count(), 0);
    }

    #[test]
    fn annex_b_becomes_canonical() {
        let access = from_annex_b(Family::H264, &bytes(&[AUD, SPS, PPS, IDR, P], &[0, 0, 1]));
        assert_eq!(access.data, prefixed(&[IDR, P], 4));
        assert!(access.key);
        assert_eq!((access.sets.sps.as_slice(), access.sets.pps.as_slice()), (&[Bytes::from(SPS)][..], &[Bytes::from(PPS)][..]));
        assert!(!from_annex_b(Family::H264, &bytes(&[P], &[0, 0, 0, 1])).key);
    }

    #[test]
    fn prefixed_units_pass_untouched_and_shared() {
        let data = prefixed(&[AUD, SPS, PPS, IDR, P], 4);
        let access = from_prefixed(Family::H264, &data, 4).unwrap();
        assert_eq!(access.data, data);
        assert_eq!(access.data.as_ptr(), data.as_ptr(), "no copy");
        assert!(access.key);
        assert_eq!((access.sets.sps.len(), access.sets.pps.len()), (1, 1));
    }

    #[test]
    fn other_length_sizes_and_wrong_lengths() {
        for size in 1..=4 {
            assert_eq!(from_prefixed(Family::H264, &prefixed(&[IDR, P], size), size).unwrap().data, prefixed(&[IDR, P], 4));
        }
        assert!(from_prefixed(Family::H264, &Bytes::from_static(&[0, 0, 0, 9, 0x65]), 4).is_err());
        assert!(from_prefixed(Family::H264, &Bytes::new(), 0).is_err());
        let padded = [&prefixed(&[IDR], 4)[..], &[0, 0, 0]].concat();
        assert_eq!(from_prefixed(Family::H264, &padded.into(), 4).unwrap().data, prefixed(&[IDR], 4));
    }

    #[test]
    fn the_way_back() {
        let mut out = Vec::new();
        put_annex_b(&prefixed(&[IDR, P], 4), &mut out);
        assert_eq!(out, bytes(&[IDR, P], &[0, 0, 0, 1]));
    }

    #[test]
    fn picture_borders() {
        assert!(Family::H264.begins_picture(IDR));
        assert!(!Family::H264.begins_picture(&[0x41, 0x40]));
        assert!(Family::H265.begins_picture(&[0x26, 1, 0x80]));
        assert!(!Family::H265.begins_picture(&[0x26, 1, 0x40]));
        assert!(!Family::H265.begins_picture(&[0x26, 1]));
    }
}
