"""The llama architecture in jax: RMSNorm, interleaved RoPE, grouped attention, SwiGLU, tied head."""

import jax
import jax.numpy as jnp
import numpy as np

from vocabulary import SIZE

DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN = 96, 4, 3, 1, 32, 224
ROPE_BASE, EPSILON = 10000.0, 1e-5


def init(seed: int) -> dict[str, jnp.ndarray]:
    """Weights by their GGUF names without the suffix, each [out, in]."""
    rng = np.random.default_rng(seed)
    shapes = {"token_embd": (SIZE, DIM)}
    for i in range(LAYERS):
        shapes |= {f"blk.{i}.attn_q": (HEADS * HEAD_DIM, DIM), f"blk.{i}.attn_k": (KV_HEADS * HEAD_DIM, DIM),
                   f"blk.{i}.attn_v": (KV_HEADS * HEAD_DIM, DIM), f"blk.{i}.attn_output": (DIM, HEADS * HEAD_DIM),
                   f"blk.{i}.ffn_gate": (FFN, DIM), f"blk.{i}.ffn_up": (FFN, DIM), f"blk.{i}.ffn_down": (DIM, FFN)}
    out = {}
    for name, shape in shapes.items():
        scale = 0.5 / np.sqrt(DIM) if name == "token_embd" else 1 / np.sqrt(shape[1])
        if name.endswith(("attn_output", "ffn_down")):
            scale /= np.sqrt(2 * LAYERS)
        out[name] = jnp.asarray(rng.normal(0, scale, shape), jnp.float32)
    for name in ["output_norm"] + [f"blk.{i}.{n}" for i in range(LAYERS) for n in ("attn_norm", "ffn_norm")]:
        out[name] = jnp.ones(DIM, jnp.float32)
    return out


def norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPSILON) * weight


def rope(x, cos, sin):
    """Rotates the pairs (0,1), (2,3), ... of each head. x: [batch, time, heads, head_dim]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def logits(w, ids):
    """[batch, time] token ids to [batch, time, vocabulary] logits."""
    batch, time = ids.shape
    angle = np.arange(time)[:, None] * ROPE_BASE ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)[None]
    cos, sin = np.cos(angle)[:, None, :].astype("f4"), np.sin(angle)[:, None, :].astype("f4")
    mask = np.tril(np.ones((time, time), bool))
    x = w["token_embd"][ids]
    for i in range(LAYERS):
        p = lambda name: w[f"blk.{i}.{name}"]
        h = norm(x, p("attn_norm"))
        q = rope((h @ p("attn_q").T).reshape(batch, time, HEADS, HEAD_DIM), cos, sin)
        k = rope((h @ p("attn_k").T).reshape(batch, time, KV_HEADS, HEAD_DIM), cos, sin)[:, :, 0]
        v = h @ p("attn_v").T
        score = jnp.einsum("bqhd,bkd->bhqk", q, k) / np.sqrt(HEAD_DIM)
        share = jax.nn.softmax(jnp.where(mask, score, -1e9), -1)
        x = x + jnp.einsum("bhqk,bkd->bqhd", share, v).reshape(batch, time, -1) @ p("attn_output").T
        h = norm(x, p("ffn_norm"))
        x = x + (jax.nn.silu(h @ p("ffn_gate").T) * (h @ p("ffn_up").T)) @ p("ffn_down").T
    return norm(x, w["output_norm"]) @ w["token_embd"].T


def loss(w, ids, weights):
    """Mean weighted cross entropy in nats; `weights` belong to the predicted tokens."""
    out = logits(w, ids[:, :-1])
    gold = jnp.take_along_axis(out, ids[:, 1:, None], -1)[..., 0]
    nats = jax.nn.logsumexp(out, -1) - gold
    return jnp.sum(nats * weights[:, 1:]) / jnp.maximum(jnp.sum(weights[:, 1:]), 1.0)
