"""`homespun doctor`: what this machine is, what is installed, which engine would run and why."""

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, size

app = typer.Typer()


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine is, what is installed, and what would run."""
    from homespun.engines.diagnosis import diagnose
    from homespun.models.home import Home

    report = diagnose(Home.open())
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
    if not report.models:
        print("  none yet: homespun models add starter")
