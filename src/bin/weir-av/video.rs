//! One video stream: one decoder, an H.264 encoder for each rule.

use super::snapshot::fit;
use bytes::Bytes;
use ff::format::Pixel;
use ff::software::scaling;
use ff::{Dictionary, codec, frame};
use ffmpeg_next as ff;
use weir::media::time::Timestamp;
use weir::proto::av::{Codec, Reply, Rule};

/// The clock of MPEG systems: fine enough for every frame rate.
const CLOCK: u32 = 90_000;

pub struct Transcoder {
    decoder: codec::decoder::Video,
    outputs: Vec<Output>,
}

struct Output {
    number: u8,
    rule: Rule,
    encoder: Option<Encoder>,
    /// The time of the next picture that is wanted, when the rule lowers the frame rate.
    due: Option<i64>,
}

struct Encoder {
    encoder: codec::encoder::video::Encoder,
    scaler: scaling::Context,
    source: (Pixel, u32, u32),
    told: bool,
}

impl Transcoder {
    pub fn open(codec: Codec, rules: &[Rule]) -> Result<Transcoder, String> {
        let id = match codec {
            Codec::H264 => codec::Id::H264,
            Codec::H265 => codec::Id::HEVC,
            other => return Err(format!("{other:?} is not transcoded")),
        };
        let found = codec::decoder::find(id).ok_or_else(|| format!("this FFmpeg has no decoder for {id:?}"))?;
        let mut context = codec::Context::new_with_codec(found);
        // Threads by slice add no delay.
        context.set_threading(codec::threading::Config { kind: codec::threading::Type::Slice, count: 0, ..Default::default() });
        let decoder = context.decoder().video().map_err(|e| format!("decoder: {e}"))?;
        let mut transcoder = Transcoder { decoder, outputs: Vec::new() };
        (0..=u8::MAX).zip(rules).for_each(|(number, rule)| transcoder.add(number, rule));
        Ok(transcoder)
    }

    /// A further output, from the next picture on; one of that number gives way.
    pub fn add(&mut self, number: u8, rule: &Rule) {
        self.remove(number);
        self.outputs.push(Output { number, rule: *rule, encoder: None, due: None });
    }

    /// What its encoder still holds is not wanted either.
    pub fn remove(&mut self, number: u8) {
        self.outputs.retain(|output| output.number != number);
    }

    pub fn push(&mut self, pts: Timestamp, dts: Timestamp, data: &[u8], put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let mut packet = ff::Packet::copy(data);
        packet.set_pts(Some(pts.to_ticks(CLOCK)));
        packet.set_dts(Some(dts.to_ticks(CLOCK)));
        // What does not decode is left out; the next key frame mends it.
        if self.decoder.send_packet(&packet).is_ok() {
            self.pictures(put);
        }
        Ok(())
    }

    /// Encodes what is still in the decoder and the encoders.
    pub fn finish(&mut self, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let _ = self.decoder.send_eof();
        self.pictures(put);
        for output in &mut self.outputs {
            if let Some(encoder) = &mut output.encoder {
                let _ = encoder.encoder.send_eof();
                encoder.drain(output.number, put);
            }
        }
        Ok(())
    }

    fn pictures(&mut self, put: &mut dyn FnMut(Reply)) {
        let mut picture = frame::Video::empty();
        while self.decoder.receive_frame(&mut picture).is_ok() {
            // A rule that cannot be made ends; the others have nothing to do with it.
            self.outputs.retain_mut(|output| match output.take(&picture, put) {
                Ok(()) => true,
                Err(why) => {
                    put(Reply::Refused { rule: output.number, why });
                    false
                }
            });
        }
    }
}

