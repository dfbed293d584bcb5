#!/usr/bin/env python3
"""Checks a copy of a Countersign log, from the folder and public keys alone.

    python3 verify.py FOLDER [--key LOG_KEY] [--remember CHECKPOINT_FILE] [--witness WITNESS_KEY] [--since TIME]

Needs Python 3.9 and `cryptography` (Ed25519). It shares no code with the product: it was written from
docs/RECORD.md, RFC 6962 (the tree), and C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature.

It prints what it checked, or `WRONG: PLACE: WHAT` for the first thing wrong, in the order of docs/RECORD.md.
Exit status: 0 all holds, 1 something is wrong, 2 it could not be checked.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
import sys
from datetime import datetime, timezone

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.exit("this needs the Python package `cryptography`: pip install -r requirements.txt")

ITEMS = 256
MAX_SIZE = 1 << 48
MAX_NOTE = 65536
MAX_MANIFEST = 256 << 20
NUMBER = re.compile(r"(0|[1-9][0-9]{0,14})\Z", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
# Characters with Unicode's White_Space property.
SPACES = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}


class Wrong(Exception):
    def __init__(self, place, what):
        super().__init__(f"{place}: {what}")
        self.place, self.what = place, what


class Unusable(Exception):
    pass


def sha256(*parts):
    h = hashlib.sha256()
    for part in parts:
        h.update(part)
    return h.digest()


# --- The tree (RFC 6962, section 2.1) ---------------------------------------------------------------------


def leaf_hash(entry):
    return sha256(b"\x00", entry)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


class Tree:
    """A tree that grows leaf by leaf and keeps the hashes of full subtrees at the levels that tiles need."""

    def __init__(self):
        self.size = 0
        self.full = []  # (height, hash), largest first
        self.tiled = {}  # level of tile -> hashes of full subtrees of height 8 * level

    def append(self, hashed):
        height = 0
        while True:
            if height % 8 == 0:
                self.tiled.setdefault(height // 8, []).append(hashed)
            if not self.full or self.full[-1][0] != height:
                break
            hashed = node_hash(self.full.pop()[1], hashed)
            height += 1
        self.full.append((height, hashed))
        self.size += 1

    def root(self):
        if not self.full:
            return sha256()
        hashed = self.full[-1][1]
        for _, left in reversed(self.full[:-1]):
            hashed = node_hash(left, hashed)
        return hashed


# --- Leaves (docs/RECORD.md) -------------------------------------------------------------------------------


def commitment(salt, message):
    return hmac.new(salt, b"countersign.commitment.v1\x00" + message, hashlib.sha256).digest()


def opened_leaf(item):
    """The leaf that an opening makes, and whether it is open; None if it is no opening."""
    if len(item) == 65 and item[0] == 0:
        header, payload, is_open = item[1:33], item[33:], False
    elif len(item) >= 90 and item[0] == 1:
        stream, seq, salt, payload, text = item[1:18], item[18:26], item[26:58], item[58:90], item[90:]
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return None
        header, is_open = commitment(salt, stream + seq + text), True
    else:
        return None
    return sha256(b"countersign.leaf.v1\x00", header, payload), is_open


# --- Signed notes (C2SP) -----------------------------------------------------------------------------------


def unbase64(text):
    """Standard base64 in its one spelling, or None."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def verifies(public, signature, message):
    if len(signature) != 64:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Key:
    """A public key in text form `name+hash+base64`; kind 1 signs notes, kind 4 cosigns checkpoints."""

    def __init__(self, text, kind):
        name, _, rest = text.partition("+")
        _, _, encoded = rest.partition("+")
        data = unbase64(encoded)
        if not data or data[0] != kind or len(data) != 33 or not name_is_valid(name):
            raise ValueError
        self.text, self.name, self.public = text, name, data[1:]
        self.id = sha256(name.encode(), b"\n", data)[:4]
        if f"{name}+{self.id.hex()}+{encoded}" != text:
            raise ValueError
        if kind == 1:
            try:
                Ed25519PublicKey.from_public_bytes(self.public)
            except ValueError:
                raise ValueError from None


