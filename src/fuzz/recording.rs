//! Drafts of recordings as a crash, or a broken disk, leaves them.

use crate::container::flv;
use crate::container::mp4::{self, Index};
use crate::media::time::Timestamp;

/// What is found lies inside of the file, and what is planned of it as well.
pub(super) fn recording(data: &[u8]) {
    let size = data.len() as u64;
    let piece = |range: std::ops::Range<u64>| data.get(range.start as usize..range.end as usize).expect("what is asked for is in the file");
    let mut scan = mp4::Scan::new(size);
    while let Some(range) = scan.wants() {
        scan.push(piece(range));
    }
    let index = scan.finish();
    assert!(index.whole() <= size);
    let plan = mp4::plan(&index, Some(Timestamp::from_millis(1_700_000_000_000)));
    assert!(plan.is_none_or(|plan| plan.copy.iter().all(|range| range.start <= range.end && range.end <= size)));
    let mut joint = Index::default();
    if joint.splice(&index, 0..index.fragments(), 1 << 44, Timestamp::from_millis(5)) {
        assert_eq!(joint.fragments(), index.fragments());
        let _ = (joint.end(), index.begin(0), mp4::plan(&joint, None));
        let begin = joint.lead(0).unwrap_or_default();
        joint.clip(mp4::Window { from: begin + Timestamp::from_millis(700), to: begin + Timestamp::from_millis(1_500) });
        let _ = mp4::plan(&joint, None);
    }
    let (init, fragment) = data.split_at(data.len().min(index.whole() as usize / 2));
    let _ = mp4::shorten(init, fragment, Timestamp::from_millis(500));
    let mut scan = flv::Scan::new(size);
    while let Some(range) = scan.wants() {
        scan.push(piece(range));
    }
    assert!(scan.finish().whole <= size);
}
