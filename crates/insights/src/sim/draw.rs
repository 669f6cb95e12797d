//! Chance, the same on every machine and with every release of every library: only integers.

/// A stream of numbers that its seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The stream of these parts; streams of different parts have nothing to do with each other.
    pub(super) fn of<const N: usize>(parts: [u64; N]) -> Self {
        let mut draw = Self(STEP);
        for part in parts {
            draw.0 = draw.next() ^ part;
        }
        draw
    }

    /// A number for a text, to begin a stream with (FNV-1a).
    pub(super) fn number_of(text: &str) -> u64 {
        let bytes = text.bytes();
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// At least 0 and less than `bound`; 0 if that is impossible.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// At least `from` and less than `to`; `from` if that is impossible.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = to.saturating_sub(from).max(0);
        from + self.below(width.cast_unsigned()).cast_signed()
    }

    /// Index into something of this length; 0 if it is empty.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// Like [`Self::index`], small ones more often.
    pub(super) fn small_index(&mut self, length: usize) -> usize {
        self.index(length).min(self.index(length))
    }

    /// True in so many of a thousand draws.
    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// A whole number with this mean, in thousandths.
    pub(super) fn count(&mut self, mean_per_mille: u64) -> u64 {
        mean_per_mille / 1000 + u64::from(self.per_mille(mean_per_mille % 1000))
    }

    /// A value of a distribution that is given by its equally likely quantiles.
    pub(super) fn quantile(&mut self, quantiles: &[i64]) -> i64 {
        const PARTS: u64 = 1024;
        let n_steps = quantiles.len().saturating_sub(1) as u64;
        let position = self.below(n_steps * PARTS);
        let step = usize::try_from(position / PARTS).unwrap_or_default();
        let part = (position % PARTS).cast_signed();
        let (low, high) = (quantiles[step], quantiles[step + 1]);
        low + (high - low) * part / PARTS.cast_signed()
    }

    /// An index, as often as its weight says.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_the_same_for_ever() {
        let mut draw = Draw::of([1, 2]);
        let numbers: Vec<u64> = (0..5).map(|_| draw.below(1000)).collect();
        assert_eq!(numbers, [852, 528, 66, 171, 48]);
        // As published with the function.
        assert_eq!(Draw::number_of("a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn shares_and_means_are_those_asked_for() {
        let mut draw = Draw::of([7]);
        let hits = (0..10_000).filter(|_| draw.per_mille(250)).count();
        assert!((2300..2700).contains(&hits), "{hits}");
        let sum: u64 = (0..10_000).map(|_| draw.count(1300)).sum();
        assert!((12_500..13_500).contains(&sum), "{sum}");
        let sum: i64 = (0..10_000).map(|_| draw.quantile(&[0, 10, 30])).sum();
        assert!((115_000..125_000).contains(&sum), "{sum}");
        let first = (0..10_000).filter(|_| draw.weighted(&[1, 3]) == 0).count();
        assert!((2300..2700).contains(&first), "{first}");
    }

    #[test]
    fn what_is_empty_gives_its_begin() {
        let mut draw = Draw::of([7]);
        assert_eq!(
            (draw.below(0), draw.between(5, 5), draw.index(0)),
            (0, 5, 0)
        );
    }
}