def name_is_valid(name):
    return 0 < len(name.encode()) <= 200 and "+" not in name and not any(c in SPACES for c in name)


class Note:
    """A signed note taken apart; ValueError if it is none."""

    def __init__(self, text):
        if len(text.encode()) > MAX_NOTE or any(c < " " and c != "\n" for c in text):
            raise ValueError
        body, empty, lines = text.rpartition("\n\n")
        if not empty or not lines.endswith("\n"):
            raise ValueError
        self.body = body + "\n"
        self.signatures = []  # (name, key id, signature)
        for line in lines[:-1].split("\n"):
            dash, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            data = unbase64(encoded)
            if dash != "\u2014" or not name or "+" in name or any(c in SPACES for c in name) or not data or len(data) < 5:
                raise ValueError
            self.signatures.append((name, data[:4], data[4:]))
        if len(self.signatures) > 100:
            raise ValueError

    def by(self, key):
        return [s for name, id, s in self.signatures if (name, id) == (key.name, key.id)]

    def is_signed_by(self, key):
        """Whether the key's first signature verifies: a repeated one is not looked at."""
        return bool(self.by(key)) and verifies(key.public, self.by(key)[0], self.body.encode())

    def cosigned_at(self, key):
        """The newest time at which the key cosigned; None if it did not; ValueError if a line of its does not verify."""
        times = [cosigned_at(key, s, self.body) for s in self.by(key)]
        return max(times, default=None)


def cosigned_at(key, signature, body):
    at = int.from_bytes(signature[:8], "big")
    if len(signature) != 72 or at >= 1 << 63:
        raise ValueError
    if not verifies(key.public, signature[8:], f"cosignature/v1\ntime {at}\n{body}".encode()):
        raise ValueError
    return at


class Checkpoint:
    """Origin, size and root of a note's text; ValueError if it has none."""

    def __init__(self, body):
        lines = body.split("\n")
        if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1] or not NUMBER.match(lines[1]):
            raise ValueError
        self.origin, self.size, self.root = lines[0], int(lines[1]), unbase64(lines[2])
        if self.size > MAX_SIZE or self.root is None or len(self.root) != 32:
            raise ValueError


# --- The folder --------------------------------------------------------------------------------------------


