#!/usr/bin/env python3
"""The face pipeline once more, in numpy and Python's onnxruntime, written from the manifest's meaning alone.

    .venv/bin/python tools/packs/pipeline.py MANIFEST MODELS < pictures.ppm > faces.jsonl

Reads binary PPM pictures one after the other, prints the faces of each as one JSON line. The face crate's tests
hold the engine's templates to these (cosine at least 0.9999). Packs with a yunet detector only.

Places are complex numbers x + iy, pixel centres are whole numbers, and a similarity is p -> z p + t.
"""

import json
import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime

HALF = 0.5 + 0.5j
SAMPLES_MAX = 16
WINDOW_SIDES, WINDOW_PIXELS, LEVEL_LOOKS = 2.0, 192, 3
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def resample(picture: np.ndarray, z: complex, t: complex, width: int, height: int) -> np.ndarray:
    """Output pixel p shows the picture at z p + t: the mean of n x n bilinear samples, black outside."""
    rows, columns = picture.shape[:2]
    if z == 1 and t == 0:
        out = np.zeros((height, width, 3), np.float32)
        out[:rows, :columns] = picture[:height, :width]
        return out
    n = min(max(math.ceil(abs(z)), 1), SAMPLES_MAX)
    steps = (np.arange(n) + 0.5) / n - 0.5
    total = np.zeros((height, width, 3), np.float32)
    for dy in steps:
        for dx in steps:
            at = z * ((np.arange(width) + dx)[None, :] + 1j * (np.arange(height) + dy)[:, None]) + t
            x, y = at.real, at.imag
            inside = (x > -0.5) & (y > -0.5) & (x < columns - 0.5) & (y < rows - 0.5)
            left, top = np.floor(x), np.floor(y)
            fx, fy = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
            x0, x1 = (np.clip(left + k, 0, columns - 1).astype(np.intp) for k in (0, 1))
            y0, y1 = (np.clip(top + k, 0, rows - 1).astype(np.intp) for k in (0, 1))
            value = (1 - fy) * ((1 - fx) * picture[y0, x0] + fx * picture[y0, x1]) + fy * ((1 - fx) * picture[y1, x0] + fx * picture[y1, x1])
            total += value * inside[..., None]
    return total / (n * n)


def tensor(pixels: np.ndarray, shape: dict) -> np.ndarray:
    if shape["channels"] == "bgr":
        pixels = pixels[..., ::-1]
    pixels = (pixels - np.array(shape["mean"], np.float32)) / np.array(shape["divide_by"], np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[None].astype(np.float32)


def overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    return both / ((one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both)


class Frame:
    """The picture, or a window on it, turned clockwise; frame pixel -> picture pixel."""

    def __init__(self, centre: complex, degrees: float, width: float, height: float):
        self.degrees, self.width, self.height = degrees, width, height
        self.z = {0: 1, 90: -1j, 180: -1, 270: 1j}.get(degrees % 360, np.exp(-1j * math.radians(degrees)))
        self.t = centre - self.z * complex(width - 1, height - 1) / 2

    def box(self, box: np.ndarray) -> np.ndarray:
        x0, y0, x1, y1 = box
        corners = self.z * (np.array([x0 + 1j * y0, x1 + 1j * y0, x0 + 1j * y1, x1 + 1j * y1]) - HALF) + self.t + HALF
        return np.array([corners.real.min(), corners.imag.min(), corners.real.max(), corners.imag.max()])


def whole(picture: np.ndarray, degrees: float) -> Frame:
    height, width = picture.shape[:2]
    sin, cos = {0: (0, 1), 90: (1, 0), 180: (0, 1), 270: (1, 0)}.get(degrees % 360, (abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))))
    return Frame(complex(width - 1, height - 1) / 2, degrees, width * cos + height * sin, width * sin + height * cos)


