"""What each number format can hold, and what it costs on this machine."""

import importlib.util
from dataclasses import dataclass

from homespun.engines.processor import processor_name, usable_threads
from homespun.engines.torch_products import DTYPES, ProductSpeed, measure_products
from homespun.planning.number_formats import FORMATS, FormatFacts, format_facts
from homespun.progress import Progress, no_progress


@dataclass(frozen=True)
class PrecisionReport:
    """Facts of every format, and how fast products in it are here.

    Attributes:
        speeds: by measuring; empty where `why_not_measured` says why.
    """

    formats: tuple[FormatFacts, ...]
    speeds: tuple[ProductSpeed, ...]
    processor: str
    threads: int
    why_not_measured: str = ""


def precision_report(
    *, measure: bool = True, size: int = 1024, progress: Progress = no_progress
) -> PrecisionReport:
    """The table of formats.

    Args:
        measure: multiply matrices in each format, where torch is installed.
        size: rows and columns of the weights that are multiplied.
    """
    facts = tuple(format_facts(kind) for kind in FORMATS)
    why = ""
    if not measure:
        why = "it was not asked for"
    elif importlib.util.find_spec("torch") is None:
        why = "torch, which knows all of these formats, is not installed"
    speeds = []
    for number, name in enumerate([] if why else DTYPES):
        progress("multiplying", number, len(DTYPES))
        speeds.append(measure_products(name, size=size))
    return PrecisionReport(facts, tuple(speeds), processor_name(), usable_threads(), why)
