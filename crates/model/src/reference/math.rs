//! The arithmetic of the engine. Each function has one order of operations, which is part of the
//! transcript format: a change here changes model output, and old transcripts no longer verify.

/// Partial sums per dot product. Sixteen fill four SSE registers or one AVX-512 register, so the
/// compiler can vectorise the loop for any machine without changing the order.
const LANES: usize = 16;

/// Element `i` goes to lane `i % 16`; the lanes are then added pairwise: 0+8, 1+9, ..., then
/// 0+4, ..., then 0+2, 1+3, then 0+1.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += x * y;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `out[t] = matrix * inputs[t]` for several inputs at once, so that each row of the matrix is
/// fetched once. `matrix` is row-major `[rows, width]`, `inputs` is `[n, width]`, `out` is
/// `[n, rows]`. Every element is one [`dot`], so `n` cannot influence the result.
pub(super) fn matmul(out: &mut [f32], matrix: &[f32], inputs: &[f32], width: usize) {
    let rows = matrix.len() / width;
    for (r, row) in matrix.chunks_exact(width).enumerate() {
        for (input, result) in inputs.chunks_exact(width).zip(out.chunks_exact_mut(rows)) {
            if let Some(cell) = result.get_mut(r) {
                *cell = dot(row, input);
            }
        }
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` (Zhang and Sennrich, arXiv 1910.07467).
pub(super) fn rms_norm(out: &mut [f32], x: &[f32], weight: &[f32], epsilon: f32) {
    #[allow(clippy::cast_precision_loss, reason = "a width is far below 2^24")]
    let mean = dot(x, x) / x.len() as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

/// Rotates the pairs (0,1), (2,3), ... of one head by the angles of its position.
pub(super) fn rotate(head: &mut [f32], cos_sin: &[(f32, f32)]) {
    for ([even, odd], (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos_sin) {
        let (x, y) = (*even, *odd);
        *even = x * cos - y * sin;
        *odd = x * sin + y * cos;
    }
}

/// Softmax in place: subtract the maximum, exponentiate, add up from first to last, divide.
pub(super) fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = libm::expf(*x - max);
        sum += *x;
    }
    for x in x.iter_mut() {
        *x /= sum;
    }
}

/// `gate * sigmoid(gate) * up`, into `gate` (SwiGLU: Shazeer, arXiv 2002.05202).
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + libm::expf(-*gate)) * up;
    }
}

/// `x += y`.
pub(super) fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// `x += factor * y`.
pub(super) fn add_scaled(x: &mut [f32], factor: f32, y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += factor * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn dot_keeps_its_order_and_its_bits() {
        // The written-out definition, one element at a time.
        let (a, b) = (numbers(107, 1), numbers(107, 2));
        let mut lanes = [0.0_f32; 16];
        for i in 0..107 {
            lanes[i % 16] += a[i] * b[i];
        }
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        assert_eq!(dot(&a, &b).to_bits(), lanes[0].to_bits());
        // The same on every machine: a change of these bits breaks old transcripts.
        assert_eq!(dot(&a, &b).to_bits(), GOLDEN_DOT);
    }

    const GOLDEN_DOT: u32 = 1_041_158_602;

    #[test]
    fn matmul_is_independent_of_the_number_of_inputs() {
        let (matrix, inputs) = (numbers(5 * 37, 3), numbers(4 * 37, 4));
        let mut together = vec![0.0; 4 * 5];
        matmul(&mut together, &matrix, &inputs, 37);
        for (one, expected) in inputs.chunks(37).zip(together.chunks(5)) {
            let mut alone = vec![0.0; 5];
            matmul(&mut alone, &matrix, one, 37);
            assert_eq!(alone, expected);
        }
    }

    #[test]
    fn softmax_sums_to_one_and_survives_large_inputs() {
        let mut x = [1000.0, 1001.0, 999.0];
        softmax(&mut x);
        assert!((x.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(x[1] > x[0] && x[0] > x[2]);
    }

    #[test]
    fn rotation_keeps_lengths() {
        let mut head = [3.0, 4.0];
        rotate(&mut head, &[(0.6, 0.8)]);
        assert!((head[0].hypot(head[1]) - 5.0).abs() < 1e-6);
    }
}
