#!/usr/bin/env python3
"""Changes a bundle in memory, one change after another, and says what verify.py names as wrong.

    python3 campaign.py FOLDER < changes.jsonl > verdicts.txt

Each line of input is one change, as the product's own test makes and judges it too:
{"op": "flip", "path": P, "at": N, "bit": B} and delete, insert, swap, cut, remove, add, exchange; with
"remake": true the manifest's digests are made to fit afterwards, as a forger would. Each line of output
is the place that was named, or `holds`. The test compares the two verifiers' lines.
"""

import functools
import hashlib
import json
import sys

import verify

# The same signatures are checked again and again: their verdicts are remembered.
verify.verifies = functools.lru_cache(maxsize=None)(verify.verifies)


class Memory(verify.Folder):
    def __init__(self, files):
        super().__init__(".")
        self.files = files

    def list(self):
        return list(self.files)

    def read(self, name, limit):
        if name not in self.files:
            raise verify.Wrong(name, "it is missing")
        data = self.files[name][: limit + 1]
        if len(data) > limit:
            raise verify.Wrong(name, f"it is longer than {limit} bytes")
        self.seen[name] = (hashlib.sha256(data).hexdigest(), len(data))
        return data


def changed(files, change):
    files, op, path = dict(files), change["op"], change["path"]
    data, at = files.get(path, b""), change.get("at", 0)
    if op == "flip":
        files[path] = data[:at] + bytes([data[at] ^ (1 << change["bit"])]) + data[at + 1 :]
    elif op == "delete":
        files[path] = data[:at] + data[at + 1 :]
    elif op == "insert":
        files[path] = data[:at] + bytes([change["byte"]]) + data[at:]
    elif op == "swap":
        files[path] = data[:at] + data[at + 1 : at + 2] + data[at : at + 1] + data[at + 2 :]
    elif op == "cut":
        files[path] = data[:at]
    elif op == "remove":
        del files[path]
    elif op == "add":
        files[path] = b"x"
    elif op == "exchange":
        files[path], files[change["with"]] = files[change["with"]], data
    else:
        raise ValueError(op)
    if change["remake"]:
        files["manifest"] = remade(files)
    return files


def remade(files):
    out = []
    for line in files["manifest"].decode("utf-8", "surrogateescape").split("\n"):
        words = line.split(" ", 3)
        if words[0] == "file" and len(words) == 4 and words[3] in files:
            data = files[words[3]]
            line = f"file {hashlib.sha256(data).hexdigest()} {len(data)} {words[3]}"
        out.append(line)
    return "\n".join(out).encode("utf-8", "surrogateescape")


def main():
    folder = verify.Folder(sys.argv[1])
    files = {name: folder.read(name, 1 << 30) for name in folder.list()}
    key = verify.Manifest(files["manifest"], None).log_key
    for line in sys.stdin:
        try:
            verify.check(Memory(changed(files, json.loads(line))), key)
            print("holds")
        except verify.Wrong as wrong:
            print(wrong.place)


if __name__ == "__main__":
    main()
