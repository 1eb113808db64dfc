//! The messages as bytes.

use super::{Ask, AudioForm, Codec, Job, Reply, Rule};
use crate::base::bytes::Reader as Fields;
use crate::media::time::Timestamp;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest message.
pub const LENGTH_MAX: usize = 64 << 20;

/// The other end broke the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than [`LENGTH_MAX`], or shorter than its head.
    #[error("a message announces {0} bytes")]
    Length(usize),
    /// No such kind.
    #[error("a message of unknown kind {0:#x}")]
    Kind(u8),
    /// A field is missing or has a value that does not exist.
    #[error("a message of kind {0:#x} is malformed")]
    Malformed(u8),
}

/// Cuts messages out of a byte stream.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
}

impl Reader {
    /// Where the next bytes of the pipe go.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next question, once it is complete.
    pub fn ask(&mut self) -> Result<Option<(Job, Ask)>, Error> {
        let Some((kind, job, body)) = self.message()? else { return Ok(None) };
        let ask = Ask::read(kind, &body).ok_or(Error::Malformed(kind));
        if !(1..=7).contains(&kind) { Err(Error::Kind(kind)) } else { ask.map(|ask| Some((job, ask))) }
    }

    /// The next answer, once it is complete.
    pub fn reply(&mut self) -> Result<Option<(Job, Reply)>, Error> {
        let Some((kind, job, body)) = self.message()? else { return Ok(None) };
        let reply = Reply::read(kind, &body).ok_or(Error::Malformed(kind));
        if !(0x80..=0x85).contains(&kind) { Err(Error::Kind(kind)) } else { reply.map(|reply| Some((job, reply))) }
    }

    fn message(&mut self) -> Result<Option<(u8, Job, Bytes)>, Error> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if !(5..=LENGTH_MAX).contains(&length) {
            return Err(Error::Length(length));
        }
        if self.buffer.len() < 4 + length {
            self.buffer.reserve(4 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(4);
        let mut message = self.buffer.split_to(length).freeze();
        Ok(Some((message.get_u8(), message.get_u32(), message)))
    }
}

impl Ask {
    /// Appends the message to `out`.
    pub fn write(&self, job: Job, out: &mut BytesMut) {
        put(out, job, |out| match self {
            Ask::OpenAudio { from, to, bitrate } => {
                from.write(out);
                out.put_u8(to.number());
                out.put_u32(*bitrate);
                1
            }
            Ask::OpenVideo { codec, rules } => {
                out.put_u8(codec.number());
                rules.iter().for_each(|rule| rule.write(out));
                2
            }
            Ask::Frame { pts, dts, key, data } => {
                put_frame(out, 0, *pts, *dts, *key, data);
                3
            }
            Ask::Snapshot { codec, width, height, quality, data } => {
                out.put_u8(codec.number());
                out.put_u16(*width);
                out.put_u16(*height);
                out.put_u8(*quality);
                out.put_slice(data);
                4
            }
            Ask::Close => 5,
            Ask::AddRule { number, rule } => {
                out.put_u8(*number);
                rule.write(out);
                6
            }
            Ask::RemoveRule { number } => {
                out.put_u8(*number);
                7
            }
        });
    }

    fn read(kind: u8, body: &Bytes) -> Option<Ask> {
        let mut f = Fields::new(body);
        Some(match kind {
            1 => {
                let from = AudioForm::read(&mut f)?;
                Ask::OpenAudio { from, to: Codec::from_number(f.u8()?)?, bitrate: f.u32()? }
            }
            2 => {
                let codec = Codec::from_number(f.u8()?)?;
                let mut rules = Vec::new();
                while !f.is_empty() {
                    rules.push(Rule::read(&mut f)?);
                }
                Ask::OpenVideo { codec, rules }
            }
            3 => {
                let (_, pts, dts, key, data) = frame(&mut f, body)?;
                Ask::Frame { pts, dts, key, data }
            }
            4 => Ask::Snapshot {
                codec: Codec::from_number(f.u8()?)?,
                width: f.u16()?,
                height: f.u16()?,
                quality: f.u8()?,
                data: body.slice_ref(f.rest()),
            },
            5 => Ask::Close,
            6 => Ask::AddRule { number: f.u8()?, rule: Rule::read(&mut f)? },
            7 => Ask::RemoveRule { number: f.u8()? },
            _ => return None,
        })
    }
}

impl Reply {
    /// Appends the message to `out`.
    pub fn write(&self, job: Job, out: &mut BytesMut) {
        put(out, job, |out| match self {
            Reply::Audio(form) => {
                form.write(out);
                0x80
            }
            Reply::Video { rule, sets } => {
                out.put_u8(*rule);
                out.put_slice(sets);
                0x81
            }
            Reply::Frame { rule, pts, dts, key, data } => {
                put_frame(out, *rule, *pts, *dts, *key, data);
                0x82
            }
            Reply::Picture { width, height, jpeg } => {
                out.put_u16(*width);
                out.put_u16(*height);
                out.put_slice(jpeg);
                0x83
            }
            Reply::Failed(why) => {
                out.put_slice(why.as_bytes());
                0x84
            }
            Reply::Refused { rule, why } => {
                out.put_u8(*rule);
                out.put_slice(why.as_bytes());
                0x85
            }
        });
    }

