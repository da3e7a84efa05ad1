//! The dice of a seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.

use jiff::SignedDuration;

#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the numbers below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end.max(1) as u64).unwrap()
    }

    /// Whether something of `percent` happens.
    pub(super) fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Some seconds, at most `longest`.
    pub(super) fn duration(&mut self, longest: SignedDuration) -> SignedDuration {
        let seconds = u64::try_from(longest.as_secs()).unwrap_or_default();
        SignedDuration::from_secs((self.roll() % (seconds + 1)).cast_signed())
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
