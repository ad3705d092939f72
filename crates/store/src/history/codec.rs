//! Streams of codes in few bits: predict, then Rice-code what is left in groups of [`GROUP`] values.
//!
//! The prediction goes a quarter, a half, three quarters or all of the way from the stream's base to the
//! value before, or stays at the base; the encoder tries all five and keeps the shortest. Noise around a level
//! wants the base, a random walk wants the value before, most loads lie between. When one value is frequent (a disk
//! that rests most of the time) the stream can be sparse: the gaps between the other values, then those values. A stream can
//! also be written as the difference to another one (a maximum to its mean). A constant takes three bytes, no values at all
//! take one.
//!
//! Why an own codec and not `pco`: on the benchmark's mix it is smaller, several times as fast on single streams of 240
//! values, knows "no value", and damaged input cannot make its decoder panic or allocate more than the stream is long
//! (`cargo bench -p ulm-store` prints both; the format is this file and nothing else).

use super::code::NONE;

/// Values per Rice parameter.
const GROUP: usize = 32;
/// A group in which all predictions were right: no bits at all.
const ALL_ZERO: u32 = 15;
/// From so many ones on, the value follows in full.
const ESCAPE: u32 = 20;
/// Bits of a residual in full: differences of two 16-bit numbers, folded.
const FULL: u32 = 17;

const KIND_NONE: u8 = 0;
const KIND_CONSTANT: u8 = 1;
/// Five kinds, by prediction.
const KIND_CODED: u8 = 2;
/// Five kinds, by prediction.
const KIND_SPARSE: u8 = 7;
const WITH_GAPS: u8 = 0x20;
const RELATIVE: u8 = 0x40;

/// The bytes are not those of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Appends the stream `codes` to `out`; `reference` is a stream of the same length that the reader will have.
pub(crate) fn encode(codes: &[i16], reference: Option<&[i16]>, out: &mut Vec<u8>) {
    let start = out.len();
    encode_plain(codes, 0, out);
    if let Some(difference) = reference.and_then(|reference| difference(codes, reference)) {
        let middle = out.len();
        encode_plain(&difference, RELATIVE, out);
        if out.len() - middle < middle - start {
            out.drain(start..middle);
        } else {
            out.truncate(middle);
        }
    }
}

/// Value by value `codes - reference`; `None` when one has values where the other has none, or a difference does not fit.
fn difference(codes: &[i16], reference: &[i16]) -> Option<Vec<i16>> {
    codes
        .iter()
        .zip(reference)
        .map(|(&code, &base)| match (code == NONE, base == NONE) {
            (true, true) => Some(NONE),
            (false, false) => code.checked_sub(base).filter(|&d| d != NONE),
            _ => None,
        })
        .collect()
}

fn encode_plain(codes: &[i16], flags: u8, out: &mut Vec<u8>) {
    let present: Vec<i16> = codes.iter().copied().filter(|&code| code != NONE).collect();
    let Some(&first) = present.first() else {
        out.push(KIND_NONE | flags);
        return;
    };
    let gaps = if present.len() < codes.len() { WITH_GAPS } else { 0 };
    if present.iter().all(|&code| code == first) {
        out.push(KIND_CONSTANT | gaps | flags);
        out.extend(first.to_le_bytes());
        if gaps != 0 {
            write_gaps(codes, out);
        }
        return;
    }
    let dense = Fit::of(&present);
    let (frequent, count) = most_frequent(&present);
    // A gap must fit into a residual.
    let may_be_sparse = count * 4 >= present.len() && present.len() < 1 << FULL;
    let sparse = may_be_sparse.then(|| Sparse::of(&present, frequent)).filter(|sparse| sparse.bits < dense.bits);
    let kind = match &sparse {
        Some(sparse) => KIND_SPARSE + sparse.fit.quarters as u8,
        None => KIND_CODED + dense.quarters as u8,
    };
    out.push(kind | gaps | flags);
    out.extend(sparse.as_ref().map_or(dense.base, |_| frequent).to_le_bytes());
    if gaps != 0 {
        write_gaps(codes, out);
    }
    match sparse {
        Some(sparse) => {
            varint(sparse.others.len() as u32, out);
            out.extend(sparse.fit.base.to_le_bytes());
            let mut bits = BitWriter::new(out);
            write_groups(&sparse.gaps, &mut bits);
            write_groups(&sparse.fit.residuals(&sparse.others), &mut bits);
            bits.finish();
        }
        None => {
            let mut bits = BitWriter::new(out);
            write_groups(&dense.residuals(&present), &mut bits);
            bits.finish();
        }
    }
}

/// The best prediction for some values.
struct Fit {
    base: i16,
    quarters: i32,
    bits: u64,
}

