//! Values as 16-bit codes: what the history keeps of a figure.
//!
//! A code is monotone in its value, so that minimum, maximum and percentiles of codes are those of the
//! values, and near values have near codes, so that differences are small numbers. Whole numbers up to 511
//! are exact; from there on there are 256 codes per doubling, so that a value is off by at most 0.2 %
//! (three significant digits would allow 0.5 %). Journal, blocks and roll-ups hold codes, so that a figure
//! reads the same before and after its block is closed.

/// The code that stands for "no value".
pub(crate) const NONE: i16 = i16::MIN;

/// Below it, a whole number is its own code.
const LINEAR: f32 = 512.0;
/// 512.0 as `f32` bits, without the mantissa's low 15 bits.
const LINEAR_BITS: u32 = (127 + 9) << 8;

/// How a metric's values become codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// Whole numbers: exact to 511, then within 0.2 %.
    Whole,
    /// Thousandths: exact to 0.511, then within 0.2 %.
    Thousandths,
    /// Whole numbers from -32,767 to 32,767, all exact; numbers outside become the nearest of these.
    Exact,
}

/// The code of `value`; NaN and the infinities are no values.
pub(crate) fn encode(value: f32, precision: Precision) -> i16 {
    if !value.is_finite() {
        return NONE;
    }
    let scaled = match precision {
        Precision::Exact => return value.round().clamp(-32_767.0, 32_767.0) as i16,
        Precision::Whole => value,
        Precision::Thousandths => (value * 1000.0).clamp(f32::MIN, f32::MAX),
    };
    let size = scaled.abs();
    let code = if size < LINEAR {
        (size + 0.5) as i16
    } else {
        // Exponent and the upper eight bits of the mantissa; a carry out of the rounding is a step to the next exponent.
        let bits = (size.to_bits() + (1 << 14)) >> 15;
        (LINEAR as u32 + bits.min(0xFEFF) - LINEAR_BITS) as i16
    };
    if scaled < 0.0 { -code } else { code }
}

/// The value of `code`; NaN for [`NONE`].
pub(crate) fn decode(code: i16, precision: Precision) -> f32 {
    if code == NONE {
        return f32::NAN;
    }
    if precision == Precision::Exact {
        return f32::from(code);
    }
    let magnitude = u32::from(code.unsigned_abs());
    let size = if magnitude < LINEAR as u32 {
        magnitude as f32
    } else {
        f32::from_bits((magnitude - LINEAR as u32 + LINEAR_BITS).min(0xFEFF) << 15)
    };
    let value = if code < 0 { -size } else { size };
    if precision == Precision::Thousandths { value / 1000.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_whole_numbers_are_exact_and_no_value_stays_no_value() {
        for n in -512i16..=512 {
            assert_eq!(decode(encode(f32::from(n), Precision::Whole), Precision::Whole), f32::from(n));
        }
        assert_eq!(encode(f32::NAN, Precision::Whole), NONE);
        assert_eq!(encode(f32::INFINITY, Precision::Exact), NONE);
        assert!(decode(NONE, Precision::Thousandths).is_nan());
    }

    #[test]
    fn round_sizes_of_memory_are_exact() {
        for gib in [1u64, 2, 4, 96, 128, 512, 1536] {
            let bytes = (gib << 30) as f32;
            assert_eq!(decode(encode(bytes, Precision::Whole), Precision::Whole), bytes);
        }
    }

    proptest! {
        #[test]
        fn a_value_is_off_by_at_most_a_fifth_of_a_per_cent(value in -1e30f32..1e30) {
            let back = decode(encode(value, Precision::Whole), Precision::Whole);
            prop_assert!((back - value).abs() <= (value.abs() / 512.0).max(0.5), "{} became {}", value, back);
        }

        #[test]
        fn fractions_are_kept_to_the_thousandth(value in 0f32..1e6) {
            let back = decode(encode(value, Precision::Thousandths), Precision::Thousandths);
            prop_assert!((back - value).abs() <= (value / 511.0).max(0.000_501), "{} became {}", value, back);
        }

        #[test]
        fn every_code_is_the_code_of_its_value(code in -30_719i16..=30_719) {
            for precision in [Precision::Whole, Precision::Exact] {
                prop_assert_eq!(encode(decode(code, precision), precision), code);
            }
        }

        #[test]
        fn codes_keep_the_order_of_values(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            for precision in [Precision::Whole, Precision::Thousandths, Precision::Exact] {
                prop_assert!(encode(low, precision) <= encode(high, precision));
            }
        }
    }
}
