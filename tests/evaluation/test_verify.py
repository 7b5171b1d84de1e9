"""A summary held against its article; groundedness on a few claims of each kind."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from homespun.cli.verify import app
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.groundedness import groundedness, measure_groundedness
from homespun.evaluation.verify import VerifyOptions, text_to_verify, verify
from homespun.rag.support import NOT_SAID, Check
from homespun.retrieval.embedder import FolderEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from groundedness import CLAIMS, KINDS, read_claims

ARTICLE = """# Ferry link to Skarholm reopens

The ferry between Marvik and Skarholm sails again from Monday, after eleven weeks of repairs. The crossing had
stopped on 9 February, when ice broke two blades of the propeller. The county paid 3.2 million crowns for the
work, which was done at the yard in Lofstad.

Captain Ingrid Dahle will command the first crossing at 06:40. Six departures a day are planned until the end of
September, four on Sundays. Residents of the island travel without charge, as before; visitors pay 85 crowns
for a car.

The school on Skarholm, which has 23 pupils, had taught its older classes by video during the repairs.
"""

#: What a machine made of it: one name that the article does not have, one number that is another.
SUMMARY = (
    "The ferry between Marvik and Skarholm sails again after eleven weeks of repairs. "
    "Ice had broken two blades of its propeller. "
    "The county paid 3.2 million crowns for the work. "
    "Transport minister Henrik Solvang called the reopening a milestone. "
    "Visitors pay 95 crowns for a car."
)


@pytest.fixture(scope="module")
def library(tmp_path_factory, embedder: FolderEmbedder) -> Library:
    from homespun.models.home import Home

    folder = tmp_path_factory.mktemp("news")
    (folder / "paper").mkdir()
    (folder / "paper" / "ferry.md").write_text(ARTICLE, encoding="utf-8")
    (folder / "paper" / "market.md").write_text(
        "# Market day moves\n\nThe market in Marvik moves to Thursdays from May. Stalls open at 07:30 and close "
        "at 13:00. The mayor, Mr Olav Brekke, cut the ribbon.\n",
        encoding="utf-8",
    )
    opened = Library.open(Home.open(folder / "home"), "paper", embedder, create=True)
    ingest(opened, [folder / "paper"])
    return opened


def test_the_invented_facts_of_a_newspaper_summary_are_flagged(library: Library) -> None:
    found = verify(SUMMARY, library)
    assert [one.verdict for one in found.sentences] == [
        "supported", "supported", "supported", "not found", "contradicted",
    ]  # fmt: skip
    invented, changed = found.sentences[3:]
    assert [reference.text for reference in invented.invented] == ["Henrik Solvang"]
    assert "no document contains" in invented.reason
    assert "95 crowns" in changed.reason or "95" in changed.reason
    assert changed.nearest is not None and "85 crowns" in " ".join(changed.nearest.text.split())
    assert not found.is_grounded and found.counts == {"supported": 3, "not found": 1, "contradicted": 1}
    assert all(one.groundedness >= 0.5 for one in found.sentences[:3])
    assert all(one.groundedness < 0.5 for one in found.sentences[3:])
    for one in found.sentences:
        assert SUMMARY[one.start : one.end] == one.text
        if one.nearest is not None:
            stored = library.text(one.nearest.document)
            assert stored[one.nearest.start : one.nearest.end] == one.nearest.text


def test_the_true_summary_is_grounded(library: Library) -> None:
    true = "Captain Ingrid Dahle commands the first crossing at 06:40. The school on Skarholm has 23 pupils."
    found = verify(true, library)
    assert found.is_grounded and found.counts == {"supported": 2}
    assert json.loads(json.dumps(found.to_json()))["grounded"] is True


def test_a_denial_is_contradicted(library: Library) -> None:
    found = verify("The work was not done at the yard in Lofstad.", library)
    assert found.sentences[0].verdict == "contradicted"


def test_what_claims_nothing_is_not_counted(library: Library) -> None:
    found = verify("# Summary\n\nYes.\n\nThe school on Skarholm has 23 pupils.", library)
    assert [one.verdict for one in found.sentences][-1] == "supported"
    assert set(found.counts) == {"nothing to check", "supported"} and found.is_grounded


def test_bad_input_is_one_sentence(tmp_path: Path, library: Library) -> None:
    with pytest.raises(EvaluationError, match="no such file"):
        text_to_verify(str(tmp_path / "none.md"))
    with pytest.raises(EvaluationError, match="no text"):
        text_to_verify("  ")
    with pytest.raises(EvaluationError, match="1 or more"):
        VerifyOptions(n_passages=0)
    (tmp_path / "answer.md").write_text(SUMMARY, encoding="utf-8")
    assert text_to_verify(str(tmp_path / "answer.md")).startswith("The ferry")
    assert text_to_verify("It costs 4.50.") == "It costs 4.50."
    assert text_to_verify("A\x00b " * 400)


def test_the_command_exits_3_where_something_is_in_doubt(
    library: Library, monkeypatch, starter_embedder: Path
) -> None:
    import homespun.retrieval.open as opening

    monkeypatch.setattr(opening, "open_library", lambda home, name: library)
    run = CliRunner()
    told = run.invoke(app, [SUMMARY, "--library", "paper"])
    assert (
        told.exit_code == 3
        and "WRONG" in told.stdout
        and "3 supported, 1 not found, 1 contradicted" in told.stdout
    )
    true = run.invoke(app, ["The school on Skarholm has 23 pupils.", "--library", "paper", "--json"])
    assert true.exit_code == 0 and json.loads(true.stdout)["counts"] == {"supported": 1}


def test_groundedness_by_hand() -> None:
    assert groundedness(Check(True, (), "", 0.8)) == pytest.approx(0.9)
    assert groundedness(Check(False, (), NOT_SAID, 0.4)) == pytest.approx(0.2)
    assert groundedness(Check(False, (), "it says “9” where the passage says “4”", 0.9)) == pytest.approx(
        0.05
    )
    assert groundedness(Check(False, (), "“9” is not in the passage", 0.2)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("most", "least"), [(5, 0.6), pytest.param(100, 0.75, marks=pytest.mark.long)], ids=["few", "all"]
)
def test_kinds_of_wrong_sentences_are_told_apart(embedder: FolderEmbedder, most: int, least: float) -> None:
    counts = dict.fromkeys((*KINDS, "supported"), 0)
    some = []
    for claim in read_claims(CLAIMS, "test"):
        if claim.kind in counts and counts[claim.kind] < most:
            counts[claim.kind] += 1
            some.append(claim)
    found = measure_groundedness(some, embedder)
    assert found.over_all.value >= 0.80
    assert all(found.by_kind[kind].value >= least for kind in KINDS)
    assert found.n_by_kind == counts
    with pytest.raises(EvaluationError, match="and others"):
        measure_groundedness([claim for claim in some if claim.kind == "supported"], embedder)
