"""Reads a GGUF of this folder and computes with it, in NumPy, by its metadata alone.

Shares no code with the training: what agrees with both is what the file means.
"""

import gguf
import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

# What the pre-tokenizer named `qwen2` splits at.
QWEN2 = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Model:
    """One opened file."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.facts = {key: field.contents() for key, field in reader.fields.items()}
        self.kinds = {t.name: t.tensor_type.name for t in reader.tensors}
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
        self.tokenizer = self.read_tokenizer()

    def read_tokenizer(self):
        """Builds the tokenizer as a reader of the file would."""
        facts = self.facts
        assert facts["tokenizer.ggml.model"] == "gpt2" and facts["tokenizer.ggml.pre"] == "qwen2"
        ids = {token: at for at, token in enumerate(facts["tokenizer.ggml.tokens"])}
        merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
        tokenizer = Tokenizer(models.BPE(ids, merges))
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2), "isolated")
        spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, spelled])
        tokenizer.decoder = decoders.ByteLevel()
        end = facts["tokenizer.ggml.tokens"][facts["tokenizer.ggml.eos_token_id"]]
        tokenizer.add_special_tokens([AddedToken(end, special=True)])
        return tokenizer

    def normed(self, x, name):
        """Root-mean-square norm with the gain of that name."""
        epsilon = self.facts["llama.attention.layer_norm_rms_epsilon"]
        return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + epsilon) * self.tensors[name]

    def turned(self, x):
        """Rotary positions on `[place, head, size]`: neighbours are one complex number."""
        size = self.facts["llama.rope.dimension_count"]
        speeds = self.facts["llama.rope.freq_base"] ** (-2.0 * np.arange(size // 2) / size)
        turns = np.exp(1j * np.outer(np.arange(len(x)), speeds))[:, None, :]
        pairs = x.reshape(*x.shape[:2], -1, 2)
        product = (pairs[..., 0] + 1j * pairs[..., 1]) * turns
        return np.stack([product.real, product.imag], -1).reshape(x.shape)

    def attention(self, x, block):
        """Causal attention with shared key and value heads."""
        heads = self.facts["llama.attention.head_count"]
        shared = heads // self.facts["llama.attention.head_count_kv"]
        size = self.facts["llama.embedding_length"] // heads
        q, k, v = (
            (x @ self.tensors[f"blk.{block}.attn_{n}.weight"].T).reshape(len(x), -1, size) for n in "qkv"
        )
        q, k = self.turned(q), self.turned(k)
        hidden = np.triu(np.ones((len(x), len(x)), bool), 1)
        mixed = []
        for head in range(heads):
            scores = q[:, head] @ k[:, head // shared].T / np.sqrt(size)
            scores[hidden] = -np.inf
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            mixed.append(shares / shares.sum(-1, keepdims=True) @ v[:, head // shared])
        return np.concatenate(mixed, -1) @ self.tensors[f"blk.{block}.attn_output.weight"].T

    def logits(self, ids):
        """`[place]` of tokens to `[place, vocabulary]`."""
        t = self.tensors
        x = t["token_embd.weight"][ids].astype(np.float64)
        for block in range(self.facts["llama.block_count"]):
            x = x + self.attention(self.normed(x, f"blk.{block}.attn_norm.weight"), block)
            y = self.normed(x, f"blk.{block}.ffn_norm.weight")
            gate = y @ t[f"blk.{block}.ffn_gate.weight"].T
            y = gate / (1 + np.exp(-gate)) * (y @ t[f"blk.{block}.ffn_up.weight"].T)
            x = x + y @ t[f"blk.{block}.ffn_down.weight"].T
        return self.normed(x, "output_norm.weight") @ t["token_embd.weight"].T

    def continued(self, prompt, tokens, choose=np.argmax):
        """Continues a prompt. Returns the text after it up to each token, and each token's lead.

        The lead is by how much the best logit exceeds the second.
        """
        ids = self.tokenizer.encode(prompt).ids
        given, texts, leads = len(ids), [], []
        for _ in range(tokens):
            scores = self.logits(ids[-self.facts["llama.context_length"] :])[-1]
            second, best = np.sort(scores)[-2:]
            ids.append(int(choose(scores)))
            if ids[-1] == self.facts["tokenizer.ggml.eos_token_id"]:
                break
            texts.append(self.tokenizer.decode(ids[given:]))
            leads.append(float(best - second))
        return texts, leads
