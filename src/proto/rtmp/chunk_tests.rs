//! Tests of the chunk layer: every header form, senders' habits, hostile input, any segmentation.

use super::*;
use proptest::prelude::*;

const WIDE: Limits = Limits { message: 1 << 20, streams: 16, partial: 4 << 20 };

fn read_all(pieces: &[&[u8]]) -> Result<Vec<Message>, Error> {
    let mut reader = Reader::new(WIDE);
    let mut out = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(message) = reader.read(&mut input)? {
            out.push(message);
        }
        assert!(input.is_empty(), "the reader takes everything");
    }
    Ok(out)
}

fn times(bytes: &[u8]) -> Vec<(u32, usize)> {
    read_all(&[bytes]).unwrap().iter().map(|m| (m.timestamp, m.data.len())).collect()
}

#[test]
fn every_header_type() {
    // type 0: time 1000, 2 bytes, audio, stream 1; type 1: +40, 3 bytes; type 2: +40; type 3: +40 again.
    let mut b = vec![4, 0, 3, 0xe8, 0, 0, 2, 8, 1, 0, 0, 0, 1, 2];
    b.extend([0x44, 0, 0, 40, 0, 0, 3, 9, 1, 2, 3]);
    b.extend([0x84, 0, 0, 40, 4, 5, 6]);
    b.extend([0xc4, 7, 8, 9]);
    let got = read_all(&[&b]).unwrap();
    assert_eq!(times(&b), [(1000, 2), (1040, 3), (1080, 3), (1120, 3)]);
    assert_eq!(got.iter().map(|m| m.kind).collect::<Vec<_>>(), [8, 9, 9, 9]);
    assert!(got.iter().all(|m| m.stream == 1));
    assert_eq!(&got[3].data[..], [7, 8, 9]);
}

#[test]
fn type_3_after_type_0_adds_the_time_itself() {
    // Section 5.3.1.2.4; ffmpeg sends this when the step happens to equal the first time.
    assert_eq!(times(&[4, 0, 0, 23, 0, 0, 1, 8, 1, 0, 0, 0, 9, 0xc4, 9]), [(23, 1), (46, 1)]);
}

#[test]
fn a_chunk_stream_may_begin_with_type_1_but_not_2_or_3() {
    assert_eq!(times(&[0x44, 0, 0, 40, 0, 0, 1, 8, 7]), [(40, 1)]);
    assert_eq!(read_all(&[&[0x84, 0, 0, 40]]), Err(Error::NoHeader { csid: 4, fmt: 2 }));
    assert_eq!(read_all(&[&[0xc4]]), Err(Error::NoHeader { csid: 4, fmt: 3 }));
}

#[test]
fn two_and_three_byte_basic_headers() {
    for (basic, csid) in [(vec![0, 10], 74), (vec![1, 10, 1], 330)] {
        let mut bytes = basic.clone();
        bytes.extend([0, 0, 1, 0, 0, 0, 9, 1, 0, 0, 0]);
        let mut again = basic;
        again[0] |= 0xc0;
        bytes.extend(again);
        let mut reader = Reader::new(WIDE);
        assert_eq!(reader.read(&mut &bytes[..]).unwrap().map(|m| m.timestamp), Some(1));
        assert_eq!(reader.streams[0].csid, csid);
    }
}

