"""Jupyter notebooks: the cells in order, and what they have written below them.

Nothing is run. Pictures are left out.
"""

from typing import Any

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import markdown
from homespun.documents.readers.builder import TextBuilder
from homespun.documents.readers.json import parse_json

#: A cell may have written a whole log; its beginning tells what it is.
_MAX_OUTPUT_CHARS = 20_000


def read(data: bytes) -> Reading:
    """All cells; each is a place, "cell 5", counted from 1 whatever its kind."""
    notebook = parse_json(decode_text(data).text)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict):  # before version 4
        sheets = notebook.get("worksheets")
        first = sheets[0] if isinstance(sheets, list) and sheets else None
        cells = first.get("cells") if isinstance(first, dict) else None
    if not isinstance(cells, list):
        raise UnreadableFile("It is no notebook: it holds no cells.")
    builder = TextBuilder()
    cut = []
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict):
            with builder.place(f"cell {number}"):
                if _add_cell(builder, cell):
                    cut.append(str(number))
    return builder.reading(
        f"Only the first {_MAX_OUTPUT_CHARS:,} characters of what these cells wrote are read: "
        f"{', '.join(cut)}."
        if cut
        else ""
    )


def _add_cell(builder: TextBuilder, cell: dict[str, Any]) -> bool:
    """Add a cell; tells whether its output was cut."""
    source = _joined(cell.get("source", cell.get("input")))
    if cell.get("cell_type") == "markdown":
        builder.add_reading(markdown.read(source.encode("utf-8", "replace")) if source else Reading(""))
    elif cell.get("cell_type") == "heading":  # before version 4
        level = str(cell.get("level", 1))
        builder.add_heading(int(level) if level.isdigit() else 1, source)
    else:
        builder.add_paragraph(source.strip("\n"))
    outputs = cell.get("outputs")
    shown = [_output(output) for output in outputs if isinstance(output, dict)] if outputs else []
    written = "\n".join(text.strip("\n") for text in shown if text.strip())
    builder.add_paragraph(written[:_MAX_OUTPUT_CHARS])
    return len(written) > _MAX_OUTPUT_CHARS


def _output(output: dict[str, Any]) -> str:
    if output.get("ename") is not None:
        return f"{output.get('ename')}: {output.get('evalue') or ''}"
    data = output.get("data")
    if isinstance(data, dict):
        return _joined(data.get("text/plain", data.get("text/markdown")))
    return _joined(output.get("text"))


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""