impl Fit {
    fn of(values: &[i16]) -> Fit {
        let base = median(values);
        (0..=4)
            .map(|quarters| {
                let mut fit = Fit { base, quarters, bits: 0 };
                fit.bits = bits_for(&fit.residuals(values));
                fit
            })
            .min_by_key(|fit| fit.bits)
            .unwrap_or(Fit { base, quarters: 0, bits: 0 })
    }

    /// What the prediction misses, folded so that small misses of both signs are small numbers.
    fn residuals(&self, values: &[i16]) -> Vec<u32> {
        let mut before = self.base;
        values
            .iter()
            .map(|&value| {
                let error = i32::from(value) - prediction(self.base, before, self.quarters);
                before = value;
                ((error << 1) ^ (error >> 31)) as u32
            })
            .collect()
    }
}

/// A stream as one frequent value and the others.
struct Sparse {
    /// How many frequent values stand before each of the others.
    gaps: Vec<u32>,
    others: Vec<i16>,
    fit: Fit,
    bits: u64,
}

impl Sparse {
    fn of(present: &[i16], frequent: i16) -> Sparse {
        let (mut gaps, mut others, mut gap) = (Vec::new(), Vec::new(), 0);
        for &value in present {
            if value == frequent {
                gap += 1;
            } else {
                gaps.push(gap);
                others.push(value);
                gap = 0;
            }
        }
        let fit = Fit::of(&others);
        // The count and the second base.
        let bits = bits_for(&gaps) + fit.bits + 24;
        Sparse { gaps, others, fit, bits }
    }
}

/// The value that is there most often, and how often.
fn most_frequent(present: &[i16]) -> (i16, usize) {
    let mut sorted = present.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).max_by_key(|&(_, count)| count).unwrap_or((0, 0))
}

fn bits_for(residuals: &[u32]) -> u64 {
    residuals.chunks(GROUP).map(|group| parameter(group).1).sum()
}

fn write_groups(residuals: &[u32], bits: &mut BitWriter<'_>) {
    for group in residuals.chunks(GROUP) {
        let (k, _) = parameter(group);
        bits.put(k, 4);
        if k == ALL_ZERO {
            continue;
        }
        for &residual in group {
            let quotient = residual >> k;
            if quotient < ESCAPE {
                bits.put((1 << quotient) - 1, quotient + 1);
                bits.put(residual & ((1 << k) - 1), k);
            } else {
                bits.put((1 << ESCAPE) - 1, ESCAPE);
                bits.put(residual, FULL);
            }
        }
    }
}

fn median(values: &[i16]) -> i16 {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    if sorted.is_empty() { 0 } else { *sorted.select_nth_unstable(middle).1 }
}

fn prediction(base: i16, before: i16, quarters: i32) -> i32 {
    let base = i32::from(base);
    base + (((i32::from(before) - base) * quarters) >> 2)
}

/// The best Rice parameter for a group and the bits that it takes, the parameter included.
fn parameter(group: &[u32]) -> (u32, u64) {
    let sum: u64 = group.iter().map(|&r| u64::from(r)).sum();
    if sum == 0 {
        return (ALL_ZERO, 4);
    }
    let cost = |k: u32| -> u64 {
        4 + group
            .iter()
            .map(|&r| {
                let quotient = r >> k;
                u64::from(if quotient < ESCAPE { quotient + 1 + k } else { ESCAPE + FULL })
            })
            .sum::<u64>()
    };
    // The best parameter lies near the logarithm of the mean; outliers pull it down.
    let guess = (sum / group.len() as u64).max(1).ilog2();
    (guess.saturating_sub(2)..=(guess + 1).min(ALL_ZERO - 1))
        .map(|k| (k, cost(k)))
        .min_by_key(|&(_, bits)| bits)
        .unwrap_or((0, cost(0)))
}

/// Lengths of runs with and without values in turn, beginning with values.
fn write_gaps(codes: &[i16], out: &mut Vec<u8>) {
    let runs = codes.chunk_by(|&a, &b| (a == NONE) == (b == NONE));
    if codes[0] == NONE {
        varint(0, out);
    }
    for run in runs {
        varint(run.len() as u32, out);
    }
}

/// Writes a number in groups of seven bits, the lowest first.
pub(crate) fn varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`varint`] wrote and moves `bytes` on.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Result<u32, Damaged> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Damaged)?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift).ok_or(Damaged)?;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

