"""`homespun convert`: a Hugging Face folder to one GGUF file, with its measured loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, shown_progress, size

app = typer.Typer()


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="a folder with config.json, *.safetensors, tokenizer.json")],
    to: Annotated[
        str,
        typer.Option("--to", help="F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_1, Q5_0, Q4_K_M, Q4_1 or Q4_0"),
    ] = "Q8_0",
    out: Annotated[
        Path | None, typer.Option("--out", help="the file to write (default: FOLDER-FORMAT.gguf here)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a Hugging Face folder to a GGUF file and measure what the format loses."""
    from homespun.engines.convert_loss import convert_and_measure

    target = to.upper()
    out_path = out or Path(f"{folder.resolve().name}-{target}.gguf")
    with shown_progress() as progress:
        conversion, loss = convert_and_measure(folder, target, out_path, progress)
    if as_json:
        print_json({"conversion": conversion, "loss": loss})
        return
    formats = ", ".join(f"{n} in {name}" for name, n in conversion.formats.items())
    print(f"{conversion.path} is written: {size(conversion.size_bytes)}, tensors {formats}.")
    for line in _grouped(conversion.fallbacks):
        print(f"  {line} (rows that are no whole blocks)")
    for note in conversion.notes:
        print(f"  Note: {note}.")
    print(
        f"Loss against the folder in float32, at {loss.n_positions} places of the probe text: "
        f"mean KL {loss.mean_kl_nats:.2e} nats; the most probable token is the same at "
        f"{loss.best_agreement:.1%}."
    )
    print(f"Try: homespun models add {conversion.path}")


def _grouped(fallbacks: Sequence[str]) -> list[str]:
    """The same change told once, with its tensors' number where there are several; --json names them all."""
    names: dict[str, list[str]] = {}
    for fallback in fallbacks:
        name, change = fallback.split(": ", 1)
        names.setdefault(change, []).append(name)
    return [
        f"{change}: {found[0] if len(found) == 1 else f'{len(found)} tensors'}"
        for change, found in names.items()
    ]
