#!/usr/bin/env python3
"""Faces a second for detect + align + template, as a ratio to Python's onnxruntime on the same models in the same run.

    cargo build --release -p face --example faces_per_second
    .venv/bin/python tools/packs/faces_per_second.py PACK FOLDER [--program target/release/examples/faces_per_second]

Round by round, in turn: the engine on one thread, Python on one, the engine on two, Python on two. Ratios are medians
over the rounds of Python's time on one thread to the engine's. "Nets alone" counts only the time that Python spends
inside onnxruntime, and nothing of its numpy: the most that any other pre- and post-processing could save it.
"""

import argparse
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np

from pipeline import Pipeline, pictures

ROOT = Path(__file__).resolve().parents[2]


class Timed(Pipeline):
    nets = 0.0

    def run(self, net, values: np.ndarray) -> dict:
        started = time.perf_counter()
        out = super().run(net, values)
        self.nets += time.perf_counter() - started
        return out


def python_round(pipelines: list[Timed], all_pictures: list[np.ndarray]) -> tuple[int, float, float]:
    for p in pipelines:
        p.nets = 0.0
    counts, waiting, lock = [0] * len(pipelines), iter(all_pictures), threading.Lock()

    def work(i: int) -> None:
        while True:
            with lock:
                picture = next(waiting, None)
            if picture is None:
                return
            for face in pipelines[i].faces(picture):
                pipelines[i].template(picture, face)
                counts[i] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(pipelines))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return sum(counts), time.perf_counter() - started, sum(p.nets for p in pipelines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/examples/faces_per_second")
    parser.add_argument("--runtime", type=Path, default=ROOT / "build/onnxruntime/libonnxruntime.so")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    pipe = subprocess.PIPE
    engine = subprocess.Popen([args.program, args.pack, args.runtime, args.folder], stdin=pipe, stdout=pipe)

    def ask(line: str) -> str:
        engine.stdin.write(f"{line}\n".encode())
        engine.stdin.flush()
        return engine.stdout.readline().decode()

    count = int(ask("pictures"))
    source = pictures(engine.stdout)
    all_pictures = [next(source) for _ in range(count)]
    pipelines = [Timed(args.pack / "manifest.toml", args.pack) for _ in range(2)]
    rows = []
    for round in range(args.rounds + 1):
        row = {}
        for threads in (1, 2):
            found, seconds = ask(str(threads)).split()
            row[f"engine{threads}"] = float(seconds)
            faces, row[f"python{threads}"], nets = python_round(pipelines[:threads], all_pictures)
            if threads == 1:
                row["nets"] = nets
            if faces != int(found):
                raise SystemExit(f"the engine found {found} faces, Python {faces}: not the same work")
        if round:  # the first warms up
            rows.append(row)
    engine.stdin.close()

    def ratio(above: str, below: str) -> str:
        values = [r[above] / r[below] for r in rows]
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    def speed(which: str) -> str:
        return f"{faces / statistics.median(r[which] for r in rows):.0f}"

    print(f"{faces} faces in {count} photographs, {args.rounds} rounds in turn; medians (least to greatest)")
    print(f"faces a second, one core: engine {speed('engine1')}, Python {speed('python1')}, Python's nets alone {speed('nets')}")
    print(f"faces a second, two cores: engine {speed('engine2')}, Python {speed('python2')}")
    print(f"engine to Python, one core: {ratio('python1', 'engine1')}")
    print(f"engine to Python's nets alone, one core: {ratio('nets', 'engine1')}")
    print(f"engine on two cores to Python on one: {ratio('python1', 'engine2')}")
    print(f"engine on two cores to Python's nets alone on one: {ratio('nets', 'engine2')}")
    print(f"engine on two cores to itself on one: {ratio('engine1', 'engine2')}")


if __name__ == "__main__":
    main()