/// Reads a stream of `out.len()` codes, as [`encode`] wrote it with the same `reference`.
pub(crate) fn decode(mut bytes: &[u8], reference: Option<&[i16]>, out: &mut [i16]) -> Result<(), Damaged> {
    let (&head, rest) = bytes.split_first().ok_or(Damaged)?;
    bytes = rest;
    let kind = head & 0x1f;
    if kind == KIND_NONE {
        out.fill(NONE);
        return Ok(());
    }
    let base = i16::from_le_bytes(*bytes.first_chunk::<2>().ok_or(Damaged)?);
    bytes = &bytes[2..];
    // Present values are marked 0 first, so that one loop serves streams with and without gaps.
    if head & WITH_GAPS == 0 {
        out.fill(0);
    } else {
        read_gaps(&mut bytes, out)?;
    }
    match kind {
        KIND_CONSTANT => out.iter_mut().filter(|code| **code != NONE).for_each(|code| *code = base),
        KIND_CODED..KIND_SPARSE => decode_dense(bytes, base, i32::from(kind - KIND_CODED), out)?,
        KIND_SPARSE..12 => decode_sparse(bytes, base, i32::from(kind - KIND_SPARSE), out)?,
        _ => return Err(Damaged),
    }
    if head & RELATIVE != 0 {
        let reference = reference.filter(|reference| reference.len() == out.len()).ok_or(Damaged)?;
        for (code, &base) in out.iter_mut().zip(reference).filter(|(code, _)| **code != NONE) {
            *code = code.wrapping_add(base);
        }
    }
    Ok(())
}

fn read_gaps(bytes: &mut &[u8], out: &mut [i16]) -> Result<(), Damaged> {
    let mut at = 0;
    let mut mark = 0;
    while at < out.len() {
        let run = read_varint(bytes)? as usize;
        if run == 0 && at > 0 {
            return Err(Damaged);
        }
        out.get_mut(at..at.checked_add(run).ok_or(Damaged)?).ok_or(Damaged)?.fill(mark);
        at += run;
        mark = if mark == 0 { NONE } else { 0 };
    }
    Ok(())
}

fn decode_dense(bytes: &[u8], base: i16, quarters: i32, out: &mut [i16]) -> Result<(), Damaged> {
    let mut bits = BitReader::new(bytes);
    let mut group = Group::default();
    let mut before = base;
    for code in out.iter_mut().filter(|code| **code != NONE) {
        before = unfold(base, before, quarters, group.next(&mut bits)?);
        *code = before;
    }
    Ok(())
}

fn decode_sparse(mut bytes: &[u8], frequent: i16, quarters: i32, out: &mut [i16]) -> Result<(), Damaged> {
    let count = read_varint(&mut bytes)? as usize;
    let base = i16::from_le_bytes(*bytes.first_chunk::<2>().ok_or(Damaged)?);
    if count > out.len() {
        return Err(Damaged);
    }
    let mut bits = BitReader::new(&bytes[2..]);
    let mut group = Group::default();
    let gaps: Vec<u32> = (0..count).map(|_| group.next(&mut bits)).collect::<Result<_, _>>()?;
    let mut gaps = gaps.into_iter();
    let mut group = Group::default();
    let mut before = base;
    let mut gap = gaps.next();
    for code in out.iter_mut().filter(|code| **code != NONE) {
        match &mut gap {
            Some(0) => {
                before = unfold(base, before, quarters, group.next(&mut bits)?);
                *code = before;
                gap = gaps.next();
            }
            Some(left) => {
                *left -= 1;
                *code = frequent;
            }
            None => *code = frequent,
        }
    }
    if gap.is_some() { Err(Damaged) } else { Ok(()) }
}

/// The value that [`Fit::residuals`] made a residual of.
fn unfold(base: i16, before: i16, quarters: i32, residual: u32) -> i16 {
    let error = (residual >> 1) as i32 ^ -((residual & 1) as i32);
    (prediction(base, before, quarters) + error) as i16
}

/// Where in its groups a reader is.
#[derive(Default)]
struct Group {
    k: u32,
    left: usize,
}

impl Group {
    fn next(&mut self, bits: &mut BitReader<'_>) -> Result<u32, Damaged> {
        if self.left == 0 {
            self.k = bits.take(4)?;
            self.left = GROUP;
        }
        self.left -= 1;
        if self.k == ALL_ZERO {
            return Ok(0);
        }
        Ok(match bits.ones(ESCAPE)? {
            ESCAPE => bits.take(FULL)?,
            quotient => (quotient << self.k) | bits.take(self.k)?,
        })
    }
}

