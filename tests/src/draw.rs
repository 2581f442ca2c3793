//! Numbers for tests that try many orders of things.

/// Numbers that look drawn and are the same each time: splitmix64.
#[derive(Debug)]
pub struct Draw(pub u64);

impl Draw {
    /// The next number, below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let end = u64::try_from(end).expect("it is small");
        usize::try_from((number ^ (number >> 31)) % end).expect("it is below")
    }
}
