"""Checks the files in this folder against the claims made of them, with ONNX Runtime.

It trains nothing and imports nothing from the recipe: what it reads is what a device
would be given. It fails on the first claim that does not hold.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).resolve().parent
HELD_OUT_FROM = 1257
MODEL_BYTES_MAX = 64 * 1024
VERSIONS = ("1.0.0", "2.0.0")
NUMPY_TYPES = {"FP32": np.float32, "INT64": np.int64}


def load_checked(version):
    """Opens one version, after checking its form. Returns the session and its stated facts."""
    path = HERE / f"digits-{version}.onnx"
    assert path.stat().st_size <= MODEL_BYTES_MAX, f"{path.name} is small"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8 and model.producer_name == "sedge"
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ports = [(p.name, p.type, p.shape) for p in session.get_inputs() + session.get_outputs()]
    assert ports == [
        ("image", "tensor(float)", ["N", 64]),
        ("label", "tensor(int64)", ["N"]),
        ("probabilities", "tensor(float)", ["N", 10]),
    ], ports
    return session, {prop.key: prop.value for prop in model.metadata_props}


def check_accuracy(version, session, facts):
    """Measures the held-out accuracy again; it must be what the model and README.md state."""
    digits = load_digits()
    images = digits.data[HELD_OUT_FROM:].astype(np.float32)
    labels = digits.target[HELD_OUT_FROM:]
    predicted, probabilities = session.run(["label", "probabilities"], {"image": images})
    right = int((predicted == labels).sum())
    measured = f"{right / len(labels):.4f}"
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5), "probabilities add up to one"
    assert facts["accuracy"] == measured and facts["accuracy_correct"] == f"{right}/{len(labels)}"
    row = next(l for l in (HERE / "README.md").read_text().splitlines() if l.startswith(f"| {version} "))
    assert measured in row and f"{right} of {len(labels)}" in row, f"README.md states {measured}"
    print(f"digits-{version}.onnx: {right} of {len(labels)} right, accuracy {measured}")
    return right


def read_tensor(stated):
    """Turns one Open Inference Protocol v2 tensor into an array."""
    return np.array(stated["data"], NUMPY_TYPES[stated["datatype"]]).reshape(stated["shape"])


def failures(session, probe):
    """Names the outputs that miss the probe's expectation by more than its tolerance."""
    given = {t["name"]: read_tensor(t) for t in probe["inputs"]}
    absolute = probe["tolerance"]["absolute_micros"] / 1e6
    relative = probe["tolerance"]["relative_ppm"] / 1e6
    missed = []
    for stated in probe["outputs"]:
        expected = read_tensor(stated).astype(np.float64)
        (actual,) = session.run([stated["name"]], given)
        slack = 0.0 if stated["datatype"] == "INT64" else absolute + relative * np.abs(expected)
        if actual.shape != expected.shape or (np.abs(actual - expected) > slack).any():
            missed.append(stated["name"])
    return missed


def check_probes(sessions):
    """Runs every probe: the valid ones hold for their own version alone, the bad one fails."""
    for path in sorted((HERE / "probes").iterdir()):
        probe = json.loads(path.read_text())
        own = next(v for v in VERSIONS if path.name.startswith(f"digits-{v}."))
        for version, session in sessions.items():
            missed = failures(session, probe)
            assert bool(missed) == (version != own), f"{path.name} on {version}: {missed}"
        label, probabilities = (read_tensor(t) for t in probe["outputs"])
        print(f"{probe['name']}: answers {label[0]}, probability {probabilities.max():.3f}")
    for path in sorted((HERE / "digits-3.0.0-bad-probe").glob("*.json")):
        missed = failures(sessions["2.0.0"], json.loads(path.read_text()))
        assert missed == ["label", "probabilities"], f"{path.name} is wrong in every output"
        print(f"{path.name}: fails on purpose, in {' and '.join(missed)}")


def check_inputs():
    """Each file of inputs is an image of the data set, with the label its name gives."""
    digits = load_digits()
    words = "zero one two three four five six seven eight nine".split()
    for path in sorted((HERE / "inputs").iterdir()):
        (stated,) = json.loads(path.read_text())["inputs"]
        (at,) = np.flatnonzero((digits.data == read_tensor(stated)).all(1))
        assert at >= HELD_OUT_FROM and words[digits.target[at]] == path.stem.split("-")[0]
        print(f"inputs/{path.name}: load_digits image {at}, a {digits.target[at]}")


def main():
    """Checks everything, in the order a reader would doubt it."""
    opened = {version: load_checked(version) for version in VERSIONS}
    right = [check_accuracy(version, *opened[version]) for version in VERSIONS]
    assert right[0] < right[1], "version 2 is the better one"
    check_inputs()
    check_probes({version: session for version, (session, _) in opened.items()})
    print("every claim holds")


if __name__ == "__main__":
    main()
