//! One audio stream: decode, resample, encode. A frame in gives as many frames out as have become full.

use bytes::Bytes;
use ff::format::sample::{Sample, Type};
use ff::{ChannelLayout, codec, frame};
use ffmpeg_next as ff;
use weir::media::g711;
use weir::media::time::Timestamp;
use weir::proto::av::{AudioForm, Codec, Reply};

/// A break in the source's times that is longer than this is a gap: the output's times follow it.
const GAP: i64 = 100_000_000;

pub struct Transcoder {
    source: Source,
    rate_in: u32,
    resampler: Option<ff::software::resampling::Context>,
    sink: Sink,
    format: Sample,
    layout: ChannelLayout,
    /// Of G.711 that comes in.
    channels_in: usize,
    rate: u32,
    /// Samples that wait for a full frame; one list for each channel if the format is planar, else one for all.
    waiting: Vec<Vec<f32>>,
    frame_size: usize,
    /// The time of the first waiting sample.
    clock: Option<i64>,
}

enum Source {
    /// G.711 by table: a decoder's context would cost more than the work.
    Law(fn(&[u8], &mut Vec<i16>)),
    Decoder(codec::decoder::Audio),
}

enum Sink {
    Encoder(codec::encoder::audio::Encoder),
    /// G.711 A-law by table.
    Law,
}

/// Samples in a frame of G.711: 20 ms.
const LAW_FRAME: usize = 160;

