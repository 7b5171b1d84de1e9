"""Pictures of text to text, by the program `tesseract` where it is installed.

Tesseract runs as a process of its own, one page at a time and on one core: readers run side by side.
"""

import csv
import functools
import io
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from homespun.documents.errors import DocumentError
from homespun.documents.pulse import beat


class OcrError(DocumentError):
    """Text recognition that was asked for and cannot be done."""


@dataclass(frozen=True)
class OcrOptions:
    """How pictures of text are read."""

    languages: str = field(
        default="eng", metadata={"help": "languages of scanned pages, as tesseract calls them: eng+deu"}
    )
    dpi: int = field(default=200, metadata={"help": "dots per inch that scanned pages are read at"})
    page_timeout_s: float = field(default=60.0, metadata={"help": "seconds that one page may take"})

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z_]{3,20}(?:\+[A-Za-z_]{3,20}){0,7}", self.languages):
            raise OcrError(f"languages is {self.languages!r}; it must be like eng or eng+deu.")
        if not 70 <= self.dpi <= 600:
            raise OcrError(f"dpi is {self.dpi}; it must be from 70 to 600.")
        if self.page_timeout_s <= 0:
            raise OcrError(f"page_timeout_s is {self.page_timeout_s}; it must be above 0.")


@dataclass(frozen=True, slots=True)
class OcrWord:
    """A word and its box, in pixels of the picture from its left upper corner."""

    text: str
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class OcrLine:
    """A line of words; `opens` when it begins a paragraph."""

    words: tuple[OcrWord, ...]
    opens: bool

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@functools.cache
def find_tesseract() -> str | None:
    """The path of the program; None where it is not installed."""
    return shutil.which("tesseract")


@functools.cache
def installed_languages() -> tuple[str, ...]:
    """The languages that the installed tesseract can read, by its own names.

    Raises:
        OcrError: it is not installed, or does not run.
    """
    said = _run(["--list-langs"], b"", 20)
    return tuple(sorted(line.strip() for line in said.splitlines()[1:] if line.strip() not in ("", "osd")))


def check_ocr(options: OcrOptions) -> None:
    """Make sure, before a long run, that pictures of text can be read.

    Raises:
        OcrError: tesseract is not installed or has not all of the languages.
    """
    there = installed_languages()
    missing = [language for language in options.languages.split("+") if language not in there]
    if missing:
        raise OcrError(
            f"tesseract has no language {', '.join(missing)}; it has {', '.join(there) or 'none'}.",
            remedy=f"Install it (Debian: apt install tesseract-ocr-{missing[0]}) or name another.",
        )


def read_picture(png: bytes, options: OcrOptions) -> tuple[OcrLine, ...]:
    """The lines of text on a picture, in reading order; none when there is no text.

    Args:
        png: a picture file that tesseract knows, at `options.dpi`.

    Raises:
        OcrError: tesseract is not installed, does not run, or took too long.
    """
    arguments = ["stdin", "stdout", "-l", options.languages, "--dpi", str(options.dpi), "--psm", "3", "tsv"]
    return _lines(_run(arguments, png, options.page_timeout_s))


def _run(arguments: list[str], data: bytes, timeout_s: float) -> str:
    program = find_tesseract()
    if program is None:
        raise OcrError(
            "The program tesseract, which reads scanned pages, is not installed.",
            remedy="Install it (Debian: apt install tesseract-ocr) or leave --ocr out.",
        )
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(
            [program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        ) as process:
            out, said = _communicate(process, data, timeout_s)
    except OSError as error:
        raise OcrError(f"tesseract does not start ({error.strerror}).") from error
    if process.returncode:
        why = " ".join(said.decode("utf-8", "replace").split())[:200]
        raise OcrError(f"tesseract failed ({why or f'exit code {process.returncode}'}).")
    return out.decode("utf-8", "replace")


def _communicate(process: "subprocess.Popen[bytes]", data: bytes, timeout_s: float) -> tuple[bytes, bytes]:
    """What it says on its two outputs. Whoever waits for the file is told that work goes on."""
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            beat()
            try:
                return process.communicate(data, timeout=min(5.0, max(0.1, deadline - time.monotonic())))
            except subprocess.TimeoutExpired as error:
                if time.monotonic() >= deadline:
                    raise OcrError(f"tesseract took more than {timeout_s:g} s for a page.") from error
    except BaseException:
        process.kill()
        raise


def _lines(tsv: str) -> tuple[OcrLine, ...]:
    lines: list[OcrLine] = []
    words: list[OcrWord] = []
    line_id: tuple[str, ...] = ()
    paragraph_id: tuple[str, ...] = ()
    opens = False
    for row in csv.DictReader(io.StringIO(tsv), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row.get("text") or "").strip()
        if row.get("level") != "5" or not text or float(row["conf"]) < 0:
            continue
        paragraph = (row["block_num"], row["par_num"])
        if (*paragraph, row["line_num"]) != line_id:
            if words:
                lines.append(OcrLine(tuple(words), opens))
            words, line_id = [], (*paragraph, row["line_num"])
            opens, paragraph_id = paragraph != paragraph_id, paragraph
        left, top = int(row["left"]), int(row["top"])
        words.append(OcrWord(text, left, top, left + int(row["width"]), top + int(row["height"])))
    if words:
        lines.append(OcrLine(tuple(words), opens))
    return tuple(lines)
