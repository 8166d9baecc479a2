//! Weighted choice in constant time: Walker's alias tables.

/// Picks places with probabilities in proportion to weights.
#[derive(Debug)]
pub(super) struct Sampler {
    /// For each slot: the chance of keeping it, and the place taken otherwise.
    slots: Vec<(f32, u32)>,
}

impl Sampler {
    /// From at least one positive weight.
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut slots: Vec<(f32, u32)> = (0..weights.len() as u32).map(|place| (1.0, place)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..scaled.len()).partition(|&place| scaled[place] < 1.0);
        while let (Some(&needy), Some(&giver)) = (small.last(), large.last()) {
            small.pop();
            slots[needy] = (scaled[needy] as f32, giver as u32);
            scaled[giver] -= 1.0 - scaled[needy];
            if scaled[giver] < 1.0 {
                large.pop();
                small.push(giver);
            }
        }
        Self { slots }
    }

    /// The place for two uniform random values.
    pub(super) fn pick(&self, slot: u32, chance: f32) -> u32 {
        let slot = ((u64::from(slot) * self.slots.len() as u64) >> 32) as usize;
        let (keep, other) = self.slots[slot];
        if chance < keep { slot as u32 } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn frequencies_follow_weights() {
        let sampler = Sampler::new([6.0, 1.0, 0.0, 3.0].into_iter());
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0_u32; 4];
        for _ in 0..100_000 {
            counts[sampler.pick(rng.random(), rng.random()) as usize] += 1;
        }
        for (count, expected) in counts.into_iter().zip([60_000_u32, 10_000, 0, 30_000]) {
            assert!(count.abs_diff(expected) < 1_000, "{counts:?}");
        }
    }
}
