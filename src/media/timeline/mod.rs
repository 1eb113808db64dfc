//! The timestamp sanitizer that every ingest goes through: nothing downstream sees time run backwards.
//!
//! Both tracks of a publisher stand on one time line. Clean times pass unchanged. What is repaired, and when:
//!
//! | Cause | Seen as | Repair |
//! |---|---|---|
//! | wrap | a step back by the period of a known clock | the clock is continued |
//! | jump | a step of more than [`FORWARD`] that the arrival times do not explain | the frame stands where its arrival puts it; the other track follows with the same offset |
//! | rollback | a step back by more than [`BACK`] | the same |
//! | equal | a smaller step back, or none | one millisecond after the frame before; from the arrival times if the clock stays frozen |
//! | missing | no decoding time, and pictures out of order | decoding times from sorted presentation times |
//! | order | a presentation time before, or far behind, its decoding time | the decoding time |
//! | early | a track that begins before the first frame of all | the first frame's time |
//! | drift | audio and video part by more than [`DRIFT`] from where they began | the one that left the arrival clock is led back, an eighth of its pace at a time |
//!
//! Start with [`Sanitizer::fix`].

mod derive;
mod drift;
mod sanitizer;
mod wrap;

#[cfg(test)]
mod tests;

pub use sanitizer::{Counts, Sanitizer};

const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;

/// A step forward of a track's clock beyond this is a jump unless the arrival times explain it; nanoseconds.
pub const FORWARD: i64 = 3 * SECOND;
/// A step back beyond this is a new clock; a smaller one is disorder; nanoseconds.
pub const BACK: i64 = SECOND / 2;
/// Audio and video may part by this from the offset that they began with; nanoseconds.
pub const DRIFT: i64 = 2 * SECOND;
