"""Checks the files of `..` against the claims made of them.

    python check.py             form, probes and samples, from the files alone
    python check.py WORK        also the held-out losses, with WORK/tokens.npz, and that JAX agrees

It trains nothing and fails on the first claim that does not hold.
"""

import json
import pathlib
import sys

import numpy as np

import reading

FOLDER = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = ("1.0.0", "1.1.0")
BYTES_MAX = 4 * 1024 * 1024


def open_checked(version):
    """Opens one version, after checking its form."""
    path = FOLDER / f"tales-{version}.gguf"
    assert path.stat().st_size <= BYTES_MAX, f"{path.name} is small"
    opened = reading.Model(path)
    facts = opened.facts
    assert path.read_bytes()[:8] == b"GGUF\x03\0\0\0"
    assert facts["general.architecture"] == "llama" and facts["general.version"] == version
    assert facts["general.license"] == "Apache-2.0"
    for name, values in opened.tensors.items():
        assert opened.kinds[name] == ("F32" if values.ndim == 1 else "Q8_0"), name
        assert np.isfinite(values).all(), name
    spelled = "“Déjà vu”, said Alice\n -- 3 times!"
    assert opened.tokenizer.decode(opened.tokenizer.encode(spelled).ids) == spelled
    weights = sum(values.size for values in opened.tensors.values())
    print(f"{path.name}: {path.stat().st_size} bytes, {weights} weights")
    return opened


def passes(opened, probe):
    """Whether a greedy continuation begins as the probe says. Also the least lead on the way there."""
    texts, leads = opened.continued(probe["prompt"], probe["max_tokens"])
    needed = next((at for at, text in enumerate(texts) if text.startswith(probe["text_prefix"])), None)
    return (False, None) if needed is None else (True, min(leads[: needed + 1]))


def check_probes(opened):
    """Every version passes its own probes, clearly, and the bad probe fails on each."""
    for version, of_version in opened.items():
        for probe in json.loads((FOLDER / f"probes/tales-{version}.json").read_text()):
            passed, lead = passes(of_version, probe)
            assert passed and lead >= 1.0, (probe["name"], passed, lead)
            print(f"{probe['name']}: {probe['prompt']!r} goes on {probe['text_prefix']!r}, least lead {lead:.2f}")
        for path in sorted((FOLDER / "tales-1.2.0-bad-probe").glob("*.json")):
            for probe in json.loads(path.read_text()):
                assert not passes(of_version, probe)[0], f"{path.name} is wrong"
                print(f"{probe['name']}: fails on purpose on {version}")


def drawn(seed, temperature):
    """A chooser that draws from the best forty tokens."""
    random = np.random.default_rng(seed)

    def choose(scores):
        best = np.argsort(scores)[-40:]
        shares = np.exp((scores[best] - scores[best].max()) / temperature)
        return random.choice(best, p=shares / shares.sum())

    return choose


def show_samples(opened):
    """What each version makes of the prompts; README.md quotes them."""
    stated = (FOLDER / "README.md").read_text()
    for path in sorted((FOLDER / "prompts").iterdir()):
        prompt = path.read_text()
        for version, of_version in opened.items():
            for how, choose in (("greedy", np.argmax), ("seed 7", drawn(7, 0.7))):
                text = of_version.continued(prompt, 48, choose)[0][-1]
                line = " / ".join(text.strip().splitlines())
                assert line in stated, f"README.md quotes {version}, {how}: {line}"
                print(f"{path.name}, {version}, {how}: {line}")


def check_losses(opened, work):
    """Measures the files on the held-out text, and the first windows in JAX too."""
    import model

    stream = np.load(work / "tokens.npz")["held_out"].astype(np.int32)
    wide = model.CONTEXT + 1
    windows = stream[: len(stream) // wide * wide].reshape(-1, wide)
    stated = (FOLDER / "README.md").read_text()
    for version, of_version in opened.items():
        losses = []
        for at, window in enumerate(windows):
            scores = of_version.logits(window[:-1])
            if at < 2:
                again = np.asarray(model.logits(stacked(of_version, model), window[None, :-1])[0])
                assert np.allclose(scores, again, atol=1e-3), "NumPy and JAX compute the same"
            scores = scores - scores.max(-1, keepdims=True)
            scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
            losses.append(-scores[np.arange(len(window) - 1), window[1:]].mean())
        measured = f"{np.mean(losses):.3f}"
        row = next(line for line in stated.splitlines() if line.startswith(f"| {version} "))
        assert measured in row, f"README.md states {measured} for {version}"
        print(f"tales-{version}.gguf: held-out loss {measured}")


def stacked(opened, model):
    """The file's weights in the form of model.py."""
    weights = {name: opened.tensors[f"{name}.weight"] for name in ("token_embd", "output_norm")}
    for name in (*model.SHAPES, *model.NORMS):
        weights[name] = np.stack([opened.tensors[f"blk.{b}.{name}.weight"] for b in range(model.BLOCKS)])
    return weights


def main():
    """Checks everything, in the order a reader would doubt it."""
    opened = {version: open_checked(version) for version in VERSIONS}
    check_probes(opened)
    show_samples(opened)
    if len(sys.argv) > 1:
        check_losses(opened, pathlib.Path(sys.argv[1]))
    print("every claim holds")


if __name__ == "__main__":
    main()
