"""Documents in, cited answers out: the commands as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path

from ran import Ran

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
QUESTION = "Until what time of day can we clear up queries with the nurses of the homes?"


def test_ingest_names_the_page_it_could_not_read(clinic: Ran) -> None:
    report = clinic.json
    assert len(report["added"]) == 43
    assert not report["complete"]
    (partly,) = report["partly_read"]
    assert partly["name"] == "clinical/minor-surgery.pdf"
    assert "Page 3 of 4" in partly["reason"]


def test_ingest_again_changes_nothing(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    again = homespun("ingest", str(CLINIC / "documents"), "--library", "clinic", "--json").json
    assert len(again["unchanged"]) == 43
    assert again["n_passages"] == clinic.json["n_passages"]
    assert not again["added"] and not again["updated"]


def test_citations_are_the_documents_own_text(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    answer = homespun("ask", QUESTION, "--library", "clinic", "--json").json
    assert not answer["abstained"]
    assert "15:00" in answer["answer"]
    assert answer["citations"]
    for citation in answer["citations"]:
        text = homespun("libraries", "text", citation["document"], "--library", "clinic").out
        assert text[citation["start"] : citation["end"]] == citation["text"]
    for key in ("style", "sentences", "passages", "dropped", "tokens", "timings"):
        assert key in answer
    for sentence in answer["sentences"]:
        assert sentence["supported"] == (sentence["citation"] is not None)


def test_written_answers_have_each_sentence_cited_or_marked(
    clinic: Ran, homespun: Callable[..., Ran]
) -> None:
    answer = homespun(
        "ask", QUESTION, "-l", "clinic", "--style", "write", "--max-new-tokens", "40", "--json"
    ).json
    assert answer["style"] == "write"
    assert answer["tokens"]["prompt"] > 100
    assert answer["tokens"]["written"] <= 40
    for sentence in answer["sentences"]:
        assert answer["answer"][sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["citation"] is not None or sentence["reason"]


def test_off_topic_is_declined_without_citations(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    answer = homespun("ask", "Why is the sky blue at noon and red at dusk?", "-l", "clinic", "--json").json
    assert answer["abstained"]
    assert answer["citations"] == []
    assert "clinic" in answer["answer"]


def test_text_of_a_markdown_file_is_the_file(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    ran = homespun("libraries", "text", "office/opening-hours.md", "--library", "clinic")
    assert ran.out == (CLINIC / "documents/office/opening-hours.md").read_text(encoding="utf-8")


def test_search_ranks_and_explains(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    hits = homespun("search", "care homes named nurse", "-l", "clinic", "--n-hits", "3", "--json").json[
        "hits"
    ]
    assert len(hits) == 3
    assert hits[0]["passage"]["document"] == "office/repeat-prescription-requests.md"
    assert hits[0]["score"] >= hits[1]["score"] >= hits[2]["score"]


def test_chat_understands_a_follow_up(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    turns = "How long are adult patient records kept?\nAnd for children?\n"
    ran = homespun("ask", "--chat", "-l", "clinic", "--json", stdin=turns)
    decoder, answers, rest = json.JSONDecoder(), [], ran.out.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        answers.append(value)
        rest = rest[end:].strip()
    assert len(answers) == 2
    assert "records" in answers[1]["searched"]
    assert answers[1]["searched"] != "And for children?"


def test_run_writes_and_reports(homespun: Callable[..., Ran]) -> None:
    ran = homespun("run", "Say hello.", "--max-new-tokens", "8", "--n-best", "2", "--json").json
    assert ran["tokens"]["written"] <= 8
    assert ran["text"]
    assert all(len(step["best"]) == 2 for step in ran["steps"])
    drawn = ("run", "Tell a joke", "--temperature", "1", "--max-new-tokens", "8", "--seed")
    assert homespun(*drawn, "7").out == homespun(*drawn, "7").out != homespun(*drawn, "8").out


def test_models_and_libraries_are_listed(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    assert homespun("models", "list", "--json").json["models"][0]["name"] == "smollm2"
    shown = homespun("models", "show", "smollm2")
    assert "llama" in shown.out and "openvino" in shown.out
    (library,) = [
        x for x in homespun("libraries", "list", "--json").json["libraries"] if x["name"] == "clinic"
    ]
    assert library["documents"] == 43
    assert "minor-surgery.pdf" in homespun("libraries", "show", "clinic").out


def test_doctor_says_what_would_run_and_why(homespun: Callable[..., Ran]) -> None:
    report = homespun("doctor", "--json").json
    assert report["models"][0]["engine"] in ("openvino", "llama.cpp")
    assert report["models"][0]["reason"]
    assert {p["name"] for p in report["packages"]} >= {"openvino", "lancedb", "torch"}
