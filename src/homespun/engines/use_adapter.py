"""An adapter that a person names, live in a running engine."""

from pathlib import Path

from homespun.engines.engine import Engine
from homespun.engines.errors import AdapterError
from homespun.models.adapter_path import adapter_path, check_adapter_base, check_not_refused, refusal
from homespun.models.gguf import read_gguf
from homespun.models.home import Home


def use_adapter(engine: Engine, home: Home, name: str) -> str:
    """Load an adapter of the home (by its name) or any PEFT LoRA folder into an engine.

    Returns:
        What requests call it: its folder's name. A newer version of the same name takes its place.

    Raises:
        UnknownModelError: no such adapter.
        ModelError: it was tuned on another model, or its receipt refuses it.
        AdapterError: its receipt refuses it, it cannot be applied to this model, or the engine takes none.
    """
    folder = adapter_path(home, name)
    reason = refusal(folder)
    if reason is not None:
        raise AdapterError(
            f"the adapter {folder.name!r} is refused by its receipt ({reason})",
            remedy=f"See `homespun adapters receipt {name}`, then tune again or make the receipt anew.",
        )
    check_not_refused(folder)
    model = Path(engine.facts.model_path)
    if model.is_file():
        check_adapter_base(folder, read_gguf(model).digest, model.name)
    engine.load_adapter(folder.resolve().name, folder)
    return folder.resolve().name
