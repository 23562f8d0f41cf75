"""A model of Kokoro's shape and no mind: same inputs, same files, a tone for every token.

Written without a library: an ONNX file is protocol buffers, and this graph has five nodes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


TOKENS = 178
SAMPLES_PER_TOKEN = 600
STYLE_FLOATS = 256
LENGTHS = 510
SOUNDS = " ;:,.!?aeioubdfhjklmnpqrstvwxyzˈˌðɾɲʝβɣŋʧʤθəɛɔɪʊæʌɹɡʃʒɜɑː"
VOICES = ("ef_dora", "em_alex", "af_heart")
FLOAT, INT64 = 1, 7


def write_checkpoint(folder: Path) -> None:
    """``folder`` as ``penny models pull kokoro`` leaves it."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "voices").mkdir()
    (folder / "onnx/model.onnx").write_bytes(make_model())
    vocabulary = {sound: number for number, sound in enumerate(SOUNDS, 1)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    for number, name in enumerate(VOICES, 1):
        # Louder with each voice: the graph multiplies by the style's mean.
        style = np.full((LENGTHS, 1, STYLE_FLOATS), number / 4, dtype="<f4")
        style.tofile(folder / f"voices/{name}.bin")


def make_model() -> bytes:
    time_s = np.arange(SAMPLES_PER_TOKEN) / 24_000
    pitches = 100 + 5 * np.arange(TOKENS)[:, None]
    table = np.sin(2 * np.pi * pitches * time_s).astype("<f4")
    shape = np.array([1, -1], dtype="<i8")
    nodes = [
        _node("Gather", ["table", "input_ids"], "sounds"),
        _node("Reshape", ["sounds", "shape"], "wave"),
        _node("ReduceMean", ["style"], "loudness", _ints("axes", [1])),
        _node("Mul", ["wave", "loudness"], "loud"),
        _node("Div", ["loud", "speed"], "waveform"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"tiny kokoro")
    graph += _field(5, _tensor("table", table, FLOAT)) + _field(5, _tensor("shape", shape, INT64))
    inputs = {"input_ids": (INT64, [1, 0]), "style": (FLOAT, [1, 256]), "speed": (FLOAT, [1])}
    graph += b"".join(_field(11, _value(name, *kind)) for name, kind in inputs.items())
    graph += _field(12, _value("waveform", FLOAT, [1, 0]))
    opset = _field(1, b"") + _number(2, 13)
    return _number(1, 8) + _field(8, opset) + _field(7, graph)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    node = b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
    return node + _field(4, kind.encode()) + (_field(5, attribute) if attribute else b"")


def _ints(name: str, values: list[int]) -> bytes:
    return _field(1, name.encode()) + b"".join(_number(8, v) for v in values) + _number(20, 7)


def _tensor(name: str, array: np.ndarray, kind: int) -> bytes:  # type: ignore[type-arg]
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, kind) + _field(8, name.encode()) + _field(9, array.tobytes())


def _value(name: str, kind: int, shape: list[int]) -> bytes:
    """0 stands for any size."""
    dims = (_number(1, size) if size else _field(2, b"n") for size in shape)
    tensor = _number(1, kind) + _field(2, b"".join(_field(1, dim) for dim in dims))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))
