"""A receipt made anew: on the data that its adapter was trained on, or on what the first receipt kept of it."""

from pathlib import Path

from homespun.errors import HomespunError
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.tuning.adapter_base import base_path
from homespun.tuning.adapters import StoredAdapter
from homespun.tuning.data.read import read_examples
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import ReceiptError
from homespun.tuning.examples import EncodedExample, Example
from homespun.tuning.receipt import Receipt, kept_samples, make_receipt, write_receipt


def make_receipt_again(
    home: Home, adapter: StoredAdapter, model: str | None = None, progress: Progress = no_progress
) -> Receipt:
    """Make an adapter's receipt anew and keep it.

    Raises:
        ReceiptError: neither its data nor an earlier receipt is there.
        TuneError, ModelError: its base is not here.
        EngineError: torch is not installed.
    """
    path = base_path(home, adapter, model)
    encoded, sources = _examples(adapter, path)
    receipt = make_receipt(
        path,
        adapter.path,
        encoded,
        trained=encoded,
        sources=sources,
        cache_path=home.cache_path,
        progress=progress,
    )
    write_receipt(adapter.path, receipt)
    return receipt


def _examples(adapter: StoredAdapter, model: Path) -> tuple[list[EncodedExample], list[Example]]:
    files = [Path(file) for file in adapter.lineage.data.files] if adapter.lineage else []
    if files and all(file.exists() for file in files):
        file = read_gguf(model)
        tokenizer = Tokenizer.from_gguf(file)
        template = ChatTemplate.from_gguf(file, tokenizer)
        encoded, sources = [], []
        try:
            for example in read_examples(files).examples:
                encoded.append(encode_example(example, template, tokenizer))
                sources.append(example)
            return encoded, sources
        except HomespunError:
            pass  # files whose columns were named by hand: what the first receipt kept is used
    kept = kept_samples(adapter.path)
    if not kept:
        raise ReceiptError(
            f"the data that {adapter.name!r} was trained on is no longer there, and no receipt kept any of it",
            where=", ".join(map(str, files)) or str(adapter.path),
        )
    return [
        EncodedExample(sample.token_ids, tuple(i in sample.places for i in range(len(sample.token_ids))))
        for sample in kept
    ], []
