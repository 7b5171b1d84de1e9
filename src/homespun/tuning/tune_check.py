"""After the last step: is it served as it was trained, and what was forgotten?"""

from dataclasses import replace

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


def checked(
    home: Home, base: Base, prepared: Prepared, options: TuneOptions, result: TuneResult, progress: Progress
) -> TuneResult:
    """The result with its receipt and what was forgotten, both kept beside the adapter.

    A DoRA adapter cannot be live, so it has neither: it is exported merged, and the export is compared.

    Raises:
        ReceiptError: the receipt refuses the adapter.
    """
    if options.method == "dora":
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
                engine, adapter=result.name, cache_path=home.cache_path, progress=progress
            )
        write_report(result.path, report)
        result = replace(result, forgetting=report)
    return result
