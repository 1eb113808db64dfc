//! The beginning of a fragmented file: `ftyp` and a `moov` that describes the tracks and holds no samples.

use super::{AUDIO, HZ, VIDEO, entry};
use crate::media::track::Tracks;
use bytes::Bytes;
use shiguredo_mp4::boxes::{
    Brand, DinfBox, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader, MinfBox, MoovBox, MvexBox, MvhdBox, SampleEntry, SmhdBox, StblBox,
    StcoBox, StscBox, StsdBox, StszBox, SttsBox, TkhdBox, TrakBox, TrexBox, VmhdBox,
};
use shiguredo_mp4::{Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags};
use std::num::NonZeroU32;

/// The part of `tracks` that this format carries: H.264, H.265, AV1; AAC, MP3, Opus (mono, stereo), G.711.
pub fn carried(tracks: &Tracks) -> Tracks {
    Tracks {
        video: tracks.video.clone().filter(|track| entry::video(track).is_some()),
        audio: tracks.audio.clone().filter(|track| entry::audio(track).is_some()),
    }
}

/// `ftyp` and `moov` for the tracks that are [`carried`]; `None` if there is none. Everything of a file is written with the same
/// tracks: other parameters begin another file.
pub fn init(tracks: &Tracks) -> Option<Bytes> {
    let mut trak_boxes = Vec::new();
    if let Some(track) = &tracks.video
        && let Some(entry) = entry::video(track)
    {
        trak_boxes.push(trak(VIDEO, entry, NonZeroU32::new(HZ)?, Some((track.width as i16, track.height as i16))));
    }
    if let Some(track) = &tracks.audio
        && let Some((entry, hz)) = entry::audio(track)
    {
        trak_boxes.push(trak(AUDIO, entry, NonZeroU32::new(hz)?, None));
    }
    if trak_boxes.is_empty() {
        return None;
    }
    let trex_boxes = trak_boxes.iter().map(|trak| trex(trak.tkhd_box.track_id)).collect();
    let moov = MoovBox {
        mvhd_box: MvhdBox {
            creation_time: Mp4FileTime::default(),
            modification_time: Mp4FileTime::default(),
            timescale: NonZeroU32::new(HZ)?,
            duration: 0,
            rate: MvhdBox::DEFAULT_RATE,
            volume: MvhdBox::DEFAULT_VOLUME,
            matrix: MvhdBox::DEFAULT_MATRIX,
            next_track_id: AUDIO + 1,
        },
        trak_boxes,
        mvex_box: Some(MvexBox { mehd_box: None, trex_boxes, unknown_boxes: Vec::new() }),
        unknown_boxes: Vec::new(),
    };
    let ftyp =
        FtypBox { major_brand: Brand::ISO5, minor_version: 0, compatible_brands: vec![Brand::ISOM, Brand::ISO5, Brand::ISO6, Brand::MP41] };
    let mut out = ftyp.encode_to_vec().ok()?;
    out.extend(moov.encode_to_vec().ok()?);
    Some(out.into())
}

fn trex(track_id: u32) -> TrexBox {
    TrexBox {
        track_id,
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: SampleFlags::empty(),
    }
}

/// A track without samples; `size` is that of pictures.
fn trak(track_id: u32, entry: SampleEntry, timescale: NonZeroU32, size: Option<(i16, i16)>) -> TrakBox {
    let (width, height) = size.unwrap_or_default();
    let video = size.is_some();
    let tkhd_box = TkhdBox {
        flag_track_enabled: true,
        flag_track_in_movie: true,
        flag_track_in_preview: false,
        flag_track_size_is_aspect_ratio: false,
        creation_time: Mp4FileTime::default(),
        modification_time: Mp4FileTime::default(),
        track_id,
        duration: 0,
        layer: TkhdBox::DEFAULT_LAYER,
        alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
        volume: if video { TkhdBox::DEFAULT_VIDEO_VOLUME } else { TkhdBox::DEFAULT_AUDIO_VOLUME },
        matrix: TkhdBox::DEFAULT_MATRIX,
        width: FixedPointNumber::new(width, 0),
        height: FixedPointNumber::new(height, 0),
    };
    let mdhd_box = MdhdBox {
        creation_time: Mp4FileTime::default(),
        modification_time: Mp4FileTime::default(),
        timescale,
        duration: 0,
        language: LanguageCode::UNDEFINED,
    };
    let (handler_type, media_header) = match video {
        true => (HdlrBox::HANDLER_TYPE_VIDE, MediaHeader::Vmhd(VmhdBox { graphicsmode: 0, opcolor: [0; 3] })),
        false => (HdlrBox::HANDLER_TYPE_SOUN, MediaHeader::Smhd(SmhdBox { balance: SmhdBox::DEFAULT_BALANCE })),
    };
    let stbl_box = StblBox {
        stsd_box: StsdBox { entries: vec![entry] },
        stts_box: SttsBox { entries: Vec::new() },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox { entries: Vec::new() },
        stsz_box: StszBox::Variable { entry_sizes: Vec::new() },
        stco_or_co64_box: Either::A(StcoBox { chunk_offsets: Vec::new() }),
        stss_box: None,
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    };
    let minf_box = MinfBox { media_header: Some(media_header), dinf_box: DinfBox::LOCAL_FILE, stbl_box, unknown_boxes: Vec::new() };
    let hdlr_box = HdlrBox { handler_type, name: vec![0] };
    TrakBox {
        tkhd_box,
        edts_box: None,
        mdia_box: MdiaBox { mdhd_box, hdlr_box, minf_box, unknown_boxes: Vec::new() },
        unknown_boxes: Vec::new(),
    }
}
