"""`homespun tune`: from examples to an adapter that is live in the engine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from homespun.cli.flags import Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.options import TuneOptions

app = typer.Typer()


@app.command()
@flags
def tune(
    options: TuneOptions,
    grounding: GroundOptions,
    columns: DataColumns,
    data: Annotated[list[Path], typer.Argument(help="files or folders of examples")],
    name: Annotated[str, typer.Option("--name", "-n", help="what the adapter will be called")],
    model: ModelName = None,
    picture: Annotated[Path | None, typer.Option(help="draw the loss curve: FILE.png or FILE.svg")] = None,
    as_json: Json = False,
) -> None:
    """Tune a model on examples: an adapter that is live at once, with a receipt."""
    from homespun.models.home import Home
    from homespun.tuning.curve import draw_curve
    from homespun.tuning.tune import tune as run

    with shown_progress() as progress:
        result = run(
            Home.open(),
            data,
            options,
            grounding,
            columns,
            name=name,
            model=model,
            progress=progress,
            on_plan=None if as_json else _show_plan,
            on_step=None if as_json else _show_step,
        )
    if picture is not None:
        draw_curve(result.path, picture)
    if as_json:
        print_json(result)
        return
    print(_summary(result))


def _show_plan(plan: Any) -> None:
    left_out = f", {plan.n_left_out} rows left out" if plan.n_left_out else ""
    print(
        f"{plan.n_examples} examples to learn from, {plan.n_heldout} held out{left_out}; "
        f"{plan.n_tokens:,} tokens\n"
        f"{plan.n_trained:,} numbers are learnt beside {plan.n_frozen:,} frozen ones; {plan.precision}, "
        f"learning rate {plan.learning_rate:g}\n"
        f"{plan.n_steps} steps at {plan.tokens_per_s:,.0f} tokens/s: about {_minutes(plan.seconds)}; "
        f"memory about {plan.memory_bytes / 1e9:.1f} GB, disk {plan.disk_bytes / 1e6:.0f} MB",
        flush=True,
    )


def _show_step(report: Any) -> None:
    if report.heldout_loss is None:
        return
    print(
        f"step {report.step}/{report.n_steps}: loss {report.loss:.3f}, held-out {report.heldout_loss:.3f}, "
        f"{report.tokens_per_s:,.0f} tokens/s",
        flush=True,
    )
    for sample in report.samples:
        question = sample.question.rsplit("Question: ", 1)[-1]
        print(
            f"  {question!r}\n    wanted {sample.wanted!r}\n    base   {sample.base!r}\n    tuned  {sample.tuned!r}"
        )


def _summary(result: Any) -> str:
    losses = result.losses
    why = "all steps done" if result.stopped == "steps" else "the held-out loss no longer fell"
    lines = [f"{result.name}: {result.n_steps} steps in {_minutes(result.seconds)}, {why}"]
    if losses.heldout_first is not None:
        lines.append(f"held-out loss {losses.heldout_first:.3f} before, {losses.heldout_best:.3f} after")
    if result.n_resumed:
        lines.append(f"went on after step {result.n_resumed}")
    lines += [f"left out: {row}" for row in result.left_out[:10]]
    if len(result.left_out) > 10:
        lines.append(f"left out: {len(result.left_out) - 10} rows more (--json names all)")
    if result.receipt is not None:
        lines.append(_receipt_line(result.receipt))
    if result.forgetting is not None:
        lines += [f"forgotten: {sentence}" for sentence in result.forgetting.sentences]
    is_model = result.model is not None
    lines.append(f"use it: homespun run ... --{'model' if is_model else 'adapter'} {result.name}")
    return "\n".join(lines)


def _receipt_line(receipt: Any) -> str:
    ways = (("exact", receipt.kl_exact), ("fast", receipt.kl_fast), ("llama.cpp", receipt.kl_llama_cpp))
    kls = ", ".join(f"{way} {kl:.1e}" for way, kl in ways if kl is not None)
    return (
        f"receipt {receipt.verdict}: ids equal on {receipt.n_ids_checked} examples, KL to training in nats: {kls} "
        f"(the adapter itself moves {receipt.effect_nats:.2f})"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
