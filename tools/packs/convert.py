#!/usr/bin/env python3
"""Makes the bundled model pack: TF.js weights from an npm package, once, into ONNX.

    .venv/bin/python tools/packs/convert.py --package node_modules/@vladmandic/face-api

Writes build/packs/bundled/ (three nets and manifest.toml) and build/onnxruntime/libonnxruntime.so (out of
the installed onnxruntime wheel). The same inputs give the same bytes. Does nothing when all is up to date.
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STAMP = ".made-from"
SELF_TEST_VALUES = 8
MODELS = {"detector": "ssd_mobilenetv1_model", "landmarks": "face_landmark_68_model", "recognition": "face_recognition_model"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shown(path: Path) -> str:
    """A path as people read it: from the repository's root where it lies below it."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def made_from(models: Path) -> str:
    """A digest of everything that the pack is made of: weights, scripts, and the packages' versions."""
    digest = hashlib.sha256()
    names = sorted(models.glob("*_model*")) if models.is_dir() else []
    ours = [HERE / n for n in ("convert.py", "nets.py", "graph.py", "bundled.toml", "bundled-filler.json", "requirements.txt")]
    for path in [p for p in names if p.name.startswith(tuple(MODELS.values()))] + ours:
        if path.exists():
            digest.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).encode())
    return digest.hexdigest()


def up_to_date(out: Path, stamp: str) -> bool:
    """True when the pack was made from these inputs and none of its files has changed since."""
    try:
        if (out / STAMP).read_text() != stamp:
            return False
        manifest = tomllib.loads((out / "manifest.toml").read_text())
        parts = [manifest[k] for k in ("detector", "landmarks", "embedding", "filler") if k in manifest]
        return all(sha256((out / p["file"]).read_bytes()) == p["sha256"] for p in parts)
    except (OSError, KeyError, ValueError):
        return False


def extract_runtime(target: Path) -> None:
    """Copies the ONNX Runtime shared library out of the installed wheel."""
    import importlib.util

    spec = importlib.util.find_spec("onnxruntime")
    folder = Path(next(iter(spec.submodule_search_locations))) / "capi"
    found = sorted(p for p in folder.glob("libonnxruntime.so*"))
    if not found:
        raise SystemExit(f"The onnxruntime package in {folder} holds no libonnxruntime.so. Install the version pinned in {HERE / 'requirements.txt'}.")
    if target.exists() and target.stat().st_size == found[-1].stat().st_size and sha256(target.read_bytes()) == sha256(found[-1].read_bytes()):
        print(f"packs: {shown(target)} is up to date")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    shutil.copyfile(found[-1], partial)
    partial.replace(target)
    print(f"packs: {found[-1].name} -> {shown(target)}")


def self_test(path: Path, shape: dict) -> list[float]:
    """The first output values for the ramp picture: pixel (x, y, channel) = (3x + 5y + 7·channel) mod 256."""
    import numpy as np
    import onnxruntime

    width, height = shape["width"], shape["height"]
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([(3 * x + 5 * y + 7 * c) % 256 for c in range(3)]).astype(np.float32)
    mean = np.array(shape["mean"], np.float32)[:, None, None]
    divide = np.array(shape["divide_by"], np.float32)[:, None, None]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(None, {session.get_inputs()[0].name: ((ramp - mean) / divide)[None]})[0]
    return [round(float(v), 5) for v in values.ravel()[:SELF_TEST_VALUES]]


def toml_value(value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return repr(value)


def write_toml(table: dict, prefix: str = "") -> str:
    """Plain values first, then the tables: all that a manifest needs."""
    lines = [f"{k} = {toml_value(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{prefix}{key}"
            lines += ["", f"[{name}]", write_toml(value, f"{name}.")]
    return "\n".join(lines)


def convert(models: Path, out: Path) -> None:
    import nets

    out.mkdir(parents=True, exist_ok=True)
    (out / STAMP).unlink(missing_ok=True)
    manifest = tomllib.loads((HERE / "bundled.toml").read_text())
    for step, (net, source) in enumerate(MODELS.items(), 1):
        started = time.monotonic()
        path = out / f"{net}.onnx"
        getattr(nets, net)(nets.read_weights(models, source), path)
        part = manifest["embedding" if net == "recognition" else net]
        part["sha256"] = sha256(path.read_bytes())
        part["self_test"] = self_test(path, part["input"])
        print(f"packs: {step}/3 {source} -> {shown(path)} ({path.stat().st_size >> 10} KiB, {time.monotonic() - started:.1f} s)")
    filler = HERE / "bundled-filler.json"
    if filler.exists():
        shutil.copyfile(filler, out / "filler.json")
        manifest["filler"] = {"file": "filler.json", "sha256": sha256(filler.read_bytes())}
    samples = models.parent / "demo"
    if samples.is_dir():
        manifest["samples"] = os.path.relpath(samples, out)
        manifest = {k: v for k, v in manifest.items() if not isinstance(v, dict)} | {k: v for k, v in manifest.items() if isinstance(v, dict)}
    (out / "manifest.toml").write_text("# Written by tools/packs/convert.py; do not edit.\n" + write_toml(manifest) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--package", type=Path, required=True, help="the unpacked npm package @vladmandic/face-api")
    parser.add_argument("--out", type=Path, default=ROOT / "build/packs/bundled")
    parser.add_argument("--runtime", type=Path, default=ROOT / "build/onnxruntime/libonnxruntime.so")
    args = parser.parse_args()
    models, out = args.package.absolute() / "model", args.out.absolute()
    if not (models / f"{MODELS['detector']}-weights_manifest.json").exists():
        raise SystemExit(f"{models} does not hold the face-api models. Run `npm ci` first, or give --package.")
    extract_runtime(args.runtime.absolute())
    stamp = made_from(models)
    if up_to_date(out, stamp):
        print(f"packs: {out.name} is up to date")
        return
    convert(models, out)
    (out / STAMP).write_text(stamp)
    print(f"packs: {out.name} is ready")


if __name__ == "__main__":
    main()
