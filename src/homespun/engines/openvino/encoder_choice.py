"""Which precision an embedder runs in here: the fastest whose vectors agree with float32's, measured once."""

import contextlib
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import openvino as ov

from homespun.engines.openvino.encoder_compile import EmbedderOptions, Precision, compile_encoder
from homespun.engines.openvino.encoder_config import EncoderConfig
from homespun.engines.openvino.settings import core
from homespun.engines.probe import probe_text
from homespun.engines.processor import processor_name
from homespun.models.digest import file_digest
from homespun.models.errors import HomeError
from homespun.models.storage import write_atomically

#: Mean cosine with float32 over the probe's texts. On COVID-QA, 0.9989 went with 96% of the first ten results
#: the same, and 0.9979 with less than 95% (`bench/embed.py --agreement`).
LOWEST_MEAN_COSINE = 0.9985
_ROUNDS = 3
#: Weights whose first ten results `bench/embed.py --agreement` found the same as float32's: all-MiniLM-L6-v2.
_AGREE_IN_INT8 = ("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",)


def chosen_precision(
    path: Path, config: EncoderConfig, options: EmbedderOptions, cache_path: Path | None
) -> Precision:
    """The precision that `auto` means for this embedder on this processor.

    The starter embedder is known to agree in int8, and int8 to be the fastest with VNNI and without AMX.
    Everything else is measured the first time, with a few seconds of work; what was found is kept in
    `cache_path`. Without one nothing is measured: `auto` then stays, bf16 where the processor computes in it.

    Raises:
        EngineError: damaged weights.
    """
    told = processor_name()
    is_known = file_digest(path / "model.safetensors") in _AGREE_IN_INT8
    if is_known and "VNNI" in told and "AMX" not in told:
        return "int8"
    if cache_path is None:
        return "auto"
    stated = [file_digest(path / "model.safetensors"), repr(config), told, ov.get_version()]
    kept_path = cache_path / f"{hashlib.sha256(repr(stated).encode()).hexdigest()[:32]}.precision.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(kept_path.read_text("utf-8"))["precision"]
        if kept in get_args(Precision):
            return kept  # type: ignore[no-any-return]
    measured = measure_precisions(path, config, options)
    agreeing = [row for row in measured if row["mean_cosine"] >= LOWEST_MEAN_COSINE]
    fastest: Precision = min(agreeing, key=lambda row: row["seconds"])["precision"]
    with contextlib.suppress(OSError, HomeError):  # then it is measured again
        cache_path.mkdir(parents=True, exist_ok=True)
        write_atomically(kept_path, json.dumps({"precision": fastest, "measured": measured}) + "\n")
    return fastest


def measure_precisions(path: Path, config: EncoderConfig, options: EmbedderOptions) -> list[dict[str, Any]]:
    """Each precision of this processor with its time for the probe's texts and its cosine with float32.

    Returns:
        Rows of `precision`, `seconds` (best of three, one thread) and `mean_cosine`; float32 is first.
    """
    able = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names: list[Precision] = ["f32", "bf16", "int8"] if able else ["f32", "int8"]
    texts = _probe_ids(path, config)
    rows: list[dict[str, Any]] = []
    exact: npt.NDArray[np.float32] | None = None
    for name in names:
        compiled = compile_encoder(path, config, replace(options, precision=name, threads=1), None)
        request = compiled.create_infer_request()
        seconds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            vectors = np.concatenate([request.infer([ids, np.ones_like(ids)])[0].copy() for ids in texts])
            seconds.append(time.perf_counter() - started)
        exact = vectors if exact is None else exact
        cosine = float((vectors * exact).sum(axis=1).mean())
        rows.append({"precision": name, "seconds": min(seconds), "mean_cosine": cosine})
    return rows


def _probe_ids(path: Path, config: EncoderConfig) -> list[npt.NDArray[np.int64]]:
    """The probe's paragraphs, one array (1, tokens) each."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    paragraphs = [part for part in probe_text().split("\n\n") if part.strip()]
    encodings = tokenizer.encode_batch(paragraphs)
    return [np.array([encoding.ids[: config.n_positions]], np.int64) for encoding in encodings]
