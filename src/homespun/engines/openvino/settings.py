"""The CPU plugin's settings, all set by us: its defaults differ from processor to processor."""

import atexit
import weakref
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import openvino as ov

#: Whoever holds a compiled model with several streams as `_compiled`.
_HOLDERS: "weakref.WeakSet[Any]" = weakref.WeakSet()

PrecisionName = Literal["f32", "bf16", "int8"]


@dataclass(frozen=True)
class Precision:
    """One way to compute the products, and how the cache keeps keys and values."""

    name: PrecisionName
    description: str
    hint: str
    dynamic_group: int
    cache: str


PRECISIONS: dict[PrecisionName, Precision] = {
    "f32": Precision("f32", "f32", "f32", 0, "f32"),
    "bf16": Precision("bf16", "bf16", "bf16", 0, "u8"),
    "int8": Precision("int8", "f32, int8 activations", "f32", 32, "u8"),
}


@cache
def core() -> Any:
    """The one OpenVINO core of this process."""
    return ov.Core()


def fast_candidates() -> list[Precision]:
    """Precisions that this processor may be fastest with; which one is, is measured."""
    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    candidates = [PRECISIONS["int8"], PRECISIONS["f32"]]
    if "BF16" in capabilities:
        candidates.insert(0, PRECISIONS["bf16"])
    return candidates


def properties(precision: Precision, n_threads: int) -> dict[str, Any]:
    """Everything that decides numbers or speed, explicit."""
    return {
        "INFERENCE_PRECISION_HINT": precision.hint,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": precision.dynamic_group,
        "KV_CACHE_PRECISION": precision.cache,
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def effective_precision(compiled: Any, precision: Precision) -> str:
    """The precision that the plugin says is in force, in words."""
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    group = int(compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE"))
    return f"{hint}, int8 activations" if precision.dynamic_group and group else str(hint)


def free_at_exit(holder: Any) -> None:
    """Have `holder._compiled` freed before the interpreter ends.

    The threads of its streams abort the process otherwise, where a program keeps the holder to its end.
    """
    _HOLDERS.add(holder)


@atexit.register
def _free_all() -> None:
    for holder in list(_HOLDERS):
        holder._compiled = None
