"""Trains the two digit classifiers and writes them, with their probes and inputs.

Everything is made in memory first, as a map from path to bytes, so that the same
code can either write the folder or prove that the folder is what it would write:

    python recipe.py            writes the files beside this script
    python recipe.py --check    writes nothing; fails if any file would differ

The split is by position, without shuffling: images 0..1256 of `load_digits` may be
trained on, images 1257..1796 are held out and only ever measured on.
"""

import os

# Threads, and the kernels OpenBLAS picks for a processor, change the order of
# floating-point sums and so the trained bits. One thread and one set of kernels, which
# every x86-64 with AVX2 can run. Read when the numeric libraries load, hence up here.
os.environ["OPENBLAS_CORETYPE"] = "Haswell"
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20
HELD_OUT_FROM = 1257
# Few enough images that version 1 is visibly the weaker one, enough to see every digit.
V1_TRAINING_IMAGES = 100
PIXEL_MAX = 16.0
# Wide enough for any runtime's order of summation, far too tight for a wrong model.
TOLERANCE = {"absolute_micros": 1000, "relative_ppm": 1000}
DIGIT_WORDS = "zero one two three four five six seven eight nine".split()
DATASET = (
    "Optical Recognition of Handwritten Digits (UCI, E. Alpaydin and C. Kaynak, 1998), "
    "the 1797 images of scikit-learn load_digits"
)


def train_v1(images, labels):
    """Fits a linear softmax classifier on the first few images. Returns its layers."""
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000)
    model.fit(images[:V1_TRAINING_IMAGES], labels[:V1_TRAINING_IMAGES])
    return [(model.coef_.T, model.intercept_)]


def train_v2(images, labels):
    """Fits one hidden layer of 64 on all the training images. Returns its layers."""
    model = MLPClassifier(
        hidden_layer_sizes=(64,),
        activation="relu",
        solver="adam",
        alpha=1e-3,
        batch_size=32,
        max_iter=60,
        # No loss improves by less than this for ever, so all 60 epochs always run.
        n_iter_no_change=60,
        random_state=SEED,
    )
    # 60 epochs is the intent; the warning that the optimum was not reached is no news.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(images, labels)
    return list(zip(model.coefs_, model.intercepts_))


