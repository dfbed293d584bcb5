#!/usr/bin/env python3
"""Measures a pack's threshold and filler statistics on photographs of known people.

    cargo run -p face --example templates -- PACK LIBRARY PEOPLE > templates.jsonl
    .venv/bin/python tools/packs/calibrate.py templates.jsonl --threshold 0.95 --filler tools/packs/NAME-filler.json

PEOPLE holds a folder of photographs per person; in each photograph the face nearest the centre counts. Prints
the score distributions and the rates at the threshold, to be written with their provenance into the pack's
manifest. The filler file holds aggregate statistics only: a mean, principal directions, what is left over.
"""

import argparse
import json
from pathlib import Path

import numpy as np

COMPONENTS = 48
ANCHORS = (1e-2, 1e-3, 1e-4, 1e-5)


def central_faces(path: Path) -> list[dict]:
    best = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        area = row["area"]
        off = np.hypot(area["x"] + (area["width"] - row["width"]) / 2, area["y"] + (area["height"] - row["height"]) / 2)
        if row["path"] not in best or off < best[row["path"]][0]:
            best[row["path"]] = (off, row)
    return [row for _, row in best.values()]


def report(name: str, scores: np.ndarray) -> None:
    print(f"{name}: {len(scores)} pairs, mean {scores.mean():.4f}, deviation {scores.std():.4f}, min {scores.min():.4f}, max {scores.max():.4f}")


def measure(rows: list[dict], threshold: float | None) -> None:
    people = np.array([Path(r["path"]).parent.name for r in rows])
    templates = np.array([r["values"] for r in rows], np.float64)
    first, second = np.triu_indices(len(rows), 1)
    scores = (templates @ templates.T)[first, second]
    same = people[first] == people[second]
    genuine, impostor = scores[same], np.sort(scores[~same])
    print(f"{rows[0]['model']}: {len(rows)} photographs of {len(set(people))} people")
    report("genuine", genuine)
    report("impostor", impostor)
    grid = np.linspace(impostor.mean(), 1, 2000)
    missed, false = np.array([[(genuine < t).mean(), (impostor >= t).mean()] for t in grid]).T
    equal = np.argmin(abs(missed - false))
    print(f"equal error rate {(missed + false)[equal] / 2:.4f} at {grid[equal]:.4f}")
    for rate in ANCHORS:
        t = impostor[-max(1, round(rate * len(impostor)))]
        print(f"false match rate {rate:g}: threshold {t:.4f}, true match rate {(genuine >= t).mean():.3f}")
    if threshold is not None:
        count = int((impostor >= threshold).sum())
        print(f"at {threshold}: {count} of {len(impostor)} impostor pairs ({count / len(impostor):.2g}), {(genuine >= threshold).mean():.3f} of {len(genuine)} genuine pairs")


def fit_filler(rows: list[dict], to: Path, fitted_on: str) -> None:
    one_each = {Path(r["path"]).parent.name: r["values"] for r in reversed(rows)}
    templates = np.array([one_each[k] for k in sorted(one_each)], np.float64)
    mean = templates.mean(0)
    covariance = np.cov(templates.T)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:COMPONENTS]
    # A fixed sign, so that a second run writes the same file.
    directions = (vectors[:, order] * np.sign(vectors[np.abs(vectors[:, order]).argmax(0), order])).T
    components = directions * np.sqrt(values[order])[:, None]
    left = np.sqrt(np.maximum(np.diag(covariance) - (components**2).sum(0), 0))

    def numbers(array):
        return [float(f"{v:.4g}") for v in array]

    text = json.dumps({
        "model": rows[0]["model"],
        "fitted_on": f"{fitted_on} ({len(templates)} people, one photograph each)",
        "mean": numbers(mean),
        "residual": numbers(left),
        "components": [numbers(c) for c in components],
    }, separators=(",", ":"))
    to.write_text(text.replace("],[", "],\n[") + "\n")
    draws = np.random.default_rng(1)
    made = mean + draws.standard_normal((4000, len(components))) @ components + draws.standard_normal((4000, len(mean))) * left
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    report("filler against real", (made @ templates.T).ravel())
    report("filler against filler", (made @ made.T)[np.triu_indices(len(made), 1)])
    print(f"wrote {to} ({to.stat().st_size >> 10} KiB, {values[order].sum() / values.sum():.1%} of the variance)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("templates", type=Path)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--filler", type=Path)
    parser.add_argument("--fitted-on", default="a folder of photographs of known people")
    args = parser.parse_args()
    rows = central_faces(args.templates)
    measure(rows, args.threshold)
    if args.filler:
        fit_filler(rows, args.filler, args.fitted_on)


if __name__ == "__main__":
    main()
