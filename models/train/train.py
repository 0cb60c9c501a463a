"""Generates the text, trains the vocabulary and the model, writes the GGUF files.

    python train.py --out ..            # the committed model
    python train.py --out DIR --steps 300   # a quick one
"""

import argparse
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np
from gguf import GGMLQuantizationType as Type

import chats
import export
import network
import vocabulary

SEED, CHATS, CONTEXT = 20, 40_000, 1024
# (every so many steps, chats per step, tokens per chat), the first that applies. Short windows
# learn the language cheaply; the long ones keep attention steady over the whole context, and come
# from the start, since the falling learning rate would leave them no effect at the end.
SHAPES = [(40, 3, 1024), (8, 6, 512), (1, 14, 208)]
RATE, WARMUP, DECAY = 4e-3, 60, 0.02


def windows(rng, ids, weights, starts, batch, length):
    """Stretches that begin where a chat begins, as every prompt does."""
    at = np.minimum(starts[rng.integers(0, len(starts), batch)], len(ids) - length - 1)
    take = at[:, None] + np.arange(length + 1)
    return jnp.asarray(ids[take]), jnp.asarray(weights[take])


def orthogonal(g):
    """The nearest matrix with equal singular values, by five Newton-Schulz steps (Muon)."""
    x = g / (jnp.linalg.norm(g) + 1e-7)
    if wide := x.shape[0] > x.shape[1]:
        x = x.T
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if wide else x) * 0.2 * np.sqrt(max(g.shape))


@jax.jit
def update(w, m, v, step, rate, ids, weights):
    """One step: Muon (Jordan et al. 2024) for the blocks' matrices, AdamW for the rest."""
    nats, grad = jax.value_and_grad(network.loss)(w, ids, weights)
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in grad.values()))
    grad = {k: g / jnp.maximum(size, 1.0) for k, g in grad.items()}
    m = {k: 0.9 * m[k] + 0.1 * g for k, g in grad.items()}
    v = {k: 0.98 * v[k] + 0.02 * g * g for k, g in grad.items()}
    fix1, fix2 = 1 - 0.9**step, 1 - 0.98**step
    out = {}
    for k, p in w.items():
        if k.startswith("blk.") and p.ndim == 2:
            out[k] = p - rate * (orthogonal(0.9 * m[k] + 0.1 * grad[k]) + DECAY * p)
        else:
            out[k] = p - rate * m[k] / fix1 / (jnp.sqrt(v[k] / fix2) + 1e-8)
    return out, m, v, nats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the .gguf files")
    parser.add_argument("--steps", type=int, default=1300)
    args = parser.parse_args()

    text = chats.chats(CHATS, SEED)
    tokenizer = vocabulary.train(text[:8000])
    coded = [vocabulary.encode(tokenizer, c) for c in text]
    ids = np.concatenate([np.asarray(i, np.int32) for i, _ in coded])
    weights = np.concatenate([np.asarray(w, np.float32) for _, w in coded])
    starts = np.cumsum([0] + [len(i) for i, _ in coded[:-1]])
    w = network.init(SEED)
    print(f"{len(ids)} tokens, {sum(p.size for p in w.values())} parameters", flush=True)

    rng = np.random.default_rng(SEED)
    m = v = {k: jnp.zeros_like(p) for k, p in w.items()}
    seen, mean, began = 0, 0.0, time.process_time()
    for step in range(1, args.steps + 1):
        batch, length = next(shape for every, *shape in SHAPES if step % every == 0)
        rate = RATE * min(step / WARMUP, 0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / args.steps)))
        w, m, v, nats = update(w, m, v, step, rate, *windows(rng, ids, weights, starts, batch, length))
        seen += batch * length
        mean = nats if step == 1 else 0.95 * mean + 0.05 * nats
        if step % 50 == 0:
            spent = time.process_time() - began
            print(f"step {step} loss {mean:.4f} tokens {seen} cpu {spent:.0f} s", flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    export.write(args.out / "capstan-tiny.gguf", w, tokenizer, CONTEXT, Type.F16)
    export.write(args.out / "capstan-tiny-q8_0.gguf", w, tokenizer, CONTEXT, Type.Q8_0)


if __name__ == "__main__":
    main()
