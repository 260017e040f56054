"""How `square.onnx` was made: `pip install onnx==1.23.2`, then `python3 tests/support/zoo/make_square.py`.

The model finds the white rectangle in a picture. Input: 1x3x64x64, 0 to 1. Output: 1x5, the rectangle's left, top,
right and bottom in pixels of the input, and the brightness of the brightest pixel. It is exact, so a test can be, too.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64

nodes = [
    helper.make_node("ReduceMin", ["image"], ["grey"], axes=[1], keepdims=0),
    helper.make_node("Greater", ["grey", "half"], ["is_white"]),
    helper.make_node("Cast", ["is_white"], ["white"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMax", ["grey"], ["brightest"], axes=[1, 2], keepdims=0),
    helper.make_node("Reshape", ["brightest", "one_by_one"], ["score"]),
]
for axis, low, high in ((1, "left", "right"), (2, "top", "bottom")):
    nodes += [
        helper.make_node("ReduceMax", ["white"], [f"{low}_any"], axes=[axis], keepdims=0),
        helper.make_node("ArgMax", [f"{low}_any"], [f"{low}_index"], axis=1, keepdims=1),
        helper.make_node("ArgMax", [f"{low}_any"], [f"{high}_index"], axis=1, keepdims=1, select_last_index=1),
        helper.make_node("Cast", [f"{low}_index"], [low], to=TensorProto.FLOAT),
        helper.make_node("Cast", [f"{high}_index"], [f"{high}_inside"], to=TensorProto.FLOAT),
        helper.make_node("Add", [f"{high}_inside", "one"], [high]),
    ]
nodes.append(helper.make_node("Concat", ["left", "top", "right", "bottom", "score"], ["box"], axis=1))
graph = helper.make_graph(
    nodes,
    "square",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
    [helper.make_tensor_value_info("box", TensorProto.FLOAT, [1, 5])],
    [
        numpy_helper.from_array(np.float32(0.5), "half"),
        numpy_helper.from_array(np.float32(1), "one"),
        numpy_helper.from_array(np.int64([1, 1]), "one_by_one"),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, Path(__file__).parent / "square" / "square.onnx")
