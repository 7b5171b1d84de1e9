"""After the last step: is it served as it was trained, and what was forgotten?"""

from dataclasses import replace

from homespun.engines.engine import EngineOptions, ScoreRequest
from homespun.engines.load import load_engine
from homespun.models.home import Home
from homespun.progress import Progress
from homespun.tuning.base import Base
from homespun.tuning.errors import ReceiptError
from homespun.tuning.forgetting import forgetting_check, write_report
from homespun.tuning.options import TuneOptions
from homespun.tuning.prepare import Prepared
from homespun.tuning.receipt import make_receipt, write_receipt
from homespun.tuning.tune_result import TuneResult

#: Nats a token by which a whole model's held-out loss may differ between bfloat16 training and float32 serving.
LARGEST_DIFFERENCE = 0.05


def checked(
    home: Home, base: Base, prepared: Prepared, options: TuneOptions, result: TuneResult, progress: Progress
) -> TuneResult:
    """The result with its receipt and what was forgotten, both kept beside the adapter.

    What is served as a model of its own (full tuning, DoRA merged) is judged by its held-out loss instead.

    Raises:
        ReceiptError: the receipt refuses the adapter.
    """
    if options.method in ("dora", "full"):
        _check_model(home, prepared, result, progress)
        return result
    if options.receipt:
        receipt = make_receipt(
            base.path,
            result.path,
            prepared.heldout or prepared.train,
            trained=prepared.train,
            sources=prepared.train_examples,
            cache_path=home.cache_path,
            progress=progress,
        )
        write_receipt(result.path, receipt)
        result = replace(result, receipt=receipt)
        if not receipt.holds:
            reasons = "; ".join(f"{reason.name}: {reason.text}" for reason in receipt.reasons)
            raise ReceiptError(
                f"the adapter {result.name!r} is not served as it was trained ({reasons})",
                remedy=f"See `homespun adapters receipt {result.name}`; nothing will use it as it is.",
            )
    if options.forgetting:
        with load_engine(home, str(base.path), progress=progress) as engine:
            engine.load_adapter(result.name, result.path)
            report = forgetting_check(
                engine, adapter=result.name, cache_path=home.cache_path / "forgetting", progress=progress
            )
        write_report(result.path, report)
        result = replace(result, forgetting=report)
    return result


def _check_model(home: Home, prepared: Prepared, result: TuneResult, progress: Progress) -> None:
    """A whole model has its receipt in its held-out loss, which the serving engine must find, too."""
    if not prepared.heldout or result.losses.heldout_best is None:
        return
    with load_engine(home, result.name, EngineOptions(mode="exact"), progress=progress) as engine:
        total = n_labelled = 0.0
        for example in prepared.heldout:
            n_scored = len(example.token_ids) - 1
            (found,) = engine.score([ScoreRequest(example.token_ids, n_scored)])
            total -= sum(float(p) for p, is_one in zip(found, example.labelled[1:], strict=True) if is_one)
            n_labelled += sum(example.labelled[1:])
    served = total / n_labelled
    if abs(served - result.losses.heldout_best) > LARGEST_DIFFERENCE:
        raise ReceiptError(
            f"the model {result.name!r} is not served as it was trained: its held-out loss is {served:.3f}, "
            f"and training found {result.losses.heldout_best:.3f}",
            remedy=f"Run `homespun models remove {result.name}` and tune again with --precision f32.",
        )
