"""TRL's own trainer on the weights of a GGUF and the very tokens that our training sees: the baseline of tune.py.

`defaults` is what SFTTrainer does when it is only told to train LoRA of rank 16 on all linear layers on this
processor. Which settings are its best depends on the processor: `fastest` tries those that could be, in the
same run as everything else, and `best` is the first of them. TRL 1.16 computes its head and loss on the answer's
tokens alone in all. Every run has a process of its own, so that its memory can be read.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Settings = Literal["defaults", "best"]
#: One question and answer: (prompt, response).
Row = tuple[str, str]

BATCH_SIZE = 8
RANK = 16
_PLAIN: dict[str, Any] = {
    "gradient_checkpointing": False,
    "train_sampling_strategy": "group_by_length",
    "optim": "adamw_torch_fused",
}
#: What could be TRL's best here, by name: arguments of SFTConfig, and how the frozen weights are kept.
CANDIDATES: dict[str, tuple[dict[str, Any], str]] = {
    "bf16 weights and products": ({**_PLAIN, "bf16": True}, "bfloat16"),
    "bf16 weights": ({**_PLAIN, "bf16": False}, "bfloat16"),
    "f32 weights, bf16 products": ({**_PLAIN, "bf16": True}, "float32"),
    "batches in parts of 2": (
        {**_PLAIN, "bf16": True, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        "bfloat16",
    ),
    "packed": (
        {**_PLAIN, "bf16": True, "packing": True, "max_length": 1024, "per_device_train_batch_size": 2},
        "bfloat16",
    ),
}
#: What is told to SFTConfig beyond what is needed to run here at all.
ARGUMENTS: dict[str, dict[str, Any]] = {"defaults": {}, "best": CANDIDATES["bf16 weights and products"][0]}
WEIGHTS = {"defaults": "float32", "best": "bfloat16"}


@dataclass(frozen=True)
class TrlRun:
    """What one run did.

    Attributes:
        tokens_per_s: useful tokens (padding not counted) a second, from the second step to the last.
        seconds: what was timed, in seconds.
        settings: all that was chosen.
        n_tokens, n_steps: timed ones.
        cpu_seconds: of all threads over the same steps; on a busy machine the fairer figure with one thread.
        peak_bytes: resident memory of the process at its highest.
        losses: of every step, the first too.
    """

    tokens_per_s: float
    seconds: float
    settings: dict[str, Any]
    n_tokens: int = 0
    n_steps: int = 0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    losses: tuple[float, ...] = ()


def trl_tokens_per_second(
    model_path: Path,
    rows: Sequence[Row],
    *,
    settings: Settings,
    n_steps: int,
    changes: dict[str, Any] | None = None,
    weights: str | None = None,
) -> TrlRun:
    """One pass of TRL over the first `n_steps` batches of rows; the first step warms up and is not timed.

    Args:
        model_path: a GGUF file.
        rows: prompts and responses; each becomes one turn of the user and one of the assistant.
        settings: which.
        n_steps: batches of 8 rows; needs so many rows.
        changes: arguments of SFTConfig instead of those of the settings, to look for better ones.
        weights: float32 or bfloat16, instead of the settings' own.
    """
    n_rows = n_steps * BATCH_SIZE
    if len(rows) < n_rows:
        raise ValueError(f"{n_steps} steps need {n_rows} rows, not {len(rows)}")
    arguments = {**ARGUMENTS[settings], **(changes or {})}
    kept = weights or WEIGHTS[settings]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_run, Path(model_path), list(rows[:n_rows]), arguments, kept).result()


def fastest(model_path: Path, rows: Sequence[Row], *, n_steps: int) -> tuple[str, TrlRun]:
    """The candidate with the most useful tokens a second, and its run; what cannot run here is passed over."""
    runs = {}
    for name, (changes, weights) in CANDIDATES.items():
        try:
            runs[name] = trl_tokens_per_second(
                model_path, rows, settings="defaults", n_steps=n_steps, changes=changes, weights=weights
            )
        except (ValueError, RuntimeError) as error:
            print(f"TRL, {name}: {error}", file=sys.stderr)
    best = max(runs, key=lambda name: runs[name].tokens_per_s)
    return best, runs[best]


def covidqa_rows(data: Path, *, n_chars: int = 1100, split: str = "train") -> list[Row]:
    """COVID-QA's questions with about `n_chars` characters of the article around the answer, and the answer."""
    import json

    rows = []
    texts: dict[str, str] = {}
    for line in (data / "questions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["split"] != split:
            continue
        text = texts.setdefault(row["document"], (data / row["document"]).read_text("utf-8"))
        start = max(0, (row["start"] + row["end"] - n_chars) // 2)
        rows.append((f"{text[start : start + n_chars]}\n\nQuestion: {row['question']}", row["answers"][0]))
    return rows


def _run(model_path: Path, rows: list[Row], arguments: dict[str, Any], weights: str) -> TrlRun:
    """In a process of its own."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from homespun.engines.torch_model import build_model
    from homespun.models.config import ModelConfig
    from homespun.models.gguf import read_gguf

    file = read_gguf(model_path)
    # The config is written by us, so nothing of it says GGUF: TRL refuses a model whose config does.
    model = build_model(file, ModelConfig.from_gguf(file), "cpu").to(getattr(torch, weights)).train()
    tokenizer = AutoTokenizer.from_pretrained(str(model_path.parent), gguf_file=model_path.name)
    clock = _clock()
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            use_cpu=True,
            per_device_train_batch_size=arguments.pop("per_device_train_batch_size", BATCH_SIZE),
            num_train_epochs=1,
            completion_only_loss=True,  # its own choice for prompts with completions; ours come as tokens
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **arguments,
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(_encoded(file, rows)),
            processing_class=tokenizer,
            peft_config=LoraConfig(r=RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[clock],
        )
        collate = trainer.data_collator

        def counted(examples: list[dict[str, Any]]) -> Any:
            clock.batches.append(sum(len(example["input_ids"]) for example in examples))
            return collate(examples)

        trainer.data_collator = counted
        trainer.train()
        losses = tuple(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    seconds = clock.ends[-1] - clock.ends[0]
    n_tokens = sum(clock.batches[config.gradient_accumulation_steps :])  # all but those of the first step
    settings = {
        **arguments,
        "weights": weights,
        "rank": RANK,
        "batch_size": config.per_device_train_batch_size,
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = clock.cpu[-1] - clock.cpu[0]
    return TrlRun(n_tokens / seconds, seconds, settings, n_tokens, len(clock.ends) - 1, cpu, peak, losses)


def _encoded(file: Any, rows: Sequence[Row]) -> list[dict[str, list[int]]]:
    from homespun.models.template import ChatTemplate, Message
    from homespun.models.tokenizer import Tokenizer
    from homespun.tuning.encode import encode_example
    from homespun.tuning.examples import Example

    tokenizer = Tokenizer.from_gguf(file)
    template = ChatTemplate.from_gguf(file, tokenizer)
    found = []
    for prompt, response in rows:
        example = Example((Message("user", prompt), Message("assistant", response)))
        encoded = encode_example(example, template, tokenizer)
        mask = [int(is_labelled) for is_labelled in encoded.labelled]
        found.append({"input_ids": list(encoded.token_ids), "completion_mask": mask})
    return found


def _clock() -> Any:
    """A callback that notes when each step ended."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []
            self.cpu: list[float] = []
            self.batches: list[int] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())
            self.cpu.append(time.process_time())

    return Clock()


def main() -> None:
    """Measure one setting by hand: python bench/_trl.py MODEL.gguf COVIDQA defaults 6"""
    import json
    from dataclasses import asdict

    model, data, settings, n_steps, *rest = sys.argv[1:]
    changes = json.loads(rest[0]) if rest else {}
    weights = changes.pop("weights", None)
    rows = covidqa_rows(Path(data))
    run = trl_tokens_per_second(
        Path(model),
        rows,
        settings="best" if settings == "best" else "defaults",
        n_steps=int(n_steps),
        changes=changes,
        weights=weights,
    )
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    main()
