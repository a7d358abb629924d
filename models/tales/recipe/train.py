"""Trains the model.

    python train.py WORK        reads WORK/tokens.npz, writes WORK/step-N.npz at each version's step

A run that stopped goes on from WORK/state.pickle. The matrices of the blocks are stepped by
Muon (momentum made orthogonal by a few Newton-Schulz rounds), the rest by Adam. What is kept
is a running mean of the weights, which is smoother than any single step's.
"""

import functools
import os
import pathlib
import pickle
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import model

SEED = 20
# Which step's weights are which version; the last is the end of the run.
VERSIONS = {"1.0.0": 1300, "1.1.0": 1650}
BATCH = 8
# The rate, as a part of the full rates, in lines between these (step, part).
RATE = ((0, 0.0), (50, 1.0), (910, 1.0), (1300, 0.77), (1650, 0.0))
MUON_RATE, ADAM_RATE = 0.02, 0.004
MUON_MOMENTUM, ADAM_MOMENTUM, ADAM_SQUARES = 0.95, 0.9, 0.98
DECAY = 0.1
MEAN_KEEPS = 0.99
MEASURE_EVERY, SAVE_EVERY = 100, 20


def orthogonal(m):
    """Brings all singular values of a stack of matrices near one."""
    tall = m.shape[1] > m.shape[2]
    x = jnp.swapaxes(m, 1, 2) if tall else m
    x = x / (jnp.linalg.norm(x, axis=(1, 2), keepdims=True) + 1e-7)
    for _ in range(5):
        square = x @ jnp.swapaxes(x, 1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return jnp.swapaxes(x, 1, 2) if tall else x


@functools.partial(jax.jit, donate_argnums=0)
def step(state, tokens, rate):
    """One step on one batch. `rate` is a part of the full rates. Returns state and loss."""
    w, first, second, mean, n = (state[k] for k in ("w", "first", "second", "mean", "n"))
    n = n + 1
    found, slope = jax.value_and_grad(model.loss)(w, tokens)
    keep = jnp.minimum(MEAN_KEEPS, n / (n + 9.0))
    new = {k: {} for k in ("w", "first", "second", "mean")}
    for name, g in slope.items():
        if name in model.SHAPES:
            momentum = MUON_MOMENTUM * first[name] + g
            outputs, inputs = model.SHAPES[name]
            move = orthogonal(g + MUON_MOMENTUM * momentum) * max(1.0, outputs / inputs) ** 0.5
            move = MUON_RATE * (move + DECAY * w[name])
            squares = second[name]
        else:
            momentum = ADAM_MOMENTUM * first[name] + (1 - ADAM_MOMENTUM) * g
            squares = ADAM_SQUARES * second[name] + (1 - ADAM_SQUARES) * g * g
            move = momentum / (1 - ADAM_MOMENTUM**n)
            move = ADAM_RATE * move / (jnp.sqrt(squares / (1 - ADAM_SQUARES**n)) + 1e-8)
        new["w"][name] = w[name] - rate * move
        new["first"][name], new["second"][name] = momentum, squares
        new["mean"][name] = keep * mean[name] + (1 - keep) * new["w"][name]
    return {**new, "n": n}, found


def batch(stream, at):
    """Windows at random places, the same for the same seed and step."""
    starts = np.random.default_rng((SEED, at)).integers(0, len(stream) - model.CONTEXT - 1, BATCH)
    return np.stack([stream[s : s + model.CONTEXT + 1] for s in starts]).astype(np.int32)


def held_out_loss(w, stream):
    """The loss on all the held-out text, in windows side by side."""
    wide = model.CONTEXT + 1
    windows = stream[: len(stream) // wide * wide].reshape(-1, wide).astype(np.int32)
    parts = [windows[i : i + BATCH] for i in range(0, len(windows) // BATCH * BATCH, BATCH)]
    return float(np.mean([measured(w, part) for part in parts]))


measured = jax.jit(model.loss)


def begin(work):
    """The state of the run: where it stopped, or at its start."""
    saved = work / "state.pickle"
    if saved.is_file():
        return jax.tree.map(jnp.asarray, pickle.loads(saved.read_bytes()))
    w = model.initial(SEED)
    zeros = jax.tree.map(jnp.zeros_like, w)
    copy = jax.tree.map(jnp.copy, (zeros, zeros, w))
    return {"w": w, "first": copy[0], "second": copy[1], "mean": copy[2], "n": jnp.zeros((), jnp.float32)}


def main():
    """Runs to the end, saying the losses as it goes."""
    work = pathlib.Path(sys.argv[1])
    steps = max(VERSIONS.values())
    streams = np.load(work / "tokens.npz")
    learn, held_out = streams["learn"], streams["held_out"]
    state = begin(work)
    began, lately = time.monotonic(), []
    for at in range(int(state["n"]), steps):
        state, found = step(state, batch(learn, at), np.interp(at + 1, *zip(*RATE)))
        lately.append(float(found))
        done = at + 1
        if done % MEASURE_EVERY == 0 or done == steps:
            kept = held_out_loss(state["mean"], held_out)
            seconds = time.monotonic() - began
            print(f"step {done} learnt {np.mean(lately):.4f} held out {kept:.4f} after {seconds:.0f} s", flush=True)
            lately = []
        if done in VERSIONS.values():
            np.savez(work / f"step-{done}.npz", **{k: np.asarray(v) for k, v in state["mean"].items()})
        if done % SAVE_EVERY == 0:
            (work / "state.new").write_bytes(pickle.dumps(jax.tree.map(np.asarray, state)))
            os.replace(work / "state.new", work / "state.pickle")


if __name__ == "__main__":
    main()
