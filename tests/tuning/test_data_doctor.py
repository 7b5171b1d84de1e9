"""The data doctor finds what was planted, by name and line, and nothing in clean data."""

from pathlib import Path

import pytest

from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate, Message, ToolCall
from homespun.models.tokenizer import Tokenizer
from homespun.retrieval.embedder import open_embedder
from homespun.tuning.data.columns import FoundColumns
from homespun.tuning.data.doctor import examine
from homespun.tuning.data.pieces import divide_texts
from homespun.tuning.data.preview import preview
from homespun.tuning.data.read import ReadData, read_examples
from homespun.tuning.data.rows import RowProblem
from homespun.tuning.data.secrets import find_secrets, is_iban, passes_luhn
from homespun.tuning.data.shapes import row_example
from homespun.tuning.examples import Example

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


@pytest.fixture(scope="module")
def model(starter_gguf):
    """The starter model's template and tokenizer."""
    file = read_gguf(starter_gguf)
    tokenizer = Tokenizer.from_gguf(file)
    return ChatTemplate.from_gguf(file, tokenizer), tokenizer


@pytest.fixture(scope="module")
def embedder(starter_embedder, shared_cache):
    return open_embedder(starter_embedder, cache_path=shared_cache / "openvino")


def pair(line, prompt, response):
    return Example((Message("user", prompt), Message("assistant", response)), file="d.jsonl", line=line)


SUBJECTS = [
    "kiln",
    "wheel",
    "glaze",
    "shelf",
    "clay",
    "sink",
    "apron",
    "oven",
    "bucket",
    "sponge",
    "table",
    "door",
]


def clean(n=60):
    """Rows that differ in their words."""
    return [
        pair(
            i + 1,
            f"Where does {SUBJECTS[i % 12]} {i * 7919} belong in room {i}?",
            f"{SUBJECTS[i * 5 % 12]} {i}",
        )
        for i in range(n)
    ]


def checked(model, examples, *, problems=(), window=512, **more):
    data = ReadData(tuple(examples), tuple(problems), "prompt/response", "", ())
    return examine(data, *model, window=window, **more)


def found(checkup, kind):
    return [(finding.severity, finding.rows) for finding in checkup.findings if finding.kind == kind]


def test_clean_rows_have_no_finding(model):
    checkup = checked(model, clean())
    assert checkup.findings == ()
    assert not checkup.has_errors
    assert checkup.n_examples == 60 and checkup.answer_lengths.smallest >= 2


def test_copies_conflicts_and_near_copies(model):
    text = "the kiln is fired on every second monday of the month unless the wood is wet or the wind is from the west"
    rows = [
        *clean(),
        pair(101, "Who fires?", "Ada"),
        pair(102, " WHO  fires? ", "ada"),
        pair(103, "who fires?", "Bert"),
        Example(text=text, file="a.txt", line=1),
        Example(text=text + " side", file="b.txt", line=1),
    ]
    checkup = checked(model, rows)
    assert found(checkup, "duplicates") == [("warning", ("d.jsonl:101 = d.jsonl:102",))]
    assert found(checkup, "conflict") == [("warning", ("d.jsonl:101 / d.jsonl:103",))]
    assert found(checkup, "near-duplicates") == [("note", ("a.txt:1 ~ b.txt:1 (95%)",))]


def test_long_rows_are_told_with_what_a_cut_would_remove(model):
    rows = [
        *clean(),
        pair(101, "word " * 100, "yes"),
        pair(102, "Tell.", "word " * 100),
        Example(text="word " * 100, file="a.txt", line=1),
    ]
    checkup = checked(model, rows, window=90)
    (severity, places), (note, texts) = found(checkup, "cut")
    assert severity == "error" and [place.split(" ")[0] for place in places] == ["d.jsonl:101", "d.jsonl:102"]
    assert (note, texts) == ("note", ("a.txt:1",))
    (what,) = [
        finding.what for finding in checkup.findings if finding.kind == "cut" and finding.severity == "error"
    ]
    assert "2 rows are longer than 90 tokens" in what and "1 their whole answer" in what
    assert checkup.has_errors
    assert found(checked(model, rows, window=512), "cut") == []


