"""300 broken GGUF files: each is refused in a sentence or works; none takes the process down."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gguf_mutations import mutations

from homespun.engines.choose import explain_choice
from homespun.errors import HomespunError
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer

CHILD = Path(__file__).parent / "mutated_gguf_child.py"
N_SAMPLE = 4
LIMIT_CPU_S = 5  # of the processor, so that a busy machine does not fail it


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mutated")
    paths = []
    for name, stored in mutations(folder):
        path = folder / f"{len(paths):03}-{name}.gguf"
        path.write_bytes(stored)
        paths.append(path)
    assert len(paths) == 300
    return paths


def reading(path: Path) -> tuple[str, str | None, dict]:
    """How far a file gets without native code: refused, or usable by (None: it is refused)."""
    signal.signal(signal.SIGPROF, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_CPU_S)
    try:
        file = read_gguf(path)
        ModelConfig.from_gguf(file)
        choice = explain_choice(path)
        tokenizer = Tokenizer.from_gguf(file)
        tokenizer.decode(tokenizer.encode("the an ð\n"))
        template = ChatTemplate.from_gguf(file, tokenizer)
        template.encode([Message("user", "the")])
        return "usable", choice.engine, choice.alternatives
    except HomespunError as error:
        assert error.what.strip() and "\n" not in error.what, error.what
        return f"refused: {error}", None, {}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@pytest.fixture(scope="module")
def outcomes(broken):
    results, faults = {}, []
    for path in broken:
        try:
            results[path] = reading(path)
        except (Exception, KeyboardInterrupt) as error:
            faults.append(f"{path.name}: {type(error).__name__}: {error}")
    return results, faults


def test_every_file_is_refused_in_a_sentence_or_read(outcomes):
    results, faults = outcomes
    assert not faults, "\n".join(faults)
    n_usable = sum(what == "usable" for what, *_ in results.values())
    assert 30 < n_usable < 270  # else the mutations do nothing, or the readers refuse everything


def usable(outcomes, engine: str) -> list[Path]:
    return [
        path
        for path, (what, chosen, others) in outcomes[0].items()
        if what == "usable" and (chosen == engine or others.get(engine, "") is None)
    ]


def open_all(paths: list[Path], engine: str) -> tuple[list[str], list[str]]:
    """What the child says of each file; a file at which it ends is a fault, and another child goes on."""
    left, ends, faults = [str(path) for path in paths], [], []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    while left:
        done = subprocess.run(
            [sys.executable, str(CHILD), engine],
            input="\n".join(left),
            capture_output=True,
            text=True,
            env=environment,
            timeout=1500,
        )
        lines = done.stdout.splitlines()
        begun = [line for line in lines if line.startswith("begin ")]
        ended = [line for line in lines if line.startswith("end ")]
        ends += ended
        faults += [f"{Path(b).name}: {e}" for b, e in zip(begun, ended, strict=False) if "end fault" in e]
        if len(ended) == len(left):
            break
        assert len(begun) > len(ended), f"the child did not begin ({done.returncode}): {done.stderr[-2000:]}"
        faults.append(f"{Path(left[len(ended)]).name}: ended with {done.returncode}: {done.stderr[-300:]}")
        left = left[len(begun) :]
    return ends, faults


@pytest.mark.parametrize("engine", ["openvino", "llama.cpp"])
def test_some_that_look_usable_open_or_are_refused(outcomes, engine):
    paths = usable(outcomes, engine)
    ends, faults = open_all(paths[:: max(len(paths) // N_SAMPLE, 1)], engine)
    assert not faults, "\n".join(faults)
    assert any("wrote" in end for end in ends)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["openvino", "llama.cpp"])
def test_all_that_look_usable_open_or_are_refused(outcomes, engine):
    ends, faults = open_all(usable(outcomes, engine), engine)
    assert not faults, "\n".join(faults)
    assert any("wrote" in end for end in ends)