impl Transcoder {
    pub fn open(from: &AudioForm, to: Codec, bitrate: u32) -> Result<(Transcoder, AudioForm), String> {
        let source = match from.codec {
            Codec::G711A => Source::Law(g711::decode_a),
            Codec::G711U => Source::Law(g711::decode_u),
            Codec::Aac => Source::Decoder(decoder(codec::Id::AAC, from)?),
            Codec::Mp3 => Source::Decoder(decoder(codec::Id::MP3, from)?),
            Codec::Opus => Source::Decoder(decoder(codec::Id::OPUS, from)?),
            other => return Err(format!("{other:?} is not an audio codec")),
        };
        let channels_in = from.channels.clamp(1, 2);
        let channels = if to == Codec::G711A { 1 } else { channels_in };
        let layout = if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO };
        let opened = |sink, frame_size: usize, rate, format: Sample, planes| Transcoder {
            source,
            rate_in: from.rate,
            resampler: None,
            sink,
            format,
            layout,
            channels_in: usize::from(channels_in),
            rate,
            waiting: vec![Vec::new(); planes],
            frame_size,
            clock: None,
        };
        let (name, rate, format) = match to {
            Codec::G711A => {
                let form = AudioForm { codec: to, rate: 8_000, channels, config: Bytes::new() };
                return Ok((opened(Sink::Law, LAW_FRAME, 8_000, Sample::F32(Type::Packed), 1), form));
            }
            Codec::Aac => ("aac", aac_rate(from.rate), Sample::F32(Type::Planar)),
            Codec::Opus => ("libopus", 48_000, Sample::F32(Type::Packed)),
            other => return Err(format!("audio is not encoded to {other:?}")),
        };
        let codec = codec::encoder::find_by_name(name).ok_or_else(|| format!("this FFmpeg has no encoder {name}"))?;
        let mut context = codec::Context::new_with_codec(codec).encoder().audio().map_err(|e| format!("{name}: {e}"))?;
        context.set_rate(rate as i32);
        context.set_format(format);
        context.set_channel_layout(layout);
        context.set_time_base((1, rate as i32));
        context.set_flags(codec::Flags::GLOBAL_HEADER);
        let chosen = if bitrate > 0 { bitrate } else { default_bitrate(rate, channels) };
        context.set_bit_rate(chosen as usize);
        let encoder = context.open_as(codec).map_err(|e| format!("{name}: {e}"))?;
        let form = AudioForm { codec: to, rate, channels, config: extradata(&encoder) };
        let planes = if matches!(format, Sample::F32(Type::Planar)) { usize::from(channels) } else { 1 };
        let frame_size = match encoder.frame_size() {
            0 => 1024,
            n => n as usize,
        };
        Ok((opened(Sink::Encoder(encoder), frame_size, rate, format, planes), form))
    }

    pub fn push(&mut self, pts: Timestamp, data: &[u8], put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        for pcm in self.decode(data)? {
            self.take(pts, &pcm, put)?;
        }
        Ok(())
    }

    /// Encodes what is left.
    pub fn finish(&mut self, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let short = self.frame_size * self.interleave();
        for plane in &mut self.waiting {
            if !plane.is_empty() {
                plane.resize(short, 0.0);
            }
        }
        self.encode(put)?;
        match &mut self.sink {
            Sink::Encoder(encoder) => encoder.send_eof().map_err(|e| e.to_string())?,
            Sink::Law => return Ok(()),
        }
        self.drain(put)
    }

    /// Samples of one channel that lie in a row in a plane.
    fn interleave(&self) -> usize {
        if self.waiting.len() == 1 { self.layout.channels() as usize } else { 1 }
    }

    fn decode(&mut self, data: &[u8]) -> Result<Vec<frame::Audio>, String> {
        match &mut self.source {
            Source::Law(to_pcm) => {
                let mut pcm = frame::Audio::new(
                    Sample::I16(Type::Packed),
                    data.len() / self.channels_in,
                    ChannelLayout::default(self.channels_in as i32),
                );
                pcm.set_rate(self.rate_in);
                let mut samples = Vec::with_capacity(data.len());
                to_pcm(data, &mut samples);
                for (to, from) in pcm.data_mut(0).chunks_exact_mut(2).zip(samples) {
                    to.copy_from_slice(&from.to_ne_bytes());
                }
                Ok(vec![pcm])
            }
            Source::Decoder(decoder) => {
                // A damaged frame is one frame of silence at most, not the end of the stream.
                if decoder.send_packet(&ff::Packet::copy(data)).is_err() {
                    return Ok(Vec::new());
                }
                let mut all = Vec::new();
                loop {
                    let mut pcm = frame::Audio::empty();
                    if decoder.receive_frame(&mut pcm).is_err() {
                        return Ok(all);
                    }
                    all.push(pcm);
                }
            }
        }
    }

    fn take(&mut self, pts: Timestamp, pcm: &frame::Audio, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let layout = if pcm.channel_layout().is_empty() { ChannelLayout::default(i32::from(pcm.channels())) } else { pcm.channel_layout() };
        let fits = |r: &ff::software::resampling::Context| {
            let input = r.input();
            input.format == pcm.format() && input.rate == pcm.rate() && input.channel_layout == layout
        };
        if !self.resampler.as_ref().is_some_and(fits) {
            let made = ff::software::resampling::Context::get(pcm.format(), layout, pcm.rate(), self.format, self.layout, self.rate);
            self.resampler = Some(made.map_err(|e| format!("resampler: {e}"))?);
        }
        let Some(resampler) = &mut self.resampler else { return Ok(()) };
        let mut out = frame::Audio::empty();
        resampler.run(pcm, &mut out).map_err(|e| format!("resampler: {e}"))?;
        let waiting = (self.waiting[0].len() / self.interleave()) as i64;
        let expected = self.clock.map(|at| at + waiting * 1_000_000_000 / i64::from(self.rate));
        if expected.is_none_or(|expected| (pts.0 - expected).abs() > GAP) {
            self.waiting.iter_mut().for_each(Vec::clear);
            self.clock = Some(pts.0);
        }
        let count = out.samples() * self.interleave();
        for (n, plane) in self.waiting.iter_mut().enumerate() {
            let samples = out.data(n).chunks_exact(4).take(count);
            plane.extend(samples.map(|s| f32::from_ne_bytes([s[0], s[1], s[2], s[3]])));
        }
        self.encode(put)
    }

    fn encode(&mut self, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let full = self.frame_size * self.interleave();
        while self.waiting[0].len() >= full {
            if matches!(self.sink, Sink::Law) {
                let at = self.clock.unwrap_or_default();
                let law = |sample: f32| g711::linear_to_a((sample.clamp(-1.0, 1.0) * 32_767.0) as i16);
                let data: Vec<u8> = self.waiting[0].drain(..full).map(law).collect();
                self.clock = Some(at + (self.frame_size as i64) * 1_000_000_000 / i64::from(self.rate));
                put(Reply::Frame { rule: 0, pts: Timestamp(at), dts: Timestamp(at), key: true, data: data.into() });
                continue;
            }
            let mut pcm = frame::Audio::new(self.format, self.frame_size, self.layout);
            pcm.set_rate(self.rate);
            for (n, plane) in self.waiting.iter_mut().enumerate() {
                for (to, from) in pcm.data_mut(n).chunks_exact_mut(4).zip(plane.drain(..full)) {
                    to.copy_from_slice(&from.to_ne_bytes());
                }
            }
            let at = self.clock.unwrap_or_default();
            pcm.set_pts(Some(Timestamp(at).to_ticks(self.rate)));
            self.clock = Some(at + (self.frame_size as i64) * 1_000_000_000 / i64::from(self.rate));
            if let Sink::Encoder(encoder) = &mut self.sink {
                encoder.send_frame(&pcm).map_err(|e| format!("encoder: {e}"))?;
            }
            self.drain(put)?;
        }
        Ok(())
    }

    fn drain(&mut self, put: &mut dyn FnMut(Reply)) -> Result<(), String> {
        let Sink::Encoder(encoder) = &mut self.sink else { return Ok(()) };
        let mut packet = ff::Packet::empty();
        while encoder.receive_packet(&mut packet).is_ok() {
            let Some(data) = packet.data() else { continue };
            let pts = Timestamp::from_ticks(packet.pts().unwrap_or_default(), self.rate);
            put(Reply::Frame { rule: 0, pts, dts: pts, key: true, data: Bytes::copy_from_slice(data) });
        }
        Ok(())
    }
}