class Pipeline:
    def __init__(self, manifest: Path, models: Path):
        self.manifest = tomllib.loads(manifest.read_text())
        self.detector, self.embedding = self.manifest["detector"], self.manifest["embedding"]
        self.find, self.embed = session(models / self.detector["file"]), session(models / self.embedding["file"])

    def run(self, net: onnxruntime.InferenceSession, values: np.ndarray) -> dict:
        return dict(zip((o.name for o in net.get_outputs()), net.run(None, {net.get_inputs()[0].name: values})))

    def look(self, picture: np.ndarray, frame: Frame, scale: float, width: int, height: int) -> tuple:
        """Scores, boxes (left, top, right, bottom) and points of the frame, best first."""
        z, t = frame.z * scale, frame.z * (scale * HALF - HALF) + frame.t
        out = self.run(self.find, tensor(resample(picture, z, t, width, height), self.detector["input"]))
        scores, boxes, points = [], [], []
        for stride in (8, 16, 32):
            of = {k: out[f"{k}_{stride}"].reshape(-1, n).astype(np.float64) for k, n in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}
            cell = np.arange(len(of["cls"]))
            corner = np.stack([cell % (width // stride), cell // (width // stride)], 1).astype(np.float64)
            score = np.sqrt(np.clip(of["cls"], 0, 1) * np.clip(of["obj"], 0, 1))[:, 0]
            keep = score > self.detector["score_min"]
            centre, half = (corner + of["bbox"][:, :2])[keep], np.exp(of["bbox"][keep, 2:]) / 2
            scores.append(score[keep])
            boxes.append(np.concatenate([centre - half, centre + half], 1) * stride * scale)
            place = (of["kps"].reshape(-1, 5, 2) + corner[:, None])[keep] * stride
            points.append((place[..., 0] + 1j * place[..., 1] + HALF) * scale - HALF)
        scores, boxes, points = map(np.concatenate, (scores, boxes, points))
        size = boxes[:, 2:] - boxes[:, :2]
        inside = (size >= 1).all(1) & (boxes[:, 0] < frame.width) & (boxes[:, 1] < frame.height) & (boxes[:, 2:] > 0).all(1)
        order = [i for i in np.argsort(-scores, kind="stable") if inside[i]]
        kept = []
        for i in order:
            if not kept or overlap(boxes[i], boxes[kept]).max() <= self.detector["overlap_max"]:
                kept.append(i)
        return scores[kept], boxes[kept], points[kept]

    def whole_look(self, picture: np.ndarray, frame: Frame) -> tuple:
        shape = self.detector["input"]
        found = None
        for fill in [1.0, *self.detector.get("retry_fill", [])]:
            scale = max(frame.width / shape["width"], frame.height / shape["height"], 1) / fill
            sides = (-(-max(math.ceil(v / scale - 1e-6), 1) // shape["multiple_of"]) * shape["multiple_of"] for v in (frame.width, frame.height))
            found = self.look(picture, frame, scale, *sides)
            if len(found[0]):
                break
        return found

    def shrunk(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """A picture that fits the detector, for turned looks, and picture pixels for each of its pixels."""
        height, width = picture.shape[:2]
        scale = max(width / self.detector["input"]["width"], height / self.detector["input"]["height"])
        if scale <= 1:
            return picture, 1.0
        small = resample(picture, scale, scale * HALF - HALF, *(math.ceil(v / scale - 1e-6) for v in (width, height)))
        return np.floor(small + 0.5).astype(np.uint8), scale

    def faces(self, picture: np.ndarray) -> list[dict]:
        frame = whole(picture, 0)
        found = self.whole_look(picture, frame)
        if found[0].max(initial=0) < self.detector.get("sure_score", 0) or not len(found[0]):
            small, shrink = self.shrunk(picture)
            for turn in self.detector.get("retry_turns", []):
                other = whole(small, turn)
                looked = self.whole_look(small, other)
                other.z, other.t = other.z * shrink, other.t * shrink + shrink * HALF - HALF
                if looked[0].max(initial=0) > found[0].max(initial=0):
                    frame, found = other, looked
        return [self.levelled(picture, frame, *one) for one in zip(*found)]

    def levelled(self, picture: np.ndarray, frame: Frame, score: float, box: np.ndarray, points: np.ndarray) -> dict:
        for _ in range(LEVEL_LOOKS if "level_over" in self.detector else 0):
            roll = math.degrees(np.angle(points[1] - points[0]))
            if abs(roll) <= self.detector["level_over"]:
                break
            area = frame.box(box)
            size = (area[2:] - area[:2]).max()
            window = Frame(complex(*(area[:2] + area[2:] - 1) / 2), frame.degrees - roll, WINDOW_SIDES * size, WINDOW_SIDES * size)
            scores, boxes, all_points = self.look(picture, window, window.width / WINDOW_PIXELS, WINDOW_PIXELS, WINDOW_PIXELS)
            off = np.hypot(*((boxes[:, :2] + boxes[:, 2:]) / 2 - window.width / 2).T)
            ratio = (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0) / size
            off[(off >= size / 2) | (ratio < 0.5) | (ratio >= 2)] = np.inf
            if not np.isfinite(off).any():
                break
            i = off.argmin()
            frame, score, box, points = window, scores[i], boxes[i], all_points[i]
        return {"score": float(score), "box": frame.box(box), "points": frame.z * points + frame.t}

    def template(self, picture: np.ndarray, face: dict) -> np.ndarray:
        to = self.embedding["alignment"]
        used = [i for i, name in enumerate(POINTS) if name in to]
        chip = np.array([complex(*to[POINTS[i]]) for i in used])
        place = face["points"][used]
        # The least-squares similarity from picture to chip, turned round.
        f, c = place - place.mean(), chip - chip.mean()
        z = (f.conj() * c).sum() / (abs(f) ** 2).sum()
        t = chip.mean() - z * place.mean()
        shape = self.embedding["input"]
        pixels = resample(picture, 1 / z, -t / z, shape["width"], shape["height"])
        both = [pixels, pixels[:, ::-1]] if self.embedding.get("flip") else [pixels]
        raw = [next(iter(self.run(self.embed, tensor(p, shape)).values()))[0].astype(np.float64) for p in both]
        total = sum(v / np.linalg.norm(v) for v in raw)
        return total / np.linalg.norm(total)


def pictures(stream):
    """Binary PPM pictures, one after the other, as this project writes them."""
    while header := stream.readline():
        if header != b"P6\n":
            raise SystemExit("the input is not a series of P6 pictures")
        width, height = map(int, stream.readline().split())
        stream.readline()
        yield np.frombuffer(stream.read(width * height * 3), np.uint8).reshape(height, width, 3)


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    pipeline = Pipeline(Path(sys.argv[1]), Path(sys.argv[2]))
    for picture in pictures(sys.stdin.buffer):
        rows = []
        for face in pipeline.faces(picture):
            points = [[p.real, p.imag] for p in face["points"]]
            rows.append({"score": face["score"], "box": list(face["box"]), "points": points, "template": list(pipeline.template(picture, face))})
        print(json.dumps(rows), flush=True)


if __name__ == "__main__":
    main()
