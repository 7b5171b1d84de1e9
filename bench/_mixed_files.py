"""A folder of files of many kinds, the same for the same seed: text, pages, tables, mail, code."""

import html
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from homespun.engines.probe import probe_text

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_X = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


class Writer:
    """Text that no two files share."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", probe_text()) if len(s) > 30]

    def paragraphs(self, n_words: int) -> list[str]:
        """Paragraphs of about so many words together."""
        found: list[str] = []
        while n_words > 0:
            sentences = self._random.sample(self._sentences, self._random.randint(2, 5))
            number = self._random.randint(1000, 9_999_999)
            paragraph = " ".join([f"Entry {number} was made on day {number % 365}.", *sentences])
            found.append(" ".join(paragraph.split()))
            n_words -= len(found[-1].split())
        return found

    def size(self) -> int:
        """Words of one file: most are short, some long."""
        return min(6000, int(self._random.lognormvariate(6.6, 0.7)))


def text(paragraphs: list[str]) -> bytes:
    return "\n\n".join(paragraphs).encode()


def markdown(paragraphs: list[str]) -> bytes:
    parts = [f"# Report\n\n{paragraphs[0]}"]
    parts += [f"## Part {n}\n\n{paragraph}" for n, paragraph in enumerate(paragraphs[1:], 1)]
    return "\n\n".join(parts).encode()


def web_page(paragraphs: list[str]) -> bytes:
    body = "".join(
        f"<h2>Part {n}</h2><p>{html.escape(paragraph)}</p>" for n, paragraph in enumerate(paragraphs)
    )
    return f"<!doctype html><title>Report</title><body><h1>Report</h1>{body}</body>".encode()


def table(paragraphs: list[str]) -> bytes:
    rows = [f'{n},"{paragraph[:150]}",{n * 7}' for n, paragraph in enumerate(paragraphs)]
    return "\n".join(["number,what,amount", *rows]).encode()


def lines_of_json(paragraphs: list[str]) -> bytes:
    return "\n".join(
        json.dumps({"id": n, "note": paragraph}) for n, paragraph in enumerate(paragraphs)
    ).encode()


def mail(paragraphs: list[str]) -> bytes:
    head = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Report\r\nDate: Mon, 6 Jan 2025 10:00:00 +0000\r\n"
    return (head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n\r\n".join(paragraphs)).encode()


def code(paragraphs: list[str]) -> bytes:
    return "\n\n".join(
        f"def part_{n}():\n    # {p}\n    return {n}" for n, p in enumerate(paragraphs)
    ).encode()


def word(paragraphs: list[str]) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{html.escape(paragraph)}</w:t></w:r></w:p>" for paragraph in paragraphs)
    return _package(
        "word/document.xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
    )


def workbook(paragraphs: list[str]) -> bytes:
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c>'
        f'<c r="B{n}" t="inlineStr"><is><t>{html.escape(p[:150])}</t></is></c></row>'
        for n, p in enumerate(paragraphs, 1)
    )
    return _package(
        "xl/workbook.xml",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
        f'<workbook xmlns="{_X}" xmlns:r="{_R}"><sheets>'
        '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>',
        {
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
            f'Type="{_R}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_X}"><sheetData>{rows}</sheetData></worksheet>',
        },
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>',
    )


def _package(
    main: str, kind: str, content: str, more: dict[str, str] | None = None, overrides: str = ""
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/><Override PartName="/{main}" '
            f'ContentType="{kind}"/>{overrides}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_R}/officeDocument" '
            f'Target="{main}"/></Relationships>',
        )
        archive.writestr(main, content)
        for name, part in (more or {}).items():
            archive.writestr(name, part)
    return stream.getvalue()


def pages(paragraphs: list[str]) -> bytes:
    """A PDF of plain pages, 45 lines each."""
    lines: list[str] = []
    for paragraph in paragraphs:
        line = ""
        for w in paragraph.split():
            if len(line) + len(w) > 85:
                lines.append(line)
                line = ""
            line = f"{line} {w}".strip()
        lines += [line, ""]
    groups = [lines[start : start + 45] for start in range(0, len(lines), 45)]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(groups)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(groups)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, group in enumerate(groups):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        drawn = "".join(f"({_escaped(line)}) Tj T*\n" for line in group)
        stream = f"BT /F1 11 Tf 14 TL 50 790 Td\n{drawn}ET".encode("cp1252", "replace")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(out)


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


#: Ending -> writer, and how many of a hundred files are of it.
KINDS: dict[str, tuple[Callable[[list[str]], bytes], int]] = {
    ".pdf": (pages, 25),
    ".docx": (word, 20),
    ".md": (markdown, 12),
    ".txt": (text, 12),
    ".html": (web_page, 11),
    ".xlsx": (workbook, 5),
    ".csv": (table, 5),
    ".eml": (mail, 4),
    ".py": (code, 3),
    ".jsonl": (lines_of_json, 3),
}


def write_mixed_files(
    folder: Path, n_files: int, seed: int = 1, endings: frozenset[str] | None = None
) -> None:
    """Write `n_files` files into folders of 100; `endings`: only of these kinds."""
    writer = Writer(seed)
    kinds = [ending for ending, (_, n) in KINDS.items() if not endings or ending in endings for _ in range(n)]
    random.Random(seed).shuffle(kinds)
    for number in range(n_files):
        ending = kinds[number % len(kinds)]
        path = folder / f"{number // 100:02}" / f"file{number:04}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KINDS[ending][0](writer.paragraphs(writer.size())))
