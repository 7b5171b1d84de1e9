"""`homespun precision`: what number formats can hold, and what they cost here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, shown_progress, size, table

if TYPE_CHECKING:
    from homespun.engines.torch_products import ProductSpeed
    from homespun.planning.number_formats import FormatFacts

app = typer.Typer()


@app.command()
def precision(
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="multiply matrices in each format (needs torch)")
    ] = True,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="draw range and spacing: FILE.png or FILE.svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what float32, bf16, fp16, tf32 and fp8 can hold, and how fast each is on this machine."""
    from homespun.planning.precision import precision_report

    with shown_progress() as progress:
        report = precision_report(measure=measure, progress=progress)
    if picture is not None:
        from homespun.pictures.number_lines import draw_spacing
        from homespun.planning.number_formats import FORMATS

        lines = {kind.name: (kind.least_subnormal, kind.largest, kind.spacing) for kind in FORMATS}
        draw_spacing(lines, picture, title="Range and spacing of number formats")
    if as_json:
        print_json(report)
        return
    print(table([_facts(one) for one in report.formats]))
    first = report.formats[0]
    print(
        f"\nsum of ones: where adding 1 again and again stands still (float32: at 16,777,216). "
        f"gradient: what is left of {first.gradient.gradient:.3g}; scaled: with the loss times "
        f"{first.gradient.scale:,.0f} before, divided again after."
    )
    if report.why_not_measured:
        print(f"Speed is not measured: {report.why_not_measured}.")
    else:
        print(f"\n{report.processor}, {report.threads} threads:")
        print(table([_speed(one) for one in report.speeds]))
        print(
            "read: 256 rows at once; write: one row; train: forward and backward. The best of a few rounds."
        )
        for one in report.speeds:
            if one.error:
                print(f"{one.name}: {one.error}")
    if picture is not None:
        print(f"The picture is {picture}.")


def _facts(one: "FormatFacts") -> dict[str, Any]:
    stalled = one.sum_of_ones
    return {
        "format": one.name,
        "bits": one.size_bits,
        "largest": f"{one.largest:.4g}",
        "least normal": f"{one.least_normal:.3g}",
        "least": f"{one.least_subnormal:.3g}",
        "step at 1": f"{one.spacing_at_1:.3g}",
        "at 1000": "-" if one.spacing_at_1000 is None else f"{one.spacing_at_1000:.3g}",
        "sum of ones": f"{stalled.total:,.0f}" if one.sum_stalls else f"over {stalled.total:,.0f}",
        "gradient": f"{one.gradient.plain:.3g}",
        "scaled": f"{one.gradient.scaled:.3g}",
    }


def _speed(one: "ProductSpeed") -> dict[str, Any]:
    return {
        "format": one.name,
        "1024 x 1024 weights": size(one.weights_bytes) if one.weights_bytes else "-",
        "read GFLOP/s": _number(one.read_gflops),
        "write GB/s": _number(one.write_gb_per_s),
        "writes/s": _number(one.write_products_per_s),
        "train GFLOP/s": _number(one.train_gflops),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
