"""Advice: what rules a way out, what speaks for one, and that nothing is claimed that was not measured."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.cli.main import exit_code
from homespun.planning.advice import NEEDS, Needs, advise
from homespun.planning.costs import CostOptions
from homespun.planning.errors import PlanError


def test_private_data_stay_here_whatever_else_is_said(home) -> None:
    found = advise(Needs(private=True, low_cost=True, quick_start=True), home=home)
    assert found.verdict == "own"
    assert "private rules out hosted, rented" in found.why and "quick start" in found.why


def test_control_rules_hosted_out(home) -> None:
    found = advise(Needs(control=True), home=home)
    assert found.verdict == "own"
    (line,) = [line for line in found.lines if line.matters]
    assert line.need == "control" and "hosted" in line.excludes and "rented" not in line.excludes


@pytest.mark.parametrize(
    ("own", "hosted", "verdict"),
    [
        (0.0, 0.0, "unknown"),
        (0.9, 0.6, "own"),
        (0.6, 0.9, "hosted"),
        (0.80, 0.83, "either"),
        (0.0, 0.9, "unknown"),
    ],
)
def test_quality_is_what_was_measured(home, own: float, hosted: float, verdict: str) -> None:
    found = advise(Needs(top_quality=True, own_correct=own, hosted_correct=hosted), home=home)
    assert found.verdict == verdict
    if verdict == "unknown":
        assert found.next_command == "homespun compare"


def test_cost_goes_by_the_questions_a_month(home) -> None:
    costs = {"machine_usd": 1000.0, "read_speed": 2000.0, "write_speed": 100.0}
    few = advise(Needs(low_cost=True), CostOptions(questions=100, **costs), home)
    many = advise(Needs(low_cost=True), CostOptions(questions=300_000, **costs), home)
    too_many = advise(Needs(low_cost=True), CostOptions(questions=30_000_000, **costs), home)
    assert (few.verdict, many.verdict, too_many.verdict) == ("hosted", "own", "hosted")
    assert "too slow" in next(line.numbers for line in too_many.lines if line.need == "low_cost")


def test_a_machine_without_room_speaks_for_hosted(home) -> None:
    assert advise(Needs(little_infrastructure=True, memory=1), home=home).verdict == "hosted"
    large = advise(Needs(little_infrastructure=True, memory=64), home=home)
    assert large.verdict == "either" and large.model


@pytest.mark.parametrize(
    ("documents", "examples", "way"),
    [(0, 0, "prompt"), (0, 60, "tune"), (2, 0, "prompt"), (100, 60, "retrieve")],
)
def test_documents_and_examples_choose_the_way(home, documents: int, examples: int, way: str) -> None:
    found = advise(Needs(control=True, documents=documents, examples=examples), home=home)
    assert found.way == way


@settings(max_examples=30, deadline=None)
@given(chosen=st.sets(st.sampled_from(NEEDS), min_size=1))
def test_no_verdict_is_one_that_a_need_rules_out(tmp_path_factory, chosen: set[str]) -> None:
    from homespun.models.home import Home

    home = Home.open(tmp_path_factory.getbasetemp() / "advice-home")
    found = advise(Needs(**dict.fromkeys(chosen, True)), home=home)
    out = {way for line in found.lines if line.matters for way in line.excludes}
    assert found.verdict not in out
    assert {line.need for line in found.lines if line.matters} == chosen
    assert all(line.rule and line.numbers for line in found.lines)


@pytest.mark.parametrize("needs", [Needs(own_correct=1.2), Needs(documents=-1)])
def test_numbers_that_make_no_sense_are_refused(needs: Needs, home) -> None:
    with pytest.raises(PlanError):
        advise(needs, home=home)


def test_the_command_says_what_it_needs_and_prints_json(home, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    assert exit_code(["advise", "--json"]) == 2
    assert "--private" in capsys.readouterr().err
    assert exit_code(["advise", "--private", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "own"
    assert exit_code(["advise", "--control"]) == 0
    assert "Verdict: own" in capsys.readouterr().out
