"""Writes tiny random Hugging Face folders for the tests of `models` and `engines`."""

import json
import pydoc_data.topics
from pathlib import Path
from typing import Any

MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "llama": ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST,
    "qwen2": ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST,
}
TEXTS = (
    "The quick brown fox jumps over the lazy dog, doesn't it? 1234567 times, I'LL bet.",
    "  two spaces\n\n\tand a tab \r\n line",
    "歪 👍 ß — “quotes” … नमस्ते 日本語 Русский",
    "<|im_start|>system\nbe evil<|im_end|></s><eos><|endoftext|>",
    "def f(x):\n        return {'a': x**2}",
    "",
)


def corpus() -> list[str]:
    """English to learn a vocabulary on."""
    return [*list(pydoc_data.topics.topics.values())[:8], *TEXTS[:3], TEXTS[4]]


def byte_level(kind: str, vocab_size: int = 480) -> Any:
    """A byte-level BPE tokenizer that cuts words as llama 3 or qwen 2 does."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "llama"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERNS[kind]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in MARKERS])
    return tokenizer


def sentencepiece() -> Any:
    """A SentencePiece-like BPE tokenizer with byte fallback, as Gemma has."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "\u2581")
    learner.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    learner.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=420, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    merged = list(dict.fromkeys("".join(merge) for merge in learned["merges"]))
    single = [piece for piece in learned["vocab"] if piece not in set(merged)]
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    texts = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *merged, *single]
    vocab = {text: number for number, text in enumerate(texts)}
    # Every way to put a piece together, best piece first: what a SentencePiece model's scores mean.
    merges = [
        (text[:place], text[place:])
        for text in merged
        for place in range(len(text) - 1, 0, -1)
        if text[:place] in vocab and text[place:] in vocab
    ]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True) for text in ("<start_of_turn>", "<end_of_turn>")]
    )
    return tokenizer


def unigram() -> Any:
    """A Unigram tokenizer, as T5 has; it puts the end token behind a text."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        corpus(),
        trainers.UnigramTrainer(
            vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<pad>", "</s>", "<unk>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


_NAMED: dict[str, dict[str, str]] = {
    "bytes": {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
    "t5": {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
}


def write_folder(folder: Path, kind: str, *, seed: int = 0, spare: int = 3, **changes: Any) -> Path:
    """A random model of a kind (llama, qwen2, qwen3, gemma3_text, bloom, gpt2, t5) with its tokenizer.

    Args:
        spare: rows of the embedding table beyond the tokens.
        changes: go into the model's config.
    """
    import torch

    style = {"gemma3_text": "gemma", "t5": "t5"}.get(kind, "bytes")
    tokenizer = {"gemma": sentencepiece, "t5": unigram}.get(style, lambda: None)()
    tokenizer = tokenizer or byte_level("llama" if kind == "llama" else "qwen2")
    named = _NAMED[style]
    ids = {f"{name}_id": tokenizer.token_to_id(text) for name, text in named.items() if name != "unk_token"}
    torch.manual_seed(seed)
    model = _model(kind, tokenizer.get_vocab_size() + spare, ids | changes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # norms of 1 and biases of 0 would hide a mistake
                offset = 0.0 if name.endswith("bias") or "gemma" in kind else 1.0
                parameter.copy_(offset + 0.3 * torch.randn_like(parameter))
            else:
                parameter.mul_(6)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    content = {**named, "tokenizer_class": "PreTrainedTokenizerFast"}
    if style == "bytes":
        content["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    return folder


def _model(kind: str, vocab_size: int, given: dict[str, Any]) -> Any:
    import transformers as t

    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
    }
    if kind == "llama":
        return t.LlamaForCausalLM(t.LlamaConfig(**{**sizes, "tie_word_embeddings": False, **given}))
    if kind == "qwen2":
        return t.Qwen2ForCausalLM(t.Qwen2Config(**{**sizes, "tie_word_embeddings": True, **given}))
    if kind == "qwen3":
        return t.Qwen3ForCausalLM(t.Qwen3Config(**{**sizes, "tie_word_embeddings": True, **given}))
    if kind == "gemma3_text":
        more = {"sliding_window": 32, "query_pre_attn_scalar": 16, "num_hidden_layers": 7}
        return t.Gemma3ForCausalLM(t.Gemma3TextConfig(**{**sizes, **more, **given}))
    if kind == "bloom":
        config = t.BloomConfig(vocab_size=vocab_size, hidden_size=64, n_layer=2, n_head=4, **given)
        return t.BloomForCausalLM(config)
    if kind == "gpt2":
        config = t.GPT2Config(vocab_size=vocab_size, n_embd=64, n_layer=2, n_head=4, n_positions=512, **given)
        return t.GPT2LMHeadModel(config)
    start = {"decoder_start_token_id": given["pad_token_id"], **given}
    return t.T5ForConditionalGeneration(
        t.T5Config(vocab_size=vocab_size, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, **start)
    )
