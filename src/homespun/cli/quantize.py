"""`homespun quantize`: a model in other formats, and what each of them loses."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json, flags
from homespun.cli.render import print_json, shown_progress, size, table
from homespun.planning.quantize_options import QuantizeOptions

if TYPE_CHECKING:
    from homespun.evaluation.intervals import Interval
    from homespun.planning.quantize import Quantization, QuantizedFile

app = typer.Typer()


@app.command()
@flags
def quantize(
    options: QuantizeOptions,
    model: Annotated[
        str | None, typer.Argument(help="a model's name or a GGUF file (default: the default model)")
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_1, Q5_0, Q4_K_M, Q4_1, Q4_0; with commas"
        ),
    ] = "Q8_0,Q4_K_M",
    library: Annotated[
        str, typer.Option("--library", "-l", help="measure on the documents of this library")
    ] = "",
    text: Annotated[Path | None, typer.Option(help="measure on this file's text")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="a question set that each file answers (from --library, if given)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model in other formats, measure what each loses, and say which to take."""
    from homespun.models.home import Home
    from homespun.planning.quantize import quantize_model

    with shown_progress() as progress:
        found = quantize_model(
            Home.open(),
            model,
            to.split(","),
            options,
            library=library,
            text=text,
            questions=questions,
            progress=progress,
        )
    if as_json:
        print_json(found)
        return
    _print(found)


def _print(found: "Quantization") -> None:
    print(table([_shown(file, found.perplexity) for file in found.files]))
    print(
        f"\nKL to the source (95% interval), best token and perplexity at {found.n_positions:,} places of "
        f"{found.measured_on}, in float32 by {found.measured_by}; speed in tokens a second."
    )
    for file in found.files:
        if file.error is not None:
            print(f"{file.target}: {file.error}")
        if file.fallbacks:
            changes = sorted({fallback.split(": ", 1)[1] for fallback in file.fallbacks})
            told = ", ".join(changes)
            print(
                f"{file.target}: {len(file.fallbacks)} matrices have another format ({told}): odd row lengths"
            )
        if file.bench is not None and file.bench.error is not None:
            print(f"{file.target}, speed: {file.bench.error}")
    for note in found.notes:
        print(f"Note: {note}.")
    advice = found.recommendation
    print(f"\nTake {advice.name}: {advice.why}.\nThe rule: {advice.rule}.")


def _shown(file: "QuantizedFile", perplexity: float) -> dict[str, Any]:
    loss, bench = file.loss, file.bench
    is_timed = bench is not None and bench.error is None
    row = {
        "model": file.name,
        "format": file.target,
        "size": size(file.size_bytes),
        "bits": f"{file.bits_per_weight:.2f}",
        "KL nats": "-" if loss is None else _interval(loss.kl_nats, "{:.4f}"),
        "same best": "-" if loss is None else f"{loss.best_agreement:.1%}",
        "perplexity": f"{loss.perplexity if loss else perplexity:.2f}" if file.error is None else "-",
        "read": f"{bench.read_tokens_per_s:.0f}" if bench is not None and is_timed else "-",
        "write": f"{bench.write_tokens_per_s:.0f}" if bench is not None and is_timed else "-",
        "memory": size(bench.memory_bytes) if bench is not None and is_timed else "-",
    }  # fmt: skip
    if file.score is not None:
        row["right"] = _interval(file.score.correct, "{:.1%}")
    return row


def _interval(found: "Interval", form: str) -> str:
    return f"{form.format(found.value)} [{form.format(found.low)}, {form.format(found.high)}]"
