"""`homespun doctor`: what this machine is, what is installed, which engine would run and why; with --bench,
how the engines compare here."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, shown_progress, size, table

if TYPE_CHECKING:
    from homespun.engines.bench_record import BenchRow, MachineBench

app = typer.Typer()

Bench = Annotated[
    str | None,
    typer.Option("--bench", metavar="MODEL", help="measure every engine with this model, and remember it"),
]


@app.command()
def doctor(bench: Bench = None, as_json: Json = False) -> None:
    """Say what this machine is, what is installed, and what would run."""
    from homespun.engines.diagnosis import diagnose
    from homespun.models.home import Home

    home = Home.open()
    if bench is not None:
        _bench(home, bench, as_json)
        return
    report = diagnose(home)
    if as_json:
        print_json(report)
        return
    print(f"machine    {report.system}, Python {report.python}")
    print(f"processor  {report.processor}, {report.threads} threads usable")
    print(f"memory     {size(report.available_memory_bytes)} free")
    print(f"disk       {size(report.free_disk_bytes)} free at {report.home}")
    print("\npackages")
    for package in report.packages:
        print(f"  {package.name:<14} {package.version or '- not installed':<22} {package.used_for}")
    print("\nmodels")
    for model in report.models:
        star = "*" if model.is_default else " "
        print(f" {star} {model.name:<14} {model.engine}: {model.reason}")
        for line in model.measured:
            print(f"     {line}")
        if model.bench is not None:
            print(_indented(_bench_table(model.bench)))
    if not report.models:
        print("  none yet: homespun models add starter")
    elif all(model.bench is None for model in report.models):
        print("\nTo compare the engines on this machine: homespun doctor --bench MODEL")


def _bench(home: Any, name: str, as_json: bool) -> None:
    from homespun.engines.choose import explain_choice
    from homespun.engines.load import model_path
    from homespun.engines.machine_bench import bench_model

    path = model_path(home, name)
    with shown_progress() as progress:
        bench = bench_model(path, home.cache_path, progress)
    choice = explain_choice(path, cache_path=home.cache_path)
    if as_json:
        print_json({"bench": bench, "engine": choice})
        return
    print(f"{bench.file} on {bench.processor}, {bench.threads} threads")
    print(_bench_table(bench))
    print(f"\nauto takes {choice.engine}: {choice.reason}")


def _bench_table(bench: "MachineBench") -> str:
    failed = [f"{row.engine} {row.mode}: {row.error}" for row in bench.rows if row.error]
    measured = [_cells(row) for row in bench.rows if not row.error]
    return "\n".join(part for part in (table(measured), *failed) if part)


def _cells(row: "BenchRow") -> dict[str, Any]:
    return {
        "engine": row.engine,
        "mode": "exact" if row.is_exact else "fast",
        "precision": row.precision,
        "read tok/s": round(row.read_tokens_per_s),
        "write tok/s": round(row.write_tokens_per_s),
        "4 clients tok/s": round(row.clients_tokens_per_s),
        "memory": size(row.memory_bytes),
        "loss (nats)": _number(row.kl_nats),
        "bound": _number(row.bound_nats),
        "best token equal": "-" if row.best_token_equal is None else f"{row.best_token_equal:.0%}",
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _indented(text: str) -> str:
    return "\n".join(f"     {line}" for line in text.splitlines())
