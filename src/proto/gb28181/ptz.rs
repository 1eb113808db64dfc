//! The eight bytes of PTZCmd (annex A.3): movement, lens, presets, cruises, scans, auxiliary switches.

use std::fmt;

/// A command to a camera's head or lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Move until the next command; all zero stops movement, cruise and scan.
    Move {
        /// -255 (left) to 255 (right).
        pan: i16,
        /// -255 (down) to 255 (up).
        tilt: i16,
        /// -15 (out) to 15 (in).
        zoom: i8,
    },
    /// Turn the lens until the next command; all zero stops it.
    Lens {
        /// -255 (far) to 255 (near).
        focus: i16,
        /// -255 (close) to 255 (open).
        iris: i16,
    },
    /// Store the present position.
    SetPreset(u8),
    /// Go to a stored position.
    CallPreset(u8),
    /// Forget a stored position.
    DeletePreset(u8),
    /// Put a preset into a cruise.
    CruiseAdd {
        /// The cruise.
        group: u8,
        /// The preset.
        preset: u8,
    },
    /// Take a preset out of a cruise; 0 takes the whole cruise away.
    CruiseDelete {
        /// The cruise.
        group: u8,
        /// The preset.
        preset: u8,
    },
    /// A cruise's speed, 12 bits.
    CruiseSpeed {
        /// The cruise.
        group: u8,
        /// The speed.
        speed: u16,
    },
    /// How many seconds a cruise stays at each preset, 12 bits.
    CruiseDwell {
        /// The cruise.
        group: u8,
        /// The seconds.
        seconds: u16,
    },
    /// Run a cruise; a stop of movement ends it.
    CruiseStart(u8),
    /// Run a scan.
    ScanStart(u8),
    /// The present position is a scan's left limit.
    ScanLeft(u8),
    /// The present position is a scan's right limit.
    ScanRight(u8),
    /// A scan's speed, 12 bits.
    ScanSpeed {
        /// The scan.
        group: u8,
        /// The speed.
        speed: u16,
    },
    /// Switch something on or off; 1 is the wiper.
    Auxiliary {
        /// Which.
        number: u8,
        /// On or off.
        on: bool,
    },
}

impl Command {
    /// Stops movement, cruise and scan.
    pub const STOP: Command = Command::Move { pan: 0, tilt: 0, zoom: 0 };
    /// Stops the lens.
    pub const LENS_STOP: Command = Command::Lens { focus: 0, iris: 0 };

    /// The text of the element `PTZCmd`.
    pub fn encode(&self) -> String {
        self.encode_for(1)
    }

    /// The same for a receiver with a 12-bit address; receivers behind SIP ignore it.
    pub fn encode_for(&self, address: u16) -> String {
        let (code, data1, data2, data3) = self.fields();
        let byte2 = 0xA5u8 >> 4;
        let check = (byte2 + 0x5) & 0x0F;
        let mut bytes = [0xA5, check, address as u8, code, data1, data2, data3 << 4 | (address >> 8) as u8 & 0x0F, 0];
        bytes[7] = bytes[..7].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        hex::encode_upper(bytes)
    }

    /// Command byte, data 1, data 2, data 3 (four bits).
    fn fields(&self) -> (u8, u8, u8, u8) {
        let speed = |n: i16| n.unsigned_abs().min(255) as u8;
        let twelve = |n: u16| ((n & 0xFF) as u8, (n.min(0xFFF) >> 8) as u8);
        match *self {
            Command::Move { pan, tilt, zoom } => {
                let code = bit(zoom < 0, 0x20)
                    | bit(zoom > 0, 0x10)
                    | bit(tilt > 0, 0x08)
                    | bit(tilt < 0, 0x04)
                    | bit(pan < 0, 0x02)
                    | bit(pan > 0, 0x01);
                (code, speed(pan), speed(tilt), zoom.unsigned_abs().min(15))
            }
            Command::Lens { focus, iris } => {
                let code = 0x40 | bit(iris < 0, 0x08) | bit(iris > 0, 0x04) | bit(focus > 0, 0x02) | bit(focus < 0, 0x01);
                (code, speed(focus), speed(iris), 0)
            }
            Command::SetPreset(n) => (0x81, 0, n, 0),
            Command::CallPreset(n) => (0x82, 0, n, 0),
            Command::DeletePreset(n) => (0x83, 0, n, 0),
            Command::CruiseAdd { group, preset } => (0x84, group, preset, 0),
            Command::CruiseDelete { group, preset } => (0x85, group, preset, 0),
            Command::CruiseSpeed { group, speed } => (0x86, group, twelve(speed).0, twelve(speed).1),
            Command::CruiseDwell { group, seconds } => (0x87, group, twelve(seconds).0, twelve(seconds).1),
            Command::CruiseStart(group) => (0x88, group, 0, 0),
            Command::ScanStart(group) => (0x89, group, 0, 0),
            Command::ScanLeft(group) => (0x89, group, 1, 0),
            Command::ScanRight(group) => (0x89, group, 2, 0),
            Command::ScanSpeed { group, speed } => (0x8A, group, twelve(speed).0, twelve(speed).1),
            Command::Auxiliary { number, on: true } => (0x8C, number, 0, 0),
            Command::Auxiliary { number, on: false } => (0x8D, number, 0, 0),
        }
    }

