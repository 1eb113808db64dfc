//! Heads of HTTP requests, as they come before hyper sees them.

use crate::edge::http::{Gate, Step};

/// However the bytes are cut into pieces, the same of them go on, from the first one without a gap, and the same end is told.
pub(super) fn head(data: &[u8]) {
    let whole = run(data, data.len().max(1));
    assert!(data.starts_with(&whole.0));
    for piece in [1, 7] {
        assert_eq!(run(data, piece), whole, "in pieces of {piece}");
    }
}

/// What goes on, and whether the connection is refused.
fn run(data: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let (mut gate, mut held, mut out) = (Gate::new(1024), Vec::new(), Vec::new());
    for piece in data.chunks(piece) {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            match gate.step(&held) {
                Step::Pass(most) => {
                    let n = held.len().min(usize::try_from(most).unwrap_or(usize::MAX));
                    out.extend(held.drain(..n));
                    gate.passed(n);
                }
                Step::Wait => break,
                Step::Over(refusal) => {
                    assert!(refusal.status.is_client_error());
                    return (out, true);
                }
            }
        }
    }
    assert!(held.len() < 1024, "more is held back than a head may be long");
    (out, false)
}
