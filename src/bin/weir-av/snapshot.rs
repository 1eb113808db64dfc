//! One picture of one key frame, as JPEG. No decoder outlives it.

use bytes::Bytes;
use ff::format::Pixel;
use ff::software::scaling;
use ff::util::color;
use ff::{codec, frame};
use ffmpeg_next as ff;
use weir::proto::av::{Codec, Reply};

/// No camera's picture is larger; a parameter set that says so is hostile.
const SIDE_MAX: u32 = 16_384;

pub fn take(codec: Codec, longest: (u16, u16), quality: u8, data: &[u8]) -> Result<Reply, String> {
    let picture = decode(codec, data)?;
    let (width, height) = fit((picture.width(), picture.height()), longest);
    let mut scaled = frame::Video::empty();
    // JPEG wants full range; the scaler converts size and range in one pass.
    let flags = scaling::Flags::BILINEAR;
    let mut scaler = scaling::Context::get(picture.format(), picture.width(), picture.height(), Pixel::YUVJ420P, width, height, flags)
        .map_err(|e| format!("scaler: {e}"))?;
    scaler.run(&picture, &mut scaled).map_err(|e| format!("scaler: {e}"))?;
    scaled.set_color_range(color::Range::JPEG);
    let jpeg = encode(&scaled, quality)?;
    Ok(Reply::Picture { width: width as u16, height: height as u16, jpeg })
}

fn decode(codec: Codec, data: &[u8]) -> Result<frame::Video, String> {
    let id = match codec {
        Codec::H264 => codec::Id::H264,
        Codec::H265 => codec::Id::HEVC,
        other => return Err(format!("no pictures are taken of {other:?}")),
    };
    let found = codec::decoder::find(id).ok_or_else(|| format!("this FFmpeg has no decoder for {id:?}"))?;
    let mut context = codec::Context::new_with_codec(found);
    context.set_threading(codec::threading::Config { kind: codec::threading::Type::Slice, count: 1, ..Default::default() });
    let mut decoder = context.decoder().video().map_err(|e| format!("decoder: {e}"))?;
    decoder.send_packet(&ff::Packet::copy(data)).map_err(|e| format!("the key frame does not decode: {e}"))?;
    decoder.send_eof().map_err(|e| e.to_string())?;
    let mut picture = frame::Video::empty();
    decoder.receive_frame(&mut picture).map_err(|e| format!("the key frame does not decode: {e}"))?;
    let sides = [picture.width(), picture.height()];
    if sides.iter().any(|side| *side == 0 || *side > SIDE_MAX) {
        return Err(format!("a picture of {} x {} pixels", sides[0], sides[1]));
    }
    Ok(picture)
}

fn encode(picture: &frame::Video, quality: u8) -> Result<Bytes, String> {
    let found = codec::encoder::find(codec::Id::MJPEG).ok_or("this FFmpeg has no JPEG encoder")?;
    let mut context = codec::Context::new_with_codec(found).encoder().video().map_err(|e| e.to_string())?;
    context.set_width(picture.width());
    context.set_height(picture.height());
    context.set_format(Pixel::YUVJ420P);
    context.set_time_base((1, 25));
    context.set_color_range(color::Range::JPEG);
    // FFmpeg's scale goes from 2 (best) to 31; FF_QP2LAMBDA is 118.
    let scale = 2 + i32::from(100 - quality.clamp(1, 100)) * 29 / 99;
    context.set_flags(codec::Flags::QSCALE);
    context.set_global_quality(scale * 118);
    let mut encoder = context.open_as(found).map_err(|e| format!("JPEG encoder: {e}"))?;
    let mut still = picture.clone();
    still.set_pts(Some(0));
    // SAFETY: the frame is ours; its quality is what the encoder reads when it is told to use a fixed scale.
    unsafe { (*still.as_mut_ptr()).quality = scale * 118 };
    encoder.send_frame(&still).map_err(|e| format!("JPEG encoder: {e}"))?;
    encoder.send_eof().map_err(|e| format!("JPEG encoder: {e}"))?;
    let mut packet = ff::Packet::empty();
    encoder.receive_packet(&mut packet).map_err(|e| format!("JPEG encoder: {e}"))?;
    packet.data().map(Bytes::copy_from_slice).ok_or_else(|| "JPEG encoder: no picture".to_owned())
}

/// The largest even size with the source's aspect ratio that is not larger than asked for; never larger than the source.
pub fn fit((width, height): (u32, u32), longest: (u16, u16)) -> (u32, u32) {
    let limit = |asked: u16, own: u32| if asked == 0 { own } else { u32::from(asked).min(own) };
    let (w, h) = (limit(longest.0, width), limit(longest.1, height));
    let (w, h) = if u64::from(w) * u64::from(height) <= u64::from(h) * u64::from(width) {
        (w, (u64::from(w) * u64::from(height) / u64::from(width.max(1))) as u32)
    } else {
        ((u64::from(h) * u64::from(width) / u64::from(height.max(1))) as u32, h)
    };
    ((w & !1).max(2), (h & !1).max(2))
}
