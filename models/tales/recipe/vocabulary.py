"""The tokenizer: byte-level BPE, trained on the corpus.

    python vocabulary.py WORK       reads WORK/corpus.json, writes WORK/tokenizer.json and WORK/tokens.npz

The pre-tokenizer is the one that GGUF readers know as `qwen2`: it puts no space before a
prompt, so the model sees what was typed.
"""

import json
import pathlib
import sys

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

VOCABULARY = 2048
END = "<|end|>"
PRE = "qwen2"
PRE_PATTERN = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(books):
    """Learns the merges. The alphabet is all 256 bytes, so that no text is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((p + "\n" for book in books for p in book["learn"]), trainer)
    return tokenizer


def encode(tokenizer, books, part):
    """One stream of tokens: paragraphs end in a newline, books in the end token."""
    end = tokenizer.token_to_id(END)
    ids = []
    for book in books:
        ids += tokenizer.encode("\n".join(book[part]) + "\n").ids + [end]
    return np.array(ids, np.uint16)


def main():
    """Writes the tokenizer and both streams of tokens."""
    work = pathlib.Path(sys.argv[1])
    books = json.loads((work / "corpus.json").read_text())
    tokenizer = train(books)
    tokenizer.save(str(work / "tokenizer.json"))
    streams = {part: encode(tokenizer, books, part) for part in ("learn", "held_out")}
    np.savez(work / "tokens.npz", **streams)
    print({part: len(ids) for part, ids in streams.items()})


if __name__ == "__main__":
    main()