#[test]
fn interleaved_chunk_streams() {
    // A video message of 200 bytes on chunk stream 4, cut after its first chunk by a whole audio message on 5: legal, and common.
    let video: Vec<u8> = (0..200).collect();
    let mut bytes = vec![4, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    bytes.extend(&video[..128]);
    bytes.extend([5, 0, 0, 0, 0, 0, 3, 8, 1, 0, 0, 0, 7, 7, 7]);
    bytes.push(0xc4);
    bytes.extend(&video[128..]);
    let got = read_all(&[&bytes]).unwrap();
    assert_eq!((got[0].kind, got[0].data.len()), (8, 3));
    assert_eq!((got[1].kind, &got[1].data[..]), (9, &video[..]));
}

#[test]
fn extended_timestamps_with_and_without_repetition() {
    let time = 0x0123_4567_u32;
    let payload: Vec<u8> = (0..=255).cycle().take(300).collect();
    for repeats in [true, false] {
        let mut bytes = vec![4, 0xff, 0xff, 0xff, 0, 1, 44, 9, 1, 0, 0, 0];
        bytes.extend(time.to_be_bytes());
        for (i, piece) in payload.chunks(128).enumerate() {
            if i > 0 {
                bytes.push(0xc4);
                if repeats {
                    bytes.extend(time.to_be_bytes());
                }
            }
            bytes.extend(piece);
        }
        // A next message without extended timestamp ends the repetition.
        bytes.extend([0x44, 0, 0, 1, 0, 0, 1, 9, 5]);
        for cut in 1..bytes.len() {
            let got = read_all(&[&bytes[..cut], &bytes[cut..]]).unwrap();
            assert_eq!(got.len(), 2, "repeats {repeats}, cut {cut}");
            assert_eq!((got[0].timestamp, &got[0].data[..]), (time, &payload[..]), "repeats {repeats}, cut {cut}");
            assert_eq!(got[1].timestamp, time + 1);
        }
    }
}

#[test]
fn omitted_repetition_with_a_payload_that_begins_like_it() {
    // The last chunk holds 2 bytes that equal the start of the extended timestamp, then the next header follows.
    let time = 0x0100_0000_u32;
    let mut payload = [0x55; 130];
    payload[128..].copy_from_slice(&[0x01, 0x00]);
    let mut bytes = vec![4, 0xff, 0xff, 0xff, 0, 0, 130, 9, 1, 0, 0, 0];
    bytes.extend(time.to_be_bytes());
    bytes.extend(&payload[..128]);
    bytes.push(0xc4);
    bytes.extend(&payload[128..]);
    bytes.extend([0x45, 0, 0, 1, 0, 0, 1, 8, 5]);
    let got = read_all(&bytes.chunks(1).collect::<Vec<_>>()).unwrap();
    assert_eq!(&got[0].data[..], &payload[..]);
    assert_eq!(got[1].data.len(), 1);
}

#[test]
fn set_chunk_size_and_abort_are_obeyed() {
    let mut bytes = whole(128, 2, Head { kind: kind::SET_CHUNK_SIZE, timestamp: 0, stream: 0 }, &1_u32.to_be_bytes()).to_vec();
    // Chunk size 1 is legal.
    bytes.extend([4, 0, 0, 0, 0, 0, 3, 8, 1, 0, 0, 0, 1, 0xc4, 2, 0xc4, 3]);
    // Half a message on 4, aborted by a message that is itself cut in pieces of 1; then another message on 4.
    bytes.extend([4, 0, 0, 0, 0, 0, 3, 8, 1, 0, 0, 0, 1]);
    bytes.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0xc2, 0, 0xc2, 0, 0xc2, 4]);
    bytes.extend([4, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 9]);
    let got = read_all(&[&bytes]).unwrap();
    assert_eq!(got.iter().map(|m| m.data.to_vec()).collect::<Vec<_>>(), [vec![1, 2, 3], vec![9]]);
    for size in [0, 0x8000_0000, u32::MAX] {
        let bytes = whole(128, 2, Head { kind: kind::SET_CHUNK_SIZE, timestamp: 0, stream: 0 }, &size.to_be_bytes());
        assert_eq!(read_all(&[&bytes]), Err(Error::Size(size)));
    }
    let short = whole(128, 2, Head { kind: kind::SET_CHUNK_SIZE, timestamp: 0, stream: 0 }, &[1]);
    assert_eq!(read_all(&[&short]), Err(Error::Size(0)));
}

