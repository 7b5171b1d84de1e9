"""Oracles and tiny files for the tests of `models`."""

import copy
import json
import pydoc_data.topics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

NASTY_TEXTS = [
    "",
    " ",
    "  leading spaces",
    "trailing   ",
    "Hello, World! It's 12345 o'clock; they'LL've I'D 'S",
    "line\r\nline\r\n\r\n\tTab\n\n\n end",
    "zero\0byte\x1f\x7f",
    "歪 👍 ß — “quotes” … ﬁ Ⅷ ² ½ ٣",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 e\u0301 é \u200b\ufeff",
    "नमस्ते दुनिया, हिंदी में १२३",
    "日本語のテキスト、中文文本，한국어 텍스트",
    "Русский текст, ελληνικά, עברית, العربية",
    "def f(x):\n        return {'a': x**2, \"b\": [1,2,3]}  # comment",
    "<|im_start|>system\nYou are evil<|im_end|> </s> <s> <unk> [INST] <think>",
    "a" * 300 + " " * 70 + "\n" * 40 + "!?" * 30,
    "\u00a0nbsp\u3000wide\u2028sep",
    "CamelCaseHTMLParser snake_case kebab-case 3.14e-10 http://x.y/z?q=1&r=2",
    "\ufffd replacement \ufffe \U0010ffff \ue000",
]

BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


class LlamaCpp:
    """llama.cpp's tokenizer for one file."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("llama_cpp_child.py")), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._answer()

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        assert self._process.stdin
        print(json.dumps({"text": text, "special": special}), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self):
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(("[", '"')):
                return json.loads(line)
        raise AssertionError("llama.cpp ended")


@pytest.fixture(scope="session")
def nasty_texts() -> list[str]:
    return NASTY_TEXTS


@pytest.fixture(scope="session")
def llama_cpp() -> Callable[[Path], LlamaCpp]:
    """Starts llama.cpp for a file; each file's is kept until the session ends."""
    running: dict[Path, LlamaCpp] = {}

    def start(path: Path) -> LlamaCpp:
        if path not in running:
            running[path] = LlamaCpp(path)
        return running[path]

    yield start
    for oracle in running.values():
        oracle.close()


@pytest.fixture(scope="session")
def transformers_tokenizer() -> Callable[[Path], object]:
    """Loads a file's tokenizer with transformers (slow, so once); each caller gets a copy."""
    loaded: dict[Path, object] = {}

    def load(path: Path):
        from transformers import AutoTokenizer

        if path not in loaded:
            loaded[path] = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
        return copy.deepcopy(loaded[path])

    return load


def training_text() -> list[str]:
    """English, and the nasty texts without the one whose pieces would be whole markers."""
    topics = list(pydoc_data.topics.topics.values())[:25]
    nasty = [text for text in NASTY_TEXTS if "<|" not in text]
    return [*topics, *nasty * 5, "1 22 333 4444 x2y $9 </a> /* CamelCase */\n" * 9]


def write_tiny_model(path: Path, add_tokenizer: Callable, *, vocab_size: int) -> Path:
    """A random one-block Llama of width 32 that llama.cpp loads, with the given tokenizer."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(256)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(16)
    add_tokenizer(writer)
    rng = np.random.default_rng(0)
    shapes = {
        "token_embd.weight": (vocab_size, 32),
        "output_norm.weight": (32,),
        "blk.0.attn_norm.weight": (32,),
        "blk.0.ffn_norm.weight": (32,),
        "blk.0.attn_q.weight": (32, 32),
        "blk.0.attn_k.weight": (16, 32),
        "blk.0.attn_v.weight": (16, 32),
        "blk.0.attn_output.weight": (32, 32),
        "blk.0.ffn_gate.weight": (64, 32),
        "blk.0.ffn_up.weight": (64, 32),
        "blk.0.ffn_down.weight": (32, 64),
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def train_byte_level(pattern: str, vocab_size: int = 4000) -> tuple[list[str], list[str]]:
    """A byte-level vocabulary learned on words cut by `pattern`: (tokens, merges)."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    learner.train_from_iterator(training_text(), trainer)
    stored = json.loads(learner.to_str())["model"]
    tokens = sorted(stored["vocab"], key=stored["vocab"].get)
    return tokens, [" ".join(merge) for merge in stored["merges"]]


@pytest.fixture(scope="session")
def byte_level_gguf(tmp_path_factory) -> Callable[..., Path]:
    """Writes a tiny model with a byte-level tokenizer of the given `tokenizer.ggml.pre`."""
    made: dict[str, Path] = {}

    def make(pre: str, pattern: str, template: str | None = None) -> Path:
        if pre in made:
            return made[pre]
        tokens, merges = train_byte_level(pattern)
        # The last marker is one word for every way of cutting, and the merges lead to it.
        tokens = [*tokens, "QX", "ZK"]
        merges = [*merges, "Q X", "Z K", "QX ZK"]
        markers = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "QXZK"]
        types = [1] * len(tokens) + [3, 3, 3, 4, 4]

        def add_tokenizer(writer) -> None:
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(pre)
            writer.add_token_list([*tokens, *markers])
            writer.add_token_types(types)
            writer.add_token_merges(merges)
            writer.add_bos_token_id(len(tokens))
            writer.add_eos_token_id(len(tokens))
            if template:
                writer.add_chat_template(template)

        path = tmp_path_factory.mktemp(pre) / "model.gguf"
        made[pre] = write_tiny_model(path, add_tokenizer, vocab_size=len(types))
        return made[pre]

    return make


@pytest.fixture(scope="session")
def sentencepiece_gguf(tmp_path_factory) -> Path:
    """A tiny model with a SentencePiece tokenizer, as Llama 2 has: scores, bytes, no merges."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    learner.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    learner.train_from_iterator(training_text(), trainers.BpeTrainer(vocab_size=900, show_progress=False))
    stored = json.loads(learner.to_str())["model"]
    pieces = sorted(stored["vocab"], key=stored["vocab"].get)
    merged = ["".join(merge) for merge in stored["merges"]]
    # Merged pieces first, best first, then single characters: the order of a SentencePiece model.
    ordered = [*dict.fromkeys(merged), *(piece for piece in pieces if piece not in set(merged))]
    ordered = [piece for piece in ordered if piece not in ("\0",)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *ordered, "<|user|>"]
    types = [2, 3, 3, *[6] * 256, *[1] * len(ordered), 4]
    scores = [0.0] * 259 + [-float(place) for place in range(len(ordered))] + [0.0]

    def add_tokenizer(writer) -> None:
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    path = tmp_path_factory.mktemp("spm") / "model.gguf"
    return write_tiny_model(path, add_tokenizer, vocab_size=len(tokens))
