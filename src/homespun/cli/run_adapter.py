"""The adapter that writes in `homespun run`, and `/adapter` in its chat."""

from pathlib import Path

from homespun.engines.conversation import Conversation
from homespun.engines.use_adapter import use_adapter
from homespun.models.home import Home

COMMAND = "/adapter"


class ChosenAdapter:
    """Which adapter writes in a conversation.

    Attributes:
        kept: what names it from any folder; None: the model itself writes.
    """

    def __init__(self, conversation: Conversation, home: Home) -> None:
        self._conversation = conversation
        self._home = home
        self.kept: str | None = None

    def prepare(self) -> None:
        """Where there are adapters to switch to, have the first switch take no time."""
        if any(self._home.adapters_path.iterdir()):
            self._conversation.engine.prepare_adapters()

    def use(self, name: str | None) -> None:
        """Let an adapter write from now on, or with None or an empty name the model itself.

        Raises:
            HomespunError: see `use_adapter`; then the one before goes on.
        """
        if not name:
            self._conversation.adapter = self.kept = None
            return
        self._conversation.adapter = use_adapter(self._conversation.engine, self._home, name)
        is_named = self._conversation.adapter == name and (self._home.adapters_path / name).is_dir()
        self.kept = name if is_named else str(Path(name).expanduser().absolute())

    def command(self, text: str) -> str | None:
        """Do what `/adapter NAME` asks for and say so; None where the text is no such command."""
        word, _, name = text.strip().partition(" ")
        if word != COMMAND:
            return None
        self.use(name.strip())
        if self._conversation.adapter is None:
            return "(the model itself writes; /adapter NAME lets an adapter write)"
        return f"(the adapter {self._conversation.adapter} writes; /adapter alone: the model itself)"
