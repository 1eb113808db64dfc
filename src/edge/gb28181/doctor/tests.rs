//! The main verdicts, each provoked by a device that does it wrong.

use super::super::tests::{CHANNEL, LONG, World, camera, camera_that, until, world};
use super::super::{Carriage, Target};
use super::*;
use crate::model::stream::Stream;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::client::{Client, Event};
use crate::proto::gb28181::sdp::{Description, Direction};
use crate::runtime::clock::Clock;
use std::time::Duration;

fn verdict(w: &World) -> Vec<String> {
    w.handle.doctor(w.device).unwrap().verdict
}

#[track_caller]
fn says(w: &World, what: &str) {
    let verdict = verdict(w);
    assert!(verdict.iter().any(|line| line.contains(what)), "{what:?} is not in {verdict:?}");
}

fn target(w: &World, stream: &Stream) -> Target {
    Target { device: w.device, channel: Id::new(CHANNEL).unwrap(), stream: Some(stream.id), key: stream.key().unwrap(), range: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_never_came_and_one_that_is_well() {
    let w = world(Carriage::Udp, false).await;
    says(&w, "never registered");
    says(&w, w.platform.as_str());
    camera(&w);
    let stream = w.stream().await;
    until("the device to be on", async || (verdict(&w) == ["Nothing is wrong."]).then_some(())).await;
    // its stream flows: still nothing is wrong, and the call is there with its messages and its media
    w.handle.start(target(&w, &stream), LONG).await.unwrap();
    let call = until("packets", async || {
        let call = w.handle.doctor(w.device).unwrap().calls.pop()?;
        call.media.as_ref().is_some_and(|media| media.frames > 0 && media.video.is_some()).then_some(call)
    })
    .await;
    let media = call.media.unwrap();
    assert!(media.packets > 0 && media.ssrc == Some(media.expected_ssrc) && media.video.is_some(), "{media:?}");
    let sent = |start: &str, ours: bool| call.messages.iter().any(|line| line.ours == ours && line.text.starts_with(start));
    assert!(sent("INVITE ", true) && sent("SIP/2.0 200", false) && sent("ACK ", true));
    assert!(call.messages.iter().any(|line| line.text.contains("\r\ny=")), "both descriptions are there");
    assert_eq!(verdict(&w), ["Nothing is wrong."]);
    w.finish().await;
}

/// A device that does this with INVITEs.
fn camera_whose_calls(
    w: &World,
    mut act: impl FnMut(&mut Client, &Clock, crate::proto::gb28181::client::CallId, &Description) + Send + 'static,
) {
    camera_that(w, move |machine, clock, event| match event {
        Event::Invited { call, offer, .. } => {
            act(machine, clock, *call, offer);
            true
        }
        _ => false,
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_refuses() {
    let w = world(Carriage::Udp, false).await;
    camera_whose_calls(&w, |machine, clock, call, _| machine.refuse(clock.now(), call, 486));
    let stream = w.stream().await;
    assert!(w.handle.start(target(&w, &stream), LONG).await.is_err());
    says(&w, "the device refused with \"SIP/2.0 486");
    says(&w, stream.key().unwrap().as_str());
    let call = w.handle.doctor(w.device).unwrap().calls.pop().unwrap();
    assert!(call.over.is_some_and(|why| why.contains("486")) && call.over_for.is_some_and(|age| age < 30.0));
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_answer() {
    let w = world(Carriage::Udp, false).await;
    camera_whose_calls(&w, |_, _, _, _| {});
    let stream = w.stream().await;
    // while it is waited for
    assert!(w.handle.start(target(&w, &stream), Duration::from_millis(300)).await.is_err());
    says(&w, "does not answer the INVITE");
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_answers_and_sends_nothing() {
    let w = world(Carriage::Udp, false).await;
    camera_whose_calls(&w, |machine, clock, call, offer| {
        let mut sdp = Description::offer(CHANNEL, Default::default(), "127.0.0.1".parse().unwrap(), 9, offer.carriage.opposite());
        (sdp.direction, sdp.ssrc) = (Some(Direction::SendOnly), offer.ssrc);
        machine.accept(clock.now(), call, Some(&sdp));
    });
    let stream = w.stream().await;
    w.handle.start(target(&w, &stream), LONG).await.unwrap();
    let media = w.handle.doctor(w.device).unwrap().calls.pop().unwrap().media.unwrap();
    says(&w, &format!("told to send to 127.0.0.1 port {}: check that this port is open for UDP", media.port));
    w.finish().await;
}

#[test]
fn a_private_address_that_a_device_on_the_internet_was_told() {
    // what is told cannot be provoked on loopback: which addresses count is
    for (told, device, wrong) in
        [("10.0.0.1", "203.0.113.9", true), ("10.0.0.1", "10.0.0.9", false), ("198.51.100.1", "203.0.113.9", false)]
    {
        assert_eq!(unreachable_from(told.parse().unwrap(), device.parse().unwrap()), wrong, "{told} {device}");
    }
}

#[test]
fn what_a_password_could_be_guessed_from_is_not_shown() {
    let text = "REGISTER sip:1 SIP/2.0\r\nauthorization: Digest username=\"1\",\r\n response=\"beef\"\r\nExpires: 60\r\n\r\n";
    assert_eq!(without_digest(text), "REGISTER sip:1 SIP/2.0\r\nAuthorization: (not shown)\r\nExpires: 60\r\n\r\n");
    let proxy = "Proxy-Authorization : Digest response=\"beef\"\nCSeq: 1 REGISTER\n";
    assert_eq!(without_digest(proxy), "Authorization: (not shown)\r\nCSeq: 1 REGISTER\n");
    assert_eq!(without_digest("MESSAGE sip:1 SIP/2.0\r\n\r\n<a>b</a>"), "MESSAGE sip:1 SIP/2.0\r\n\r\n<a>b</a>");
}
