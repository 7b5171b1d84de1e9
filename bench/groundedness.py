"""How well groundedness tells sentences that a passage says from those that it does not: AUROC, 95% intervals.

    python bench/groundedness.py [--claims FILE] [--embedder FOLDER] [--split test] [--judge GGUF] [--json]

Positives are the paraphrases of examples/clinic/checks/claims.jsonl, each against its passage. Negatives: the
same with a swapped number, with a swapped name, what the passage does not say (unsupported), and every
paraphrase against the passage of another document, drawn with seed 0. --judge: also the model's own yes or no.
The constants of the support check were chosen on the train split.
"""

import argparse
import dataclasses
import json
import random
import sys
from pathlib import Path

from homespun.documents.split import Passage
from homespun.engines.engine import EngineOptions
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.processor import processor_name
from homespun.evaluation.auroc import auroc_interval
from homespun.evaluation.groundedness import Claim, measure_groundedness
from homespun.evaluation.intervals import Interval
from homespun.evaluation.judge import Judge
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.retrieval.embedder import open_embedder

CLAIMS = Path(__file__).parents[1] / "examples" / "clinic" / "checks" / "claims.jsonl"
LEAST_OVER_ALL, LEAST_OF_A_KIND = 0.80, 0.75
#: The kinds that must be told apart; "unsupported" is shown beside them.
KINDS = ("swapped name", "swapped number", "other document")


def read_claims(path: Path, split: str) -> list[Claim]:
    """The claims of a split, and each paraphrase against another document's passage."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row["split"] == split]
    claims = [Claim(row["sentence"], _passage(row), row["label"]) for row in rows]
    drawn = random.Random(0)
    for claim in [claim for claim in claims if claim.kind == "supported"]:
        others = [one for one in claims if one.passage.document != claim.passage.document]
        claims.append(Claim(claim.sentence, drawn.choice(others).passage, "other document"))
    return claims


def _passage(row: dict[str, str]) -> Passage:
    return Passage(row["document"], 0, len(row["passage"]), row["passage"], None, ())


def judged(claims: list[Claim], model: Path, cache_path: Path) -> dict[str, Interval]:
    """The AUROC of a model's own yes or no."""
    with OpenVINOEngine(model, EngineOptions(), cache_path=cache_path) as engine:
        judge = Judge(engine)
        values = [judge.supported(claim.sentence, claim.passage.text) for claim in claims]
    found = {"over all": auroc_interval(values, [claim.kind == "supported" for claim in claims])}
    for kind in KINDS:
        some = [(v, c.kind) for v, c in zip(values, claims, strict=True) if c.kind in ("supported", kind)]
        found[kind] = auroc_interval([v for v, _ in some], [name == "supported" for _, name in some])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claims", type=Path, default=CLAIMS)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--split", default="test", choices=("train", "test"))
    parser.add_argument("--judge", type=Path, help="a GGUF file")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    home = Home.open()
    claims = read_claims(arguments.claims, arguments.split)
    embedder = open_embedder(arguments.embedder or fetch_starter_embedder(home), cache_path=home.cache_path)
    found = measure_groundedness(claims, embedder)
    is_reached = found.over_all.value >= LEAST_OVER_ALL and all(
        found.by_kind[kind].value >= LEAST_OF_A_KIND for kind in KINDS
    )
    said = judged(claims, arguments.judge, home.cache_path) if arguments.judge else {}
    if arguments.json:
        report = {"processor": processor_name(), "split": arguments.split, "reached": is_reached}
        print(
            json.dumps({**report, **dataclasses.asdict(found), "judge": {k: str(v) for k, v in said.items()}})
        )
        sys.exit(0 if is_reached else 1)
    print(f"{processor_name()}; {arguments.split} split, {found.n_by_kind['supported']} true paraphrases")
    print(f"{'against':<20}{'n':>5}  AUROC")
    print(f"{'all':<20}{len(claims) - found.n_by_kind['supported']:>5}  {_shown(found.over_all)}")
    for kind, value in found.by_kind.items():
        print(f"{kind:<20}{found.n_by_kind[kind]:>5}  {_shown(value)}")
    for name, value in said.items():
        print(f"{arguments.judge.name}'s own yes or no, {name}: {_shown(value)}")
    print(
        f"at least {LEAST_OVER_ALL:.2f} over all and {LEAST_OF_A_KIND:.2f} for {', '.join(KINDS)}: "
        f"{'reached' if is_reached else 'NOT reached'}"
    )
    sys.exit(0 if is_reached else 1)


def _shown(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


if __name__ == "__main__":
    main()
