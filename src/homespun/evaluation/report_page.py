"""A comparison as one HTML page that stands for itself: nothing is loaded, every text is escaped.

The few lines of script sort the tables and filter the questions; without them all is there to read.
"""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from homespun.decoding.trace_page import write_page
from homespun.evaluation.comparison import Comparison, WayRow
from homespun.evaluation.comparison_store import WayChange
from homespun.evaluation.report_pictures import (
    cause_picture,
    cost_picture,
    difference_picture,
    score_picture,
)
from homespun.evaluation.report_text import cause_rows, change_lines, summary_rows, title
from homespun.evaluation.scoring import CORRECT_RULE

_NOT_ALLOWED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}table{border-collapse:collapse;font-size:14px}"
    "th,td{border-bottom:1px solid #ccc;padding:3px 8px;text-align:left;vertical-align:top}"
    "th{cursor:pointer;border-bottom:2px solid #111}th[aria-sort]::after{content:' \\25be'}"
    "th[aria-sort=ascending]::after{content:' \\25b4'}.scroll{overflow-x:auto}"
    ".pictures{display:flex;flex-wrap:wrap;gap:1rem}.pictures svg{max-width:100%;height:auto}"
    ".win{font-weight:bold}.bad{background:#eee}.small{color:#444;font-size:85%}summary{cursor:pointer}"
    ".answer{white-space:pre-wrap;overflow-wrap:anywhere}blockquote{margin:.3rem 0 .3rem .5rem;padding-left:.6rem;"
    "border-left:3px solid #999;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".side{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:1rem}"
    ".side>div{border:1px solid #ccc;padding:.5rem;border-radius:4px}label{margin-right:1rem}"
    "@media print{th{cursor:auto}.filter{display:none}}"
)
_SCRIPT = """
document.querySelectorAll('table.sort th').forEach(function (head) {
  head.tabIndex = 0;
  function sort() {
    var table = head.closest('table'), body = table.tBodies[0], place = head.cellIndex;
    var up = head.getAttribute('aria-sort') !== 'ascending';
    table.querySelectorAll('th').forEach(function (other) { other.removeAttribute('aria-sort'); });
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    function value(row) { return row.cells[place].dataset.v || row.cells[place].textContent; }
    Array.from(body.rows).sort(function (one, other) {
      var a = value(one), b = value(other), x = parseFloat(a), y = parseFloat(b);
      var order = isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y;
      return up ? order : -order;
    }).forEach(function (row) { body.appendChild(row); });
  }
  head.addEventListener('click', sort);
  head.addEventListener('keydown', function (key) { if (key.key === 'Enter') { sort(); } });
});
var cause = document.getElementById('cause'), wrong = document.getElementById('wrong');
function filter() {
  document.querySelectorAll('#questions > tbody > tr').forEach(function (row) {
    var fits = !cause.value || row.dataset.causes.split('|').indexOf(cause.value) >= 0;
    row.hidden = !fits || (wrong.checked && !row.dataset.causes);
  });
}
if (cause) { cause.addEventListener('change', filter); wrong.addEventListener('change', filter); }
"""


def write_report(comparison: Comparison, path: Path, changes: Sequence[WayChange] = ()) -> Path:
    """Write the page, whole or not at all.

    Raises:
        DecodingError: a name that does not end in .html, or a file that cannot be written.
    """
    return write_page(path, report_page(comparison, changes))


