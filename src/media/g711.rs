//! G.711: A-law and µ-law to 16-bit linear samples and back.

/// A-law codes as linear samples (ITU-T G.711 table 1).
pub static A_TO_LINEAR: [i16; 256] = {
    let mut out = [0; 256];
    let mut code = 0;
    while code < 256 {
        out[code] = a_to_linear(code as u8);
        code += 1;
    }
    out
};

/// µ-law codes as linear samples (ITU-T G.711 table 2).
pub static U_TO_LINEAR: [i16; 256] = {
    let mut out = [0; 256];
    let mut code = 0;
    while code < 256 {
        out[code] = u_to_linear(code as u8);
        code += 1;
    }
    out
};

const fn a_to_linear(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = ((code & 0xf) as i16) << 4;
    let size = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if code & 0x80 != 0 { size } else { -size }
}

const U_BIAS: i16 = 0x84;

const fn u_to_linear(code: u8) -> i16 {
    let code = !code;
    let size = (((((code & 0xf) as i16) << 3) + U_BIAS) << ((code >> 4) & 7)) - U_BIAS;
    if code & 0x80 != 0 { -size } else { size }
}

/// The A-law code of a linear sample.
pub fn linear_to_a(sample: i16) -> u8 {
    let (sign, size) = if sample >= 0 { (0x80, sample) } else { (0, !sample) };
    let exponent = (16 - (size >> 8).leading_zeros()) as u8; // 0 below 256, then one for each doubling
    let mantissa = (size >> (exponent.max(1) + 3)) as u8 & 0xf;
    (sign | exponent << 4 | mantissa) ^ 0x55
}

/// The µ-law code of a linear sample.
pub fn linear_to_u(sample: i16) -> u8 {
    let (sign, size) = if sample >= 0 { (0, sample) } else { (0x80, !sample) };
    let size = size.min(i16::MAX - U_BIAS) + U_BIAS;
    let exponent = (8 - size.leading_zeros()) as u8; // size has bit 7 at least
    let mantissa = (size >> (exponent + 3)) as u8 & 0xf;
    !(sign | exponent << 4 | mantissa)
}

/// Appends the linear samples of A-law codes.
pub fn decode_a(codes: &[u8], out: &mut Vec<i16>) {
    out.extend(codes.iter().map(|code| A_TO_LINEAR[usize::from(*code)]));
}

/// Appends the linear samples of µ-law codes.
pub fn decode_u(codes: &[u8], out: &mut Vec<i16>) {
    out.extend(codes.iter().map(|code| U_TO_LINEAR[usize::from(*code)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!([A_TO_LINEAR[0xd5], A_TO_LINEAR[0x55], A_TO_LINEAR[0xaa], A_TO_LINEAR[0x2a]], [8, -8, 32256, -32256]);
        assert_eq!([U_TO_LINEAR[0xff], U_TO_LINEAR[0x7f], U_TO_LINEAR[0x80], U_TO_LINEAR[0x00]], [0, 0, 32124, -32124]);
    }

    #[test]
    fn every_code_survives_the_way_there_and_back() {
        for code in 0..=255u8 {
            assert_eq!(linear_to_a(A_TO_LINEAR[usize::from(code)]), code, "A {code:#x}");
            // µ-law has two zeros
            let back = linear_to_u(U_TO_LINEAR[usize::from(code)]);
            assert_eq!(U_TO_LINEAR[usize::from(back)], U_TO_LINEAR[usize::from(code)], "µ {code:#x}");
        }
    }

    #[test]
    fn every_sample_finds_the_nearest_code() {
        for sample in i16::MIN..=i16::MAX {
            for (table, code) in [(&A_TO_LINEAR, linear_to_a(sample)), (&U_TO_LINEAR, linear_to_u(sample))] {
                let error = (i32::from(table[usize::from(code)]) - i32::from(sample)).abs();
                assert!(error <= 16.max(i32::from(sample).abs() / 16) || sample.unsigned_abs() > 32_124, "{sample}: {error}");
            }
        }
    }
}
