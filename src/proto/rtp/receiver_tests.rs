//! Loss, reordering and duplication as parameters, against what was sent.

use super::*;
use proptest::prelude::*;

fn packet(ssrc: u32, sequence: u16, payload: &[u8]) -> Packet<'_> {
    Packet { ssrc, sequence, timestamp: u32::from(sequence).wrapping_mul(3600), payload_type: 96, marker: false, payload }
}

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Feeds sequence numbers, one a millisecond; gives the sequence numbers that come out (low 16 bits) and their losses.
fn run(receiver: &mut Receiver, numbers: &[u16]) -> Vec<(u16, u32)> {
    let mut out = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let now = ms(at as i64);
        let payload = number.to_be_bytes();
        let mut note = |a: Arrival<'_>| {
            assert_eq!(a.payload, (a.sequence as u16).to_be_bytes(), "the payload belongs to the number");
            out.push((a.sequence as u16, a.lost));
        };
        receiver.handle(now, &packet(1, *number, &payload)).into_iter().for_each(&mut note);
        while let Some(arrival) = receiver.poll(now) {
            note(arrival);
        }
    }
    out
}

fn udp() -> Receiver {
    Receiver::new(90_000, Window { packets: 8, patience: Duration::from_millis(50) })
}

#[test]
fn cases() {
    // (name, arrives, leaves with losses before each, [lost, duplicates, late, reordered, jumps])
    type Case = (&'static str, &'static [u16], &'static [(u16, u32)], [u64; 5]);
    let cases: [Case; 8] = [
        ("in order over the wrap", &[65534, 65535, 0, 1], &[(65534, 0), (65535, 0), (0, 0), (1, 0)], [0; 5]),
        ("two swapped", &[10, 12, 11, 13], &[(10, 0), (11, 0), (12, 0), (13, 0)], [0, 0, 0, 0, 0]),
        ("three turned round", &[10, 13, 12, 11], &[(10, 0), (11, 0), (12, 0), (13, 0)], [0, 0, 0, 1, 0]),
        ("each one twice", &[1, 1, 2, 2, 3, 3], &[(1, 0), (2, 0), (3, 0)], [0, 3, 0, 0, 0]),
        (
            "a gap that the window gives up",
            &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            &[(1, 0), (3, 1), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 0)],
            [1, 0, 0, 0, 0],
        ),
        (
            "late after that",
            &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 2],
            &[(1, 0), (3, 1), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 0)],
            [1, 0, 1, 0, 0],
        ),
        ("one stray number", &[1, 2, 40_000, 3, 4], &[(1, 0), (2, 0), (3, 0), (4, 0)], [0; 5]),
        (
            "an encoder that begins anew",
            &[1, 2, 40_000, 40_001, 40_002],
            &[(1, 0), (2, 0), (40_000, 0), (40_001, 0), (40_002, 0)],
            [0, 0, 0, 0, 1],
        ),
    ];
    for (name, arrives, leaves, [lost, duplicates, late, reordered, jumps]) in cases {
        let mut receiver = udp();
        assert_eq!(run(&mut receiver, arrives), leaves, "{name}");
        let c = receiver.counts();
        assert_eq!([c.lost, c.duplicates, c.late, c.reordered, c.jumps], [lost, duplicates, late, reordered, jumps], "{name}");
        assert_eq!(c.packets, arrives.len() as u64);
    }
}

#[test]
fn patience_ends_a_wait_without_further_packets() {
    let mut receiver = udp();
    receiver.handle(ms(0), &packet(1, 1, b"a"));
    assert!(receiver.handle(ms(5), &packet(1, 3, b"c")).is_none());
    assert_eq!(receiver.deadline(), Some(ms(55)));
    assert!(receiver.poll(ms(54)).is_none());
    let arrival = receiver.poll(ms(55)).unwrap();
    assert_eq!((arrival.payload, arrival.lost), (&b"c"[..], 1));
    assert_eq!(receiver.deadline(), None);
}

#[test]
fn tcp_delivers_everything_at_once() {
    let mut receiver = Receiver::new(90_000, Window::ORDERED);
    let numbers = [5, 6, 9, 10, 3, 4, 50_000, 50_001];
    assert_eq!(run(&mut receiver, &numbers), [(5, 0), (6, 0), (9, 2), (10, 0), (3, 0), (4, 0), (50_000, 0), (50_001, 0)]);
    assert_eq!((receiver.counts().lost, receiver.counts().jumps), (2, 2));
}

#[test]
fn another_ssrc_is_followed_only_after_silence_or_on_tcp() {
    let mut receiver = udp();
    assert!(receiver.handle(ms(0), &packet(1, 1, b"a")).unwrap().fresh);
    assert!(receiver.handle(ms(10), &packet(2, 70, b"x")).is_none());
    assert!(!receiver.handle(ms(20), &packet(1, 2, b"b")).unwrap().fresh);
    let arrival = receiver.handle(ms(1_020), &packet(2, 71, b"y")).unwrap();
    assert!(arrival.fresh && arrival.payload == b"y");
    assert_eq!((receiver.counts().foreign, receiver.counts().ssrc_changes, receiver.ssrc()), (1, 1, Some(2)));

    let mut receiver = Receiver::new(90_000, Window::ORDERED);
    receiver.handle(ms(0), &packet(1, 1, b"a"));
    assert!(receiver.handle(ms(1), &packet(2, 70, b"x")).unwrap().fresh);
}

