"""`homespun home`: the folder that holds everything, as a whole."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, flags
from homespun.cli.render import print_json, shown_progress
from homespun.models.home_backup import BackupOptions

app = typer.Typer(no_args_is_help=True, help="Back up, restore and check the folder that holds everything.")


@app.command()
@flags
def backup(
    options: BackupOptions,
    file: Annotated[Path, typer.Argument(help="the archive to write: .tar, .tar.gz or .tgz")],
    as_json: Json = False,
) -> None:
    """Write everything into one archive: models, libraries, chats; other commands may go on."""
    from homespun.models.home import Home
    from homespun.models.home_backup import backup_home

    with shown_progress() as progress:
        report = backup_home(Home.open(), file, options, progress=progress)
    if as_json:
        print_json(report)
        return
    print(f"{report.path}: {report.n_files} files, {report.n_bytes / 1e6:,.1f} MB.")
    if report.left_out:
        print(f"Models whose files are not in it: {', '.join(report.left_out)}.")
    print("Caches and keys of remote servers are not in it.")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="an archive that `homespun home backup` wrote")],
    into: Annotated[Path | None, typer.Option(help="restore into this empty folder")] = None,
    as_json: Json = False,
) -> None:
    """Unpack an archive into an empty home, and verify every file; nothing is ever overwritten."""
    from homespun.models.digest import home_root
    from homespun.models.home_restore import restore_home

    with shown_progress() as progress:
        report = restore_home(file, into or home_root(), progress=progress)
    if as_json:
        print_json(report)
        return
    print(f"{report.root}: {report.n_files} files, {report.n_bytes / 1e6:,.1f} MB, all verified.")
    if report.left_out:
        print(f"Models whose files were not in it: {', '.join(report.left_out)}.")
    if into:
        print(f"Use it with HOMESPUN_HOME={into}")


@app.command()
def check(as_json: Json = False) -> None:
    """Check every model, embedder and library against their digests; exit code 2 where one is damaged."""
    from homespun.models.home import Home
    from homespun.retrieval.check import check_home

    with shown_progress() as progress:
        report = check_home(Home.open(), progress=progress)
    if as_json:
        print_json({"models": report.models, "libraries": report.libraries, "whole": not report.problems})
    else:
        models = report.models
        print(
            f"{models.n_models} models, {models.n_embedders} embedders: {models.n_bytes / 1e6:,.0f} MB read."
        )
        for library in report.libraries:
            print(f"{library.name}: {library.n_documents} documents, {library.n_passages} passages.")
        for problem in report.problems:
            print(f"  {problem.where}: {problem.what} {problem.remedy}")
        print("All is whole." if not report.problems else f"{len(report.problems)} problems.")
    if report.problems:
        raise typer.Exit(2)
