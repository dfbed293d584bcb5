#!/usr/bin/env python3
"""Collects the licences of everything that is shipped into build/THIRD-PARTY.txt.

    python3 tools/setup/licences.py [OUT]

Crates linked into the binary (from `cargo metadata`, without build and test dependencies), npm packages whose
files or weights are embedded or packed, Python packages of which something is shipped, and model packs.
Exits non-zero if anything shipped names no licence.
"""

import collections
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = "x86_64-unknown-linux-gnu"
# What is shipped out of the virtual environment: templates in the binary, and the shared library.
SHIPPED_PYTHON = ("govuk_frontend_jinja", "onnxruntime")
TEXTS = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense|third.?party)", re.I)
TEXT_BYTES_MAX = 1 << 20


def texts(folder: Path, deep: bool = False) -> list[str]:
    """The licence texts that a package carries."""
    found = folder.rglob("*") if deep else folder.glob("*")
    files = sorted(p for p in found if TEXTS.match(p.name) and p.suffix not in (".rs", ".js", ".py", ".ts") and p.is_file())
    return [p.read_text(errors="replace").strip() for p in files if p.stat().st_size <= TEXT_BYTES_MAX]


def crates():
    """(name, version, licence, texts) of each crate linked into the binary."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    data = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    packages = {p["id"]: p for p in data["packages"]}
    nodes = {n["id"]: n for n in data["resolve"]["nodes"]}
    start = [i for i, p in packages.items() if p["name"] == "countersign" and p["source"] is None]
    seen, wait = set(start), start
    while wait:
        for dep in nodes[wait.pop()]["deps"]:
            if any(k["kind"] is None for k in dep["dep_kinds"]) and dep["pkg"] not in seen:
                seen.add(dep["pkg"])
                wait.append(dep["pkg"])
    for package in (packages[i] for i in seen):
        if package["source"] is not None:
            yield package["name"], package["version"], package["license"], texts(Path(package["manifest_path"]).parent)


def npm():
    """The same of each npm package that is not for development alone."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    for path, entry in lock["packages"].items():
        folder = ROOT / path
        if path and not entry.get("dev") and folder.is_dir():
            about = json.loads((folder / "package.json").read_text())
            yield path.removeprefix("node_modules/"), about["version"], about.get("license"), texts(folder)


def python():
    """The same of each Python package of which something is shipped."""
    for name in SHIPPED_PYTHON:
        for folder in sorted(ROOT.glob(f".venv/lib/python*/site-packages/{name}-*.dist-info")):
            lines = (folder / "METADATA").read_text(errors="replace").split("\n\n")[0].splitlines()
            about = dict(line.split(": ", 1) for line in lines if ": " in line)
            classified = [line.rsplit(" :: ", 1)[1] for line in lines if line.startswith("Classifier: License ::")]
            licence = about.get("License-Expression") or about.get("License") or ", ".join(classified)
            yield name, about["Version"], licence, texts(folder, deep=True) + texts(folder.parent / name)


def packs():
    """The same of each model pack; its licence text is that of the package named as its source."""
    for manifest in sorted(ROOT.glob("build/packs/*/manifest.toml")):
        pack = tomllib.loads(manifest.read_text())
        yield f"{pack['name']} (from {pack['source']})", pack["model"], pack["licence"], []


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/THIRD-PARTY.txt"
    used_by = collections.defaultdict(list)  # text -> who carries it
    lines = ["What Countersign is shipped with, and on what terms. Made by tools/setup/licences.py.", ""]
    missing = []
    for title, parts in (("Rust crates", crates()), ("npm packages", npm()), ("Python packages", python()), ("Model packs", packs())):
        parts = sorted(parts)
        if not parts:
            missing.append(f"{title}: none found; run `make setup` first")
        lines += [title, "-" * len(title)]
        for name, version, licence, found in parts:
            lines.append(f"{name} {version}: {licence}" + ("" if found else " (the package carries no text of its own)"))
            if not licence and not found:
                missing.append(f"{name} {version}")
            for text in found:
                used_by[text].append(f"{name} {version}")
        lines.append("")
    for text, users in sorted(used_by.items(), key=lambda item: item[1]):
        lines += ["=" * 100, "For " + ", ".join(dict.fromkeys(users)) + ":", "", text, ""]
    if missing:
        raise SystemExit("licences: no terms known for: " + "; ".join(missing))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines))
    print(f"licences: {len(used_by)} texts in {out}")


if __name__ == "__main__":
    main()
