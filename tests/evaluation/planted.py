"""A made-up handbook of which any fact can be spoilt: in its files, in its questions, or by an option."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Subject, and where, when and for how much it is to be had: each a document of its own.
SUBJECTS = (
    "wheelchair", "projector", "ladder", "kayak", "telescope", "microscope", "sewing machine", "bicycle trailer",
    "pressure washer", "violin", "tent", "welding mask", "drone", "pottery wheel", "lawn mower", "trumpet",
    "metal detector", "snow blower", "bread oven", "typewriter",
)  # fmt: skip
ROOMS = (
    "cellar",
    "attic",
    "garage",
    "library",
    "boathouse",
    "workshop",
    "greenhouse",
    "stable",
    "chapel",
    "barn",
)


#: Texts that are nearer to a question about a fee than its answer is, each in another way.
NOTES = (
    "What borrowing the {} costs for each weekend is decided by the committee in spring.",
    "Whether borrowing the {} should cost anything was debated at length by the oldest members.",
    "A weekend of borrowing the {} costs members less than it costs visitors, says our treasurer.",
    "Nobody remembers what the {} cost when it was bought, nor who paid for it.",
    "Costs of borrowing the {} for a weekend are printed on the yellow sheet beside the door.",
    "For each weekend on which the {} is borrowed, its cost is written into the green ledger.",
    "The {} costs too much, complained a reader; borrowing is cheaper on any weekend, replied the editor.",
    "Ask the porter what borrowing the {} will cost if each of your weekends is rainy.",
)


@dataclass
class Handbook:
    """Documents by file name, and questions as rows of a set."""

    documents: dict[str, str] = field(default_factory=dict)
    questions: list[dict[str, object]] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The folder of documents, and the question set."""
        documents = folder / "documents"
        documents.mkdir(parents=True)
        for name, text in self.documents.items():
            (documents / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        path = folder / "questions.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in self.questions), encoding="utf-8")
        return documents, path


def fee_of(place: int) -> int:
    return 11 + 3 * place


def days_of(place: int) -> int:
    return 4 + place


def fee_sentence(place: int) -> str:
    return f"Borrowing the {SUBJECTS[place]} costs {fee_of(place)} euros for each weekend."


def days_sentence(place: int) -> str:
    return (
        f"The {SUBJECTS[place]} must be brought back to the {ROOMS[place % 10]} after {days_of(place)} days."
    )


def document_of(place: int) -> str:
    return f"{SUBJECTS[place].replace(' ', '-')}.md"


def handbook(places: Sequence[int]) -> Handbook:
    """Nothing spoilt: each subject has two facts and two questions."""
    made = Handbook()
    for place in places:
        subject = SUBJECTS[place]
        made.documents[document_of(place)] = (
            f"# The {subject}\n\nMembers of the club may take the {subject} home. {fee_sentence(place)} Ask at the "
            f"desk for the key.\n\n## Bringing the {subject} back\n\n{days_sentence(place)} Clean it first.\n"
        )
        made.questions += [
            _row(place, "fee", f"What does borrowing the {subject} cost for each weekend?",
                 f"{fee_of(place)} euros", fee_sentence(place)),
            _row(place, "days", f"After how many days must the {subject} be brought back?",
                 f"{days_of(place)} days", days_sentence(place)),
        ]  # fmt: skip
    return made


def _row(place: int, what: str, question: str, answer: str, text: str) -> dict[str, object]:
    source = [{"document": document_of(place), "text": text}]
    return {"id": f"{what}-{place}", "question": question, "answers": [answer], "source": source}


def _reword(book: Handbook, place: int, sentence: str) -> None:
    """Say the fee in other words, in the document and in the question's source."""
    name = document_of(place)
    book.documents[name] = book.documents[name].replace(fee_sentence(place), sentence)
    for row in book.questions:
        if row["id"] == f"fee-{place}":
            row["source"][0]["text"] = sentence  # type: ignore[index]


def plant(book: Handbook, faults: Mapping[int, str]) -> None:
    """Spoil subjects, each by one fault in the files; `planted` gets the cause of each question hurt."""
    for place, fault in faults.items():
        name, ids = document_of(place), (f"fee-{place}", f"days-{place}")
        if fault == "missing document":
            del book.documents[name]
            hurt, cause = ids, "not in the library"
        elif fault == "missing sentence":
            book.documents[name] = book.documents[name].replace(fee_sentence(place), "")
            hurt, cause = ids[:1], "not in the library"
        elif fault == "broken file":
            for row in book.questions:
                if row["id"] in ids:
                    row["source"][0]["document"] = name.replace(".md", ".pdf")  # type: ignore[index]
            del book.documents[name]
            book.documents[name.replace(".md", ".pdf")] = "%PDF-1.7\nthis was once a document\n"
            hurt, cause = ids, "not read"
        elif fault == "other words":
            for row in book.questions:
                if row["id"] == ids[0]:
                    row["answers"] = [f"for each weekend {fee_of(place)} euros it costs"]
            hurt, cause = ids[:1], "judged wrongly"
        elif fault == "asked twice":
            first = next(row for row in book.questions if row["id"] == ids[0])
            book.questions.append({**first, "id": f"again-{place}", "answers": ["500 euros"]})
            hurt, cause = (f"again-{place}",), "ambiguous"
        elif fault == "other version":
            # The old one says the question's very words, the right one does not.
            _reword(
                book,
                place,
                f"For each weekend, borrowing the {SUBJECTS[place]} is charged at {fee_of(place)} euros.",
            )
            book.documents[f"2019-{name}"] = (
                f"# What does borrowing the {SUBJECTS[place]} cost for each weekend?\n\nBorrowing the "
                f"{SUBJECTS[place]} does cost {fee_of(place) + 500} euros for each weekend.\n"
            )
            hurt, cause = ids[:1], "ambiguous"
        elif fault == "drowned":
            subject = SUBJECTS[place]
            _reword(book, place, f"Members pay {fee_of(place)} euros for it, Saturday to Monday.")
            for number, note in enumerate(NOTES):
                book.documents[f"{number}-notes-{name}"] = (
                    f"# What does borrowing the {subject} cost for each weekend?\n\n{note.format(subject)}\n"
                )
            hurt, cause = ids[:1], "not retrieved"
        elif fault == "no answer":
            subject = SUBJECTS[place]
            book.questions.append(
                {"id": f"none-{place}", "question": f"Who repairs the {subject}?", "answers": [],
                 "unanswerable": True}
            )  # fmt: skip
            hurt, cause = (f"none-{place}",), "made up"
        else:
            raise ValueError(fault)
        book.planted.update(dict.fromkeys(hurt, cause))
