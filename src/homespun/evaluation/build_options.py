"""How `homespun build` goes: apart from the work, so that its flags are shown at once."""

from dataclasses import dataclass, field

#: With fewer answered questions to learn from, tuning is not tried.
ENOUGH_TO_TUNE = 100


@dataclass(frozen=True)
class BuildOptions:
    """How the road goes."""

    library: str = field(default="", metadata={"help": "the library's name; by default the folder's"})
    ways: str = field(default="prompt,quote,retrieve", metadata={"help": "ways compared before tuning"})
    test_share: float = field(
        default=0.4, metadata={"help": "share of the questions to compare on, by whole documents"}
    )
    tuned: bool = field(
        default=True, metadata={"help": f"tune where there are {ENOUGH_TO_TUNE} questions to learn from"}
    )
    passages: int = field(default=2, metadata={"help": "passages before each question that is learnt"})
    max_steps: int = field(default=0, metadata={"help": "steps of tuning at most; 0: chosen by the data"})
    sample: int = field(default=0, metadata={"help": "compare on so many of the test questions; 0: all"})
    propose: int = field(default=60, metadata={"help": "questions to propose where none are given"})
    seed: int = field(default=0, metadata={"help": "of the split, of tuning and of the intervals"})
