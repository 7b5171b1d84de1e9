"""The training of an encoder by contrast: torch and sentence-transformers are imported when it begins."""

import logging
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from homespun.engines.errors import EngineError
from homespun.engines.torch_model import INSTALL, import_torch
from homespun.progress import Progress
from homespun.tuning.encoder_pairs import EncoderPair
from homespun.tuning.errors import TuneError
from homespun.tuning.network.precision import choose_precision


def import_sentence_transformers() -> Any:
    """The package.

    Raises:
        EngineError: it or torch is not installed.
    """
    import_torch()
    # Packages that it looks into warn of faster kernels elsewhere, which nobody is to install.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import sentence_transformers
    except ImportError as error:
        raise EngineError(f"tuning an embedder needs {error.name}", remedy=INSTALL) from None
    return sentence_transformers


def train_encoder(
    folder: Path,
    target: Path,
    pairs: Sequence[EncoderPair],
    prefixes: tuple[str, str],
    *,
    epochs: int,
    learning_rate: float,
    batch_pairs: int,
    n_hard: int,
    seed: int,
    threads: int,
    progress: Progress,
) -> list[float]:
    """Tune a sentence-transformers folder so that questions lie near their passages; the loss of each step.

    The loss is MultipleNegativesRankingLoss (Henderson et al. 2017): of all passages of a batch, the question's
    own must be the nearest; hard ones are there beside those of the other questions. No passage is twice in a
    batch, where it would be right and wrong at once.

    Args:
        folder: what is tuned; it stays as it is. `target`: where the tuned one is written.
        prefixes: before questions and before passages.

    Raises:
        EngineError: torch or sentence-transformers are not installed.
        TuneError: the loss is no number.
    """
    package = import_sentence_transformers()
    import torch
    import transformers
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    transformers.utils.logging.disable_progress_bar()  # ours tells
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = package.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    rows = model.max_seq_length
    model.max_seq_length = min(rows or 256, 256)
    loss_of = MultipleNegativesRankingLoss(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    draw = random.Random(seed)
    batches = [batch for _ in range(epochs) for batch in _batches(pairs, batch_pairs, draw)]
    n_warm = max(1, len(batches) // 10)
    losses: list[float] = []
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            falling = (len(batches) - step) / max(1, len(batches) - n_warm)
            group["lr"] = learning_rate * min((step + 1) / n_warm, falling)
        columns = [
            [prefixes[0] + pair.question for pair in batch],
            [prefixes[1] + pair.passage for pair in batch],
        ]
        columns += [[prefixes[1] + draw.choice(pair.hard) for pair in batch] for _ in range(n_hard)]
        with _fast(torch):
            loss = loss_of([model.preprocess(column) for column in columns], None)
        losses.append(float(loss.detach()))
        if losses[-1] != losses[-1]:
            raise TuneError(f"the loss of step {step + 1} is no number", remedy="Use a lower learning rate.")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress("tuning the embedder (steps)", step + 1, len(batches))
    model.max_seq_length = rows
    model.eval().save(str(target), create_model_card=False)
    return losses


def _batches(pairs: Sequence[EncoderPair], size: int, draw: random.Random) -> list[list[EncoderPair]]:
    """All pairs once in a new order, no passage or question twice in a batch."""
    order = list(pairs)
    draw.shuffle(order)
    batches: list[tuple[list[EncoderPair], set[str]]] = []
    for pair in order:
        for batch, texts in batches:
            if len(batch) < size and not {pair.passage, pair.question} & texts:
                break
        else:
            batch, texts = [], set()
            batches.append((batch, texts))
        batch.append(pair)
        texts.update((pair.passage, pair.question))
    return [batch for batch, _ in batches if len(batch) > 1 or len(batches) == 1]


def _fast(torch: Any) -> AbstractContextManager[Any]:
    """bfloat16 products where the processor has them; weights stay float32."""
    chosen = choose_precision("auto", "cpu")
    context: AbstractContextManager[Any] = torch.autocast(
        "cpu", torch.bfloat16, enabled=chosen.dtype is torch.bfloat16
    )
    return context