def test_problems_of_rows_are_findings(model):
    some = [
        RowProblem("d.jsonl", 7, "broken", "This is no JSON."),
        RowProblem("d.jsonl", 9, "quote", "Open.", True),
    ]
    checkup = checked(model, clean(), problems=some)
    assert found(checkup, "broken") == [("warning", ("d.jsonl:7",))]
    assert found(checkup, "quote") == [("warning", ("d.jsonl:9",))]
    assert checkup.n_unusable == 1
    many = [RowProblem("d.jsonl", line, "empty", "Nothing.") for line in range(10)]
    assert [severity for severity, _ in found(checked(model, clean(), problems=many), "empty")] == ["error"]


def test_markers_one_answer_and_few_rows(model):
    rows = [pair(i, f"question {i * 97} of {i}", "I cannot say.") for i in range(20)]
    rows.append(pair(30, "### Instruction: go", "fine"))
    rows.append(pair(31, "go", "fine, really<|im_end|>"))
    checkup = checked(model, rows)
    assert found(checkup, "markers") == [("warning", ("d.jsonl:30", "d.jsonl:31"))]
    assert len(found(checkup, "same answer")[0][1]) == 20
    assert found(checkup, "few") == [("note", ())]


def test_languages(model):
    german = pair(
        101, "Wo steht der große Brennofen in der Werkstatt?", "Er steht hinten rechts neben dem Fenster."
    )
    crossed = pair(
        102, "Where does the large kiln stand in the workshop?", "Er steht hinten rechts neben dem Fenster."
    )
    checkup = checked(model, [*clean(), german, crossed])
    assert checkup.languages["de"] >= 1
    assert ("warning", ("d.jsonl:102",)) in found(checkup, "language")


def test_template_without_an_end_is_an_error(model):
    """Field case T1: what is never labelled is never written, so the tuned model does not stop."""
    tokenizer = model[1]
    endless = ChatTemplate(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}", tokenizer
    )
    checkup = checked((endless, tokenizer), clean())
    (finding,) = [one for one in checkup.findings if one.kind == "template"]
    assert (
        finding.severity == "error" and len(finding.rows) == 60 and "does not learn to stop" in finding.what
    )
    assert found(checked(model, clean()), "template") == []


WITH_TOOLS = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_a_preview_is_the_whole_text_with_exactly_the_answers_learnt(model):
    """Field case T2: two turns and a tool's answer; only what the assistant says is learnt."""
    example = Example(
        (
            Message("user", "1+2?"),
            Message("assistant", "", (ToolCall("add", {"a": 1}),)),
            Message("tool", "It is 3.", name="add"),
            Message("assistant", "Three ☺."),
            Message("user", "Thanks"),
            Message("assistant", "Bye"),
        )
    )
    tokens = preview(example, ChatTemplate(WITH_TOOLS, model[1]), model[1])
    learnt = "".join(token.text for token in tokens if token.labelled)
    assert learnt.endswith("<|im_end|>Three ☺.<|im_end|>Bye<|im_end|>")
    assert "It is 3." not in learnt and "Thanks" not in learnt
    assert "Thanks<|im_end|>" in "".join(token.text for token in tokens)


# --- leaks -------------------------------------------------------------------------------------


def test_leaks_word_for_word_nearly_and_in_other_words(model, embedder):
    learnt = [
        *clean(),
        pair(101, "Who fires the kiln on Mondays?", "Ada Brandt"),
        pair(102, "When are the tools in the workshop cleaned?", "on Friday at noon"),
        pair(103, "How much does a bag of white clay cost members?", "14 euros"),
    ]
    test = ReadData(
        (
            pair(1, "who  fires the kiln on MONDAYS?", "Ada"),
            pair(2, "At what time are the workshop's tools cleaned?", "Friday at noon"),
            pair(3, "What do members pay for a bag of white clay?", "14 euros"),
            pair(4, "What do members pay for a bag of red clay?", "nine pounds"),
            pair(5, "Why is the sky blue?", "scattering"),
        ),
        (),
        "prompt/response",
        "",
    )
    checkup = checked(model, learnt, test=test, embedder=embedder)
    assert found(checkup, "leak") == [
        ("error", ("d.jsonl:1 = d.jsonl:101",)),
        ("warning", ("d.jsonl:2 ? d.jsonl:102", "d.jsonl:3 ? d.jsonl:103")),
    ]
    severities = [severity for severity, _ in found(checked(model, learnt, test=test), "leak")]
    assert severities == ["error", "note"]


