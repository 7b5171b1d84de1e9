"""A report in the form that its file's ending says."""

import json
from collections.abc import Sequence
from pathlib import Path

from homespun.evaluation.comparison import Comparison
from homespun.evaluation.comparison_json import to_json
from homespun.evaluation.comparison_store import WayChange
from homespun.evaluation.errors import EvaluationError
from homespun.models.storage import write_atomically

SUFFIXES = (".html", ".htm", ".md", ".json")


def check_report(path: Path) -> None:
    """Refuse, before any work is done, what cannot be written.

    Raises:
        EvaluationError: another ending, a folder, or no such folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise EvaluationError(
            f"{path.name!r} is no name for a report.", remedy="Let it end in .html, .md or .json."
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "It is a folder" if path.is_dir() else f"There is no folder {path.parent}"
        raise EvaluationError(f"{what}.", where=str(path))


def write_any(comparison: Comparison, path: Path, changes: Sequence[WayChange] = ()) -> None:
    """Write a report: a page, Markdown or JSON.

    Raises:
        EvaluationError: another ending.
        HomespunError: it cannot be written.
    """
    from homespun.evaluation.report_page import write_report
    from homespun.evaluation.report_text import markdown

    check_report(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_atomically(path, json.dumps(to_json(comparison), ensure_ascii=False, indent=1) + "\n")
    elif suffix == ".md":
        write_atomically(path, markdown(comparison, changes) + "\n")
    else:
        write_report(comparison, path, changes)