def build_model(layers, version, metadata):
    """Writes the layers as an ONNX graph that takes raw pixels, 0..16."""
    constants = [numpy_helper.from_array(np.array(PIXEL_MAX, np.float32), "pixel_max")]
    nodes = [helper.make_node("Div", ["image", "pixel_max"], ["scaled"], "scale")]
    current = "scaled"
    for i, (weights, bias) in enumerate(layers):
        last = i == len(layers) - 1
        weight_name, bias_name = f"dense{i}.weight", f"dense{i}.bias"
        constants.append(numpy_helper.from_array(weights.astype(np.float32), weight_name))
        constants.append(numpy_helper.from_array(bias.astype(np.float32), bias_name))
        out = "logits" if last else f"dense{i}.out"
        nodes.append(helper.make_node("Gemm", [current, weight_name, bias_name], [out], f"dense{i}"))
        current = out
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"relu{i}.out"], f"relu{i}"))
            current = f"relu{i}.out"
    nodes.append(helper.make_node("ArgMax", ["logits"], ["label"], "label", axis=1, keepdims=0))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], "probabilities", axis=1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 64])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10]),
        ],
        constants,
    )
    model = helper.make_model(
        graph,
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
        producer_name="sedge",
        model_version=version,
        doc_string="Classifies an 8x8 image of a handwritten digit; pixels are 0..16, row by row.",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def run_model(model_bytes, images):
    """Runs the model in ONNX Runtime on one thread. Returns labels and probabilities."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], {"image": images.astype(np.float32)})


def measured_model(layers, version, training, held_out):
    """Builds the model, measures the ONNX form on the held-out images, and says so inside."""
    images, labels = held_out
    predicted, _ = run_model(build_model(layers, version, {}), images)
    right = int((predicted == labels).sum())
    metadata = {
        "accuracy": f"{right / len(labels):.4f}",
        "accuracy_correct": f"{right}/{len(labels)}",
        "accuracy_split": "held out: load_digits images 1257..1796, in order",
        "dataset": DATASET,
        "dataset_license": "CC BY 4.0",
        "training": training,
    }
    return build_model(layers, version, metadata)


def tensor(name, datatype, values):
    """One tensor as the Open Inference Protocol v2 writes it."""
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": values.ravel().tolist()}


def input_tensor(image):
    """One image of whole pixel values, so that the file shows the drawing."""
    return tensor("image", "FP32", image.reshape(1, 64).astype(int))


def probe(name, image, label, probabilities):
    """One input with the outputs the model must give. Probabilities are kept to six decimals."""
    rounded = np.round(probabilities.astype(np.float64), 6)
    return {
        "name": name,
        "inputs": [input_tensor(image)],
        "outputs": [tensor("label", "INT64", label), tensor("probabilities", "FP32", rounded)],
        "tolerance": TOLERANCE,
    }


def layout(value, indent=""):
    """JSON text with a list of numbers on one line, or eight a line where it is an image."""
    deeper = indent + "  "
    if isinstance(value, dict):
        fields = [f"{deeper}{json.dumps(k)}: {layout(v, deeper)}" for k, v in value.items()]
        return "{\n" + ",\n".join(fields) + "\n" + indent + "}"
    if isinstance(value, list) and isinstance(value[0], dict):
        return "[\n" + ",\n".join(deeper + layout(v, deeper) for v in value) + "\n" + indent + "]"
    if isinstance(value, list) and len(value) == 64:
        rows = [", ".join(f"{pixel:2}" for pixel in value[i : i + 8]) for i in range(0, 64, 8)]
        return "[\n" + ",\n".join(deeper + row for row in rows) + "\n" + indent + "]"
    return json.dumps(value)


def to_json(value):
    """Encodes so that a person can see the digit in the pixels."""
    text = layout(value)
    assert json.loads(text) == value, "laying the text out does not change what it says"
    return (text + "\n").encode()


def choose_images(v1, v2, images, labels):
    """Picks three held-out images: two that both versions read, and one only version 2 reads.

    The last is the first image where version 1 is wrong and version 2 right, both with
    a clear margin, so that no runtime's rounding can turn the label round.
    """
    (label1, prob1), (label2, prob2) = run_model(v1, images), run_model(v2, images)
    sure = (prob1.max(1) > 0.6) & (prob2.max(1) > 0.9)
    both = sure & (label1 == labels) & (label2 == labels)
    only_v2 = sure & (label1 != labels) & (label2 == labels)
    three = int(np.flatnonzero(both & (labels == 3))[0])
    seven = int(np.flatnonzero(both & (labels == 7))[0])
    hard = int(np.flatnonzero(only_v2)[0])
    return {"a": (three, ""), "b": (seven, ""), "c": (hard, "-hard")}


def make_files():
    """Makes every file this recipe is answerable for, as a map from path to bytes."""
    digits = load_digits()
    # Training sees what the graph computes after its Div, so the weights fit raw pixels.
    training = (digits.data[:HELD_OUT_FROM] / PIXEL_MAX, digits.target[:HELD_OUT_FROM])
    images, labels = held_out = (digits.data[HELD_OUT_FROM:], digits.target[HELD_OUT_FROM:])
    note1 = f"multinomial logistic regression (L2, C=1) on load_digits images 0..{V1_TRAINING_IMAGES - 1}"
    note2 = f"64-64-10 Relu network, Adam, 60 epochs, seed {SEED}, on load_digits images 0..{HELD_OUT_FROM - 1}"
    v1 = measured_model(train_v1(*training), 1, note1, held_out)
    v2 = measured_model(train_v2(*training), 2, note2, held_out)
    files = {"digits-1.0.0.onnx": v1, "digits-2.0.0.onnx": v2}

    for letter, (at, suffix) in choose_images(v1, v2, images, labels).items():
        image, word = images[at : at + 1], DIGIT_WORDS[labels[at]]
        files[f"inputs/{word}{suffix}.json"] = to_json({"inputs": [input_tensor(image)]})
        told = f"true-{word}.image-{HELD_OUT_FROM + at}"
        for version, model in (("1.0.0", v1), ("2.0.0", v2)):
            name = f"digits-{version}.probe-{letter}"
            made = probe(f"{name}.{told}", image, *run_model(model, image))
            files[f"probes/{name}.json"] = to_json(made)
        if letter == "a":
            # Version 2's answer with every digit moved on by one: a 3 is expected to be a 4.
            label, probabilities = run_model(v2, image)
            wrong = probe(
                f"digits-3.0.0.bad-probe.{told}.expects-{DIGIT_WORDS[(label[0] + 1) % 10]}",
                image,
                (label + 1) % 10,
                np.roll(probabilities, 1, axis=1),
            )
            files["digits-3.0.0-bad-probe/digits-3.0.0.bad-probe.json"] = to_json(wrong)
    return files


def main():
    """Writes the files, or with `--check` compares them with those in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the folder, write nothing")
    check = parser.parse_args().check
    differing = []
    for path, content in sorted(make_files().items()):
        target = HERE / path
        same = target.is_file() and target.read_bytes() == content
        if check and not same:
            differing.append(path)
        elif not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        print(f"{'same' if same else 'differs' if check else 'written'} {len(content):6} {path}")
    sys.exit(f"{len(differing)} files differ from what the recipe makes" if differing else 0)


if __name__ == "__main__":
    main()
