"""Converts a graph of TensorFlow.js to ONNX, without TensorFlow, as far as the zoo's graphs need it."""

import base64
import json

import numpy as np

from tests.support.onnx_file import OnnxGraph

_GREY = np.array([0.299, 0.587, 0.114]).reshape(3, 1)  # the share of red, green and blue
_SAME = {
    "Add": "Add",
    "AddV2": "Add",
    "Identity": "Identity",
    "Maximum": "Max",
    "Minimum": "Min",
    "Mul": "Mul",
    "Relu": "Relu",
    "Sigmoid": "Sigmoid",
}


def convert(topology, weights, outputs):
    """Return a graph as ONNX; its input and its feature maps are NCHW instead of NHWC.

    Only what the outputs need is kept. A grey input becomes one of red, green and blue: PySDK gives no grey pictures.

    Args:
        topology: the content of the `.json` file.
        weights: the content of the `.bin` file.
        outputs: the shape of each output, by its name.

    """
    description = json.loads(topology)
    nodes = description["modelTopology"]["node"]
    converter = _Converter(_read_weights(description["weightsManifest"][0]["weights"], weights))
    needed = _find_needed(nodes, outputs)
    for node in nodes:
        if node["op"] != "Const" and node["name"] in needed:
            converter.add(node)
    for name, shape in outputs.items():
        converter.graph.add_output(name, shape)
    return converter.graph.to_model()


def _read_weights(manifest, content):
    arrays, at = {}, 0
    for entry in manifest:
        dtype = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
        array = np.frombuffer(content, dtype, int(np.prod(entry["shape"])), at)
        arrays[entry["name"]] = array.astype(entry["dtype"]).reshape(entry["shape"])
        at += array.nbytes
    return arrays


def _find_needed(nodes, outputs):
    needed = set(outputs)
    for node in reversed(nodes):  # each comes after its inputs
        if node["name"] in needed:
            needed.update(_read_inputs(node))
    return needed


def _read_inputs(node):
    return [name.partition(":")[0] for name in node.get("input", ())]


class _Converter:
    """Adds the nodes of a graph of TensorFlow.js to `graph`. Raises KeyError for an operator that it does not know."""

    def __init__(self, weights):
        self.graph = OnnxGraph()
        self._weights = weights
        self._grey = set()  # the names of grey inputs
        self._methods = {
            "Placeholder": self._add_input,
            "Conv2D": self._add_convolution,
            "_FusedConv2D": self._add_convolution,
            "DepthwiseConv2dNative": self._add_convolution,
            "FusedDepthwiseConv2dNative": self._add_convolution,
            "_FusedMatMul": self._add_product,
            "ConcatV2": self._add_concatenation,
            "MaxPool": self._add_maximum,
            "Mean": self._add_mean,
            "Relu6": self._add_relu6,
            "ResizeBilinear": self._add_resize,
            "Softmax": self._add_softmax,
            **dict.fromkeys(_SAME, self._add_same),
        }

    def add(self, node):
        self._methods[node["op"]](node, node["name"], _read_inputs(node), node.get("attr", {}))

    def _add_input(self, node, name, inputs, attributes):
        _, height, width, channels = (int(side["size"]) for side in attributes["shape"]["shape"]["dim"])
        self.graph.add_input(name, [1, 3, height, width])
        if channels == 1:
            self._grey.add(name)

    def _add_same(self, node, name, inputs, attributes):
        for operand in inputs:
            if operand in self._weights:  # one number for each channel, or one for all
                array = self._weights[operand]
                self.graph.add_constant(operand, array.reshape(-1, 1, 1) if array.size > 1 else array)
        self.graph.add_node(_SAME[node["op"]], inputs, name)

    def _add_convolution(self, node, name, inputs, attributes):
        kernel, groups = self._weights[inputs[1]], 1  # height, width, channels, outputs
        if inputs[0] in self._grey:
            kernel = kernel * _GREY
        if "Depthwise" in node["op"]:
            groups = kernel.shape[2]
            kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        self.graph.add_constant(inputs[1], kernel)
        for bias in inputs[2:]:
            self.graph.add_constant(bias, self._weights[bias])
        self._add_fused("Conv", name, inputs, attributes, group=groups, **_read_window(attributes))

    def _add_product(self, node, name, inputs, attributes):
        for weight in inputs[1:]:
            self.graph.add_constant(weight, self._weights[weight])
        self._add_fused("Gemm", name, inputs, attributes)

    def _add_fused(self, kind, name, inputs, attributes, **options):
        fused = [base64.b64decode(text) for text in attributes.get("fused_ops", {}).get("list", {}).get("s", ())]
        if b"Relu" in fused:
            self.graph.add_node(kind, inputs, name + "/sum", **options)
            self.graph.add_node("Relu", [name + "/sum"], name)
        else:
            self.graph.add_node(kind, inputs, name, **options)

    def _add_concatenation(self, node, name, inputs, attributes):
        self.graph.add_node("Concat", inputs[:-1], name, axis=1)  # of channels

    def _add_maximum(self, node, name, inputs, attributes):
        sides = [int(side) for side in attributes["ksize"]["list"]["i"]][1:3]
        self.graph.add_node("MaxPool", inputs, name, kernel_shape=sides, **_read_window(attributes))

    def _add_mean(self, node, name, inputs, attributes):
        keeps = int(attributes["keep_dims"]["b"])
        self.graph.add_node("ReduceMean", inputs[:1], name, axes=[2, 3], keepdims=keeps)  # of a map's pixels

    def _add_relu6(self, node, name, inputs, attributes):
        for limit in (0, 6):
            self.graph.add_constant(str(limit), limit)
        self.graph.add_node("Clip", [*inputs, "0", "6"], name)

    def _add_resize(self, node, name, inputs, attributes):
        self.graph.add_constant("twice", [1, 1, 2, 2])
        options = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
        self.graph.add_node("Resize", [inputs[0], "", "twice"], name, **options)

    def _add_softmax(self, node, name, inputs, attributes):
        self.graph.add_node("Softmax", inputs, name, axis=-1)


def _read_window(attributes):
    padding = base64.b64decode(attributes["padding"]["s"]).decode()
    strides = [int(stride) for stride in attributes["strides"]["list"]["i"]][1:3]
    return {"auto_pad": "SAME_UPPER" if padding == "SAME" else padding, "strides": strides}