    /// Reads the text of `PTZCmd`; `None` if it is not 16 hexadecimal digits of a command with a right sum.
    pub fn decode(text: &str) -> Option<Command> {
        let bytes: [u8; 8] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        let sum = bytes[..7].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        if bytes[0] != 0xA5 || sum != bytes[7] {
            return None;
        }
        let [_, _, _, code, data1, data2, last, _] = bytes;
        let data3 = last >> 4;
        let twelve = u16::from(data3) << 8 | u16::from(data2);
        let signed = |plus: bool, minus: bool, n: u8| i16::from(n) * (i16::from(plus) - i16::from(minus));
        Some(match code {
            0x00..=0x3F => Command::Move {
                pan: signed(code & 0x01 != 0, code & 0x02 != 0, data1),
                tilt: signed(code & 0x08 != 0, code & 0x04 != 0, data2),
                zoom: signed(code & 0x10 != 0, code & 0x20 != 0, data3) as i8,
            },
            0x40..=0x4F => Command::Lens {
                focus: signed(code & 0x02 != 0, code & 0x01 != 0, data1),
                iris: signed(code & 0x04 != 0, code & 0x08 != 0, data2),
            },
            0x81 => Command::SetPreset(data2),
            0x82 => Command::CallPreset(data2),
            0x83 => Command::DeletePreset(data2),
            0x84 => Command::CruiseAdd { group: data1, preset: data2 },
            0x85 => Command::CruiseDelete { group: data1, preset: data2 },
            0x86 => Command::CruiseSpeed { group: data1, speed: twelve },
            0x87 => Command::CruiseDwell { group: data1, seconds: twelve },
            0x88 => Command::CruiseStart(data1),
            0x89 => match data2 {
                0 => Command::ScanStart(data1),
                1 => Command::ScanLeft(data1),
                2 => Command::ScanRight(data1),
                _ => return None,
            },
            0x8A => Command::ScanSpeed { group: data1, speed: twelve },
            0x8C => Command::Auxiliary { number: data1, on: true },
            0x8D => Command::Auxiliary { number: data1, on: false },
            _ => return None,
        })
    }
}

fn bit(set: bool, value: u8) -> u8 {
    if set { value } else { 0 }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(pan: i16, tilt: i16, zoom: i8) -> Command {
        Command::Move { pan, tilt, zoom }
    }

    #[test]
    fn the_sheets_vectors() {
        let lens = |focus, iris| Command::Lens { focus, iris };
        for (command, text) in [
            (Command::STOP, "A50F0100000000B5"),
            (to(0x20, 0, 0), "A50F0101200000D6"),
            (to(-0x20, 0, 0), "A50F0102200000D7"),
            (to(0, -0x20, 0), "A50F0104002000D9"),
            (to(0, 0x20, 0), "A50F0108002000DD"),
            (to(-0x20, 0x20, 0), "A50F010A202000FF"),
            (to(0, 0, 2), "A50F0110000020E5"),
            (to(0, 0, -2), "A50F0120000020F5"),
            (lens(0x20, 0), "A50F014220000017"),
            (lens(-0x20, 0), "A50F014120000016"),
            (lens(0, 0x20), "A50F014400200019"),
            (lens(0, -0x20), "A50F01480020001D"),
            (Command::LENS_STOP, "A50F0140000000F5"),
            (Command::SetPreset(1), "A50F018100010037"),
            (Command::CallPreset(1), "A50F018200010038"),
            (Command::DeletePreset(1), "A50F018300010039"),
            (Command::CruiseAdd { group: 1, preset: 3 }, "A50F01840103003D"),
            (Command::CruiseDwell { group: 1, seconds: 30 }, "A50F0187011E005B"),
            (Command::CruiseSpeed { group: 1, speed: 0x120 }, "A50F01860120106C"),
            (Command::CruiseStart(1), "A50F01880100003E"),
            (Command::ScanStart(1), "A50F01890100003F"),
            (Command::ScanLeft(1), "A50F018901010040"),
            (Command::ScanRight(1), "A50F018901020041"),
            (Command::Auxiliary { number: 1, on: true }, "A50F018C01000042"),
            (Command::Auxiliary { number: 1, on: false }, "A50F018D01000043"),
        ] {
            assert_eq!(command.encode(), text, "{command:?}");
            assert_eq!(Command::decode(text), Some(command), "{text}");
        }
        // the 2016 text, address 4Dh
        assert_eq!(to(0, 0, 1).encode_for(0x4D), "A50F4D1000001021");
    }

    #[test]
    fn every_direction_survives_and_speeds_are_clamped() {
        for pan in [-255, -1, 0, 1, 255] {
            for tilt in [-255, -1, 0, 1, 255] {
                for zoom in [-15, -1, 0, 1, 15] {
                    assert_eq!(Command::decode(&to(pan, tilt, zoom).encode()), Some(to(pan, tilt, zoom)));
                }
            }
        }
        assert_eq!(Command::decode(&to(i16::MIN, i16::MAX, i8::MIN).encode()), Some(to(-255, 255, -15)));
    }

    #[test]
    fn garbage_is_no_command() {
        for text in ["", "A50F", "A50F0101200000D7", "B50F0101200000E6", "A50F01FF000000B4", "zzzzzzzzzzzzzzzz", "门门门门"] {
            assert_eq!(Command::decode(text), None, "{text}");
        }
    }
}
