"""The Python package nistitl at the other end of the files of crates/nist (its tests/nistitl.rs):

    other.py read  < FILE    what it reads, as JSON: a list of [type, IDC, {field number: value}]; bytes as hex
    other.py write > FILE    a file of its own, with everything that the test looks for
"""

import json
import sys

import nistitl


def read():
    message = nistitl.Message()
    message.parse(sys.stdin.buffer.read())
    out = []
    for record in message:
        if isinstance(record, nistitl.BinaryRecord):
            out.append([record.type, record.IDC, {"data": record.value.hex()}])
            continue
        fields = {}
        for field in record._fields:
            value = field.value
            fields[str(field.tag)] = value.hex() if isinstance(value, bytes) else value
        out.append([record.type, 0 if record.type == 1 else record.IDC, fields])
    json.dump(out, sys.stdout)


def write():
    message = nistitl.Message()
    message.TOT = "FACE"
    message[0].DAT = "20261128"
    message[0].TCN = "OTHER-1"
    biography = nistitl.AsciiRecord(2)
    biography.IDC = 0
    biography._18 = "Invented, J\u00fcrgen"
    biography._900 = [["a", "b"], ["c", "d"]]
    biography._901 = ["one", "two"]
    message += biography
    finger = nistitl.BinaryRecord(4)
    finger.IDC = 2
    finger.pack("!HH", 500, 500, b"\x1c\x1d picture")
    message += finger
    face = nistitl.AsciiRecord(10)
    face.IDC = 3
    face.IMT = "FACE"
    face.SRC = "OTHER"
    face.PHD = "20200229"
    face.HLL = "640"
    face.VLL = "480"
    face.SLC = "1"
    face.THPS = "72"
    face.TVPS = "72"
    face.CGA = "PNG"
    face.CSP = "SRGB"
    face.DATA = bytes(range(256)) + b"\x1c10.999:\x1d"
    message += face
    sys.stdout.buffer.write(message.NIST)


{"read": read, "write": write}[sys.argv[1]]()
