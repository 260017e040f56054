"""Writes ONNX files without ONNX's package: protocol buffers by the numbers of their fields in `onnx.proto`."""

import numpy as np

_FLOAT = 1  # `TensorProto.DataType`
_INT, _STRING, _INTS = 2, 3, 7  # `AttributeProto.AttributeType`


class OnnxGraph:
    """A graph of float32 tensors that is written part by part: each node after those that give its inputs."""

    def __init__(self):
        self._parts = []
        self._constants = set()

    def add_constant(self, name, array):
        """Add a tensor with values, if there is none of this name."""
        if name not in self._constants:
            self._constants.add(name)
            sides = b"".join(_number(1, side) for side in np.shape(array))
            content = np.ascontiguousarray(array, "<f4").tobytes()
            self._parts.append(_bytes(5, sides + _number(2, _FLOAT) + _text(8, name) + _bytes(9, content)))

    def add_node(self, kind, inputs, output, **attributes):
        """Add an operator with one output; attributes are whole numbers, lists of them, or texts."""
        names = b"".join(_text(1, name) for name in inputs) + _text(2, output)
        values = b"".join(_bytes(5, _attribute(name, value)) for name, value in attributes.items())
        self._parts.append(_bytes(1, names + _text(3, output) + _text(4, kind) + values))

    def add_input(self, name, shape):
        """Add an input of the graph."""
        self._parts.append(_bytes(11, _value(name, shape)))

    def add_output(self, name, shape):
        """Add an output of the graph."""
        self._parts.append(_bytes(12, _value(name, shape)))

    def to_model(self):
        """Return the content of an ONNX file, of version 8 with the operators of version 13."""
        graph = b"".join(self._parts) + _text(2, "graph")
        return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 13))


def _value(name, shape):
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, sides)))


def _attribute(name, value):
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, _STRING)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    return _text(1, name) + b"".join(_number(8, number) for number in value) + _number(20, _INTS)


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _text(field, value):
    return _bytes(field, value.encode())


def _bytes(field, value):
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value):
    value &= (1 << 64) - 1  # a negative number, in two's complement
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
