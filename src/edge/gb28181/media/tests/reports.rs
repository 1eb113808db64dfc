//! RTCP in both directions: from which port to which, and what stands in it.

use super::*;
use crate::proto::rtp::rtcp::{self, ReportBlock, Rtcp, SenderReport};

/// A device's two sockets, for media and, on the port above, for reports.
fn pair() -> (UdpSocket, UdpSocket) {
    loop {
        let socket = udp();
        let mut next = socket.local_addr().unwrap();
        next.set_port(next.port().saturating_add(1));
        if let Ok(above) = UdpSocket::bind(next) {
            above.set_read_timeout(Some(PATIENCE)).unwrap();
            return (socket, above);
        }
    }
}

/// The next receiver report for which `so` holds, and the port that it came from.
async fn report(above: UdpSocket, so: impl Fn(&ReportBlock) -> bool + std::marker::Send + 'static) -> (UdpSocket, u16, ReportBlock) {
    let read = tokio::task::spawn_blocking(move || {
        loop {
            let mut bytes = [0; 1_500];
            let (n, from) = above.recv_from(&mut bytes).expect("a receiver report");
            if let Some(Rtcp::Receiver(blocks)) = rtcp::parse(&bytes[..n]).next()
                && so(&blocks[0])
            {
                return (above, from.port(), blocks[0]);
            }
        }
    });
    read.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_to_the_sender_and_loss_asks_for_a_key_frame() {
    let rig = Rig::new(|s| s.reports = Span::millis(100));
    let receiving = rig.media.expect(expect("a", 3)).unwrap();
    let (socket, above) = pair();
    let device = Device::new(3);
    let missing = 1;
    device.send_udp(&socket, rig.port(), 0..missing);
    device.send_udp(&socket, rig.port(), missing + 1..device.packets.len());
    tokio::time::timeout(PATIENCE, receiving.key_wanted()).await.expect("a key frame is wanted");
    let (_, _, block) = report(above, |block| block.lost > 0).await;
    assert_eq!((block.ssrc, block.lost, block.lsr), (3, 1, 0));
    let report = receiving.report();
    assert_eq!((report.lost, report.damaged), (1, 1));
    assert!(report.notes.iter().any(|n| n.contains("1 of")), "{:?}", report.notes);
}

/// A call with ports of its own: reports go from the port above to the port above, and refer to the device's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_its_own_has_one_for_reports_above_it() {
    let (from, _) = free_pair();
    let rig = Rig::new(|s| (s.reports, s.ports, s.port_per_call) = (Span::millis(100), format!("{from}-{}", from + 1), true));
    let receiving = rig.media.expect(expect("a", 7)).unwrap();
    assert_eq!(receiving.port(), from);
    let to = SocketAddr::new(rig.port().ip(), from);
    let (socket, above) = pair();
    let device = Device::new(7);
    device.send_udp(&socket, to, 0..device.packets.len());
    let (above, port, block) = report(above, |_| true).await;
    assert_eq!((port, block.ssrc, block.lost), (from + 1, 7, 0));
    // the device's own report, to the port above ours as RFC 3550 has it
    let ours = SenderReport { ssrc: 7, ntp: 0x1234_5678_9abc_0000, timestamp: 0, packets: 1, bytes: 2 };
    above.send_to(&rtcp::sender_report(&ours, "device"), SocketAddr::new(to.ip(), from + 1)).unwrap();
    let (_, port, block) = report(above, |block| block.lsr != 0).await;
    assert_eq!((port, block.lsr), (from + 1, 0x5678_9abc));
    assert_eq!(receiving.report().sender_reports, 1);
    drop(receiving);
    assert_eq!(rig.media.ports(), Some((0, 1)));
}

/// An even port of which the next is free too.
fn free_pair() -> (u16, u16) {
    loop {
        let (socket, above) = pair();
        let ports = (socket.local_addr().unwrap().port(), above.local_addr().unwrap().port());
        if ports.0 % 2 == 0 {
            return ports;
        }
    }
}

/// A device behind a translator sends everything from one port: reports go back there, from the shared port.
#[tokio::test(flavor = "multi_thread")]
async fn who_reports_from_its_media_port_is_answered_there() {
    let rig = Rig::new(|s| s.reports = Span::millis(100));
    let receiving = rig.media.expect(expect("a", 9)).unwrap();
    let socket = udp();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let device = Device::new(9);
    device.send_udp(&socket, rig.port(), 0..device.packets.len());
    until("media arrives", || receiving.report().packets > 0).await;
    let ours = SenderReport { ssrc: 9, ntp: 0x1234_5678_9abc_0000, timestamp: 0, packets: 1, bytes: 2 };
    socket.send_to(&rtcp::sender_report(&ours, "device"), rig.port()).unwrap();
    let (_, port, block) = report(socket, |block| block.lsr != 0).await;
    assert_eq!((port, block.ssrc, block.lsr), (rig.port().port(), 9, 0x5678_9abc));
}

/// What we send ourselves is reported, and so is what arrived of it.
#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_call_report() {
    let rig = Rig::new(|s| s.reports = Span::millis(100));
    let receiving = rig.media.expect(expect("a", 11)).unwrap();
    let player = clip::Player::new(std::sync::Arc::new(clip::pattern().unwrap()), None);
    let mut send = Send::program(Feed::Clip(player), Transport::Udp, Some(rig.port()), 11);
    send.local = SocketAddr::new(rig.port().ip(), 0);
    let sending = Sending::start(send, Clock::real(), &rig.tasks).unwrap();
    until("both reported", || sending.sent().reports > 0 && receiving.report().sender_reports > 0).await;
    assert_eq!((sending.sent().reported_lost, receiving.report().lost), (0, 0));
}