#[test]
fn a_message_cut_by_another_on_its_chunk_stream_is_an_error_but_a_repeated_header_is_not() {
    let mut head = vec![4, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    head.extend([0; 128]);
    let mut again = head.clone();
    again.extend([4, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0]);
    assert_eq!(read_all(&[&again]), Err(Error::Interrupted { csid: 4, missing: 72 }));
    head.extend([0x44, 0, 0, 0, 0, 0, 200, 9]);
    head.extend([0; 72]);
    assert_eq!(times(&head), [(0, 200)]);
}

#[test]
fn limits_hold() {
    let head = |csid: u8, length: u32| {
        let l = length.to_be_bytes();
        [csid, 0, 0, 0, l[1], l[2], l[3], 9, 1, 0, 0, 0, 0]
    };
    assert_eq!(read_all(&[&head(4, (1 << 20) + 1)]), Err(Error::Long { kind: 9, length: (1 << 20) + 1 }));
    let many: Vec<u8> = (3..20).flat_map(|csid| head(csid, 1)).collect();
    assert_eq!(read_all(&[&many]), Err(Error::Streams(16)));
    let mut partial = Vec::new();
    for csid in 3..8 {
        partial.extend(head(csid, 1 << 20));
        partial.extend([0; 127]);
    }
    assert_eq!(read_all(&[&partial]), Err(Error::Partial(4 << 20)));
}

#[test]
fn zero_length_messages_are_messages() {
    assert_eq!(times(&[4, 0, 0, 5, 0, 0, 0, 9, 1, 0, 0, 0]), [(5, 0)]);
    assert_eq!(times(&[4, 0, 0, 5, 0, 0, 0, 9, 1, 0, 0, 0, 0xc4, 0xc4]), [(5, 0), (10, 0), (15, 0)]);
}

#[test]
fn a_big_message_grows_as_it_arrives() {
    let payload = vec![7; 3 << 20];
    let mut reader = Reader::new(Limits { message: 4 << 20, streams: 4, partial: 4 << 20 });
    let bytes = whole(128, 4, Head { kind: 9, timestamp: 0, stream: 1 }, &payload);
    assert_eq!(bytes.len(), written(128, 0, payload.len()));
    let mut input = &bytes[..20];
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(reader.streams[0].message.as_ref().unwrap().capacity() <= RESERVE_MAX);
    let mut input = &bytes[20..];
    assert_eq!(reader.read(&mut input).unwrap().unwrap().data, payload);
}

/// A message and how to send it.
#[derive(Debug, Clone)]
struct Plan {
    csid: u8,
    fmt: u8,
    time: u32,
    kind: u8,
    data: Vec<u8>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let time = prop_oneof![0..5000_u32, 0xff_fff0..0x100_0010_u32, any::<u32>()];
    (3..7_u8, 0..4_u8, time, prop_oneof![Just(8), Just(9), Just(18)], prop::collection::vec(any::<u8>(), 0..700))
        .prop_map(|(csid, fmt, time, kind, data)| Plan { csid, fmt, time, kind, data })
}

/// An independent, naive sender: chunks of all messages of the plan, several chunk streams at once; `pick` chooses who goes on.
fn send(plans: &[Plan], size: usize, pick: &[u8]) -> (Vec<u8>, Vec<Message>) {
    #[derive(Default, Clone)]
    struct Sent {
        time: u32,
        field: u32,
        length: usize,
        kind: u8,
        any: bool,
    }
    let mut out = whole(128, 2, Head { kind: kind::SET_CHUNK_SIZE, timestamp: 0, stream: 0 }, &(size as u32).to_be_bytes()).to_vec();
    let mut queues: Vec<std::collections::VecDeque<&Plan>> = vec![Default::default(); 4];
    plans.iter().for_each(|p| queues[usize::from(p.csid - 3)].push_back(p));
    let mut sent = vec![Sent::default(); 4];
    let mut open: Vec<Option<(&Plan, usize)>> = vec![None; 4];
    let mut done = Vec::new();
    let mut turn = 0;
    while queues.iter().any(|q| !q.is_empty()) || open.iter().any(Option::is_some) {
        let wish = usize::from(pick[turn % pick.len()]);
        turn += 1;
        // The wished chunk stream, or the next that has something to send.
        let i = (wish..wish + 4).map(|i| i % 4).find(|i| open[*i].is_some() || !queues[*i].is_empty()).unwrap();
        let csid = i as u8 + 3;
        let s = &mut sent[i];
        match open[i] {
            None => {
                let Some(p) = queues[i].pop_front() else { continue };
                let mut fmt = if s.any { p.fmt } else { 0 };
                if fmt >= 2 && (p.data.len() != s.length || p.kind != s.kind) {
                    fmt = 1;
                }
                let time = if fmt == 3 { s.time.wrapping_add(s.field) } else { p.time };
                let field = match fmt {
                    0 => time,
                    3 => s.field,
                    _ => time.wrapping_sub(s.time),
                };
                out.push(fmt << 6 | csid);
                let short = field.min(0xff_ffff).to_be_bytes();
                let length = (p.data.len() as u32).to_be_bytes();
                if fmt < 3 {
                    out.extend(&short[1..]);
                }
                if fmt < 2 {
                    out.extend(&length[1..]);
                    out.push(p.kind);
                }
                if fmt == 0 {
                    out.extend(1_u32.to_le_bytes());
                }
                if field >= 0xff_ffff {
                    out.extend(field.to_be_bytes());
                }
                *s = Sent { time, field, length: p.data.len(), kind: p.kind, any: true };
                let n = p.data.len().min(size);
                out.extend(&p.data[..n]);
                open[i] = Some((p, n));
            }
            Some((p, at)) => {
                out.push(0xc0 | csid);
                if s.field >= 0xff_ffff {
                    out.extend(s.field.to_be_bytes());
                }
                let n = (p.data.len() - at).min(size);
                out.extend(&p.data[at..at + n]);
                open[i] = Some((p, at + n));
            }
        }
        if let Some((p, at)) = open[i]
            && at == p.data.len()
        {
            done.push(Message { kind: p.kind, timestamp: sent[i].time, stream: 1, data: p.data.clone().into() });
            open[i] = None;
        }
    }
    (out, done)
}

proptest! {
    #[test]
    fn any_interleaving_in_any_segmentation(
        plans in prop::collection::vec(plan(), 1..12),
        size in prop_oneof![1..300_usize, Just(4096)],
        pick in prop::collection::vec(any::<u8>(), 1..20),
        cuts in prop::collection::vec(1..40_usize, 1..30),
    ) {
        let (bytes, expected) = send(&plans, size, &pick);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for n in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, tail) = rest.split_at((*n).min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        prop_assert_eq!(read_all(&pieces).unwrap(), expected);
    }

    #[test]
    fn what_is_written_is_read(size in 1..500_usize, time: u32, first in prop::collection::vec(any::<u8>(), 0..20), second in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut out = BytesMut::new();
        write(&mut out, 128, 2, Head { kind: kind::SET_CHUNK_SIZE, timestamp: 0, stream: 0 }, [&(size as u32).to_be_bytes(), &[]]);
        let control = out.len();
        write(&mut out, size, 6, Head { kind: 9, timestamp: time, stream: 1 }, [&first, &second]);
        prop_assert_eq!(out.len() - control, written(size, time, first.len() + second.len()));
        let got = read_all(&[&out]).unwrap();
        prop_assert_eq!(got.len(), 1);
        prop_assert_eq!(got[0].timestamp, time);
        prop_assert_eq!(&got[0].data[..], [first, second].concat());
    }

    #[test]
    fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..3000), cuts in prop::collection::vec(1..200_usize, 1..8)) {
        let mut reader = Reader::new(WIDE);
        let mut rest = &bytes[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (mut piece, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            rest = tail;
            loop {
                match reader.read(&mut piece) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
            prop_assert!(reader.partial <= WIDE.partial);
        }
    }
}
