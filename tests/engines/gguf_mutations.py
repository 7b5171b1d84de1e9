"""Three hundred GGUF files that somebody broke: flipped bits, absurd numbers, metadata of the wrong kind."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import gguf
import numpy as np
from gguf_writer import Shape, write_random

U32, I32, F32, BOOL, STRING, ARRAY, U64, F64 = 4, 5, 6, 7, 8, 9, 10, 12
BASES = (
    Shape(),
    Shape("qwen2", ggml_type="Q8_0", is_tied=False),
    Shape("qwen3", ggml_type="Q4_0", n_heads=4, n_kv_heads=2),
    Shape("gemma3", n_layers=3, head_size=32, sliding_window=64),
    Shape(has_rope_freqs=True, ggml_type="F16"),
)
N_FLIPPED, N_OVERWRITTEN, N_METADATA = 90, 30, 110


def value(kind: int, content: object) -> bytes:
    """A metadata value with its type in front."""
    forms = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q", F64: "<d"}
    if kind == STRING:
        stored = content if isinstance(content, bytes) else str(content).encode()
        return struct.pack("<IQ", STRING, len(stored)) + stored
    return struct.pack("<I", kind) + struct.pack(forms[kind], content)


def array(kind: int, items: list[bytes], count: int | None = None) -> bytes:
    """An array whose items are already bytes; `count` is what it claims to hold."""
    return struct.pack("<IIQ", ARRAY, kind, len(items) if count is None else count) + b"".join(items)


def texts(items: list[bytes], count: int | None = None) -> bytes:
    """An array of strings."""
    return array(STRING, [struct.pack("<Q", len(item)) + item for item in items], count)


def nested(depth: int) -> bytes:
    """Arrays in arrays."""
    inner = struct.pack("<IQ", U32, 1) + struct.pack("<I", 7)
    for _ in range(depth):
        inner = struct.pack("<IQ", ARRAY, 1) + inner
    return struct.pack("<I", ARRAY) + inner


ABSURD = {
    "zero": value(U32, 0),
    "one": value(U32, 1),
    "three": value(U32, 3),
    "seven": value(U32, 7),
    "thousand": value(U32, 1000),
    "all-ones": value(U32, 2**32 - 1),
    "minus-one": value(I32, -1),
    "2^63": value(U64, 2**63),
    "2^31": value(U64, 2**31),
    "nan": value(F32, float("nan")),
    "infinite": value(F32, float("inf")),
    "zero-real": value(F32, 0.0),
    "minus-real": value(F32, -1.0),
    "1e300": value(F64, 1e300),
    "true": value(BOOL, 1),
    "no-text": value(STRING, ""),
    "text": value(STRING, "12 or so"),
    "no-utf-8": value(STRING, b"\xff\xfe\x00\xc3"),
    "empty-array": array(U32, []),
    "numbers": array(U32, [struct.pack("<I", n) for n in (1, 0, 2**32 - 1)]),
    "reals": array(F32, [struct.pack("<f", float("nan"))] * 3),
    "texts": texts([b"a", b"\xff", b""]),
    "nested": nested(2),
    "deep": nested(40),
    "claims-2^60": array(U32, [], 2**60),
    "claims-texts": texts([b"a"], 2**40),
    "absent": None,
}
HOSTILE_TEMPLATES = (
    "{% for a in range(10**9) %}{% for b in range(10**9) %}x{% endfor %}{% endfor %}",
    "{{ 'x' * 10**10 }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if %}",
    "{{ messages[99].content }}",
    "{{ raise_exception('\\x1b[31mno') }}",
)
#: What a file may say beyond what the bases do.
EXTRA = {
    "general.alignment": ("zero", "three", "2^31", "2^63", "text", "nan"),
    "general.file_type": ("2^63", "text"),
    "split.count": ("three", "2^63", "text", "numbers"),
    "{a}.attention.key_length": ("zero", "seven", "thousand", "all-ones", "text", "numbers"),
    "{a}.attention.value_length": ("zero", "seven", "thousand", "numbers"),
    "{a}.attention.sliding_window": ("zero", "one", "2^63", "minus-one", "nan", "text", "nested"),
    "{a}.rope.scaling.type": ("text", "nan", "three", "nested"),
    "{a}.rope.scaling.factor": ("zero", "nan", "infinite", "text", "numbers", "texts", "nested"),
    "{a}.rope.scale_linear": ("nan", "minus-real", "text"),
    "{a}.rope.scaling.original_context_length": ("2^63", "nan", "text", "nested"),
    "{a}.attention.sliding_window_pattern": ("zero", "2^63", "numbers", "texts", "text"),
    "{a}.rope.freq_base_swa": ("zero-real", "nan", "infinite", "text"),
    "{a}.vocab_size": ("zero", "seven", "2^31", "text"),
    "{a}.expert_count": ("three", "2^31"),
    "tokenizer.ggml.scores": ("reals", "texts", "three", "nested"),
    "tokenizer.ggml.add_bos_token": ("text", "numbers", "nested"),
    "tokenizer.ggml.eot_token_id": ("thousand", "minus-one", "nan", "true", "text", "numbers"),
}


@dataclass
class Parts:
    """A GGUF taken apart: entries as stored values, tensors as (dims, type, offset)."""

    entries: dict[str, bytes]
    tensors: dict[str, tuple[list[int], int, int]]
    data: bytes
    twice: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Parts":
        """The parts of a file, free to change."""
        whole = cls._read(path)
        return cls(dict(whole.entries), dict(whole.tensors), whole.data)

    @classmethod
    @cache
    def _read(cls, path: Path) -> "Parts":
        reader = gguf.GGUFReader(path)
        entries = {
            key: b"".join(part.tobytes() for part in found.parts[2:])
            for key, found in reader.fields.items()
            if not key.startswith("GGUF.")
        }
        tensors = {
            tensor.name: (
                tensor.shape.tolist(),
                int(tensor.tensor_type),
                tensor.data_offset - reader.data_offset,
            )
            for tensor in reader.tensors
        }
        return cls(entries, tensors, path.read_bytes()[reader.data_offset :])

    def header(self, n_tensors: int | None = None, n_entries: int | None = None) -> bytes:
        counts = (
            len(self.tensors) + len(self.twice) if n_tensors is None else n_tensors,
            len(self.entries) if n_entries is None else n_entries,
        )
        out = b"GGUF" + struct.pack("<IQQ", 3, *counts)
        for key, stored in self.entries.items():
            out += struct.pack("<Q", len(key)) + key.encode() + stored
        for name in [*self.tensors, *self.twice]:
            dims, kind, offset = self.tensors[name]
            out += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(dims))
            out += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)
        return out

    def whole(self, **counts: int) -> bytes:
        header = self.header(**counts)
        return header + bytes(-len(header) % 32) + self.data


def mutations(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of 300 broken files, always the same ones."""
    rng = np.random.default_rng(20)
    paths = [write_random(folder / f"base-{number}.gguf", shape) for number, shape in enumerate(BASES)]
    for number in range(N_FLIPPED):
        base = paths[number % len(paths)]
        stored, n_header = bytearray(base.read_bytes()), len(Parts.of(base).header())
        # every other file: only the plain fields in front and the tensor table, most of the rest being vocabulary
        places = rng.integers(0, n_header, size=rng.integers(1, 5))
        if number % 2:
            places = n_header - 1 - rng.integers(0, min(n_header, 1500), size=rng.integers(1, 4))
        for place in places:
            stored[place] ^= 1 << int(rng.integers(8))
        yield f"flipped-{number}", bytes(stored)
    for number in range(N_OVERWRITTEN):
        base = paths[number % len(paths)]
        stored, n_header = bytearray(base.read_bytes()), len(Parts.of(base).header())
        place = int(rng.integers(4, n_header - 8))
        stored[place : place + 8] = struct.pack("<Q", (0, 2**31, 2**40, 2**63, 2**64 - 1)[number % 5])
        yield f"overwritten-{number}", bytes(stored)
    known = list(_metadata(paths, rng))
    tables = list(_tables(paths))
    yield from known
    yield from tables[: 300 - N_FLIPPED - N_OVERWRITTEN - len(known)]


