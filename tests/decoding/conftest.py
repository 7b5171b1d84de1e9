"""Lets the tests of this folder write the tiny models and adapters that the engines' tests use."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
