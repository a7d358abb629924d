"""Writes the files of this directory with PyPI's gguf, and what its own reader says of them.

    python3 -m venv /tmp/gguf && /tmp/gguf/bin/pip install gguf==0.19.0 && /tmp/gguf/bin/python make.py

Small networks of one architecture each, weights from a fixed seed. `facts.txt` holds, for every file, one line of what
GGUFReader tells, for the Rust reader to be held against.
"""

import os
import sys

import numpy as np
import gguf
from gguf import GGMLQuantizationType as T, LlamaFileType as F

HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, arch, quant, file_type, *, embedding=256, heads=4, kv=2, layers=2, vocab=24, extra=None, version=3,
          alignment=None, head_type=None, tie=False, key=None):
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(os.path.join(HERE, name), arch)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_name(f"{arch} in {quant.name}")
    writer.add_license("CC0-1.0")
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(embedding)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab)
    if file_type is not None:
        writer.add_file_type(file_type)
    if key:
        writer.add_key_length(key)
        writer.add_value_length(key)
    if extra:
        extra(writer)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{n}é" for n in range(vocab)])
    writer.add_token_types([1] * vocab)
    writer.add_token_merges(["t 1", "t 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def matrix(label, rows, columns, kind):
        values = rng.standard_normal((rows, columns), dtype=np.float32)
        try:
            data = gguf.quants.quantize(values, kind)
        except NotImplementedError:
            # PyPI's gguf reads these types and does not make them: bytes of the right number do for a header.
            block, size = gguf.GGML_QUANT_SIZES[kind]
            data = rng.integers(0, 255, (rows, columns // block * size), dtype=np.uint8)
        writer.add_tensor(label, data, raw_dtype=kind)

    def norm(label):
        writer.add_tensor(label, np.ones(embedding, dtype=np.float32))

    wide = key or embedding // heads
    matrix("token_embd.weight", vocab, embedding, head_type or quant)
    for layer in range(layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm.weight")
        matrix(f"{block}.attn_q.weight", heads * wide, embedding, quant)
        matrix(f"{block}.attn_k.weight", kv * wide, embedding, quant)
        matrix(f"{block}.attn_v.weight", kv * wide, embedding, head_type or quant)
        if heads * wide % gguf.GGML_QUANT_SIZES[quant][0] == 0:
            matrix(f"{block}.attn_output.weight", embedding, heads * wide, quant)
    norm("output_norm.weight")
    if not tie:
        matrix("output.weight", vocab, embedding, head_type or quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if version != 3:
        with open(os.path.join(HERE, name), "r+b") as file:
            file.seek(4)
            file.write(version.to_bytes(4, "little"))


def facts(name):
    reader = gguf.GGUFReader(os.path.join(HERE, name))
    arch = reader.get_field("general.architecture").contents()
    of = lambda key: reader.get_field(f"{arch}.{key}").contents()
    tensors = reader.tensors
    padded = sum((int(t.n_bytes) + reader.alignment - 1) // reader.alignment * reader.alignment for t in tensors)
    types = sorted({t.tensor_type.name for t in tensors})
    version = reader.get_field("GGUF.version").contents()
    said = reader.get_field("general.file_type")
    fields = {
        "version": version,
        "architecture": arch,
        "alignment": reader.alignment,
        "data_offset": reader.data_offset,
        "tensors": len(tensors),
        "parameters": sum(int(t.n_elements) for t in tensors),
        "unpadded": sum(int(t.n_bytes) for t in tensors),
        "weight_bytes": padded,
        "last": int(tensors[-1].data_offset),
        "types": "+".join(types),
        "quantization": gguf.LlamaFileType(said.contents()).name.removeprefix("MOSTLY_").removeprefix("ALL_") if said else "-",
        "layers": of("block_count"),
        "heads": of("attention.head_count"),
        "kv_heads": of("attention.head_count_kv"),
        "context": of("context_length"),
        "embedding": of("embedding_length"),
        "vocabulary": len(reader.get_field("tokenizer.ggml.tokens").contents()),
        "merges": len(reader.get_field("tokenizer.ggml.merges").contents()),
    }
    return name + " " + " ".join(f"{key}={value}" for key, value in fields.items())


def main():
    write("llama-f32.gguf", "llama", T.F32, F.ALL_F32, embedding=32)
    write("llama-f16-v2.gguf", "llama", T.F16, F.MOSTLY_F16, embedding=32, version=2)
    write("llama-bf16.gguf", "llama", T.BF16, F.MOSTLY_BF16, embedding=32)
    write("llama-q8_0-aligned-to-64.gguf", "llama", T.Q8_0, F.MOSTLY_Q8_0, embedding=32, alignment=64)
    write("qwen2-q4_0.gguf", "qwen2", T.Q4_0, F.MOSTLY_Q4_0, embedding=32, tie=True)
    write("qwen3-q5_1.gguf", "qwen3", T.Q5_1, F.MOSTLY_Q5_1, embedding=32)
    write("llama-q4_k_m.gguf", "llama", T.Q4_K, F.MOSTLY_Q4_K_M, layers=1, vocab=8, heads=4, kv=1, key=16, head_type=T.Q6_K)
    write("llama-q6_k.gguf", "llama", T.Q6_K, F.MOSTLY_Q6_K, layers=1, vocab=8, heads=4, kv=1, key=16, tie=True)
    write("llama-iq4_xs-undeclared.gguf", "llama", T.IQ4_XS, None, layers=1, vocab=8, heads=2, kv=1, key=16, tie=True)
    write("gemma3-q8_0.gguf", "gemma3", T.Q8_0, F.MOSTLY_Q8_0, embedding=32, layers=7, vocab=8, tie=True,
          key=16, extra=lambda w: w.add_sliding_window(128))
    names = sorted(name for name in os.listdir(HERE) if name.endswith(".gguf"))
    with open(os.path.join(HERE, "facts.txt"), "w") as out:
        out.write("\n".join(facts(name) for name in names) + "\n")


sys.exit(main())
