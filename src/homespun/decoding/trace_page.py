"""A trace as one HTML page that stands for itself: no script, nothing loaded, every text escaped.

It reads in black and white, too: the less probable a token, the darker its ground; hesitations are
underlined; what a passage did has a sign and a number.
"""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from homespun.decoding.errors import DecodingError
from homespun.decoding.trace import PassageEffect, Trace, TracedToken

#: Characters that no page may hold.
_NOT_ALLOWED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
STYLE = (
    "body{font:16px/1.6 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    ".answer{font:17px/2.1 sans-serif;white-space:pre-wrap;overflow-wrap:anywhere}.t{padding:2px 0;"
    "border-radius:3px}.h{border-bottom:3px double #000}.g{outline:2px solid #000}"
    "table{border-collapse:collapse;font-size:14px}td,th{border:1px solid #bbb;padding:2px 8px;"
    "text-align:right}td.l,th.l{text-align:left;white-space:pre-wrap}.bar{display:inline-block;height:.7em;"
    "background:#555;border-right:1px solid #000}.small{color:#444;font-size:85%}summary{cursor:pointer}"
    "pre{white-space:pre-wrap;background:#f4f4f4;padding:.6rem}"
)
#: Ground of a token by the probability it had at least: grey levels that stay apart in print.
_GROUNDS = ((0.9, "#ffffff"), (0.5, "#ececec"), (0.2, "#d4d4d4"), (0.05, "#b8b8b8"), (0.0, "#999999"))


def write_trace(traces: Sequence[Trace], path: Path, *, model: str) -> Path:
    """Write the page: an answer, and its branches after it.

    Args:
        traces: the answer first.
        path: ends in .html.
        model: what wrote them, in words.

    Raises:
        DecodingError: another ending, or the file cannot be written.
    """
    return write_page(path, trace_page(traces, model=model))


def check_page(path: Path) -> None:
    """Refuse, before any work is done, what cannot be written as a page.

    Raises:
        DecodingError: another ending, or no such folder.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise DecodingError(f"{path.name!r} is no name for a page.", remedy="Let it end in .html.")
    if path.is_dir() or not path.parent.is_dir():
        what = "It is a folder" if path.is_dir() else f"There is no folder {path.parent}"
        raise DecodingError(f"{what}.", where=str(path))


def write_page(path: Path, page: str) -> Path:
    """Write a page whole or not at all.

    Raises:
        DecodingError: another ending, or the file cannot be written.
    """
    check_page(path)
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(page, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        raise DecodingError(f"The page cannot be written ({error.strerror}).", where=str(path)) from error
    return path


def safe(text: str) -> str:
    """A text as a page shows it; nothing in it is markup."""
    return html.escape(_NOT_ALLOWED.sub("\ufffd", text))


def page_of(title: str, parts: Sequence[str]) -> str:
    """A whole page around its parts, which are markup."""
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'; img-src data:\">",
            f"<title>{safe(title)}</title><style>{STYLE}</style></head><body>",
            *parts,
            "</body></html>\n",
        )
    )


def trace_page(traces: Sequence[Trace], *, model: str) -> str:
    """The page as text."""
    first = traces[0]
    parts = [
        "<h1>How an answer was written</h1>",
        f"<p class=small>{safe(model)}</p><h2>Prompt</h2><pre>{safe(first.prompt)}</pre>",
        f"<p class=small>The model read {len(first.prompt_ids)} tokens. Grounds: "
        + " ".join(
            f'<span class=t style="background:{ground}">&nbsp;probability {least:g} or more&nbsp;</span>'
            for least, ground in _GROUNDS
        )
        + f"<br><span class=h>Doubly underlined</span>: the model hesitated ({safe(first.rule)}). "
        "<span class=g>Framed</span>: put there by the user. Probabilities are the model's own, before "
        "temperature and cuts. The pointer over a token shows its figures; the table has them all.</p>",
    ]
    for number, traced in enumerate(traces):
        heading = "Answer" if number == 0 else f"Branch at token {traced.branched_at}"
        parts += _answer(traced, heading)
    return page_of(f"Trace: {first.prompt[:60]}", parts)


def _answer(traced: Trace, heading: str) -> list[str]:
    mean = traced.mean_log_probability
    n_doubts = sum(bool(token.hesitation) for token in traced.tokens)
    figures = [
        f"{len(traced.tokens)} tokens",
        "" if mean is None else f"{mean:.2f} nats a token",
        f"{n_doubts} hesitations",
        f"ended by {traced.finish}",
        traced.unknown,
    ]
    spans = "".join(_span(token) for token in traced.tokens)
    parts = [
        f"<h2>{safe(heading)}</h2><div class=answer>{spans}</div>",
        f"<p class=small>{safe('; '.join(filter(None, figures)))}</p>",
        f"<details><summary>Every token</summary>{_table(traced)}</details>",
    ]
    if traced.effects:
        parts.append(
            "<h3>What the passages changed</h3><p class=small>Nats: log-probability of each token with all "
            "passages, less that without the named one; + the passage made the token more probable. It took "
            f"{traced.n_readings} more readings of prompt and answer.</p>"
        )
        parts += [_effect(effect, traced.tokens) for effect in traced.effects]
    return parts


def _span(token: TracedToken) -> str:
    classes = "t" + " h" * bool(token.hesitation) + " g" * token.is_given
    return (
        f'<span class="{classes}" style="background:{_ground(token.probability)}" '
        f'title="{safe(_told(token))}">{safe(_visible(token.token))}</span>'
    )


def _visible(text: str) -> str:
    """Line ends are shown, and still end the line; a part of a character or nothing is a dot."""
    return text.replace("\n", "⏎\n") or "·"


def _ground(probability: float | None) -> str:
    if probability is None:
        return "#ffffff"
    return next(ground for least, ground in _GROUNDS if probability >= least)


def _told(token: TracedToken) -> str:
    lines = [f"token {token.position}, id {token.id}"]
    if token.probability is not None:
        lines.append(f"probability {token.probability:.4f}")
    if token.entropy_low is not None:
        lines.append(f"entropy {entropy_text(token)} nats")
    if token.hesitation:
        lines.append(f"hesitation: {token.hesitation}")
    lines += [f"{one.probability:.4f} {one.token!r}" for one in token.alternatives]
    return "\n".join(lines)


def entropy_text(token: TracedToken) -> str:
    """The entropy, or its bounds."""
    low, high = token.entropy_low, token.entropy_high
    if low is None:
        return "-"
    if high is None:
        return f"{low:.2f} or more"
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"


def _table(traced: Trace) -> str:
    rows = []
    for token in traced.tokens:
        odds = "" if token.probability is None else f"{token.probability:.4f}"
        bar = 0 if token.probability is None else round(80 * token.probability)
        others = ", ".join(
            f"{one.token!r} {one.probability:.3f}" for one in token.alternatives if one.id != token.id
        )
        rows.append(
            f"<tr><td>{token.position}</td><td class=l>{safe(repr(token.token)[1:-1])}</td><td>{token.id}</td>"
            f"<td>{odds}</td><td class=l><span class=bar style='width:{bar}px'></span></td>"
            f"<td>{entropy_text(token)}</td><td class=l>{safe(token.hesitation)}</td>"
            f"<td class=l>{safe(others)}</td></tr>"
        )
    head = (
        "<tr><th>token</th><th class=l>text</th><th>id</th><th>probability</th><th class=l></th>"
        "<th>entropy (nats)</th><th class=l>hesitation</th><th class=l>instead</th></tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _effect(effect: PassageEffect, tokens: Sequence[TracedToken]) -> str:
    spans = "".join(
        f'<span class=t style="background:{_change_ground(value)}" title="{value:+.3f} nats">'
        f"{safe(_visible(token.token))}</span>{_sign(value)}"
        for token, value in zip(tokens, effect.differences, strict=True)
    )
    text = (
        f"<details><summary>its text</summary><pre>{safe(effect.text)}</pre></details>" if effect.text else ""
    )
    return (
        f"<h4>{safe(effect.name)}: {effect.total:+.2f} nats together</h4>"
        f"<div class=answer>{spans}</div>{text}"
    )


def _sign(value: float) -> str:
    """Changes of at least half a nat have their number behind the token."""
    return f"<sup>{value:+.1f}</sup>" if abs(value) >= 0.5 else ""


def _change_ground(value: float) -> str:
    if abs(value) < 0.5:
        return "#ffffff"
    light = 92 - min(round(abs(value) * 6), 32)
    return f"hsl({210 if value > 0 else 30},70%,{light}%)"
