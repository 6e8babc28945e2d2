//! Counts of two kinds of thing over the last while.

use crate::model::Nanos;

/// Steps in which a window moves on: what it has counted is forgotten when it is
/// between nine tenths of the window and the window old.
const SLICES: usize = 10;

/// Counts of two kinds over the last while.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Of one slice: nanoseconds.
    length: Nanos,
    slices: [[u64; 2]; SLICES],
    /// The number of the slice that is counted in, since the epoch.
    current: u64,
}

impl Window {
    pub fn new(window: Nanos) -> Self {
        Self { length: (window / SLICES as u64).max(1), slices: [[0; 2]; SLICES], current: 0 }
    }

    /// One more of `kind`, 0 or 1.
    pub fn add(&mut self, kind: usize, now: Nanos) {
        self.move_on(now);
        self.slices[(self.current % SLICES as u64) as usize][kind] += 1;
    }

    /// How many there were of each kind.
    pub fn counts(&mut self, now: Nanos) -> [u64; 2] {
        self.move_on(now);
        self.slices.iter().fold([0; 2], |[one, other], slice| [one + slice[0], other + slice[1]])
    }

    /// Forgets what is too old.
    fn move_on(&mut self, now: Nanos) {
        let current = now / self.length;
        let passed = current.saturating_sub(self.current).min(SLICES as u64);
        for slice in 0..passed {
            self.slices[((current - slice) % SLICES as u64) as usize] = [0; 2];
        }
        self.current = self.current.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_forgets_what_is_older() {
        let mut window = Window::new(100);
        window.add(0, 1_000);
        window.add(1, 1_009);
        window.add(1, 1_055);
        assert_eq!(window.counts(1_099), [1, 2]);
        assert_eq!(window.counts(1_100), [0, 1]);
        assert_eq!(window.counts(1_149), [0, 1]);
        assert_eq!(window.counts(1_150), [0, 0]);
        window.add(0, 9_000);
        assert_eq!(window.counts(9_000), [1, 0]);
    }
}
