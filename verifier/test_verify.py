#!/usr/bin/env python3
"""The published test vectors, and the edges of the formats:  python3 test_verify.py"""

import json
import os
import unittest

import verify

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "vectors", "published.json"), encoding="utf-8") as file:
    PUBLISHED = json.load(file)


class Published(unittest.TestCase):
    def test_rfc_6962(self):
        vectors, tree = PUBLISHED["rfc6962"], verify.Tree()
        self.assertEqual(tree.root().hex(), vectors["roots"][0])
        for record, root in zip(vectors["records"], vectors["roots"][1:]):
            tree.append(verify.leaf_hash(bytes.fromhex(record)))
            self.assertEqual(tree.root().hex(), root)

    def test_signed_note(self):
        vector = PUBLISHED["signed_note"]
        key, text = verify.Key(vector["key"], 1), vector["note"]
        self.assertTrue(verify.Note(text).is_signed_by(key))
        for at in range(len(text)):
            changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
            try:
                self.assertFalse(verify.Note(changed).is_signed_by(key), at)
            except ValueError:
                pass  # no note any more
        with self.assertRaises(ValueError):
            verify.Key(vector["key"].replace("c74f20a3", "c74f20a4"), 1)

    def test_tlog_tiles(self):
        vector = PUBLISHED["tlog_tiles"]
        index, path = vector["index"]
        self.assertEqual(verify.numbered(index), path)
        for tree in vector["trees"]:
            paths = verify.paths(tree["size"], 1)
            for level, (full, partial) in enumerate(tree["levels"]):
                of_level = [p for p in paths if p.startswith(f"tile/{level}/")]
                self.assertEqual(len([p for p in of_level if ".p/" not in p]), full)
                self.assertEqual([p.split(".p/")[1] for p in of_level if ".p/" in p], [str(partial)] if partial else [])
            self.assertFalse([p for p in paths if p.startswith(f"tile/{len(tree['levels'])}/")])

    def test_tlog_cosignature(self):
        vector = PUBLISHED["tlog_cosignature"]
        note = verify.Note(vector["note"])
        checkpoint = verify.Checkpoint(note.body)
        self.assertEqual((checkpoint.origin, checkpoint.size), ("example.com/behind-the-sofa", vector["size"]))
        self.assertEqual(int.from_bytes(note.signatures[1][2][:8], "big"), vector["time"])
        self.assertEqual(len(note.signatures[1][2]), 72)

    def test_leaf(self):
        # Also held by the product's own tests.
        header, payload = verify.commitment(b"\x11" * 32, b"header"), verify.commitment(b"\x22" * 32, b"payload")
        self.assertEqual(header.hex(), "f4bd1588d9d7cfee76f6ef63c540b091b44c7d3b2e807f78575fea2db5a34dcb")
        leaf, is_open = verify.opened_leaf(b"\x00" + header + payload)
        self.assertEqual((leaf.hex(), is_open), ("8880a24b977a518b39a5011212bcc0a65dea2b2c6468e8e643e33effc8af2fcd", False))


if __name__ == "__main__":
    unittest.main()
