"""`homespun quantization`: what quantizing does to numbers, on small examples and on a layer of one's model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, table

if TYPE_CHECKING:
    from homespun.planning.quantization_view import LayerResult, WayResult

app = typer.Typer()


@app.command()
def quantization(
    model: Annotated[str | None, typer.Argument(help="a model's name or a GGUF file")] = None,
    layer: Annotated[
        str, typer.Option("--layer", help="also a matrix of the model, such as blk.0.ffn_down")
    ] = "",
    picture: Annotated[
        Path | None, typer.Option("--picture", help="draw the errors: FILE.png or FILE.svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what quantizing does to numbers: outliers, blocks, LLM.int8, NF4, on a layer of your model too."""
    from homespun.engines.load import model_path
    from homespun.models.home import Home
    from homespun.pictures.errors_of_values import draw_errors, draw_restored
    from homespun.planning import quantization_view as view

    wants_layer = bool(layer) or model is not None
    example, product = view.outlier_example(), view.product_example()
    found = None
    if wants_layer:
        found = view.layer_example(model_path(Home.open(), model), layer or "blk.0.ffn_down")
    if picture is not None:
        if found:
            draw_errors(view.layer_panels(found), picture, title=f"{found.name} in fewer bits")
        else:
            draw_restored(view.example_panels(example), picture, title="One value of 1000 destroys the rest")
    if as_json:
        print_json({
            "outlier": [_row(one) for one in example.results],
            "product": product,
            "layer": _layer(found) if found else None,
            "picture": picture,
        })  # fmt: skip
        return
    print("A 4 x 4 matrix of values up to 3, and the same with one value of 1000 (errors of the others):")
    print(table([_shown(one) for one in example.results]))
    print("\nLLM.int8, the example of its paper: columns with a value of 6 or more are multiplied in 16 bits")
    print(table([
        {"row": n + 1, "truth": _numbers(truth), "all in 8 bits": _numbers(int8), "LLM.int8": _numbers(mixed)}
        for n, (truth, int8, mixed) in enumerate(
            zip(product.truth, product.int8, product.llm_int8, strict=True)
        )
    ]))  # fmt: skip
    if found:
        shape = " x ".join(f"{n:,}" for n in found.shape)
        print(f"\n{found.name}, {shape}, stored as {found.stored}; its largest value is "
              f"{found.most_sigma:.1f} standard deviations, kurtosis {found.kurtosis:.1f} (normal: 3)")  # fmt: skip
        print(table([_shown(one) for one in found.results]))
        if not found.stored.startswith(("F", "BF")):
            print(f"The file holds it in {found.stored}: what it lost before is not seen here.")
    if picture is not None:
        print(f"\nThe picture is {picture}.")


def _row(one: "WayResult") -> dict[str, Any]:
    return {
        "way": one.way,
        "bits_per_weight": one.bits_per_weight,
        "relative_error": one.relative_error,
        "largest_error": one.largest_error,
    }


def _shown(one: "WayResult") -> dict[str, Any]:
    return {
        "way": one.way,
        "bits": f"{one.bits_per_weight:.2f}",
        "error": f"{one.relative_error:.2%}",
        "largest": f"{one.largest_error:.3g}",
    }


def _layer(found: "LayerResult") -> dict[str, Any]:
    names = ("name", "stored", "shape", "n_rows", "kurtosis", "most_sigma")
    return {name: getattr(found, name) for name in names} | {"ways": [_row(one) for one in found.results]}


def _numbers(values: Any) -> str:
    return "  ".join(f"{value:.2f}" for value in values)
