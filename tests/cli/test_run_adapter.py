"""An adapter that writes: named on the command line, switched in a chat, remembered by a kept chat."""

from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.cli.run_adapter import ChosenAdapter
from homespun.engines.chats import KeptChat, read_chat
from homespun.engines.conversation import Conversation
from homespun.engines.engine import EngineOptions, GenerateOptions
from homespun.engines.load import load_engine
from homespun.errors import HomespunError
from homespun.models.home import Home
from homespun.models.template import Message
from homespun.tuning.adapters import BaseFacts, Lineage, write_lineage
from ran import Ran

SHAPE = Shape()


def put(folder: Path, *, seed: int = 1, digest: str = "") -> Path:
    write_adapter(folder, adapter_tensors(SHAPE, ("attn_q", "attn_v", "ffn_down"), 4, seed), 4)
    write_lineage(folder, Lineage(folder.name, "finished", BaseFacts("other-model", digest)))
    return folder


@pytest.fixture
def conversation(home: Home, tmp_path: Path):
    model = write_random(tmp_path / "tiny.gguf", SHAPE)
    with load_engine(home, str(model), EngineOptions(mode="exact"), engine="openvino") as engine:
        yield Conversation(engine)


def said(conversation: Conversation) -> str:
    conversation.messages = []
    reply = conversation.ask("Hello there", GenerateOptions(max_new_tokens=12))
    for _ in reply:
        pass
    return reply.result.text


def test_slash_adapter_switches_who_writes(conversation: Conversation, home: Home, tmp_path: Path) -> None:
    put(home.adapters_path / "polite")
    outside = put(tmp_path / "mine", seed=2)
    chosen = ChosenAdapter(conversation, home)
    base = said(conversation)
    assert chosen.command("hello /adapter") is None and chosen.command("/adapters") is None
    assert "polite writes" in str(chosen.command("/adapter polite")) and chosen.kept == "polite"
    polite = said(conversation)
    assert str(outside) == (chosen.command(f"/adapter {outside}") and chosen.kept)
    mine = said(conversation)
    assert "model itself writes" in str(chosen.command("/adapter")) and chosen.kept is None
    assert len({base, polite, mine}) == 3 and said(conversation) == base


def test_a_missing_adapter_leaves_the_one_before(conversation: Conversation, home: Home) -> None:
    put(home.adapters_path / "polite")
    put(home.adapters_path / "strange", digest="ab" * 32)
    chosen = ChosenAdapter(conversation, home)
    chosen.use("polite")
    with pytest.raises(HomespunError, match="no adapter 'gone'"):
        chosen.use("gone")
    with pytest.raises(HomespunError, match=r"'strange' was tuned on 'other-model'.*--model other-model"):
        chosen.use("strange")
    put(home.adapters_path / "bad")
    (home.adapters_path / "bad" / "receipt.json").write_text(
        '{"verdict": "refused", "reasons": [{"name": "wrong alpha", "text": "twice"}]}'
    )
    with pytest.raises(HomespunError, match=r"'bad' is refused by its receipt \(wrong alpha\)"):
        chosen.use("bad")
    assert conversation.adapter == chosen.kept == "polite"


def test_a_kept_chat_remembers_its_adapter(home: Home) -> None:
    turns = [Message("user", "a"), Message("assistant", "b")]
    with KeptChat(home.root, "c") as kept:
        kept.append(turns, model="m", system=None, adapter="polite")
    assert read_chat(home.root, "c").adapter == "polite"
    with KeptChat(home.root, "c") as kept:
        kept.append(turns, model="m", system=None)
    assert read_chat(home.root, "c").adapter is None


@pytest.mark.long
def test_commands_answer_with_an_adapter(
    homespun: Callable[..., Ran], bare_home: Home, clinic: Ran, starter_gguf: Path
) -> None:
    from homespun.engines.openvino.bank import site_groups
    from homespun.models.gguf import read_gguf

    file = read_gguf(starter_gguf)
    sites = [site for layer in range(30) for group in site_groups(file, layer) for site in group]
    assert len(sites) == 210
    folder = bare_home.adapters_path / "loud"
    starter = Shape(n_layers=30, hidden=576, n_heads=9, n_kv_heads=3, ffn=1536)
    write_adapter(folder, adapter_tensors(starter, ("attn_q", "attn_v"), 4, 3), 4, alpha=2)
    plain = homespun("run", "Name a colour.", "--max-new-tokens", "8", "--json").json
    loud = homespun("run", "Name a colour.", "--max-new-tokens", "8", "--json", "--adapter", "loud").json
    assert plain["adapter"] is None and loud["adapter"] == "loud" and plain["text"] != loud["text"]
    homespun("run", "Hi", "--chat", "kept", "--adapter", "loud", "--max-new-tokens", "4")
    again = homespun("run", "Hi", "--chat", "kept", "--max-new-tokens", "4", "--json").json
    back = homespun("run", "Hi", "--chat", "kept", "--adapter", "", "--max-new-tokens", "4", "--json").json
    assert again["adapter"] == "loud" and back["adapter"] is None
    asked = homespun("ask", "When is it open?", "-l", "clinic", "--adapter", "loud", "--json").json
    assert asked["adapter"] in ("loud", None) and asked["style"] == "write"
    assert homespun("run", "Hi", "--adapter", "gone").code == 2