#[test]
fn timestamps_unwrap() {
    let mut receiver = udp();
    let mut at = |sequence, timestamp| {
        let packet = Packet { ssrc: 1, sequence, timestamp, payload_type: 96, marker: false, payload: b"x" };
        receiver.handle(ms(0), &packet).unwrap().timestamp
    };
    let first = at(1, u32::MAX - 100);
    assert_eq!(at(2, 3499) - first, 3600);
    assert_eq!(at(3, u32::MAX - 100) - first, 0);
}

#[test]
fn receiver_reports() {
    let mut receiver = udp();
    run(&mut receiver, &[1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]); // 5 never comes
    receiver.sender_report(ms(100), &SenderReport { ssrc: 1, ntp: 0x1111_2222_3333_4444, timestamp: 0, packets: 0, bytes: 0 });
    let block = receiver.report(ms(600)).unwrap();
    assert_eq!((block.ssrc, block.lost, block.highest), (1, 1, 17));
    assert_eq!(block.fraction, (256 / 17) as u8);
    assert_eq!((block.lsr, block.dlsr), (0x2222_3333, 32_768));
    assert_eq!(receiver.report(ms(700)).unwrap().fraction, 0, "a new interval");
    assert!(udp().report(ms(0)).is_none());
}

#[test]
fn jitter_of_a_steady_sender_is_nil_and_grows_with_unsteadiness() {
    let feed = |late: i64| {
        let mut receiver = udp();
        for n in 0..200u16 {
            // 3600 ticks of 90 kHz are 40 ms.
            receiver.handle(ms(i64::from(n) * 40 + if n % 2 == 0 { late } else { 0 }), &packet(1, n, b"x"));
        }
        receiver.jitter()
    };
    assert_eq!(feed(0), Duration::ZERO);
    let jitter = feed(10).as_secs_f64();
    assert!((0.009..0.0105).contains(&jitter), "{jitter}");
}

proptest! {
    /// Whatever the network does: what leaves is in order and without doubles, and every packet sent is either delivered or counted.
    #[test]
    fn netem(seed_order in prop::collection::vec((0u8..100, 0u8..5), 50..400), loss in 0u8..20, swap in 0u8..40, double in 0u8..10, start in any::<u16>()) {
        let mut arrives = Vec::new();
        for (n, (luck, shift)) in seed_order.iter().enumerate() {
            let number = start.wrapping_add(n as u16);
            if n > 0 && *luck < loss {
                continue;
            }
            arrives.push(number);
            if *luck >= 100 - double {
                arrives.push(number);
            }
            if *luck % 41 < swap % 41 && arrives.len() > usize::from(*shift) + 1 {
                let last = arrives.len() - 1;
                let other = (last - usize::from(*shift)).max(1);
                arrives.swap(last, other);
            }
        }
        let unique: std::collections::BTreeSet<u16> = arrives.iter().copied().collect();
        let mut receiver = udp();
        let out = run(&mut receiver, &arrives);
        let mut rest = Vec::new();
        while let Some(a) = receiver.poll(ms(1_000_000)) {
            rest.push((a.sequence as u16, a.lost));
        }
        let all: Vec<_> = out.iter().chain(&rest).copied().collect();
        for pair in all.windows(2) {
            let step = pair[1].0.wrapping_sub(pair[0].0);
            prop_assert_eq!(u32::from(step), pair[1].1 + 1, "each step is its losses and one");
        }
        let c = *receiver.counts();
        prop_assert_eq!(all.len() as u64 + c.late, unique.len() as u64);
        prop_assert_eq!(all.len() as u64 + c.late + c.duplicates, arrives.len() as u64);
        prop_assert_eq!(c.lost, all.iter().map(|(_, lost)| u64::from(*lost)).sum::<u64>());
        prop_assert!(receiver.deadline().is_none());
    }

    /// Hostile: any numbers from any SSRC; memory stays bounded, nothing panics, numbers never repeat.
    #[test]
    fn hostile(input in prop::collection::vec((0u32..3, any::<u16>(), 0i64..50), 0..600), ordered in any::<bool>()) {
        let mut receiver = if ordered { Receiver::new(90_000, Window::ORDERED) } else { udp() };
        let mut now = 0;
        let mut last = i64::MIN;
        for (ssrc, sequence, wait) in input {
            now += wait;
            if let Some(a) = receiver.handle(ms(now), &packet(ssrc, sequence, &[0; 100])) {
                prop_assert!(a.sequence > last);
                last = a.sequence;
            }
            while let Some(a) = receiver.poll(ms(now)) {
                prop_assert!(a.sequence > last);
                last = a.sequence;
            }
            prop_assert!(receiver.held.len() <= 8 && receiver.ready.is_empty());
            prop_assert_eq!(receiver.held_bytes, receiver.held.values().map(|h| h.payload.len()).sum::<usize>());
        }
    }
}
