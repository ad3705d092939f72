//! Numbers that look random and are the same every time: splitmix64 (Steele, Lea, Flood 2014).

/// The state; where it begins is the seed.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`, which is above 0.
    pub fn below(&mut self, n: i64) -> i64 {
        ((u128::from(self.bits()) * n as u128) >> 64) as i64
    }

    /// A place in a list of so many.
    pub fn place(&mut self, count: usize) -> usize {
        self.below(count as i64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high - low + 1)
    }

    /// Once in `n` times.
    pub fn rarely(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }

    /// Brings a list into an order of chance.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.place(i + 1));
        }
    }

    /// Exponentially distributed, nearly, in 65 536ths of its median.
    pub fn exponential(&mut self) -> i64 {
        let word = self.bits() | 1;
        let zeros = word.leading_zeros();
        let mantissa = ((word << zeros) >> 47) & 0xFFFF;
        (i64::from(zeros) << 16) + (0xFFFF - mantissa as i64)
    }
}