/// Bits into bytes, the lowest first.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        BitWriter { out, held: 0, count: 0 }
    }
    /// At most 24 bits at once.
    fn put(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
        if self.count >= 32 {
            self.out.extend((self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }
    fn finish(self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out.extend(&self.held.to_le_bytes()[..bytes]);
    }
}

/// Reads what [`BitWriter`] wrote; past the end there is an error.
struct BitReader<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, held: 0, count: 0 }
    }
    fn fill(&mut self) {
        if let Some((word, rest)) = self.bytes.split_first_chunk::<4>() {
            self.held |= u64::from(u32::from_le_bytes(*word)) << self.count;
            self.count += 32;
            self.bytes = rest;
        } else {
            for &byte in self.bytes {
                self.held |= u64::from(byte) << self.count;
                self.count += 8;
            }
            self.bytes = &[];
        }
    }
    fn take(&mut self, bits: u32) -> Result<u32, Damaged> {
        if self.count < bits {
            self.fill();
            if self.count < bits {
                return Err(Damaged);
            }
        }
        let value = (self.held & ((1 << bits) - 1)) as u32;
        self.held >>= bits;
        self.count -= bits;
        Ok(value)
    }
    /// Counts ones up to a zero, which is taken too, or up to `most`.
    fn ones(&mut self, most: u32) -> Result<u32, Damaged> {
        if self.count <= most {
            self.fill();
        }
        let ones = self.held.trailing_ones().min(most);
        let bits = if ones == most { ones } else { ones + 1 };
        if self.count < bits {
            return Err(Damaged);
        }
        self.held >>= bits;
        self.count -= bits;
        Ok(ones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn there_and_back(codes: &[i16], reference: Option<&[i16]>) -> Vec<i16> {
        let mut bytes = Vec::new();
        encode(codes, reference, &mut bytes);
        let mut back = vec![7; codes.len()];
        decode(&bytes, reference, &mut back).expect("what was written can be read");
        back
    }

    #[test]
    fn a_constant_takes_three_bytes_and_nothing_takes_one() {
        let mut bytes = Vec::new();
        encode(&[900; 240], None, &mut bytes);
        assert_eq!(bytes.len(), 3);
        bytes.clear();
        encode(&[NONE; 240], None, &mut bytes);
        assert_eq!(bytes.len(), 1);
    }

    #[test]
    fn the_extremes_survive() {
        let codes = [i16::MAX, -i16::MAX, NONE, i16::MAX, 0, -i16::MAX, 1, NONE];
        assert_eq!(there_and_back(&codes, None), codes);
        assert_eq!(there_and_back(&codes, Some(&[1, 2, NONE, 4, 5, 6, 7, NONE])), codes);
        assert!(there_and_back(&[], None).is_empty());
    }

    #[test]
    fn a_disk_that_mostly_rests_takes_little_more_than_its_work() {
        let codes: Vec<i16> = (0..240).map(|n| if n % 12 == 5 { 3000 + n * 7 % 100 } else { 0 }).collect();
        let mut bytes = Vec::new();
        encode(&codes, None, &mut bytes);
        assert!(bytes.len() < 20 * 2, "{} bytes for 20 values", bytes.len());
        assert_eq!(there_and_back(&codes, None), codes);
    }

    #[test]
    fn a_maximum_near_its_mean_is_cheaper_as_a_difference() {
        let mean: Vec<i16> = (0..288).map(|i: i32| (2000 + (i * 7919) % 400) as i16).collect();
        let max: Vec<i16> = mean.iter().map(|m| m + 3).collect();
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        encode(&max, None, &mut alone);
        encode(&max, Some(&mean), &mut together);
        assert!(together.len() * 10 < alone.len(), "{} and {} bytes", together.len(), alone.len());
    }

    fn stream() -> impl Strategy<Value = Vec<i16>> {
        prop_oneof![
            vec(any::<i16>(), 0..400),
            vec(prop_oneof![9 => Just(7i16), 1 => 2000i16..4000, 1 => Just(NONE)], 0..400),
            vec(prop_oneof![9 => -3i16..40, 1 => any::<i16>(), 2 => Just(NONE)], 0..400),
            (any::<i16>(), vec(-20i32..20, 0..400)).prop_map(|(start, steps)| {
                let mut at = i32::from(start);
                steps
                    .iter()
                    .map(|step| {
                        at += step;
                        at.clamp(-32_767, 32_767) as i16
                    })
                    .collect()
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn every_stream_survives(codes in stream()) {
            prop_assert_eq!(there_and_back(&codes, None), codes);
        }

        #[test]
        fn every_stream_survives_beside_another(codes in stream(), noise in vec(any::<i16>(), 400)) {
            let reference: Vec<i16> = codes.iter().zip(&noise).map(|(&c, &n)| if c == NONE { NONE } else { c.wrapping_add(n % 9) }).collect();
            prop_assert_eq!(there_and_back(&codes, Some(&reference)), codes);
        }

        #[test]
        fn damaged_bytes_are_an_error_or_some_stream_but_never_a_panic(bytes in vec(any::<u8>(), 0..300), n in 0usize..400) {
            let mut out = vec![0; n];
            let _ = decode(&bytes, None, &mut out);
            let _ = decode(&bytes, Some(&vec![3; n]), &mut out);
        }

        #[test]
        fn numbers_survive(number in any::<u32>()) {
            let mut bytes = Vec::new();
            varint(number, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_varint(&mut rest), Ok(number));
            prop_assert!(rest.is_empty());
        }
    }
}
