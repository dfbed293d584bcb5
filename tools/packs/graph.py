"""A small ONNX graph writer: just the layers that the bundled nets use.

Tensors are NCHW. Weights are given in the order of the source (TF.js: height, width, in, out) and
turned here. Names are counted, never random, so that the same weights give the same bytes.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


class Graph:
    """One net under construction. Every layer method returns the name of its output tensor."""

    def __init__(self, name: str, width: int, height: int):
        self.name = name
        self.nodes, self.initialisers, self.sizes = [], [], {}
        self.count = 0
        self.input = helper.make_tensor_value_info(
            "input", TensorProto.FLOAT, [1, 3, height, width]
        )
        self.sizes["input"] = (3, height, width)

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.initialisers)}"
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: list[str], size=None, **attributes) -> str:
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"n{self.count}", **attributes))
        self.sizes[out] = size
        return out

    def conv(self, x: str, filters: np.ndarray, bias: np.ndarray, stride=1, same=True, depthwise=False) -> str:
        """Convolution. `same` pads as TensorFlow does: more at the bottom and right when the sum is odd."""
        kh, kw = filters.shape[:2]
        channels, height, width = self.sizes[x]
        if depthwise:
            weights, group = filters.transpose(2, 3, 0, 1), channels
        else:
            weights, group = filters.transpose(3, 2, 0, 1), 1
        pads, out = [0, 0, 0, 0], []
        for axis, (side, kernel) in enumerate(((height, kh), (width, kw))):
            if same:
                size = -(-side // stride)
                total = max((size - 1) * stride + kernel - side, 0)
                pads[axis], pads[axis + 2] = total // 2, total - total // 2
            else:
                size = (side - kernel) // stride + 1
            out.append(size)
        names = [x, self.constant(weights.astype(np.float32)), self.constant(bias.astype(np.float32))]
        return self.node(
            "Conv", names, (weights.shape[0], *out),
            kernel_shape=[kh, kw], strides=[stride, stride], pads=pads, group=group,
        )

    def relu(self, x: str) -> str:
        return self.node("Relu", [x], self.sizes[x])

    def relu6(self, x: str) -> str:
        low, high = self.constant(np.float32(0)), self.constant(np.float32(6))
        return self.node("Clip", [x, low, high], self.sizes[x])

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b], self.sizes[a])

    def pool(self, x: str, kind: str, kernel: int, stride: int) -> str:
        c, h, w = self.sizes[x]
        size = (c, (h - kernel) // stride + 1, (w - kernel) // stride + 1)
        return self.node(kind, [x], size, kernel_shape=[kernel, kernel], strides=[stride, stride])

    def pad(self, x: str, channels=0, rows=0, columns=0) -> str:
        """Zeros after the end of each axis."""
        c, h, w = self.sizes[x]
        if not (channels or rows or columns):
            return x
        pads = self.constant(np.array([0, 0, 0, 0, 0, channels, rows, columns], dtype=np.int64))
        return self.node("Pad", [x, pads], (c + channels, h + rows, w + columns), mode="constant")

    def save(self, path, outputs: list[tuple[str, str, list[int]]]) -> None:
        """Writes the net; `outputs` is (tensor, public name, shape)."""
        infos = []
        for tensor, public, shape in outputs:
            self.nodes.append(helper.make_node("Identity", [tensor], [public], name=f"out_{public}"))
            infos.append(helper.make_tensor_value_info(public, TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, self.name, [self.input], infos, self.initialisers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="countersign",
        )
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))
