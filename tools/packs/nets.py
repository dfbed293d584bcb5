"""The three nets of the bundled pack, rebuilt in ONNX from their TF.js weights.

Architecture, read from the package's published sources:
  * detector: SSD with MobileNet v1, 512x512, 5118 prior boxes (Howard et al. 2017; Liu et al. 2016);
  * landmarks: four densely connected blocks of separable convolutions, 112x112 -> 68 points;
  * recognition: the ResNet of dlib (King 2017), 150x150 -> 128, scale and bias folded into the convolutions.
"""

import json
from pathlib import Path

import numpy as np

from graph import Graph

BATCH_NORM_EPSILON = 0.0010000000474974513
SSD_STRIDED_BLOCKS = (2, 4, 6, 12)


def read_weights(models: Path, name: str) -> dict[str, np.ndarray]:
    """A TF.js weights manifest, with its uint8 values turned back to float32 (scale * q + min)."""
    groups = json.loads((models / f"{name}-weights_manifest.json").read_text())
    weights = {}
    for group in groups:
        blob = b"".join((models / path).read_bytes() for path in group["paths"])
        at = 0
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"], dtype=np.int64)) if entry["shape"] else 1
            quantised = entry.get("quantization")
            kind = np.dtype(quantised["dtype"] if quantised else entry["dtype"])
            values = np.frombuffer(blob, kind, count, at)
            at += count * kind.itemsize
            if quantised:
                values = values.astype(np.float32) * np.float32(quantised["scale"]) + np.float32(quantised["min"])
            weights[entry["name"]] = values.reshape(entry["shape"]).astype(np.float32)
        if at != len(blob):
            raise SystemExit(f"{name}: {len(blob) - at} bytes of weights are left over; the file is not the expected one")
    return weights


def detector(w: dict[str, np.ndarray], path: Path) -> None:
    g = Graph("ssd-mobilenet-v1", 512, 512)

    def pointwise(x, prefix, stride=1):
        return g.relu6(g.conv(x, w[f"{prefix}/weights"], w[f"{prefix}/convolution_bn_offset"], stride))

    def depthwise(x, index, stride):
        prefix = f"MobilenetV1/Conv2d_{index}_depthwise"
        norm = {k: w[f"{prefix}/BatchNorm/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")}
        scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + BATCH_NORM_EPSILON)
        filters = w[f"{prefix}/depthwise_weights"] * scale[None, None, :, None]
        bias = norm["beta"] - norm["moving_mean"] * scale
        return g.relu6(g.conv(x, filters, bias, stride, depthwise=True))

    x = pointwise("input", "MobilenetV1/Conv2d_0_pointwise", 2)
    eleventh = None
    for i in range(1, 14):
        x = depthwise(x, i, 2 if i in SSD_STRIDED_BLOCKS else 1)
        x = pointwise(x, f"MobilenetV1/Conv2d_{i}_pointwise")
        if i == 11:
            eleventh = x
    features = [eleventh, x]
    for i in range(8):
        x = pointwise(x, f"Prediction/Conv2d_{i}_pointwise", 2 if i % 2 else 1)
        if i % 2:
            features.append(x)

    def head(x, index, which, width):
        prefix = f"Prediction/BoxPredictor_{index}/{which}"
        y = g.conv(x, w[f"{prefix}/weights"], w[f"{prefix}/biases"])
        y = g.node("Transpose", [y], None, perm=[0, 2, 3, 1])
        return g.node("Reshape", [y, g.constant(np.array([-1, width], dtype=np.int64))], None)

    boxes = g.node("Concat", [head(f, i, "BoxEncodingPredictor", 4) for i, f in enumerate(features)], None, axis=0)
    classes = g.node("Concat", [head(f, i, "ClassPredictor", 3) for i, f in enumerate(features)], None, axis=0)

    # Decode against the priors: centre in tenths, size in fifths of a log, all relative to the input side.
    priors = w["Output/extra_dim"][0].astype(np.float64)
    sizes = priors[:, 2:] - priors[:, :2]
    centres = priors[:, :2] + sizes / 2

    def columns(x, start, end):
        arrays = [np.array([v], dtype=np.int64) for v in (start, end, 1)]
        return g.node("Slice", [x, *(g.constant(a) for a in arrays)], None)

    def constant(values):
        return g.constant(np.asarray(values, dtype=np.float32))

    centre = g.node("Mul", [columns(boxes, 0, 2), constant(sizes / 10)], None)
    centre = g.node("Add", [centre, constant(centres)], None)
    half = g.node("Exp", [g.node("Mul", [columns(boxes, 2, 4), constant(0.2)], None)], None)
    half = g.node("Mul", [half, constant(sizes / 2)], None)
    low, high = g.node("Sub", [centre, half], None), g.node("Add", [centre, half], None)
    out = g.node("Concat", [low, high], None, axis=1)
    scores = g.node("Sigmoid", [columns(classes, 1, 2)], None)
    g.save(path, [(out, "boxes", [len(priors), 4]), (scores, "scores", [len(priors), 1])])


