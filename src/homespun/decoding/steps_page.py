"""The three steps as one HTML page that stands for itself, and as text for a terminal."""

from collections.abc import Sequence
from pathlib import Path

from homespun.decoding.three_steps import N_VALUES, ThreeSteps
from homespun.decoding.trace_page import page_of, safe, write_page

#: Prompts of more tokens have no picture of who sees whom.
_MOST_SEEN = 40


def write_steps(found: ThreeSteps, path: Path) -> Path:
    """Write the page.

    Raises:
        DecodingError: another ending than .html, or the file cannot be written.
    """
    return write_page(path, steps_page(found))


def what_it_has(found: ThreeSteps) -> str:
    """Which of the steps are parts of this model, said plainly."""
    s = found.structure
    if s.has_encoder and s.has_decoder:
        return (
            f"This model ({s.architecture}) has both parts: an encoder of {s.n_encoder_layers} layers reads the whole "
            f"prompt, every token seeing all others; a decoder of {s.n_decoder_layers} layers writes the answer and "
            "looks at what the encoder gave."
        )
    if s.has_encoder:
        return f"This model ({s.architecture}) is an encoder only: it represents text, and cannot write."
    return (
        f"This model ({s.architecture}) is a decoder only, as nearly all of today's are: it has no encoder. The same "
        f"{s.n_decoder_layers} layers represent the prompt and write the answer, and each token sees only itself "
        "and those before it."
    )


def steps_page(found: ThreeSteps) -> str:
    """The page as text."""
    s = found.structure
    parts = [
        "<h1>From a text to the next token, in three steps</h1>",
        f"<p class=small>{safe(s.path.name)}, {s.n_parameters:,} numbers</p><pre>{safe(found.prompt)}</pre>",
        f"<p><b>{safe(what_it_has(found))}</b></p>",
        *_tokenize(found),
        *_represent(found),
        *_decode(found),
        "<h2>The shapes on the way</h2>",
        _table(
            ("step", "numbers", "shape"),
            [(flow.step, flow.what, _shape(flow.shape)) for flow in found.flow],
            n_left=2,
        ),
    ]
    if found.notes:
        parts.append(f"<p class=small>{safe('; '.join(found.notes))}</p>")
    return page_of("Three steps", parts)


def _tokenize(found: ThreeSteps) -> list[str]:
    rows = [
        (str(t.position), repr(t.token)[1:-1], str(t.id), t.bytes, "marker of the template" * t.is_control)
        for t in found.tokens
    ]
    return [
        "<h2>1. Tokenize</h2><p>The tokenizer cuts the text into pieces that it has a number for: "
        f"{len(found.tokens)} of its {found.structure.vocab_size:,}.</p>",
        _table(("place", "token", "id", "bytes (hex)", ""), rows, n_left=2),
    ]


def _represent(found: ThreeSteps) -> list[str]:
    s = found.structure
    by_part = "Represent" if not s.has_encoder else "Represent (the encoder)"
    vectors = [
        (repr(t.token)[1:-1], " ".join(f"{value:+.3f}" for value in t.vector), f"{t.length:.2f}")
        for t in found.tokens
        if t.length is not None
    ]
    reader = "encoder" if s.has_encoder else "decoder"
    parts = [
        f"<h2>2. {by_part}</h2><p>Each id picks its row of the embedding matrix "
        f"<code>{safe(s.embedding)}</code> {_shape((s.vocab_size, s.hidden_size))}: {len(found.tokens)} "
        f"vectors of {s.hidden_size} numbers. Each layer then lets tokens look at each other ({s.n_heads} heads "
        f"of {s.head_size} numbers) and works on each vector by itself (widened to {s.ffn_size}).</p>",
    ]
    if vectors:
        title = f"its first {N_VALUES} of {s.hidden_size} numbers, as stored"
        parts.append(_table(("token", title, "length"), vectors, n_left=2))
    parts += [_who_sees(found), _tensors(found, ("embedding", reader))]
    return parts


def _decode(found: ThreeSteps) -> list[str]:
    s, odds = found.structure, found.next
    parts = ["<h2>3. Decode</h2>"]
    if s.has_encoder and s.has_decoder:
        parts.append(
            f"<p>The decoder's {s.n_decoder_layers} layers begin with a start token, look at the encoder's output, "
            "and write one token after the other.</p>" + _tensors(found, ("decoder",))
        )
    tied = "the embedding matrix again" if s.tied_output else f"<code>{safe(s.output)}</code>"
    parts.append(
        f"<p>The last token's hidden state ({s.hidden_size} numbers) is multiplied with each of the "
        f"{s.vocab_size:,} rows of the output matrix ({tied}): one logit a token. Softmax makes odds of them."
        "</p>"
    )
    if found.hidden:
        values = " ".join(f"{value:+.3f}" for value in found.hidden)
        parts.append(
            f"<p>The state begins <code>{values}</code>. <span class=small>It is found back from the logits; with the "
            f"output matrix it gives the model's log-probabilities within {found.hidden_error:.1g} nats.</span></p>"
        )
    rows = [
        (
            repr(c.token)[1:-1],
            str(c.id),
            f"{c.logit:.3f}",
            *(f"{value:.4f}" for value in c.by_stage),
            f"{c.cumulative:.4f}",
        )
        for c in odds.candidates
    ]
    head = ("token", "id", "log-probability", *(f"odds: {name}" for name in odds.stage_names), "together")
    parts.append(_table(head, rows, n_left=1))
    if odds.entropy_nats is not None and odds.n_effective is not None:
        parts.append(
            f"<p class=small>Entropy {odds.entropy_nats:.2f} nats: as uncertain as {odds.n_effective:.1f} equally "
            "likely tokens.</p>"
        )
    parts.append(
        "<p>One of them is chosen, put behind the text, and the steps begin again with it alone: keys and values "
        f"of all tokens before are kept ({2 * s.n_kv_heads * s.head_size:,} numbers for each token in each of "
        f"{s.n_decoder_layers} layers).</p>" + _tensors(found, ("output",))
    )
    return parts


def _who_sees(found: ThreeSteps) -> str:
    n = len(found.tokens)
    if n > _MOST_SEEN:
        return ""
    sees_all = found.structure.has_encoder
    lines = [
        "".join("■" if sees_all or column <= row else "·" for column in range(n)) + f"  {token.token!r}"
        for row, token in enumerate(found.tokens)
    ]
    local = found.structure.n_local_layers
    window = f" In {local} layers only the last {found.structure.window} of them." if local else ""
    return (
        "<details open><summary>Who sees whom (rows look at columns)</summary><pre style='line-height:1.05'>"
        f"{safe(chr(10).join(lines))}</pre></details><p class=small>{safe(window)}</p>"
    )


def _tensors(found: ThreeSteps, parts: Sequence[str]) -> str:
    rows = [
        (group.name, group.purpose, str(group.n_tensors), group.stored_as, _shape(group.shape))
        for group in found.structure.groups
        if group.part in parts
    ]
    if not rows:
        return ""
    table = _table(("tensor", "what for", "how many", "stored as", "shape of each"), rows, n_left=2)
    return f"<details><summary>The {' and '.join(parts)} tensors of the file</summary>{table}</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, n_left: int) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        marks = (" class=l" if place < n_left else "" for place in range(len(row)))
        return "".join(f"<{tag}{mark}>{safe(cell)}</{tag}>" for cell, mark in zip(row, marks, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(head, 'th')}</tr>{body}</table>"


def _shape(shape: Sequence[int]) -> str:
    return "(" + " × ".join(f"{size:,}" for size in shape) + ")"
