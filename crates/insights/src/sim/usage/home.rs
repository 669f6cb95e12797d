//! A user's home: how large it is, and how it grows with the work that is done in it.

use crate::sim::draw::Draw;
use crate::sources::HomeSize;
use model::names::UserName;

/// Megabytes to begin with: few homes hold most of it.
const BEGIN_MEGABYTES: &[i64] = &[4, 20, 60, 150, 400, 1_100, 4_000, 30_000];
/// Kilobytes that an hour of work adds.
const KILOBYTES_PER_HOUR: &[i64] = &[0, 40, 200, 900, 4_000, 15_000, 120_000];
/// Kilobytes of a file.
const FILE_KILOBYTES: &[i64] = &[9, 25, 60, 150, 700];
/// Homes that stay as they are, in thousandths: notebooks are opened and not kept.
const STILL: u64 = 280;
const BLOCK_BYTES: u64 = 4096;

/// A home.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Home {
    bytes: u64,
    bytes_per_hour: u64,
    file_bytes: u64,
}

impl Home {
    /// As it was before anybody looked; the same for the same seed.
    pub(in crate::sim) fn of(seed: u64, user: &str) -> Self {
        let mut draw = Draw::of([seed, Draw::number_of(user), 21]);
        let mut number = |quantiles: &[i64]| draw.quantile(quantiles).unsigned_abs();
        let bytes = number(BEGIN_MEGABYTES) * 1_000_000;
        let bytes_per_hour = number(KILOBYTES_PER_HOUR) * 1000;
        let file_bytes = number(FILE_KILOBYTES) * 1000;
        Self {
            bytes,
            bytes_per_hour: if draw.per_mille(STILL) {
                0
            } else {
                bytes_per_hour
            },
            file_bytes,
        }
    }

    /// Somebody worked in it for so long.
    pub(in crate::sim) fn work(&mut self, seconds: u64) {
        self.bytes += self.bytes_per_hour * seconds / 3600;
    }

    /// A day of work: some is written, and now and then something is thrown away.
    pub(in crate::sim) fn work_for_a_day(&mut self, draw: &mut Draw) {
        self.work(draw.below(7 * 3600));
        if self.bytes_per_hour > 0 && draw.per_mille(12) {
            self.bytes -= self.bytes * draw.below(350) / 1000;
        }
    }

    pub(in crate::sim) fn size(&self, user: &UserName) -> HomeSize {
        let blocks = self.bytes.div_ceil(BLOCK_BYTES);
        HomeSize {
            user: user.clone(),
            bytes: whole(blocks * BLOCK_BYTES),
            files: Some(1 + self.bytes / self.file_bytes.max(1)),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "homes stay far below 2^53 bytes"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_homes_grow_and_some_stay_still() {
        let mut n_still = 0;
        for number in 0..1000 {
            let name = UserName::from(format!("user-{number}").as_str());
            let mut home = Home::of(1, name.as_str());
            let before = home.size(&name);
            home.work(40 * 3600);
            let after = home.size(&name);
            assert!(before.bytes > 0.0 && before.files > Some(0));
            assert!(before.bytes <= after.bytes && before.files <= after.files);
            n_still += usize::from(before == after);
        }
        assert!((230..330).contains(&n_still), "{n_still}");
    }
}