def landmarks(w: dict[str, np.ndarray], path: Path) -> None:
    g = Graph("landmarks-68", 112, 112)

    def separable(x, prefix, stride):
        depth, point = w[f"{prefix}/depthwise_filter"], w[f"{prefix}/pointwise_filter"]
        y = g.conv(x, depth, np.zeros(depth.shape[2]), stride, depthwise=True)
        return g.conv(y, point, w[f"{prefix}/bias"])

    x = "input"
    for block in range(4):
        prefix = f"dense{block}"
        if block == 0:
            first = g.conv(x, w[f"{prefix}/conv0/filters"], w[f"{prefix}/conv0/bias"], 2)
        else:
            first = separable(x, f"{prefix}/conv0", 2)
        total = g.relu(first)
        x = total
        for i in range(1, 4):
            total = g.add(total, separable(x, f"{prefix}/conv{i}", 1))
            x = g.relu(total)
    x = g.pool(x, "AveragePool", 7, 2)
    x = g.node("Reshape", [x, g.constant(np.array([1, -1], dtype=np.int64))], None)
    x = g.node("Gemm", [x, g.constant(w["fc/weights"]), g.constant(w["fc/bias"])], None)
    g.save(path, [(x, "points", [1, 136])])


def recognition(w: dict[str, np.ndarray], path: Path) -> None:
    g = Graph("dlib-resnet-128", 150, 150)

    def conv(x, prefix, stride=1, same=True):
        scale, shift = w[f"{prefix}/scale/weights"], w[f"{prefix}/scale/biases"]
        filters = w[f"{prefix}/conv/filters"] * scale
        return g.conv(x, filters, w[f"{prefix}/conv/bias"] * scale + shift, stride, same)

    def residual(x, prefix):
        y = g.relu(conv(x, f"{prefix}/conv1"))
        return g.relu(g.add(conv(y, f"{prefix}/conv2"), x))

    def residual_down(x, prefix):
        y = g.relu(conv(x, f"{prefix}/conv1", 2, same=False))
        y = conv(y, f"{prefix}/conv2")
        short = g.pool(x, "AveragePool", 2, 2)
        (c, h, ww), (sc, sh, sw) = g.sizes[y], g.sizes[short]
        y = g.pad(y, rows=sh - h, columns=sw - ww)
        return g.relu(g.add(g.pad(short, channels=c - sc), y))

    x = g.relu(conv("input", "conv32_down", 2, same=False))
    x = g.pool(x, "MaxPool", 3, 2)
    for name in ("conv32_1", "conv32_2", "conv32_3"):
        x = residual(x, name)
    for width, count in ((64, 3), (128, 2), (256, 2)):
        x = residual_down(x, f"conv{width}_down")
        for i in range(1, count + 1):
            x = residual(x, f"conv{width}_{i}")
    x = residual_down(x, "conv256_down_out")
    x = g.node("ReduceMean", [x], None, axes=[2, 3], keepdims=0)
    x = g.node("MatMul", [x, g.constant(w["fc"])], None)
    g.save(path, [(x, "embedding", [1, 128])])