    fn read(kind: u8, body: &Bytes) -> Option<Reply> {
        let mut f = Fields::new(body);
        Some(match kind {
            0x80 => Reply::Audio(AudioForm::read(&mut f)?),
            0x81 => Reply::Video { rule: f.u8()?, sets: body.slice_ref(f.rest()) },
            0x82 => {
                let (rule, pts, dts, key, data) = frame(&mut f, body)?;
                Reply::Frame { rule, pts, dts, key, data }
            }
            0x83 => Reply::Picture { width: f.u16()?, height: f.u16()?, jpeg: body.slice_ref(f.rest()) },
            0x84 => Reply::Failed(String::from_utf8_lossy(f.rest()).into_owned()),
            0x85 => Reply::Refused { rule: f.u8()?, why: String::from_utf8_lossy(f.rest()).into_owned() },
            _ => return None,
        })
    }
}

/// A message's head is known only behind its body: the kind comes from `body`, the length from what it wrote.
fn put(out: &mut BytesMut, job: Job, body: impl FnOnce(&mut BytesMut) -> u8) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(0);
    out.put_u32(job);
    let kind = body(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    out[start + 4] = kind;
}

fn put_frame(out: &mut BytesMut, rule: u8, pts: Timestamp, dts: Timestamp, key: bool, data: &[u8]) {
    out.put_u8(rule);
    out.put_i64(pts.0);
    out.put_i64(dts.0);
    out.put_u8(u8::from(key));
    out.put_slice(data);
}

fn frame(f: &mut Fields<'_>, body: &Bytes) -> Option<(u8, Timestamp, Timestamp, bool, Bytes)> {
    let rule = f.u8()?;
    let (pts, dts) = (Timestamp(f.u64()? as i64), Timestamp(f.u64()? as i64));
    Some((rule, pts, dts, f.u8()? != 0, body.slice_ref(f.rest())))
}

impl Rule {
    fn write(&self, out: &mut BytesMut) {
        out.put_u16(self.width);
        out.put_u16(self.height);
        out.put_u8(self.fps);
        out.put_u16(self.gop);
        out.put_u32(self.bitrate);
    }

    fn read(f: &mut Fields<'_>) -> Option<Rule> {
        Some(Rule { width: f.u16()?, height: f.u16()?, fps: f.u8()?, gop: f.u16()?, bitrate: f.u32()? })
    }
}

impl AudioForm {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.codec.number());
        out.put_u32(self.rate);
        out.put_u8(self.channels);
        out.put_u16(self.config.len() as u16);
        out.put_slice(&self.config);
    }

    fn read(f: &mut Fields<'_>) -> Option<AudioForm> {
        let (codec, rate, channels) = (Codec::from_number(f.u8()?)?, f.u32()?, f.u8()?);
        let length = f.u16()? as usize;
        Some(AudioForm { codec, rate, channels, config: Bytes::copy_from_slice(f.take(length)?) })
    }
}

const CODECS: [Codec; 7] = [Codec::H264, Codec::H265, Codec::Aac, Codec::G711A, Codec::G711U, Codec::Opus, Codec::Mp3];

impl Codec {
    fn number(self) -> u8 {
        self as u8
    }

    fn from_number(n: u8) -> Option<Codec> {
        CODECS.get(n as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> AudioForm {
        AudioForm { codec: Codec::Aac, rate: 44_100, channels: 2, config: Bytes::from_static(&[0x12, 0x10]) }
    }

    #[test]
    fn every_message_comes_back_whole_in_any_pieces() {
        let (pts, dts, data) = (Timestamp(-5), Timestamp(7), Bytes::from_static(b"data"));
        let rule = Rule { width: 640, height: 360, fps: 15, gop: 30, bitrate: 500_000 };
        let asks = [
            Ask::OpenAudio { from: form(), to: Codec::Opus, bitrate: 64_000 },
            Ask::OpenVideo { codec: Codec::H265, rules: vec![rule, rule] },
            Ask::Frame { pts, dts, key: true, data: data.clone() },
            Ask::Snapshot { codec: Codec::H264, width: 1, height: 2, quality: 80, data: data.clone() },
            Ask::Close,
            Ask::AddRule { number: 3, rule },
            Ask::RemoveRule { number: 3 },
        ];
        let replies = [
            Reply::Audio(form()),
            Reply::Video { rule: 1, sets: data.clone() },
            Reply::Frame { rule: 2, pts, dts, key: false, data: data.clone() },
            Reply::Picture { width: 3, height: 4, jpeg: data },
            Reply::Failed("no".to_owned()),
            Reply::Refused { rule: 3, why: "no".to_owned() },
        ];
        let mut out = BytesMut::new();
        asks.iter().for_each(|ask| ask.write(9, &mut out));
        let mut reader = Reader::default();
        let mut got = Vec::new();
        for byte in out.split() {
            reader.buffer().put_u8(byte);
            got.extend(reader.ask().unwrap());
        }
        assert_eq!(got, asks.map(|ask| (9, ask)));
        replies.iter().for_each(|reply| reply.write(8, &mut out));
        reader.buffer().extend_from_slice(&out);
        let got: Vec<_> = std::iter::from_fn(|| reader.reply().unwrap()).collect();
        assert_eq!(got, replies.map(|reply| (8, reply)));
    }

    #[test]
    fn nonsense_is_an_error() {
        for (bytes, error) in [
            (&[0xff; 9][..], Error::Length(u32::MAX as usize)),
            (&[0, 0, 0, 1, 1], Error::Length(1)),
            (&[0, 0, 0, 5, 77, 0, 0, 0, 1], Error::Kind(77)),
            (&[0, 0, 0, 6, 1, 0, 0, 0, 1, 200], Error::Malformed(1)),
        ] {
            let mut reader = Reader::default();
            reader.buffer().extend_from_slice(bytes);
            assert_eq!(reader.ask(), Err(error));
        }
    }
}