class Folder:
    def __init__(self, path):
        self.path, self.seen = path, {}

    def list(self):
        out = []

        def unreadable(error):
            raise Unusable(f"{error.filename} cannot be read")

        for here, folders, files in os.walk(self.path, onerror=unreadable):
            links = [f for f in folders if os.path.islink(os.path.join(here, f))]
            for name in files + links:
                out.append(os.path.relpath(os.path.join(here, name), self.path).replace(os.sep, "/"))
        return out

    def read(self, name, limit):
        path = os.path.join(self.path, name)
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise Wrong(name, "it is not a plain file")
            with open(path, "rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise Wrong(name, "it is missing") from None
        except OSError as error:
            raise Unusable(f"{path} cannot be read: {error.strerror}") from None
        if len(data) > limit:
            raise Wrong(name, f"it is longer than {limit} bytes")
        self.seen[name] = (hashlib.sha256(data).hexdigest(), len(data))
        return data


def numbered(n):
    path = f"{n % 1000:03}"
    while n >= 1000:
        n //= 1000
        path = f"x{n % 1000:03}/{path}"
    return path


def parts(folder, count):
    """The files that `count` items make: path, number of the first item, items."""
    for n in range((count + ITEMS - 1) // ITEMS):
        width = min(ITEMS, count - n * ITEMS)
        yield f"{folder}/{numbered(n)}" + ("" if width == ITEMS else f".p/{width}"), n * ITEMS, width


def upper_tiles(size):
    level = 1
    while size >> (8 * level):
        for path, start, width in parts(f"tile/{level}", size >> (8 * level)):
            yield level, path, start, width
        level += 1


def paths(size, checkpoints):
    out = ["README.txt", "checkpoint"]
    out += [p for p, _, _ in parts("checkpoints", checkpoints)]
    for folder in ("tile/entries", "openings", "tile/0"):
        out += [p for p, _, _ in parts(folder, size)]
    out += [p for _, p, _, _ in upper_tiles(size)]
    return sorted(out)


def items(path, what, start, width, data):
    out, at = [], 0
    while at < len(data):
        place = f"{path} {what} {start + len(out)}"
        if len(out) == width:
            raise Wrong(place, "it is one too many for this file")
        length = int.from_bytes(data[at : at + 2], "big")
        if len(data) - at < 2 or len(data) - at - 2 < length:
            raise Wrong(place, "it is cut short")
        out.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    if len(out) < width:
        raise Wrong(f"{path} {what} {start + len(out)}", "it is missing from this file")
    return out


# --- The checks, in the order of docs/RECORD.md --------------------------------------------------------------


class Manifest:
    def __init__(self, data, trusted_key):
        try:
            lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise Wrong("manifest", "it is not UTF-8") from None
        if lines.pop() != "":
            raise Wrong("manifest", "it does not end with a newline")

        def wrong(n, what):
            return Wrong(f"manifest line {n + 1}", what)

        def field(n, name):
            if n >= len(lines) or not lines[n].startswith(name):
                raise wrong(n, f"it should say: {name.rstrip()}")
            return lines[n][len(name) :]

        def count(n, name):
            text = field(n, name)
            if not NUMBER.match(text) or int(text) > MAX_SIZE:
                raise wrong(n, "it is not a number as this format writes it")
            return int(text)

        if field(0, "countersign bundle v1"):
            raise wrong(0, "it is another version of this format")
        origin = field(1, "origin ")
        self.size, self.checkpoints = count(2, "size "), count(3, "checkpoints ")
        self.opened, self.closed = count(4, "opened "), count(5, "closed ")
        try:
            self.log_key = Key(field(6, "log-key "), 1)
        except ValueError:
            raise wrong(6, "it is not a log's key") from None
        if self.log_key.name != origin:
            raise wrong(1, "the log's key is for another log")
        if trusted_key is not None and trusted_key.text != self.log_key.text:
            raise wrong(6, "it names another log key than the one that is trusted")
        n, self.witnesses = 7, []
        while n < len(lines) and lines[n].startswith("witness-key "):
            text = field(n, "witness-key ")
            try:
                key = Key(text, 4)
            except ValueError:
                raise wrong(n, "it is not a witness's key") from None
            if self.witnesses and self.witnesses[-1].text.encode() >= text.encode():
                raise wrong(n, "the witnesses' keys are not in order")
            self.witnesses.append(key)
            n += 1
        for line, value in ((2, self.size), (3, self.checkpoints)):
            if (value + ITEMS - 1) // ITEMS > len(lines) - n:
                raise wrong(line, "it is more than the files listed could hold")
        if self.checkpoints == 0:
            raise wrong(3, "a log has at least one checkpoint")
        self.files = []
        for path in paths(self.size, self.checkpoints):
            words = lines[n].split(" ", 3) if n < len(lines) else []
            fits = len(words) == 4 and words[0] == "file" and DIGEST.match(words[1]) and NUMBER.match(words[2])
            if not fits or int(words[2]) > MAX_SIZE or words[3] != path:
                raise wrong(n, f"it should list {path}")
            self.files.append((path, words[1], int(words[2])))
            n += 1
        if n < len(lines):
            raise wrong(n, "it is one line too many")


def signed(place, data, manifest):
    """A checkpoint of which every signature verifies and is by a key of the manifest."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong(place, "it is not UTF-8") from None
    try:
        note = Note(text)
    except ValueError:
        raise Wrong(place, "it is not a signed note") from None
    if not note.is_signed_by(manifest.log_key):
        raise Wrong(place, "it is not signed by the log's key")
    try:
        checkpoint = Checkpoint(note.body)
        if checkpoint.origin != manifest.log_key.name:
            raise ValueError
    except ValueError:
        raise Wrong(place, "it is not a checkpoint of this log") from None
    cosigned = []
    for name, id, signature in note.signatures[1:]:
        key = next((k for k in manifest.witnesses if (k.name, k.id) == (name, id)), None)
        if key is None:
            raise Wrong(place, "a signature after the log's is by no witness that the manifest names")
        try:
            cosigned.append((key.name, cosigned_at(key, signature, note.body)))
        except ValueError:
            raise Wrong(place, f"the cosignature of {key.name} does not verify") from None
    return checkpoint, note, cosigned


def check(folder, trusted_key=None, remembered=(), witnesses=(), since=None, show=None):
    manifest = Manifest(folder.read("manifest", MAX_MANIFEST), trusted_key)

    there = {p for p in folder.list() if p != "manifest"}
    listed = {path for path, _, _ in manifest.files}
    for path in sorted(there ^ listed, key=lambda p: p.encode("utf-8", "surrogateescape")):
        raise Wrong(path, "it is not part of the bundle" if path in there else "it is missing")

    newest = folder.read("checkpoint", MAX_NOTE)
    head, head_note, cosigned = signed("checkpoint", newest, manifest)
    if head.size != manifest.size:
        raise Wrong("checkpoint", "its size is not the manifest's")

    checkpoints, last = [], None
    for path, start, width in parts("checkpoints", manifest.checkpoints):
        data = folder.read(path, width * (2 + 65535))
        for n, item in enumerate(items(path, "checkpoint", start, width, data), start):
            place = f"{path} checkpoint {n}"
            checkpoint, _, _ = signed(place, item, manifest)
            if checkpoints and checkpoints[-1][1].size >= checkpoint.size:
                raise Wrong(place, "it is not larger than the one before it")
            if checkpoint.size > manifest.size:
                raise Wrong(place, "it signs more leaves than there are")
            checkpoints.append((place, checkpoint))
            last = item
    if last != newest:
        raise Wrong("checkpoint", "it is not the last of the checkpoints")

    # Roots are taken while the tree grows: those of the checkpoints, and of the remembered ones.
    tree, opened, roots = Tree(), 0, {0: sha256()}
    wanted = {c.size for _, c in checkpoints} | {c.size for c in remembered}
    for (entries, start, width), (openings, _, _), (tile, _, _) in zip(
        parts("tile/entries", manifest.size), parts("openings", manifest.size), parts("tile/0", manifest.size)
    ):
        entry_items = items(entries, "leaf", start, width, folder.read(entries, width * 34))
        opening_items = items(openings, "leaf", start, width, folder.read(openings, width * (2 + 65535)))
        hashes = hashes_of(folder, tile, width)
        for n, (entry, opening, hashed) in enumerate(zip(entry_items, opening_items, hashes), start):
            if len(entry) != 32:
                raise Wrong(f"{entries} leaf {n}", "it is not 32 bytes")
            made = opened_leaf(opening)
            if made is None:
                raise Wrong(f"{openings} leaf {n}", "it is not an opening")
            leaf, is_open = made
            opened += is_open
            # Three say what the leaf is; where two agree, the third is wrong.
            if leaf != entry and leaf_hash(entry) == hashed:
                raise Wrong(f"{openings} leaf {n}", "it does not make the leaf")
            if leaf == entry and leaf_hash(entry) != hashed:
                raise Wrong(f"{tile} hash {n % ITEMS}", "it is not the leaf's")
            if leaf != entry and leaf_hash(leaf) == hashed:
                raise Wrong(f"{entries} leaf {n}", "it is not what its opening and its hash say")
            if leaf != entry:
                raise Wrong(f"{entries} leaf {n}", "entry, opening and hash are three different leaves")
            if show is not None and is_open:
                show(n, opening)
            tree.append(hashed)
            if tree.size in wanted:
                roots[tree.size] = tree.root()

    for level, path, start, width in upper_tiles(manifest.size):
        for n, hashed in enumerate(hashes_of(folder, path, width), start):
            if tree.tiled[level][n] != hashed:
                raise Wrong(f"{path} hash {n % ITEMS}", "it is not what the tile below makes")

    for place, checkpoint in checkpoints:
        if roots[checkpoint.size] != checkpoint.root:
            raise Wrong(place, "it signs another root than these leaves have")
    if (opened, manifest.size - opened) != (manifest.opened, manifest.closed):
        raise Wrong(f"manifest line {6 if opened == manifest.opened else 5}", "it counts the openings wrongly")

    folder.read("README.txt", MAX_NOTE)
    for path, digest, length in manifest.files:
        if folder.seen.get(path) != (digest, length):
            raise Wrong(path, "its bytes are not the ones that the manifest lists")

    for kept in remembered:
        if kept.size > head.size:
            raise Wrong("checkpoint", f"truncated or rolled back: {kept.size} leaves were remembered and {head.size} are here")
        if roots[kept.size] != kept.root:
            raise Wrong("checkpoint", f"split view: the checkpoint remembered at {kept.size} leaves is of another history")
    for key in witnesses:
        try:
            at = head_note.cosigned_at(key)
        except ValueError:
            raise Wrong("checkpoint", f"the cosignature of {key.name} does not verify") from None
        if at is None:
            raise Wrong("checkpoint", f"{key.name} did not cosign it: it may be a rollback, or another log than the one that {key.name} saw")
        if since is not None and at < since:
            raise Wrong("checkpoint", f"{key.name} cosigned it before the time asked for: it may be an older state of the log")
    return manifest, opened, cosigned


def hashes_of(folder, path, width):
    data = folder.read(path, ITEMS * 32)
    if len(data) != width * 32:
        raise Wrong(path, f"it is not {width} hashes long")
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def remembered_checkpoint(path, key):
    try:
        with open(path, "rb") as file:
            note = Note(file.read(MAX_NOTE + 1).decode("utf-8"))
        checkpoint = Checkpoint(note.body)
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Unusable(f"{path} is not a checkpoint") from None
    if not note.is_signed_by(key) or checkpoint.origin != key.name:
        raise Unusable(f"{path} is not a checkpoint of this log: it is not signed by its key")
    return checkpoint


def main():
    parser = argparse.ArgumentParser(description="Checks a copy of a Countersign log.")
    parser.add_argument("folder")
    parser.add_argument("--key", help="the log's key, from somewhere else than the folder")
    parser.add_argument("--remember", action="append", default=[], metavar="FILE", help="a checkpoint kept from before")
    parser.add_argument("--witness", action="append", default=[], metavar="KEY", help="a witness that must have cosigned")
    parser.add_argument("--since", metavar="TIME", help="at or after this time (2026-11-28T09:00:00Z)")
    parser.add_argument("--headers", action="store_true", help="print each open header: index, stream, position, JSON")
    args = parser.parse_args()

    def show(n, opening):
        print(f"{n}\t{opening[1:18].hex()}\t{int.from_bytes(opening[18:26], 'big')}\t{opening[90:].decode()}")

    try:
        try:
            key = Key(args.key, 1) if args.key else None
            witnesses = [Key(k, 4) for k in args.witness]
        except ValueError:
            raise Unusable("a key is not in the form name+hash+base64") from None
        try:
            since = args.since and datetime.fromisoformat(args.since.replace("Z", "+00:00"))
            if since and since.tzinfo is None:
                raise ValueError
            since = since and int(since.timestamp())
        except ValueError:
            raise Unusable("--since is not a time like 2026-11-28T09:00:00Z") from None
        if since is not None and not witnesses:
            raise Unusable("--since says when a witness must have cosigned: name one with --witness")
        folder = Folder(args.folder)
        # A remembered checkpoint is read under the key that the folder is checked with.
        own = key or Manifest(folder.read("manifest", MAX_MANIFEST), None).log_key
        remembered = [remembered_checkpoint(path, own) for path in args.remember]
        manifest, opened, cosigned = check(folder, key, remembered, witnesses, since, show if args.headers else None)
    except Wrong as wrong:
        print(f"WRONG: {wrong}")
        return 1
    except Unusable as why:
        print(why, file=sys.stderr)
        return 2
    size, name = manifest.size, manifest.log_key.name
    print(f"{name}: {size} leaves, {opened} opened, {size - opened} closed, {manifest.checkpoints} checkpoints")
    for witness, at in cosigned:
        when = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if at < 1 << 37 else "no time of this calendar"
        print(f"cosigned by {witness} at {when}")
    if key is None:
        print(f"the log's key is the folder's own, {manifest.log_key.text}: compare it with the one that you have from elsewhere")
    print("Everything holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