@pytest.mark.long
def test_the_clinics_test_set_does_not_leak(model, embedder):
    train, test = (read_examples([CLINIC / name]) for name in ("train.jsonl", "test.jsonl"))
    checkup = examine(train, *model, window=2048, test=test, embedder=embedder)
    assert not checkup.has_errors
    assert sum(len(rows) for _, rows in found(checkup, "leak")) <= 4  # questions of one table, to be read


# --- secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("key AKIAABCDEFGHIJKLMNOP here", "AWS access key"),
        ("ghp_" + "a1B2" * 9, "GitHub token"),
        ("hf_" + "aB3d" * 8, "Hugging Face token"),
        ("sk-proj-abc123DEF456ghi789", "API key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII", "private key"),
        ("postgres://ada:tr0ub4dor@db/x", "password in an address"),
        ('password = "hunter2x9"', "password"),
        ("Das Passwort ist geheim42", "password"),
        ("GB82 WEST 1234 5698 7654 32", "account number (IBAN)"),
        ("pay to DE89370400440532013000 please", "account number (IBAN)"),
        ("card 4111 1111 1111 1111, thanks", "card number"),
        ("write to ada.b@pottery-yard.org.", "e-mail address"),
        ("call +44 20 7946 0958 now", "telephone number"),
        ("Tel. 0555/014 300", "telephone number"),
        ("(212) 555-0187", "telephone number"),
    ],
)
def test_secrets_are_found_and_never_shown_whole(text, kind):
    (secret,) = find_secrets(text)
    assert secret.kind == kind
    assert len(secret.shown) <= 5 and secret.shown[:-1] == text[secret.start :][: len(secret.shown) - 1]


@pytest.mark.parametrize(
    "text",
    [
        "GB82 WEST 1234 5698 7654 33",  # a wrong check digit
        "card 4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "write to you@example.com",
        "from 2024-01-05 to 2024-02-06, or 05.11.2024",
        "the password is required in every form",
        "version 10.11.12.13, 1,234,567.89 and 09:30 to 12:30",
        "room 0412, order 2023-000123456, part 12-34-567",
    ],
)
def test_what_only_looks_like_one_is_none(text):
    assert list(find_secrets(text)) == []


@pytest.mark.parametrize("text", ["a.", "0 ", "AB12", "a@", "eyJaaaaaaaa.", "pwd ", "+1 ", "12-34-"])
def test_no_text_makes_the_search_slow(text):
    long = text * (200_000 // len(text))
    assert len(list(find_secrets(long))) < len(long)


def test_check_digits_by_hand():
    assert passes_luhn("79927398713") and not passes_luhn("79927398710")
    assert is_iban("FR14 2004 1010 0505 0001 3M02 606") and not is_iban("FR14 2004 1010 0505 0001 3M02 607")


def test_secrets_are_errors_and_people_are_warnings(model):
    rows = [*clean(), pair(101, "card?", "4111 1111 1111 1111"), pair(102, "mail?", "ada@pottery-yard.org")]
    checkup = checked(model, rows)
    assert found(checkup, "secret") == [("error", ("d.jsonl:101 4111…",))]
    assert found(checkup, "personal data") == [("warning", ("d.jsonl:102 ada@…",))]


# --- pieces ------------------------------------------------------------------------------------


def test_long_texts_become_pieces_that_fit_and_hold_all(model):
    tokenizer = model[1]
    text = "\n\n".join(f"Paragraph {n}. " + f"It says {n * 37}. " * 9 for n in range(20))
    text += "x" * 600 + "\n" + "漢字" * 200
    whole = Example(text=text, file="a.txt", line=1)
    short = Example(text="short", file="b.txt", line=1)
    pieces = divide_texts([whole, short], tokenizer, 64)
    assert pieces[-1] is short
    assert "".join("".join(piece.text.split()) for piece in pieces[:-1]) == "".join(text.split())
    assert all(tokenizer.count(piece.text) <= 62 for piece in pieces)
    assert {piece.group for piece in pieces[:-1]} == {"a.txt:1"}
    lines = text.split("\n")
    assert all(
        lines[piece.line - 1].lstrip().startswith(piece.text[:5]) or piece.text[:5] in lines[piece.line - 1]
        for piece in pieces[:-1]
    )


def test_a_chat_is_never_divided(model):
    example = row_example(
        {"p": "a " * 500, "r": "b"}, FoundColumns("prompt/response", {"prompt": "p", "response": "r"}), "f", 1
    )
    assert divide_texts([example], model[1], 64) == [example]
