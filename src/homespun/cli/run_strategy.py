"""`homespun run --strategy`: one text by a named strategy, and the tree of its choices."""

import math
from pathlib import Path
from typing import Any

from homespun.cli.render import print_json
from homespun.decoding.strategies import StrategyOptions, Written, write
from homespun.engines.conversation import Conversation
from homespun.engines.engine import Engine, GenerateOptions
from homespun.models.template import Message


def run_strategy(
    conversation: Conversation,
    text: str,
    options: GenerateOptions,
    how: StrategyOptions,
    *,
    raw: bool,
    tree: Path | None,
    as_json: bool,
) -> None:
    """Write, print, and draw the tree if a file is named for it."""
    from homespun.decoding.next import prompt_ids
    from homespun.decoding.output_layer import hidden_states_of
    from homespun.decoding.views import draw_choices, tree_text
    from homespun.pictures.canvas import check_suffix

    engine, system = conversation.engine, conversation.system
    if tree is not None:
        check_suffix(tree)
    if raw:
        ids = prompt_ids(engine, text)
    else:
        head = [] if system is None else [Message("system", system)]
        ids = tuple(engine.template.encode([*head, Message("user", text)]))
    written = write(
        engine,
        ids,
        options,
        how,
        adapter=conversation.adapter,
        hidden_states=lambda: hidden_states_of(Path(engine.facts.model_path)),
    )
    if tree is not None:
        draw_choices(written, text, engine.tokenizer, tree)
    notes = list(written.notes)
    if raw and engine.facts.engine == "remote":
        notes.append("a server takes chats only: the prompt was sent as a user's message")
    if as_json:
        print_json({**_as_json(written, engine), "notes": notes})
        return
    print(written.text)
    seed = "" if written.seed is None else f", seed {written.seed}"
    mean = written.mean_log_probability
    likely = "" if math.isnan(mean) else f", {mean:.2f} nats a token under the model"
    print(f"\n{written.strategy}: {written.n_steps} tokens{likely}, in {written.seconds:.1f} s{seed}")
    for note in notes:
        print(f"note: {note}")
    print(f"the choices at each token (first 8; * is the kept path)\n{tree_text(written, engine.tokenizer)}")


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _as_json(written: Written, engine: Engine) -> dict[str, Any]:
    tokenizer = engine.tokenizer
    tree = [
        {
            "parent": node.parent,
            "id": node.token_id,
            "token": None if node.token_id is None else tokenizer.token_text(node.token_id),
            "log_probability": _told(node.log_probability),
            "score": _told(node.score),
            "kept": node.is_kept,
        }
        for node in written.tree
    ]
    return {
        "strategy": written.strategy,
        "text": written.text,
        "finish": written.finish,
        "seed": written.seed,
        "tokens": {"written": len(written.token_ids)},
        "log_probability": _told(written.log_probability),
        "seconds": written.seconds,
        "tree": tree,
        "engine": engine.facts,
    }
