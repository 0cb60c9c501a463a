//! Choosing the next token: the most likely one, or a draw that a seed fixes.
//!
//! The draw for the n-th token depends on the seed, n and the logits alone, so an audit can check
//! a sampled answer as exactly as a greedy one, from any token on.

use crate::Error;

/// OpenAI's upper bound; above it text is noise.
const MAX_TEMPERATURE: f64 = 2.0;

/// How to choose: checked parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    temperature: f64,
    top_p: f64,
    seed: u64,
}

impl Sampling {
    /// Temperature 0 to 2, where 0 is greedy; nucleus mass `top_p` above 0 and up to 1.
    ///
    /// # Errors
    /// [`Error::SamplingParameter`].
    pub fn new(temperature: f64, top_p: f64, seed: u64) -> Result<Self, Error> {
        if !(0.0..=MAX_TEMPERATURE).contains(&temperature) {
            return Err(Error::SamplingParameter { name: "temperature", range: "from 0 to 2" });
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::SamplingParameter { name: "top_p", range: "above 0 and at most 1" });
        }
        Ok(Self { temperature, top_p, seed })
    }

    /// Always the most likely token.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_p: 1.0, seed: 0 }
    }

    /// Whether the seed has no influence.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    /// The temperature.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The nucleus mass.
    #[must_use]
    pub fn top_p(&self) -> f64 {
        self.top_p
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Chooses tokens by one [`Sampling`].
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
}

impl Sampler {
    /// A sampler; it keeps no state between tokens.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling }
    }

    /// The token with number `index` of the answer, counted from 0. `logits` is `[vocabulary]`;
    /// an entry that is not a number is never chosen while another is.
    #[must_use]
    pub fn choose(&self, logits: &[f32], index: u64) -> u32 {
        if self.sampling.is_greedy() {
            return argmax(logits);
        }
        // Most likely first, equal logits by id: the order of additions below is fixed.
        let mut ranked: Vec<(f32, u32)> =
            logits.iter().copied().zip(0..).filter(|(logit, _)| !logit.is_nan()).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let Some((max, _)) = ranked.first().copied() else { return argmax(logits) };
        let weight =
            |logit: f32| libm::exp((f64::from(logit) - f64::from(max)) / self.sampling.temperature);
        let weights: Vec<f64> = ranked.iter().map(|(logit, _)| weight(*logit)).collect();
        let total: f64 = weights.iter().sum();

        let mut nucleus = 0.0;
        let mut kept = 0;
        for weight in &weights {
            nucleus += weight;
            kept += 1;
            if nucleus >= self.sampling.top_p * total {
                break;
            }
        }
        let mut left = uniform(self.sampling.seed, index) * nucleus;
        for ((_, id), weight) in ranked.iter().zip(&weights).take(kept) {
            left -= weight;
            if left < 0.0 {
                return *id;
            }
        }
        // Rounding may leave a grain; it belongs to the last token kept.
        ranked.get(kept - 1).map_or(0, |(_, id)| *id)
    }
}

/// The id of the largest logit, the lowest id among equals.
#[must_use]
pub fn argmax(logits: &[f32]) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (logit, id) in logits.iter().copied().zip(0_u32..) {
        if logit > best.0 {
            best = (logit, id);
        }
    }
    best.1
}

/// Natural logarithm of the probability of a token at temperature 1: `logit - log(sum(exp))`, in
/// f64 over ids in ascending order, then rounded to f32. Negative infinity for an unknown id.
#[must_use]
pub fn logprob(logits: &[f32], id: u32) -> f32 {
    let Some(logit) = logits.get(id as usize) else { return f32::NEG_INFINITY };
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| libm::exp(f64::from(*logit) - max)).sum();
    #[allow(clippy::cast_possible_truncation, reason = "f64 to f32 rounds to nearest")]
    let rounded = (f64::from(*logit) - max - libm::log(sum)) as f32;
    rounded
}

/// A number in [0, 1) with 53 random bits: output `index` of SplitMix64 started at `seed` (Steele,
/// Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
fn uniform(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    let numerator = (z >> 11) as f64;
    numerator / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(temperature: f64, top_p: f64, seed: u64) -> Sampler {
        Sampler::new(Sampling::new(temperature, top_p, seed).unwrap())
    }

    #[test]
    fn greedy_takes_the_lowest_id_among_equals() {
        assert_eq!(sampler(0.0, 1.0, 7).choose(&[1.0, 3.0, 3.0, f32::NAN], 0), 1);
    }

    #[test]
    fn draws_are_fixed_by_the_seed_and_spread_by_it() {
        let logits = [0.0, 0.5, 1.0, 1.5];
        let draw =
            |seed| (0..64).map(|i| sampler(1.0, 1.0, seed).choose(&logits, i)).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..4).all(|id| draw(1).contains(&id)));
    }

    #[test]
    fn a_small_nucleus_keeps_the_best_only() {
        let logits = [0.0, 2.0, 1.0];
        assert!((0..100).all(|i| sampler(1.0, 0.3, 9).choose(&logits, i) == 1));
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let logits = [0.0, (3.0_f32).ln()];
        let ones = (0..4000).filter(|i| sampler(1.0, 1.0, 3).choose(&logits, *i) == 1).count();
        assert!((2850..3150).contains(&ones), "{ones} of 4000, 3000 expected");
    }

    #[test]
    fn splitmix_gives_the_published_sequence() {
        // First output for seed 1234567, from the reference implementation's test vectors.
        assert_eq!(
            uniform(1_234_567, 0),
            (6_457_827_717_110_365_317_u64 >> 11) as f64 / 2_f64.powi(53)
        );
    }

    #[test]
    fn logprobs_sum_to_one() {
        let logits = [0.1, -3.0, 2.5, 0.0];
        let sum: f64 = (0..4).map(|id| f64::from(logprob(&logits, id)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(logprob(&logits, 9), f32::NEG_INFINITY);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (temperature, top_p) in
            [(-0.1, 1.0), (2.1, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, 1.1)]
        {
            assert!(Sampling::new(temperature, top_p, 0).is_err());
        }
    }
}
