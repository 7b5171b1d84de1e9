"""Files of other programs as rows that `read_examples` knows."""

from typing import Literal

Kind = Literal["auto", "dk-bench", "promptfoo", "sharegpt", "alpaca", "label-studio"]
