//! National ids for devices that are created without one.

use crate::model::device::Kind;
use crate::model::id::GbId;

/// An id in the area of a platform (GB/T 28181-2016 annex D): area 8 digits, industry 00, type, network 0, six random digits.
pub fn random(platform: &GbId, kind: Kind) -> GbId {
    let number = match kind {
        Kind::Ipc | Kind::Ied => 132,
        Kind::Platform => 118,
    };
    let serial: u32 = rand::random_range(0..1_000_000);
    let text = format!("{}00{number}0{serial:06}", &platform.as_str()[..8]);
    text.parse().unwrap_or_else(|_| platform.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_ids_of_their_kind() {
        let platform: GbId = "34020000002000000001".parse().unwrap();
        for (kind, number) in [(Kind::Ipc, 132), (Kind::Platform, 118), (Kind::Ied, 132)] {
            let id = random(&platform, kind);
            assert!(id.as_str().starts_with("34020000") && id.kind() == number, "{id}");
        }
        assert_ne!(random(&platform, Kind::Ipc), random(&platform, Kind::Ipc));
    }
}
