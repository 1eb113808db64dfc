//! Sample entries: what a decoder must know before its first frame (ISO/IEC 14496-12 clause 8.5.2).

use crate::media::track::{AudioCodec, AudioTrack, VideoCodec, VideoTrack};
use crate::media::{aac, av1, h264, h265, opus};
use shiguredo_mp4::boxes::{
    AudioSampleEntryFields, Av01Box, Av1cBox, Avc1Box, AvccBox, DopsBox, EsdsBox, Hvc1Box, HvccBox, Mp4aBox, OpusBox, SampleEntry,
    UnknownBox, VisualSampleEntryFields,
};
use shiguredo_mp4::descriptors::{DecoderConfigDescriptor, DecoderSpecificInfo, EsDescriptor, SlConfigDescriptor};
use shiguredo_mp4::{BoxSize, BoxType, Decode, Encode, FixedPointNumber, Uint};

/// `objectTypeIndication` of MPEG-1 audio (ISO/IEC 14496-1 table 5); layer III at the lower rates of MPEG-2 is 0x69.
const OBJECT_MPEG1_AUDIO: u8 = 0x6b;
const OBJECT_MPEG2_AUDIO: u8 = 0x69;
/// Samples at 48 kHz that encoders commonly put in front, where the source did not say.
const OPUS_PRE_SKIP: u16 = 312;

/// The entry of a video track; `None` where MP4 cannot carry it: another codec, broken parameter sets, an unknown size.
pub(super) fn video(track: &VideoTrack) -> Option<SampleEntry> {
    let visual = VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width: u16::try_from(track.width).ok().filter(|n| *n > 0)?,
        height: u16::try_from(track.height).ok().filter(|n| *n > 0)?,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    };
    match &track.codec {
        VideoCodec::H264 { .. } => {
            let record = boxed(b"avcC", &h264::build_avcc(track)?)?;
            let (avcc_box, _) = AvccBox::decode(&record).ok()?;
            Some(SampleEntry::Avc1(Avc1Box { visual, avcc_box, unknown_boxes: Vec::new() }))
        }
        VideoCodec::H265 { .. } => {
            let record = boxed(b"hvcC", &h265::build_hvcc(track)?)?;
            let (hvcc_box, _) = HvccBox::decode(&record).ok()?;
            Some(SampleEntry::Hvc1(Hvc1Box { visual, hvcc_box, unknown_boxes: Vec::new() }))
        }
        VideoCodec::Av1 { config } => {
            av1::parse_av1c(config).ok()?;
            let (av1c_box, _) = Av1cBox::decode(&boxed(b"av1C", config)?).ok()?;
            Some(SampleEntry::Av01(Av01Box { visual, av1c_box, unknown_boxes: Vec::new() }))
        }
        _ => None,
    }
}

/// The entry of an audio track with the ticks a second that its times are counted in; `None` where MP4 cannot carry it.
pub(super) fn audio(track: &AudioTrack) -> Option<(SampleEntry, u32)> {
    let rate = track.sample_rate;
    if track.channels == 0 || rate == 0 {
        return None;
    }
    // the field holds 16 bits; a decoder takes a higher rate from the codec's own configuration
    let fields = |rate: u32| AudioSampleEntryFields {
        data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        channelcount: track.channels.into(),
        samplesize: AudioSampleEntryFields::DEFAULT_SAMPLESIZE,
        samplerate: FixedPointNumber::new(u16::try_from(rate).unwrap_or(0), 0),
    };
    match &track.codec {
        AudioCodec::Aac { config } => {
            aac::parse_asc(config).ok()?;
            Some((mp4a(fields(rate), 0x40, Some(config.to_vec())), rate))
        }
        AudioCodec::Mp3 => {
            let object = if rate >= 32_000 { OBJECT_MPEG1_AUDIO } else { OBJECT_MPEG2_AUDIO };
            Some((mp4a(fields(rate), object, None), rate))
        }
        AudioCodec::Opus { head } => {
            let head = match head {
                Some(head) => opus::parse_head(head).ok()?,
                None => opus::Head { channels: track.channels, pre_skip: OPUS_PRE_SKIP, input_rate: 48_000, mapping: 0 },
            };
            if head.mapping != 0 || head.channels > 2 {
                return None;
            }
            let dops_box = DopsBox {
                output_channel_count: head.channels,
                pre_skip: head.pre_skip,
                input_sample_rate: head.input_rate,
                output_gain: 0,
            };
            Some((SampleEntry::Opus(OpusBox { audio: fields(48_000), dops_box, unknown_boxes: Vec::new() }), 48_000))
        }
        AudioCodec::G711A => Some((bare(b"alaw", &fields(rate))?, rate)),
        AudioCodec::G711U => Some((bare(b"ulaw", &fields(rate))?, rate)),
    }
}

fn mp4a(audio: AudioSampleEntryFields, object: u8, config: Option<Vec<u8>>) -> SampleEntry {
    let dec_config_descr = DecoderConfigDescriptor {
        object_type_indication: object,
        stream_type: DecoderConfigDescriptor::STREAM_TYPE_AUDIO,
        up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
        buffer_size_db: Uint::new(0),
        max_bitrate: 0,
        avg_bitrate: 0,
        dec_specific_info: config.map(|payload| DecoderSpecificInfo { payload }),
    };
    let es = EsDescriptor {
        es_id: EsDescriptor::MIN_ES_ID,
        stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
        depends_on_es_id: None,
        url_string: None,
        ocr_es_id: None,
        dec_config_descr,
        sl_config_descr: SlConfigDescriptor,
    };
    SampleEntry::Mp4a(Mp4aBox { audio, esds_box: EsdsBox { es }, unknown_boxes: Vec::new() })
}

/// An audio entry that needs no configuration.
fn bare(name: &[u8; 4], fields: &AudioSampleEntryFields) -> Option<SampleEntry> {
    let box_type = BoxType::Normal(*name);
    let payload = fields.encode_to_vec().ok()?;
    Some(SampleEntry::Unknown(UnknownBox { box_type, box_size: BoxSize::with_payload_size(box_type, payload.len() as u64), payload }))
}

/// A record as a box.
fn boxed(name: &[u8; 4], record: &[u8]) -> Option<Vec<u8>> {
    let size = u32::try_from(record.len() + 8).ok()?;
    Some([&size.to_be_bytes()[..], name, record].concat())
}
