//! Where the points of a series stand on the axis they share.

/// Where points stand. Each has the room from its edge to the next one's.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) centres: Vec<f64>,
    /// One more than centres.
    edges: Vec<f64>,
}

/// The room of a point, or of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Room {
    pub(super) fn new(from: f64, to: f64) -> Self {
        Self { from, to }
    }

    pub(super) fn width(self) -> f64 {
        self.to - self.from
    }

    pub(super) fn middle(self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

impl Places {
    /// Each with the same room.
    pub(super) fn even(n: usize, from: f64, to: f64) -> Self {
        let each = (to - from) / float(n.max(1));
        let edges: Vec<f64> = (0..=n).map(|i| from + float(i) * each).collect();
        Self {
            centres: middles(&edges),
            edges,
        }
    }

    /// As far apart as their values are, where these rise; otherwise even.
    pub(super) fn apart(values: &[f64], from: f64, to: f64) -> Self {
        let rises = values.windows(2).all(|pair| pair[0] < pair[1]);
        let (&[first, second, ..], &[.., before, last]) = (values, values) else {
            return Self::even(values.len(), from, to);
        };
        let (start, end) = (first - (second - first) / 2.0, last + (last - before) / 2.0);
        let width = end - start;
        if !rises || !width.is_finite() || width <= 0.0 {
            return Self::even(values.len(), from, to);
        }
        let place = |value: f64| from + (value - start) / width * (to - from);
        let centres: Vec<f64> = values.iter().map(|value| place(*value)).collect();
        let mut edges = vec![from];
        edges.extend(middles(&centres));
        edges.push(to);
        Self { centres, edges }
    }

    pub(super) fn len(&self) -> usize {
        self.centres.len()
    }

    /// The room of one of them.
    pub(super) fn room(&self, i: usize) -> Room {
        self.rooms(i, i)
    }

    /// The room of all from one to another.
    pub(super) fn rooms(&self, first: usize, last: usize) -> Room {
        let (from, to) = (self.edges[first], self.edges[last + 1]);
        Room { from, to }
    }

    /// How much room most have.
    pub(super) fn each(&self) -> f64 {
        let all = self.edges.last().copied().unwrap_or(0.0) - self.edges[0];
        all / float(self.len().max(1))
    }

    /// Where a value is that stands between theirs.
    pub(super) fn between(&self, values: &[f64], value: f64) -> Option<f64> {
        let after = values.partition_point(|other| *other < value);
        if values.get(after) == Some(&value) {
            return Some(self.centres[after]);
        }
        let before = after.checked_sub(1)?;
        let (low, high) = (values[before], *values.get(after)?);
        let part = (value - low) / (high - low);
        Some(self.centres[before] + part * (self.centres[after] - self.centres[before]))
    }
}

fn middles(edges: &[f64]) -> Vec<f64> {
    let middle = |pair: &[f64]| f64::midpoint(pair[0], pair[1]);
    edges.windows(2).map(middle).collect()
}

/// Every how many of things are shown that have this room each and want that much.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 to a few thousand"
)]
pub(super) fn every(each: f64, wanted: f64) -> usize {
    (wanted / each.max(0.01)).ceil().max(1.0) as usize
}

/// A number of things as a number of pixels.
#[expect(clippy::cast_precision_loss, reason = "no chart has 2^52 points")]
pub(super) fn float(n: usize) -> f64 {
    n as f64
}