def report_page(comparison: Comparison, changes: Sequence[WayChange] = ()) -> str:
    """The page as text."""
    pictures = [
        score_picture(comparison),
        difference_picture(comparison) if comparison.pairs else "",
        cause_picture(comparison),
        cost_picture(comparison),
    ]
    verdict = "".join(
        f"<li{' class=win' if comparison.winner and place == 0 else ''}>{_text(line)}</li>"
        for place, line in enumerate(comparison.verdict)
    )
    parts = [
        f"<h1>{_text(title(comparison))}</h1><p class=small>{_text(_about(comparison))}</p>",
        f"<h2>Verdict</h2><ul>{verdict}</ul>",
        f"<h2>Figures</h2>{_table(summary_rows(comparison))}<p class=small>Intervals: 95%, over questions. A "
        "question without an answer, or whose answer failed, counts as wrong.</p>",
        f"<div class=pictures>{''.join(picture for picture in pictures if picture)}</div>",
    ]
    if comparison.causes:
        parts.append(f"<h2>Causes of wrong answers</h2>{_table(cause_rows(comparison))}")
    if changes:
        lines = "".join(
            f"<li>{_text(line.removeprefix('- ').replace('**', ''))}</li>" for line in change_lines(changes)
        )
        parts.append(f"<h2>Since the comparison before</h2><ul>{lines}</ul>")
    parts.append(_questions(comparison))
    rules = "".join(f"<li>{_text(rule)}</li>" for rule in CORRECT_RULE)
    notes = "".join(f"<li>{_text(note)}</li>" for note in comparison.notes)
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in comparison.phases.items())
    parts.append(
        f"<h2>How this was measured</h2><ul>{rules}{notes}</ul><p class=small>{_text(phases)}. Questions "
        f"{_text(comparison.digest[:16])}; ways "
        + _text(", ".join(f"{way.name} {way.digest[:12]}" for way in comparison.ways))
        + ".</p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{_text(title(comparison))}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _about(comparison: Comparison) -> str:
    version = comparison.versions.get("homespun", "")
    return f"{comparison.name}, {comparison.made}, Homespun {version}, {comparison.machine}"


def _questions(comparison: Comparison) -> str:
    """A row a question: what each way scored; opened, the answers side by side with what they cite."""
    names = [way.name for way in comparison.ways]
    causes = sorted({one.name for one in comparison.causes})
    options = "".join(f"<option>{_text(name)}</option>" for name in causes)
    head = "".join(f"<th>{_text(name)}</th>" for name in ("question", "expected", *names))
    body = []
    for place, question in enumerate(comparison.questions):
        rows = {way.name: way.rows[place] for way in comparison.ways}
        told = "|".join(dict.fromkeys(row.cause.name for row in rows.values() if row.cause is not None))
        expected = "no answer" if question.unanswerable else "; ".join(question.answers)
        cells = "".join(_score_cell(row) for row in rows.values())
        body.append(
            f'<tr data-causes="{_text(told)}"><td><details><summary>{_text(question.question)}</summary>'
            f"{_side(rows, question.sources)}</details></td><td>{_text(expected)}</td>{cells}</tr>"
        )
    return (
        "<h2>Questions</h2><p class=filter><label>cause <select id=cause><option value=''>any</option>"
        f"{options}</select></label><label><input type=checkbox id=wrong> only with a wrong answer</label></p>"
        f"<div class=scroll><table class=sort id=questions><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _score_cell(row: WayRow) -> str:
    shown = "failed" if row.answered.error is not None else f"{row.correct:.2g}"
    if row.f1 is not None and row.answered.error is None:
        shown += f" (F1 {row.f1:.2f})"
    cause = f"<br><span class=small>{_text(row.cause.name)}</span>" if row.cause is not None else ""
    kind = " class=bad" if row.cause is not None else ""
    return f'<td{kind} data-v="{row.correct:g}">{_text(shown)}{cause}</td>'


def _side(rows: Mapping[str, WayRow], sources: Sequence[str]) -> str:
    shown = []
    for name, row in rows.items():
        answered = row.answered
        text = answered.error or answered.text or "(nothing)"
        cause = f"<p class=small>{_text(row.cause.name)}: {_text(row.cause.detail)}</p>" if row.cause else ""
        cited = "".join(
            f"<blockquote>{_text(one.text)}<br><span class=small>{_text(one.where or one.document)}</span></blockquote>"
            for one in answered.citations
        )
        found = f"{len(answered.passages)} passages" if answered.passages else ""
        rank = f", the answer's place is {row.hit_rank}. of those found" if row.hit_rank else ""
        figures = f"{answered.n_prompt_tokens} tokens read, {answered.n_new_tokens} written, {answered.seconds:.2f} s"
        shown.append(
            f"<div><b>{_text(name)}</b><p class=answer>{_text(text)}</p>{cited}{cause}"
            f"<p class=small>{_text(', '.join(part for part in (found + rank, figures) if part))}</p></div>"
        )
    places = "".join(f"<blockquote>{_text(source)}</blockquote>" for source in sources)
    gold = f"<p class=small>where the answer stands</p>{places}" if places else ""
    return f"{gold}<div class=side>{''.join(shown)}</div>"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_text(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows
    )
    return f"<div class=scroll><table class=sort><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _text(text: str) -> str:
    return html.escape(_NOT_ALLOWED.sub("\N{REPLACEMENT CHARACTER}", text))