impl Output {
    fn take(&mut self, picture: &frame::Video, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let pts = picture.timestamp().or(picture.pts()).unwrap_or_default();
        if !self.wanted(pts) {
            return Ok(());
        }
        let source = (picture.format(), picture.width(), picture.height());
        if self.encoder.as_ref().is_none_or(|e| e.source != source) {
            if let Some(mut old) = self.encoder.take() {
                let _ = old.encoder.send_eof();
                old.drain(self.number, put);
            }
            self.encoder = Some(Encoder::open(&self.rule, source)?);
        }
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let mut scaled = frame::Video::empty();
        encoder.scaler.run(picture, &mut scaled).map_err(|e| format!("scaler: {e}"))?;
        scaled.set_pts(Some(pts));
        encoder.encoder.send_frame(&scaled).map_err(|e| format!("encoder: {e}"))?;
        encoder.drain(self.number, put);
        Ok(())
    }

    /// Lets every picture pass, or so many a second that the rule's rate comes out.
    fn wanted(&mut self, pts: i64) -> bool {
        if self.rule.fps == 0 {
            return true;
        }
        let step = i64::from(CLOCK) / i64::from(self.rule.fps);
        let due = *self.due.get_or_insert(pts);
        // A quarter of a step early is near enough: source times jitter.
        if pts + step / 4 < due && due - pts < 4 * step {
            return false;
        }
        self.due = Some(if (pts - due).abs() > 4 * step { pts + step } else { due + step });
        true
    }
}

impl Encoder {
    fn open(rule: &Rule, source: (Pixel, u32, u32)) -> Result<Encoder, String> {
        let (format, width, height) = source;
        let (w, h) = match (rule.width, rule.height) {
            (0, 0) => fit((width, height), (0, 0)),
            (0, h) => ((u32::from(h) * width / height.max(1)) & !1, u32::from(h) & !1),
            (w, 0) => (u32::from(w) & !1, (u32::from(w) * height / width.max(1)) & !1),
            (w, h) => (u32::from(w) & !1, u32::from(h) & !1),
        };
        let (w, h) = (w.max(16), h.max(16));
        let scaler = scaling::Context::get(format, width, height, Pixel::YUV420P, w, h, scaling::Flags::BILINEAR);
        let found = codec::encoder::find_by_name("libx264").ok_or("this FFmpeg has no libx264")?;
        let mut context = codec::Context::new_with_codec(found).encoder().video().map_err(|e| e.to_string())?;
        let fps = if rule.fps == 0 { 25 } else { i32::from(rule.fps) };
        let gop = if rule.gop == 0 { 2 * fps as u32 } else { u32::from(rule.gop) };
        // About 0.1 bit a pixel at 25 frames a second: what cameras use.
        let bitrate = if rule.bitrate > 0 { rule.bitrate } else { (w * h * fps as u32 / 10).clamp(128_000, 8_000_000) };
        context.set_width(w);
        context.set_height(h);
        context.set_format(Pixel::YUV420P);
        context.set_time_base((1, CLOCK as i32));
        context.set_frame_rate(Some((fps, 1)));
        context.set_gop(gop);
        context.set_max_b_frames(0);
        context.set_bit_rate(bitrate as usize);
        context.set_max_bit_rate(bitrate as usize * 3 / 2);
        let mut options = Dictionary::new();
        options.set("preset", "veryfast");
        options.set("tune", "zerolatency");
        options.set("profile", "main");
        options.set("x264-params", &format!("keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1"));
        let encoder = context.open_as_with(found, options).map_err(|e| format!("libx264: {e}"))?;
        Ok(Encoder { encoder, scaler: scaler.map_err(|e| format!("scaler: {e}"))?, source, told: false })
    }

    fn drain(&mut self, rule: u8, put: &mut dyn FnMut(Reply)) {
        let mut packet = ff::Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            let Some(data) = packet.data() else { continue };
            let data = Bytes::copy_from_slice(data);
            if packet.is_key() && !std::mem::replace(&mut self.told, true) {
                put(Reply::Video { rule, sets: data.clone() });
            }
            let at = |t: Option<i64>| Timestamp::from_ticks(t.unwrap_or_default(), CLOCK);
            put(Reply::Frame { rule, pts: at(packet.pts()), dts: at(packet.dts()), key: packet.is_key(), data });
        }
    }
}
