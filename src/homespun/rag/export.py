"""An answer with its sources as a file to keep or send: Markdown, HTML or Word.

An HTML file stands for itself: pictures are inside, nothing is loaded from elsewhere, and no text of a
document or of the model can become markup.
"""

import base64
import html
import os
import re
from collections.abc import Sequence
from pathlib import Path

from homespun.rag.errors import ExportError
from homespun.rag.lit_pages import LitPage
from homespun.rag.result import Answer

SUFFIXES = (".md", ".html", ".docx")

#: Characters that XML, and so Word, does not allow.
_NOT_IN_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|!&~])")
_LINE_MARK = re.compile(r"^(\s*)(?:([-+=])|(\d{1,9})([.)]))(?=\s|$)", re.MULTILINE)
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "blockquote{margin:.3rem 0;padding-left:.8rem;border-left:3px solid #ccc;color:#333;white-space:pre-line}"
    ".unsupported{color:#a00}.small{color:#555;font-size:85%}img{max-width:100%;border:1px solid #ccc}"
    "p{white-space:pre-line}"
)


def export_answer(answer: Answer, path: Path, pages: Sequence[LitPage] = ()) -> Path:
    """Write an answer to a file; its ending says which kind: .md, .html or .docx.

    Args:
        answer: with its sentences and citations.
        path: a file of this name is replaced; its folder is there.
        pages: pictures of the cited pages, shown under their sources.

    Raises:
        ExportError: another ending, or the file cannot be written.
    """
    check_export(path)
    try:
        if path.suffix.lower() == ".docx":
            _write_docx(answer, path, pages)
        else:
            made = _markdown(answer, path, pages) if path.suffix.lower() == ".md" else _html(answer, pages)
            path.write_text(made, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise ExportError(
            f"The answer could not be written ({error.strerror or error}).", where=str(path)
        ) from error
    return path


def check_export(path: Path) -> None:
    """Make sure, before a question is asked, that its answer can be written there.

    Raises:
        ExportError: the ending is none of `SUFFIXES`, or there is no such folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(
            f"An answer cannot be written as {path.suffix or 'a file without an ending'}.",
            where=str(path),
            remedy=f"Let the name end in {', '.join(SUFFIXES)}.",
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "It is a folder" if path.is_dir() else f"There is no folder {path.parent}"
        raise ExportError(f"{what}.", where=str(path), remedy="Name a file in a folder that is there.")


def _marked(answer: Answer) -> list[tuple[str, str, bool]]:
    """Each sentence, its mark, and whether it is supported; the whole answer where it has no sentences."""
    if not answer.sentences:
        return [(answer.answer, "", True)]
    return [
        (sentence.text, f"[{sentence.citation + 1}]", True)
        if sentence.citation is not None
        else (sentence.text, f"[not supported: {sentence.reason}]", False)
        for sentence in answer.sentences
    ]


def _pages_of(number: int, pages: Sequence[LitPage]) -> list[LitPage]:
    return [page for page in pages if page.citation == number]


def _caption(page: LitPage) -> str:
    return f"{page.document}, page {page.page}" + (f" ({page.note})" if page.note else "")


def _about(answer: Answer) -> str:
    style = "sentences of the documents, word for word" if answer.style == "quote" else "written by the model"
    searched = f"; searched: {answer.searched}" if answer.searched != answer.question else ""
    return f"{style}{searched}"


# --- Markdown ----------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on any number of lines."""
    signs = _MARKDOWN_SIGNS.sub(r"\\\1", text)
    return _LINE_MARK.sub(lambda match: f"{match[1]}{match[3] or ''}\\{match[2] or match[4]}", signs)


def _one_line(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _markdown(answer: Answer, path: Path, pages: Sequence[LitPage]) -> str:
    lines = [f"# {_one_line(answer.question)}", ""]
    for text, mark, _ in _marked(answer):
        shown = "  \n".join(_escaped(line) for line in text.splitlines() if line.strip())
        lines += [f"{shown} {_escaped(mark)}".rstrip(), ""]
    if answer.citations:
        lines += ["## Sources", ""]
    for number, citation in enumerate(answer.citations):
        lines += [f"**\\[{number + 1}\\]** {_one_line(citation.where)}", ""]
        lines += [f"> {_escaped(line)}  " for line in citation.text.splitlines() if line.strip()]
        lines.append("")
        for page in _pages_of(number, pages):
            if page.path is None:
                lines += [_one_line(_caption(page)), ""]
                continue
            target = os.path.relpath(page.path.resolve(), path.resolve().parent).replace(os.sep, "/")
            lines += [
                f"![{_one_line(_caption(page))}](<{target.replace('>', '%3E').replace('<', '%3C')}>)",
                "",
            ]
    return "\n".join([*lines, f"*{_one_line(_about(answer))}*", ""])


# --- HTML --------------------------------------------------------------------------------------


def _safe(text: str) -> str:
    return html.escape(_NOT_IN_XML.sub("\ufffd", text))


def _html(answer: Answer, pages: Sequence[LitPage]) -> str:
    parts = [f"<h1>{_safe(answer.question)}</h1>"]
    for text, mark, is_supported in _marked(answer):
        shown = (
            f"<sup>{_safe(mark)}</sup>" if is_supported else f'<span class="unsupported">{_safe(mark)}</span>'
        )
        parts.append(f"<p>{_safe(text)} {shown}</p>")
    if answer.citations:
        parts.append("<h2>Sources</h2>")
    for number, citation in enumerate(answer.citations):
        parts.append(f"<p><b>[{number + 1}]</b> {_safe(citation.where)}</p>")
        parts.append(f"<blockquote>{_safe(citation.text)}</blockquote>")
        for page in _pages_of(number, pages):
            caption = _safe(_caption(page))
            if page.path is None:
                parts.append(f'<p class="small">{caption}</p>')
                continue
            data = base64.b64encode(page.path.read_bytes()).decode("ascii")
            picture = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
            parts.append(f'<figure>{picture}<figcaption class="small">{caption}</figcaption></figure>')
    parts.append(f'<p class="small">{_safe(_about(answer))}</p>')
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{_safe(answer.question)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


# --- Word --------------------------------------------------------------------------------------


def _write_docx(answer: Answer, path: Path, pages: Sequence[LitPage]) -> None:
    import docx
    from docx.shared import Cm, RGBColor

    def clean(text: str) -> str:
        return _NOT_IN_XML.sub("\ufffd", text)

    document = docx.Document()
    document.core_properties.title = clean(answer.question)[:250]
    document.core_properties.author = ""
    document.add_heading(clean(answer.question), level=1)
    for text, mark, is_supported in _marked(answer):
        paragraph = document.add_paragraph(f"{clean(text)} ")
        run = paragraph.add_run(clean(mark))
        run.font.superscript = is_supported
        if not is_supported:
            run.font.color.rgb = RGBColor(0xAA, 0, 0)
    if answer.citations:
        document.add_heading("Sources", level=2)
    for number, citation in enumerate(answer.citations):
        paragraph = document.add_paragraph()
        paragraph.add_run(f"[{number + 1}] ").bold = True
        paragraph.add_run(clean(citation.where))
        document.add_paragraph(clean(citation.text), style="Quote")
        for page in _pages_of(number, pages):
            if page.path is not None:
                document.add_picture(str(page.path), width=Cm(15))
            document.add_paragraph(clean(_caption(page)), style="Caption")
    document.add_paragraph(clean(_about(answer)))
    document.save(str(path))
