//! Which level a stream needs, for those who announce one before they encode it (ITU-T H.264 Table A-1).

/// `level_idc`, macroblocks a second, macroblocks in a picture, kilobits a second in the Main profile.
const LEVELS: [(u8, u64, u64, u64); 16] = [
    (10, 1_485, 99, 64),
    (11, 3_000, 396, 192),
    (12, 6_000, 396, 384),
    (13, 11_880, 396, 768),
    (20, 11_880, 396, 2_000),
    (21, 19_800, 792, 4_000),
    (22, 20_250, 1_620, 4_000),
    (30, 40_500, 1_620, 10_000),
    (31, 108_000, 3_600, 14_000),
    (32, 216_000, 5_120, 20_000),
    (40, 245_760, 8_192, 20_000),
    (41, 245_760, 8_192, 50_000),
    (42, 522_240, 8_704, 50_000),
    (50, 589_824, 22_080, 135_000),
    (51, 983_040, 36_864, 240_000),
    (52, 2_073_600, 36_864, 240_000),
];

/// The lowest level that carries pictures of this size and rate at so many bits a second; the highest one where none does.
pub fn level(width: u32, height: u32, fps: u32, bitrate: u64) -> u8 {
    let picture = u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16));
    let fits = |(_, rate, size, kbits): &&(u8, u64, u64, u64)| {
        picture * u64::from(fps.max(1)) <= *rate && picture <= *size && bitrate <= kbits * 1000
    };
    LEVELS.iter().find(fits).map_or(52, |(level, ..)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_usual_streams() {
        for (width, height, fps, bitrate, expected) in [
            (176, 144, 15, 64_000, 10),
            (640, 360, 15, 500_000, 22),
            (1280, 720, 25, 2_000_000, 31),
            (1920, 1080, 25, 4_000_000, 40),
            (1920, 1080, 60, 4_000_000, 42),
            (3840, 2160, 30, 16_000_000, 51),
            (7680, 4320, 120, 1, 52),
            (0, 0, 0, 0, 10),
        ] {
            assert_eq!(level(width, height, fps, bitrate), expected, "{width}x{height}, {fps}, {bitrate}");
        }
    }
}
