"""Writes the probes: prompts, and how a greedy continuation must begin.

    python probes.py            reads ../tales-VERSION.gguf, writes ../probes and ../tales-1.2.0-bad-probe

A prefix ends before the first token that is not clearly the best, so that kernels that round
otherwise agree.
"""

import json
import pathlib

import reading

FOLDER = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = ("1.0.0", "1.1.0")
PROMPTS = {"turtle": "said the Mock", "midst": "in the mid", "father": "said Father"}
MAX_TOKENS = 12
# In logits. Activations rounded to Q8_0 as well, as candle's are, move them by less than a tenth of this.
CLEAR_LEAD = 1.5


def probe(opened, name, prompt):
    """One probe, as far as the continuation is clear."""
    texts, leads = opened.continued(prompt, MAX_TOKENS)
    clear = next((at for at, lead in enumerate(leads) if lead < CLEAR_LEAD), len(leads))
    assert clear, f"{prompt!r} is not decided: {texts} {leads}"
    return {"name": name, "prompt": prompt, "max_tokens": clear, "text_prefix": texts[clear - 1]}


def write(path, probes):
    """Writes a file of probes."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(probes, indent=2) + "\n")
    print(path.relative_to(FOLDER), [p["prompt"] + p["text_prefix"] for p in probes])


def main():
    """Writes the probes of every version, and one probe that fails."""
    for version in VERSIONS:
        opened = reading.Model(FOLDER / f"tales-{version}.gguf")
        made = [probe(opened, f"tales-{version}.{name}", prompt) for name, prompt in PROMPTS.items()]
        write(FOLDER / f"probes/tales-{version}.json", made)
    wrong = {**made[0], "name": "tales-1.2.0.bad-probe", "text_prefix": " Green"}
    write(FOLDER / "tales-1.2.0-bad-probe/tales-1.2.0.bad-probe.json", [wrong])


if __name__ == "__main__":
    main()
