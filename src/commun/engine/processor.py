"""The class of a processor, as far as rounding depends on it: which instructions the runtime multiplies matrices with.

The runtime itself is asked: it compiles and runs one small product of compressed weights, under the profile's own
properties, and tells which kernel it took. So limits that are in force (ONEDNN_MAX_CPU_ISA, a virtual machine that
hides instructions) count, and what a profile makes no use of does not: the exact profile's 32 bits never use AMX.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

CLASSES: Final = (("amx", "AMX"), ("avx512", "AVX-512"), ("avx2", "AVX2"))  # part of a kernel's name, and the class
ROWS, WIDTH = 64, 128  # enough that a large product's kernel is taken


def processor_class(device: str, properties: Mapping[str, str]) -> str:
    """A kernel of no known class has its own name; "" where the runtime multiplies in some other way."""
    return _class_of(device, tuple(sorted(properties.items())))


@lru_cache
def _class_of(device: str, properties: tuple[tuple[str, str], ...]) -> str:
    kernel = _kernel(device, dict(properties))
    return next((name for part, name in CLASSES if part in kernel), kernel)


def _kernel(device: str, properties: Mapping[str, str]) -> str:
    import numpy as np
    import openvino

    compiled = openvino.Core().compile_model(_product(), device, {**properties, "PERF_COUNT": "YES"})
    request = compiled.create_infer_request()
    request.infer({0: np.ones((ROWS, WIDTH), np.float32)})
    kinds = [each.exec_type for each in request.profiling_info if each.node_type.startswith("FullyConnected")]
    return str(kinds[0]) if kinds else ""


def _product() -> Any:
    """One matrix of 8-bit weights, as a converted model has them."""
    import numpy as np
    import openvino
    from openvino import opset13 as op

    rows = op.parameter([-1, WIDTH], np.float32)
    codes = op.convert(op.constant(np.ones((WIDTH, WIDTH), np.uint8)), "f32")
    column = np.ones((WIDTH, 1), np.float32)
    weights = op.multiply(op.subtract(codes, op.constant(column)), op.constant(column))
    return openvino.Model([op.result(op.matmul(rows, weights, False, True))], [rows], "product")