fn decoder(id: codec::Id, from: &AudioForm) -> Result<codec::decoder::Audio, String> {
    let codec = codec::decoder::find(id).ok_or_else(|| format!("this FFmpeg has no decoder for {id:?}"))?;
    let mut context = codec::Context::new_with_codec(codec);
    // SAFETY: the context is ours and not open yet; the extradata is allocated by FFmpeg's allocator with the padding that it
    // asks for, and freed with the context.
    unsafe {
        let raw = context.as_mut_ptr();
        (*raw).sample_rate = from.rate as i32;
        if !from.config.is_empty() {
            let padding = ff::ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            let memory = ff::ffi::av_mallocz(from.config.len() + padding).cast::<u8>();
            if memory.is_null() {
                return Err("out of memory".to_owned());
            }
            std::ptr::copy_nonoverlapping(from.config.as_ptr(), memory, from.config.len());
            (*raw).extradata = memory;
            (*raw).extradata_size = from.config.len() as i32;
        }
    }
    context.decoder().audio().map_err(|e| format!("decoder: {e}"))
}

fn extradata(encoder: &codec::encoder::audio::Encoder) -> Bytes {
    // SAFETY: the encoder is open; its extradata does not change any more and is copied here.
    unsafe {
        let raw = encoder.as_ptr();
        match (*raw).extradata.is_null() {
            true => Bytes::new(),
            false => Bytes::copy_from_slice(std::slice::from_raw_parts((*raw).extradata, (*raw).extradata_size.max(0) as usize)),
        }
    }
}

/// AAC knows a fixed list of rates (ISO/IEC 14496-3 table 1.18): the nearest one that loses nothing.
fn aac_rate(rate: u32) -> u32 {
    const RATES: [u32; 12] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
    RATES.into_iter().find(|r| *r >= rate).unwrap_or(48_000)
}

fn default_bitrate(rate: u32, channels: u8) -> u32 {
    // Speech of a camera microphone needs little; the AAC encoder refuses more than 6 bits a sample.
    let a_channel = if rate <= 16_000 { rate * 3 } else { 64_000 };
    a_channel * u32::from(channels)
}
