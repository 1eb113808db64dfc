//! The messages of `fixtures/sip/messages`, for tests.

use super::framer;
use super::message::{Message, Request, Response};
use bytes::Bytes;
use std::path::PathBuf;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/sip/messages")
}

pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "sip")).collect();
    names.sort();
    names.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

pub(crate) fn bytes(name: &str) -> Bytes {
    std::fs::read(folder().join(format!("{name}.sip"))).unwrap_or_else(|error| panic!("{name}: {error}")).into()
}

pub(crate) fn message(name: &str) -> Message {
    framer::datagram(&bytes(name)).unwrap().unwrap()
}

pub(crate) fn request(name: &str) -> Request {
    match message(name) {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{name} is {response:?}"),
    }
}

pub(crate) fn response(name: &str) -> Response {
    match message(name) {
        Message::Response(response) => response,
        Message::Request(request) => panic!("{name} is {request:?}"),
    }
}
