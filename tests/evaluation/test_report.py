"""The report: nothing from outside, nothing unescaped, and as much in it as was compared."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_comparison import made_comparison, made_way

from homespun.evaluation.comparison_json import from_json, to_json
from homespun.evaluation.comparison_store import changes_since
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.report_page import report_page
from homespun.evaluation.report_text import markdown
from homespun.evaluation.report_write import check_report, write_any

HOSTILE = '</script><script>alert("x")</script><img src=http://x.example/a.png onerror=alert(1)> | \x00 é'
COMPARED = made_comparison(
    {
        "quote": made_way("quote", [1.0] * 15 + [0.0] * 10, text=HOSTILE),
        "retrieve@passages=5": made_way("retrieve@passages=5", [1.0] * 5 + [0.0] * 20, failed=(24,)),
    },
    text=HOSTILE,
)


class Seen(HTMLParser):
    """What a reader's browser would meet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data") and not (value or "").startswith("#"):
                self.loaded.append(f"{tag} {name}={value}")
            if name.startswith("on"):
                self.loaded.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return report_page(COMPARED, changes_since(COMPARED, COMPARED))


def test_the_page_loads_nothing_and_runs_only_its_own_lines(page: str) -> None:
    seen = Seen(page)
    assert seen.loaded == []
    assert seen.tags.count("script") == 1 and "img" not in seen.tags
    assert "default-src 'none'" in page
    assert not re.search(r"url\((?!#)|@import", page)


def test_the_page_shows_every_question_with_both_answers(page: str) -> None:
    seen = Seen(page)
    assert seen.tags.count("details") == 25
    assert seen.text.count('alert("x")') >= 25 * 2  # as text: in the questions and in quote's answers
    assert seen.tags.count("svg") == 4
    assert "It failed." in seen.text and "retrieve@passages=5" in seen.text
    assert "\x00" not in page
    assert len(set(re.findall(r'\bid="([^"]+)"', page))) == len(re.findall(r'\bid="([^"]+)"', page))


def test_the_text_has_attempted_and_scored_side_by_side() -> None:
    lines = markdown(COMPARED).splitlines()
    head = next(line for line in lines if line.startswith("| way") and "attempted" in line)
    row = next(line for line in lines if line.startswith("| retrieve@passages=5"))
    cells = dict(
        zip(
            (cell.strip() for cell in head.split("|")), (cell.strip() for cell in row.split("|")), strict=True
        )
    )
    assert (cells["attempted"], cells["scored"]) == ("25", "24")
    assert any("ignored" in line and "points" in line for line in lines)


def test_json_there_and_back() -> None:
    assert from_json(json.loads(json.dumps(to_json(COMPARED), allow_nan=False))) == COMPARED


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.json"])
def test_each_form_is_written(tmp_path: Path, name: str) -> None:
    write_any(COMPARED, tmp_path / name)
    assert "quote" in (tmp_path / name).read_text("utf-8")
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["report.pdf", "nowhere/report.html", "."])
def test_what_cannot_be_written_is_refused_before(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvaluationError):
        check_report(tmp_path / name)
