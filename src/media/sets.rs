//! Follows the parameter sets of one video stream, wherever they come from, and tells when they make a new track.

use super::malformed::Malformed;
use super::nal::{Family, Sets};
use super::track::{VideoCodec, VideoTrack};
use super::{h264, h265};
use bytes::Bytes;

/// The parameter sets in force. A set replaces the one with its identifier.
#[derive(Debug, Clone)]
pub struct Follow {
    family: Family,
    sets: Sets,
    track: Option<VideoTrack>,
}

impl Follow {
    /// Knows no sets yet.
    pub fn new(family: Family) -> Follow {
        Follow { family, sets: Sets::default(), track: None }
    }

    /// The codec that it follows.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The track that the sets make up, once they are complete.
    pub fn track(&self) -> Option<&VideoTrack> {
        self.track.as_ref()
    }

    /// Takes the sets of a track that a configuration record declared, in place of all that were known.
    pub fn replace(&mut self, track: &VideoTrack) {
        self.sets = match &track.codec {
            VideoCodec::H264 { sps, pps } => Sets { vps: Vec::new(), sps: sps.clone(), pps: pps.clone() },
            VideoCodec::H265 { vps, sps, pps } => Sets { vps: vps.clone(), sps: sps.clone(), pps: pps.clone() },
            _ => return,
        };
        self.track = Some(track.clone());
    }

    /// Takes sets that stood in the band. Gives the track when they complete or change it; an error leaves what was.
    pub fn take(&mut self, new: &Sets) -> Result<Option<VideoTrack>, Malformed> {
        let mut sets = self.sets.clone();
        let mut changed = false;
        for (list, new) in [(&mut sets.vps, &new.vps), (&mut sets.sps, &new.sps), (&mut sets.pps, &new.pps)] {
            for set in new {
                changed |= put(list, set, |set| id(self.family, set))?;
            }
        }
        if !changed {
            return Ok(None);
        }
        let complete = !sets.sps.is_empty() && !sets.pps.is_empty() && (self.family == Family::H264 || !sets.vps.is_empty());
        if !complete {
            self.sets = sets;
            return Ok(None);
        }
        let Sets { vps, sps, pps } = sets.clone();
        let track = match self.family {
            Family::H264 => h264::track_from_sets(sps, pps)?,
            Family::H265 => h265::track_from_sets(vps, sps, pps)?,
        };
        self.sets = sets;
        self.track = Some(track.clone());
        Ok(Some(track))
    }
}

/// Puts a set in the place of the one with the same identifier, or behind the others.
fn put(list: &mut Vec<Bytes>, set: &Bytes, id: impl Fn(&[u8]) -> Result<u32, Malformed>) -> Result<bool, Malformed> {
    if list.contains(set) {
        return Ok(false);
    }
    let number = id(set)?;
    match list.iter().position(|old| id(old) == Ok(number)) {
        Some(at) => list[at] = set.clone(),
        None if list.len() < Sets::MAX => list.push(set.clone()),
        None => return Ok(false),
    }
    Ok(true)
}

fn id(family: Family, set: &[u8]) -> Result<u32, Malformed> {
    use super::nal::Role;
    match (family, family.role(set)) {
        (Family::H264, Role::Sps) => Ok(h264::parse_sps(set)?.id),
        (Family::H264, _) => Ok(h264::pps_ids(set)?.0),
        (Family::H265, Role::Vps) => Ok(h265::parse_vps(set)?.id),
        (Family::H265, Role::Sps) => Ok(h265::parse_sps(set)?.id),
        (Family::H265, _) => Ok(h265::pps_ids(set)?.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Bytes {
        hex::decode(text).unwrap().into()
    }

    fn sets(sps: &[&str], pps: &[&str]) -> Sets {
        Sets { vps: Vec::new(), sps: sps.iter().map(|s| set(s)).collect(), pps: pps.iter().map(|s| set(s)).collect() }
    }

    const SMALL: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
    const LARGE: &str = "67640028acd940780227e5c04400000fa40003a9803c60c658";

    #[test]
    fn a_track_appears_when_the_sets_are_complete_and_changes_with_them() {
        let mut follow = Follow::new(Family::H264);
        assert_eq!(follow.take(&sets(&[], &["68cb83cb20"])), Ok(None));
        assert_eq!(follow.take(&sets(&[SMALL], &[])).unwrap().unwrap().width, 320);
        assert_eq!(follow.take(&sets(&[SMALL], &["68cb83cb20"])), Ok(None), "repeated");
        let track = follow.take(&sets(&[LARGE], &["68eae3cb22c0"])).unwrap().unwrap();
        assert_eq!(track.width, 1920);
        let VideoCodec::H264 { sps, pps } = &track.codec else { panic!("H.264") };
        assert_eq!((sps.len(), pps.len()), (1, 1), "the same identifier: replaced");
        assert_eq!(follow.track(), Some(&track));
    }

    #[test]
    fn a_broken_set_leaves_what_was() {
        let mut follow = Follow::new(Family::H264);
        let track = follow.take(&sets(&[SMALL], &["68cb83cb20"])).unwrap();
        assert!(follow.take(&sets(&["67"], &["68eae3cb22c0"])).is_err());
        assert_eq!(follow.track().cloned(), track);
        assert_eq!(follow.take(&sets(&[SMALL], &["68cb83cb20"])), Ok(None));
    }
}
