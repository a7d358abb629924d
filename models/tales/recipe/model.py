"""The network: a llama of four blocks, in JAX, as GGUF readers compute it.

Weights are kept as GGUF keeps them, `[outputs, inputs]`, and those of all blocks are
stacked, block first. Rotary positions turn neighbours, elements 2i and 2i+1 of a head,
which is what the architecture name `llama` means in a GGUF.
"""

import jax
import jax.numpy as jnp
import numpy as np

BLOCKS = 4
WIDTH = 192
HEADS = 6
KV_HEADS = 2
HEAD = WIDTH // HEADS
HIDDEN = 512
VOCABULARY = 2048
CONTEXT = 256
ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-5

# One block's matrices, by the names GGUF gives them.
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (KV_HEADS * HEAD, WIDTH),
    "attn_v": (KV_HEADS * HEAD, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (HIDDEN, WIDTH),
    "ffn_up": (HIDDEN, WIDTH),
    "ffn_down": (WIDTH, HIDDEN),
}
NORMS = ("attn_norm", "ffn_norm")


def initial(seed):
    """Random weights. What a block adds starts at nothing, so the first steps are calm."""
    random = np.random.default_rng(seed)
    weights = {"token_embd": random.normal(0, 0.02, (VOCABULARY, WIDTH)), "output_norm": np.ones(WIDTH)}
    for name, (outputs, inputs) in SHAPES.items():
        scale = 0.0 if name in ("attn_output", "ffn_down") else inputs**-0.5
        weights[name] = random.normal(0, 1, (BLOCKS, outputs, inputs)) * scale
    for name in NORMS:
        weights[name] = np.ones((BLOCKS, WIDTH))
    return {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}


def normed(x, gain):
    """Root-mean-square norm."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + NORM_EPSILON) * gain


def turned(x):
    """Rotary positions on `[batch, place, head, HEAD]`."""
    turns = np.arange(x.shape[1])[:, None] * ROPE_BASE ** (-np.arange(0, HEAD, 2) / HEAD)
    cos, sin = (jnp.asarray(f(turns), jnp.float32)[:, None, :] for f in (np.cos, np.sin))
    even, odd = x[..., 0::2], x[..., 1::2]
    return jnp.stack([even * cos - odd * sin, even * sin + odd * cos], -1).reshape(x.shape)


def attention(x, w, at):
    """Causal attention; each key and value head serves HEADS // KV_HEADS query heads."""
    batch, length, _ = x.shape
    q, k, v = (
        (x @ w[name][at].T).reshape(batch, length, heads, HEAD)
        for name, heads in (("attn_q", HEADS), ("attn_k", KV_HEADS), ("attn_v", KV_HEADS))
    )
    q, k = turned(q), turned(k)
    k, v = (jnp.repeat(t, HEADS // KV_HEADS, 2) for t in (k, v))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * HEAD**-0.5
    seen = np.tril(np.ones((length, length), bool))
    shares = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), -1)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, v).reshape(batch, length, WIDTH)
    return mixed @ w["attn_output"][at].T


def logits(w, tokens):
    """`[batch, place]` of tokens to `[batch, place, VOCABULARY]`; the output matrix is the embedding."""
    x = w["token_embd"][tokens]
    for at in range(BLOCKS):
        x = x + attention(normed(x, w["attn_norm"][at]), w, at)
        y = normed(x, w["ffn_norm"][at])
        y = jax.nn.silu(y @ w["ffn_gate"][at].T) * (y @ w["ffn_up"][at].T)
        x = x + y @ w["ffn_down"][at].T
    return normed(x, w["output_norm"]) @ w["token_embd"].T


def loss(w, tokens):
    """Mean of -ln p(next token), in nats."""
    scores = jax.nn.log_softmax(logits(w, tokens[:, :-1]))
    return -jnp.mean(jnp.take_along_axis(scores, tokens[:, 1:, None], -1))
