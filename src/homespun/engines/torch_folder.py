"""A Hugging Face folder for the torch engine: any decoder that transformers itself knows, and T5's kind.

Only transformers' own classes are used; a program that the folder brings is never run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.errors import EngineError
from homespun.engines.openvino.adapters import read_adapter_for
from homespun.engines.openvino.bank import Site
from homespun.engines.torch_model import import_torch
from homespun.engines.torch_parts import TorchParts
from homespun.engines.torch_precision import placed
from homespun.models.folder import ModelFolder, read_folder
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress

#: Where configs write the length of the window; T5 has none and was trained on 512 tokens.
_LENGTHS = ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len", "max_sequence_length")
_DEFAULT_LENGTH = 2048
#: Buffers that old files store although they follow from the config.
_DERIVED = ("rotary_emb.inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias")


def open_folder(
    path: Path, options: EngineOptions = EngineOptions(), progress: Progress = no_progress
) -> Engine:
    """Load a model folder into the torch engine.

    Raises:
        ModelFileError, TokenizerError: a folder that is not whole, or whose parts do not belong together.
        EngineError: an architecture that transformers does not know itself.
    """
    from homespun.engines.torch_engine import TorchEngine

    return TorchEngine(path, options, progress=progress)


def load_folder(path: Path, precision: str, device: str) -> TorchParts:
    """The model of a folder, checked, in a precision and on a device.

    Raises:
        ModelFileError, TokenizerError: see `open_folder`.
        EngineError: an unknown architecture, or weights that do not fit config.json.
    """
    folder = read_folder(path)
    tokenizer = Tokenizer.from_folder(folder)
    config = _config(folder)
    model = _load(folder, config, precision)
    start = None
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        if start is None:
            raise EngineError("config.json does not say the decoder_start_token_id", where=str(path))
    sites = _sites(model)
    return TorchParts(
        model=placed(model.eval().requires_grad_(False), precision, device),
        tokenizer=tokenizer,
        template=ChatTemplate.from_folder(folder, tokenizer),
        architecture=folder.architecture,
        context_length=_context_length(config),
        check_adapter=lambda adapter: read_adapter_for(adapter, sites),
        decoder_start_id=start,
    )


def _config(folder: ModelFolder) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder.path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a hostile or newer config.json leads to
        raise _unknown(folder, error) from None


def _unknown(folder: ModelFolder, error: Exception) -> EngineError:
    if folder.brings_code:
        return EngineError(
            f"a model of the kind {folder.architecture!r} needs the program that lies beside its weights, "
            "and Homespun never runs such a program",
            where=str(folder.path),
            remedy="Use the model's GGUF if there is one, or a model that transformers knows itself.",
        )
    first_line = str(error).strip().split("\n")[0]
    return EngineError(
        f"transformers cannot build a model of the kind {folder.architecture!r} ({first_line})",
        where=str(folder.path),
        remedy="Use the model's GGUF if there is one, or another model.",
    )


def _load(folder: ModelFolder, config: Any, precision: str) -> Any:
    import transformers

    torch = import_torch()
    kind: Any = (
        transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    )
    with _silence(transformers.utils.logging):
        return _placed_by(kind, folder, config, torch.float32 if precision == "f32" else torch.bfloat16)


def _placed_by(kind: Any, folder: ModelFolder, config: Any, dtype: Any) -> Any:
    try:
        model, info = kind.from_pretrained(
            folder.path,
            config=config,
            dtype=dtype,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise _unknown(folder, error) from None
    _check_all_placed(folder, info)
    return model


@contextmanager
def _silence(logging: Any) -> Iterator[None]:
    """No bars and warnings of transformers on the terminal: what matters is checked and told here."""
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()


def _check_all_placed(folder: ModelFolder, info: Any) -> None:
    """transformers only warns of missing tensors (it draws random ones) and leaves surplus ones out."""
    missing = sorted(info["missing_keys"])
    surplus = sorted(name for name in info["unexpected_keys"] if not name.endswith(_DERIVED))
    wrong = sorted(str(entry[0]) for entry in info.get("mismatched_keys", ()))
    for names, what in (
        (missing, "the folder has no tensor for {}"),
        (surplus, "tensor {} has no place in the model"),
        (wrong, "tensor {} has another shape than config.json says"),
    ):
        if names:
            raise EngineError(
                what.format(names[0]),
                where=str(folder.path),
                remedy="Get config.json and the weights from the same place and revision.",
            )


def _sites(model: Any) -> dict[str, Site]:
    from torch import nn

    return {
        name: Site(name, "", module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }


def _context_length(config: Any) -> int:
    text = config.get_text_config(decoder=True)
    for name in _LENGTHS:
        length = getattr(text, name, None)
        if isinstance(length, int) and length > 0:
            return length
    return 512 if config.is_encoder_decoder else _DEFAULT_LENGTH
