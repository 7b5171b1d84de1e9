"""The receipt of an adapter: that what was trained is what is served, checked on every way that serves it.

Compared with torch in float32, on labelled positions of held-out examples: the paged OpenVINO engine in
exact and in fast mode, each example alone and in batches that mix it with requests of the base model; and
the adapter as a GGUF in llama.cpp. Weights are read by gguf's own reader and quantizer, token ids cut by
llama.cpp's own tokenizer, so that no mistake of ours is on both sides.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from homespun.models.adapter_path import RECEIPT_FILE
from homespun.models.storage import write_atomically
from homespun.progress import Progress, no_progress
from homespun.tuning.errors import ReceiptError
from homespun.tuning.examples import EncodedExample, Example
from homespun.tuning.receipt_rows import Sample

Way = Literal["exact", "fast", "llama.cpp"]

#: All ways of serving that are compared.
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True)
class Bounds:
    """The largest mean KL in nats that a way of serving may have, and the smallest effect of an adapter."""

    exact: float = 1e-4
    fast: float = 0.01
    llama_cpp: float = 0.05
    effect: float = 1e-6

    def of(self, way: Way) -> float:
        """The bound of one way."""
        return {"exact": self.exact, "fast": self.fast, "llama.cpp": self.llama_cpp}[way]


@dataclass(frozen=True)
class Reason:
    """Why an adapter is refused: the fault's name, and what it is in words."""

    name: str
    text: str


@dataclass(frozen=True)
class StopLearnt:
    """The end tokens of the answers: their mean probability, and the share where they are the best token."""

    probability: float
    share_best: float
    n_answers: int


@dataclass(frozen=True)
class Receipt:
    """What was checked of an adapter. KL in nats, means over positions; None: this way does not run here.

    Attributes:
        ids_equal: every training example has the same tokens on both sides.
        n_examples, n_positions: on which log-probabilities were compared.
        weights_checked: tensors of the base, all equal to torch's (else see `reasons`).
        tensors_matched: tensors of the adapter, each with its place in the model.
        effect_nats: KL of the adapter against its base.
        samples: what was compared on (`token_ids`, `places`), so that exports are compared on the same.
        warnings: what does not refuse it, but should be known.
    """

    verdict: Literal["holds", "refused"]
    reasons: tuple[Reason, ...]
    kl_exact: float | None
    kl_fast: float | None
    kl_llama_cpp: float | None
    ids_equal: bool
    n_ids_checked: int
    n_examples: int
    n_positions: int
    weights_checked: int
    tensors_matched: int
    effect_nats: float
    stop_learnt: StopLearnt | None
    warnings: tuple[str, ...] = ()
    bounds: Bounds = Bounds()
    precision: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    base_digest: str = ""
    samples: tuple[Sample, ...] = ()
    made: str = ""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether what is served is what was trained."""
        return self.verdict == "holds"


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Keep a receipt beside its adapter, replaced as a whole."""
    text = json.dumps({"version": 1, **asdict(receipt)}, indent=2, ensure_ascii=False)
    write_atomically(folder / RECEIPT_FILE, text + "\n")


def read_receipt(folder: Path) -> dict[str, Any] | None:
    """An adapter's receipt as it was written; None where there is none.

    Raises:
        ReceiptError: a file that is none.
    """
    path = folder / RECEIPT_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ReceiptError(f"this is no receipt ({error})", where=str(path)) from None
    if not isinstance(found, dict) or "verdict" not in found:
        raise ReceiptError("this is no receipt", where=str(path))
    return found


def kept_samples(folder: Path) -> list[Sample]:
    """What an adapter's receipt was made on; empty where it has none."""
    found = read_receipt(folder)
    return [
        Sample(tuple(item["token_ids"]), tuple(item["places"])) for item in (found or {}).get("samples", ())
    ]


def make_receipt(
    model: Path,
    adapter: Path,
    heldout: Sequence[EncodedExample],
    *,
    trained: Sequence[EncodedExample] = (),
    sources: Sequence[Example] = (),
    served: Path | None = None,
    ways: Sequence[Way] = WAYS,
    cache_path: Path | None = None,
    bounds: Bounds = Bounds(),
    progress: Progress = no_progress,
) -> Receipt:
    """Check that an adapter is served as it was trained, by every engine that runs here.

    Args:
        model: the GGUF file that it was trained on.
        adapter: the PEFT folder, as training wrote it.
        heldout: examples on whose labelled positions log-probabilities are compared.
        trained: training examples as training saw them; their tokens are compared.
        sources: what `trained` was encoded from, in the same order (or none: then less is seen).
        served: the folder that the engines get, where it is another than training's.
        ways: of serving, that are compared.
        cache_path: the home's cache of imported graphs.

    Raises:
        ReceiptError: no example to compare on.
        EngineError: torch is not installed, or the model does not run here.
    """
    from homespun.tuning.receipt_work import ReceiptWork

    started = time.perf_counter()
    work = ReceiptWork(model, adapter, served or adapter, ways, cache_path, bounds, progress)
    work.check_ids(trained or heldout, sources)
    work.choose(heldout)
    work.run_torch()
    return work.receipt(time.perf_counter() - started)
