#![doc = include_str!("../ARCHITECTURE.md")]
#![warn(missing_docs)]
// The documentation is built with private items (`make check`): module pages point into their parts.
#![allow(rustdoc::private_intra_doc_links)]
#![deny(unsafe_code)]

// The module list, in layer order: a module may use any module above it in this list that stands in an
// earlier layer, never one of its own layer or a later one. `tests/law/architecture.rs` enforces it.

// L0
pub mod base;
// L1
pub mod media;
pub mod model;
// L2
pub mod container;
pub mod proto;
pub mod runtime;
// L3
pub mod store;
pub mod stream;
// L4
pub mod av;
pub mod storage;
// L5
pub mod edge;
pub mod worker;
// L6
pub mod api;
pub mod console;
// L7
pub mod config;
// L8
pub mod server;
// L9
pub mod cli;
#[doc(hidden)]
pub mod fuzz;
