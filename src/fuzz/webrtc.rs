//! WebRTC: what we read ourselves of datagrams, offers and the JSON exchange.

use crate::proto::stun as proto;
use crate::proto::webrtc::{Offer, exchange, fragment};

/// Whatever comes, a name is a part of the datagram.
pub(super) fn stun(data: &[u8]) {
    if let Some(name) = proto::addressee(data) {
        assert!(proto::is_stun(data) && !name.is_empty() && data.windows(name.len()).any(|part| part == name.as_bytes()));
    }
}

/// An offer, a fragment, a request of the JSON exchange: no codec comes twice, a target's path is one of a stream.
pub(super) fn offer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let offer = Offer::parse(text);
    for list in [&offer.video, &offer.audio].into_iter().flatten() {
        assert!(list.iter().enumerate().all(|(n, coding)| !list[..n].contains(coding)));
    }
    let name = fragment::name(text).unwrap_or_default();
    let _ = fragment::parse(text, name);
    let url = serde_json::from_str::<exchange::Request>(text).map_or_else(|_| text.to_owned(), |request| request.streamurl);
    if let Ok(target) = exchange::target(&url) {
        assert!(target.path.starts_with('/') && url.contains(&target.path));
    }
}
