//! Cuts a stream of bytes, given in pieces, into packs, maps and PES packets. Payload is handed on as slices of the input.

use super::header::{FIRST_CODE, Head, Pes, read};
use super::psm::Map;
use memchr::memmem;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A pack begins.
    Pack {
        /// Its header is not as the standard has it.
        odd: bool,
    },
    /// A system header.
    System,
    /// A map.
    Map(Map),
    /// A PES packet begins.
    Pes(Pes),
    /// Payload of the packet that began last; also what lies behind its end and belongs to nothing.
    Data {
        /// The bytes.
        bytes: &'a [u8],
        /// Behind the length that the header declared.
        beyond: bool,
    },
    /// A packet was over before the length that its header declared.
    Cut,
    /// A packet of a stream that is not played.
    Skipped,
    /// Bytes that begin nothing.
    Junk,
}

/// Holds at most one header that is not complete yet; never payload.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    /// The front of a header, with its start code.
    head: Vec<u8>,
    need: usize,
    code: memmem::Finder<'static>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Up to the next start code. The last bytes read were the first `matched` bytes of one.
    Until { emit: Emit, matched: usize },
    /// A header whose front is in `head`.
    Header,
    /// Payload of known length.
    Payload { left: usize, video: bool },
    /// Something to jump over.
    Skip { left: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emit {
    Nothing,
    /// A packet without length.
    Payload,
    /// Behind a packet's end: some devices cut the length of large packets to 16 bits.
    Beyond,
}

const CODE: [u8; 3] = [0, 0, 1];

impl Default for Splitter {
    fn default() -> Splitter {
        Splitter { state: Splitter::LOST, head: Vec::new(), need: 0, code: memmem::Finder::new(&CODE) }
    }
}

impl Splitter {
    const LOST: State = State::Until { emit: Emit::Nothing, matched: 0 };

    /// Bytes are missing here: what was going on has no continuation.
    pub fn gap(&mut self) {
        self.state = Splitter::LOST;
        self.head.clear();
    }

    /// Whether nothing is open: every packet that began was read to its declared end.
    pub fn is_between(&self) -> bool {
        match self.state {
            State::Until { emit, matched } => emit != Emit::Payload && matched == 0,
            State::Payload { left, .. } => left == 0,
            State::Header | State::Skip { .. } => false,
        }
    }

    /// A packet of the transport begins with `bytes`. A start code right here ends a packet whose length reaches too far:
    /// inside pictures no system start code can stand, inside anything else a pack header is no accident.
    pub fn at_packet_start<'a>(&mut self, bytes: &[u8]) -> Option<Event<'a>> {
        let &[0, 0, 1, code] = bytes.first_chunk::<4>()? else { return None };
        let cut = match self.state {
            State::Payload { left: 1.., video } => code == 0xba || video && code >= FIRST_CODE,
            State::Skip { left: 1.. } => code == 0xba,
            _ => false,
        };
        cut.then(|| {
            self.gap();
            Event::Cut
        })
    }

    /// The next event; takes what it consumes from `input`. `None`: the input is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            match self.state {
                State::Payload { left: 0, video } => {
                    let emit = if video { Emit::Beyond } else { Emit::Nothing };
                    self.state = State::Until { emit, matched: 0 };
                }
                State::Skip { left: 0 } => self.state = Splitter::LOST,
                _ if input.is_empty() => return None,
                State::Payload { left, video } => {
                    let bytes = take(input, left);
                    self.state = State::Payload { left: left - bytes.len(), video };
                    return Some(Event::Data { bytes, beyond: false });
                }
                State::Skip { left } => {
                    let skipped = take(input, left);
                    self.state = State::Skip { left: left - skipped.len() };
                }
                State::Header => {
                    let more = take(input, self.need - self.head.len());
                    self.head.extend_from_slice(more);
                    if self.head.len() == self.need {
                        let head = std::mem::take(&mut self.head);
                        let (used, event) = self.begin(&head);
                        // What was read ahead of a short header goes back; it is at the end of `head`.
                        self.replay(&head[used..]);
                        if event.is_some() {
                            return event;
                        }
                    }
                }
                State::Until { emit, matched: 0 } => {
                    if let Some(event) = self.search(emit, input) {
                        return Some(event);
                    }
                }
                State::Until { emit, matched } => {
                    if let Some(event) = self.search_joint(emit, matched, input) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// Looks for a start code inside `input`.
    fn search<'a>(&mut self, emit: Emit, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let bytes = *input;
        // Right behind a packet nearly always stands the next one.
        let at = match bytes.starts_with(&CODE) {
            true => 0,
            false => self.code.find(bytes).unwrap_or(bytes.len()),
        };
        let mut at = at;
        while bytes.get(at + 3).is_some_and(|code| *code < FIRST_CODE) {
            at = self.code.find(&bytes[at + 3..]).map_or(bytes.len(), |next| at + 3 + next);
        }
        let matched = match bytes.len() - at {
            0 if bytes.ends_with(&[0, 0]) => 2,
            0 if bytes.ends_with(&[0]) => 1,
            0 => 0,
            3 => 3,
            _ => {
                let before = self.leave(emit, &bytes[..at]);
                if before.is_some() {
                    *input = &bytes[at..];
                    self.state = State::Until { emit, matched: 0 };
                    return before;
                }
                let (used, event) = self.begin(&bytes[at..]);
                *input = &bytes[at + used..];
                return event;
            }
        };
        *input = &[];
        self.state = State::Until { emit, matched };
        self.leave(emit, &bytes[..bytes.len() - matched])
    }

    /// Goes on after input that ended in the first `matched` bytes of a start code.
    fn search_joint<'a>(&mut self, emit: Emit, matched: usize, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let mut joint = [0u8; 7];
        joint[..matched].copy_from_slice(&CODE[..matched]);
        let fresh = input.len().min(4);
        joint[matched..matched + fresh].copy_from_slice(&input[..fresh]);
        let joint = &joint[..matched + fresh];
        // The first place among the old bytes where a system start code stands, or may stand once more is here.
        let place = (0..matched).find(|&at| {
            let here = &joint[at..];
            here.iter().zip(&CODE).all(|(a, b)| a == b) && here.get(3).is_none_or(|code| *code >= FIRST_CODE)
        });
        let (begin, complete) = match place {
            None => (matched, false),
            Some(at) => (at, joint.len() - at >= 4),
        };
        match place {
            None => self.state = State::Until { emit, matched: 0 },
            Some(at) if complete => {
                let used = at + 4 - matched;
                *input = &input[used..];
                self.head.clear();
                self.head.extend_from_slice(&joint[at..at + 4]);
                self.open_head();
            }
            Some(at) => {
                *input = &input[fresh..];
                self.state = State::Until { emit, matched: joint.len() - at };
            }
        }
        // Old bytes that turned out to be no start code; all of them are bytes of CODE.
        self.leave(emit, &CODE[..begin])
    }

    fn open_head(&mut self) {
        match read(&self.head) {
            Head::Need(need) => self.need = need,
            _ => self.need = self.head.len(),
        }
        self.state = State::Header;
    }

    /// Reads the header at the front of `bytes`; returns how much of them is used.
    fn begin<'a>(&mut self, bytes: &[u8]) -> (usize, Option<Event<'a>>) {
        self.state = Splitter::LOST;
        match read(bytes) {
            Head::Need(need) => {
                self.head.clear();
                self.head.extend_from_slice(bytes);
                self.need = need;
                self.state = State::Header;
                (bytes.len(), None)
            }
            Head::Pack { length, odd } => (length, Some(Event::Pack { odd })),
            Head::System(length) => (length, Some(Event::System)),
            Head::Map(map, length) => (length, Some(Event::Map(map))),
            Head::Junk(length) => (length, Some(Event::Junk)),
            Head::Skip(length) => {
                let here = length.min(bytes.len());
                self.state = State::Skip { left: length - here };
                (here, Some(Event::Skipped))
            }
            Head::Pes(pes, length) => {
                self.state = match pes.payload {
                    Some(left) => State::Payload { left, video: pes.id & 0xf0 == 0xe0 },
                    None => State::Until { emit: Emit::Payload, matched: 0 },
                };
                (length, Some(Event::Pes(pes)))
            }
        }
    }

    /// Takes back bytes of `head` that the header did not use: at most the front of another start code.
    fn replay(&mut self, rest: &[u8]) {
        if let (State::Until { matched, .. }, false) = (&mut self.state, rest.is_empty()) {
            match rest {
                // behind a pack header that was cut short stands the next start code
                [0, 0, 1, code, ..] if *code >= FIRST_CODE => {
                    self.head.extend_from_slice(rest);
                    self.open_head();
                }
                _ => *matched = (1..=3).rev().find(|n| rest.ends_with(&CODE[..*n])).unwrap_or(0),
            }
        }
    }

    fn leave<'a>(&self, emit: Emit, bytes: &'a [u8]) -> Option<Event<'a>> {
        let idle = bytes.is_empty() || emit == Emit::Nothing;
        (!idle).then_some(Event::Data { bytes, beyond: emit == Emit::Beyond })
    }
}

fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (head, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    head
}
