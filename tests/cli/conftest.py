"""A home with the starter model, the starter embedder and the clinic's handbook, made once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homespun.models.home import Home
from ran import Ran

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))  # its writer of tiny models

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


@pytest.fixture(scope="session")
def bare_home(new_starter_home: Callable[[str], Home]) -> Home:
    """Models, but no library."""
    return new_starter_home("cli")


@pytest.fixture(scope="session")
def homespun(bare_home: Home) -> Callable[..., Ran]:
    """Runs the real command in a process of its own."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "homespun.cli.main", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=240,
            env={**os.environ, "HOMESPUN_HOME": str(bare_home.root), "PYTHONUTF8": "1", **environment},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def clinic(homespun: Callable[..., Ran]) -> Ran:
    """The clinic's handbook in the library `clinic`; what ingest printed."""
    ran = homespun("ingest", str(CLINIC / "documents"), "--library", "clinic", "--json")
    assert ran.code == 0, ran.err
    return ran