def _metadata(paths: list[Path], rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    architectures = [shape.architecture for shape in BASES]
    pairs = [(key, how) for key, hows in EXTRA.items() for how in hows]
    own = [
        (key.replace(f"{architectures[0]}.", "{a}."), how)
        for key in Parts.of(paths[0]).entries
        if not key.endswith("chat_template")
        for how in ABSURD
    ]
    sizes = [pair for pair in own if pair[0].startswith("{a}.")]
    others = [pair for pair in own if not pair[0].startswith("{a}.")]
    drawn = [sizes[i] for i in rng.permutation(len(sizes))[:40]] + [
        others[i] for i in rng.permutation(len(others))[:24]
    ]
    extra = [pairs[i] for i in rng.permutation(len(pairs))[: N_METADATA - 64]]
    for number, (pattern, how) in enumerate([*drawn, *extra]):
        base = number % len(paths)
        parts = Parts.of(paths[base])
        key = pattern.replace("{a}", architectures[base])
        parts.entries.pop(key, None)
        if ABSURD[how] is not None:
            parts.entries[key] = ABSURD[how]
        yield f"metadata-{number}-{key}-{how}", parts.whole()
    for number, template in enumerate(HOSTILE_TEMPLATES):
        parts = Parts.of(paths[number % len(paths)])
        parts.entries["tokenizer.chat_template"] = value(STRING, template)
        yield f"template-{number}", parts.whole()


def _tables(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Sizes that do not fit the tensors, and tensor tables that do not fit the bytes."""
    architecture = BASES[0].architecture
    sizes = {
        "block_count": (1, 3, 9_999),
        "embedding_length": (32, 63, 128),
        "feed_forward_length": (32, 95, 2**20),
        "attention.head_count": (1, 3, 4, 64, 128),
        "attention.head_count_kv": (2, 3, 64),
        "rope.dimension_count": (1, 2, 31, 33, 64),
        "context_length": (1, 2, 10**9),
        "attention.layer_norm_rms_epsilon": (0,),
    }
    for key, numbers in sizes.items():
        for number in numbers:
            parts = Parts.of(paths[0])
            parts.entries[f"{architecture}.{key}"] = value(U32, number)
            yield f"size-{key}-{number}", parts.whole()
    for name in ("token_embd.weight", "output_norm.weight", "blk.1.attn_q.weight", "blk.0.ffn_norm.weight"):
        for how in (
            "gone",
            "renamed",
            "turned",
            "flat",
            "moved",
            "far",
            "other-type",
            "twice",
            "small",
            "four",
        ):
            parts = Parts.of(paths[0])
            dims, kind, offset = parts.tensors[name]
            changed = {
                "turned": (dims[::-1], kind, offset),
                "flat": ([int(np.prod(dims))], kind, offset),
                "moved": (dims, kind, 0 if offset else 4096),
                "far": (dims, kind, 2**62),
                "other-type": (dims, 1, offset),
                "small": ([dims[0], 1], kind, offset),
                "four": ([*dims, *[1] * (4 - len(dims))], kind, offset),
            }
            if how in changed:
                parts.tensors[name] = changed[how]
            elif how == "twice":
                parts.twice.append(name)
            else:
                taken = parts.tensors.pop(name)
                if how == "renamed":
                    parts.tensors[f"x{name}"] = taken
            yield f"tensor-{name}-{how}", parts.whole()
    parts = Parts.of(paths[0])
    yield "many-tensors", parts.whole(n_tensors=2**40)
    yield "many-entries", parts.whole(n_entries=2**64 - 1)
