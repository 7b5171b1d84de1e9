"""A base model with its adapter added into the weights, as a Hugging Face folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.openvino.bank import LowRank
from homespun.engines.torch_model import build_model, import_torch
from homespun.models.config import ModelConfig
from homespun.models.convert_tokenizer import check_same
from homespun.models.folder import read_folder
from homespun.models.gguf import GGUFFile
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.errors import ExportError

DTYPES = ("F32", "F16", "BF16")


def write_folder(
    file: GGUFFile, config: ModelConfig, pairs: Mapping[str, LowRank], target: str, folder: Path
) -> None:
    """Write the merged weights, config, tokenizer and chat template, as transformers loads them.

    Raises:
        ExportError: an unknown format, values that it cannot hold, or a tokenizer that transformers does not
            read from this GGUF.
        TokenizerError: the written tokenizer cuts texts in another way.
        EngineError: torch is not installed.
    """
    if target not in DTYPES:
        raise ExportError(f"format {target!r} is not one of {', '.join(DTYPES)}")
    torch = import_torch()
    import transformers

    model = build_model(file, config, "cpu")
    for site, pair in pairs.items():
        change = (pair.b.astype(np.float64) @ pair.a.astype(np.float64)).astype(np.float32)
        model.get_submodule(site).weight.data += torch.from_numpy(change)
    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[target]
    model = model.to(dtype)
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise ExportError(
            f"the weights hold values beyond what {target} can", remedy="Export to BF16 or F32."
        )
    tokenizer = Tokenizer.from_gguf(file)
    for ids in (model.config, model.generation_config):
        ids.bos_token_id = next(iter(tokenizer.begin_ids), None)
        ids.eos_token_id = sorted(tokenizer.stop_ids) or None
        ids.pad_token_id = tokenizer.eos_id
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    theirs = _tokenizer(file)
    markers = [tokenizer.vocabulary.texts[token_id] for token_id in sorted(tokenizer.control_ids)]
    theirs.add_tokens(markers, special_tokens=True)  # they are in it, but not as markers
    theirs.chat_template = ChatTemplate.from_gguf(file, tokenizer).text
    theirs.save_pretrained(folder)
    _mark(folder, set(markers))
    check_same(Tokenizer.from_folder(read_folder(folder)), tokenizer, str(folder))


def _mark(folder: Path, markers: set[str]) -> None:
    """Have every marker special, also one that stands for the unknown where no text can be unknown."""
    path, config_path = folder / "tokenizer.json", folder / "tokenizer_config.json"
    content = json.loads(path.read_text("utf-8"))
    for token in content["added_tokens"]:
        token["special"] = token["special"] or token["content"] in markers
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    config = json.loads(config_path.read_text("utf-8"))
    if content["model"].get("unk_token") is None and config.get("unk_token") in markers:
        del config["unk_token"]
        config_path.write_text(json.dumps(config, ensure_ascii=False, indent=2), "utf-8")


def _tokenizer(file: GGUFFile) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(file.path.parent), gguf_file=file.path.name)
    except Exception as error:  # what it raises depends on the file
        raise ExportError(
            f"transformers cannot read this model's tokenizer from its GGUF ({type(error).__name__})",
            where=str(file.path),
            remedy="Export the merged GGUF instead.",
        ) from None
