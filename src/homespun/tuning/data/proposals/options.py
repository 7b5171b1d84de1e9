"""What a person may choose about proposed pairs."""

from dataclasses import dataclass, field

from homespun.tuning.errors import DataError


@dataclass(frozen=True)
class ProposeOptions:
    """How pairs are proposed."""

    n: int = field(default=30, metadata={"help": "pairs to propose at most", "flag": False})
    candidates: int = field(
        default=4, metadata={"help": "questions written for each sentence, of which one is kept"}
    )
    found_within: int = field(
        default=3,
        metadata={"help": "searching the question must find its passage among so many; 0: not asked"},
    )
    meaning: float = field(
        default=0.6,
        metadata={"help": "least cosine between a question and the sentence that it is about; 0: any"},
    )
    seed: int = field(default=0, metadata={"help": "another seed draws other sentences"})

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("candidates", 1), ("found_within", 0)):
            if getattr(self, name) < least:
                raise DataError(
                    f"{name.replace('_', '-')} is {getattr(self, name)}; it must be at least {least}"
                )
