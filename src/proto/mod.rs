//! (being written)
pub mod sip;
