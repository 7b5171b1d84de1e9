"""A new adapter as the weighted sum of others of one base, exactly.

The change of a layer is B A. Laid side by side, [w1 B1, w2 B2] [A1; A2] = w1 B1 A1 + w2 B2 A2, so the sum
has the sum of the ranks and nothing is lost. How like two adapters are is read off the same pairs: with the
inner product of matrices, <B1 A1, B2 A2> = sum((B1^T B2) * (A1 A2^T)), no whole matrix is ever made.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import homespun
from homespun.engines.errors import AdapterError
from homespun.engines.openvino.adapters import read_adapter_alone
from homespun.engines.openvino.bank import LowRank
from homespun.engines.processor import processor_name
from homespun.models.adapter_path import CONFIG_FILE
from homespun.models.home import Home
from homespun.models.storage import check_free_space, disk_error
from homespun.tuning.adapters import (
    WEIGHTS_FILE,
    BaseFacts,
    Lineage,
    StoredAdapter,
    find_adapter,
    new_adapter_path,
    write_lineage,
)

Pairs = Mapping[str, LowRank]


@dataclass(frozen=True)
class Likeness:
    """How two adapters change one kind of layer.

    Attributes:
        kind: "q_proj" and so on, or "all".
        norms: root of the summed squares of each one's change.
        cosine: 1 the same direction, 0 nothing in common; None where one changes nothing.
    """

    kind: str
    norms: tuple[float, float]
    cosine: float | None


def combine_adapters(home: Home, parts: Sequence[tuple[str, float]], name: str) -> StoredAdapter:
    """Make a new adapter of the home: the weighted sum of others.

    Args:
        parts: names (or folders) with their weights; weights may be negative.

    Raises:
        UnknownModelError: no such adapter.
        AdapterError: fewer than one part, adapters of different bases, a weight that is no finite number, or
            a name that is taken.
    """
    if not parts:
        raise AdapterError("there is nothing to combine", remedy="Name adapters with weights: A:0.5 B:0.5")
    for part, weight in parts:
        if not np.isfinite(weight):
            raise AdapterError(f"the weight of {part!r} is {weight}; it must be a finite number")
    target = new_adapter_path(home, name)
    found = [find_adapter(home, part) for part, _ in parts]
    base = common_base(found)
    pairs = summed([(read_adapter_alone(a.path), w) for a, (_, w) in zip(found, parts, strict=True)])
    options = {"parts": [{"name": part, "weight": weight} for part, weight in parts]}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lineage = Lineage(
        name,
        "finished",
        base,
        options=options,
        versions={"homespun": homespun.__version__},
        machine=processor_name(),
        started=now,
        finished=now,
    )
    check_free_space(home.adapters_path, sum(pair.a.nbytes + pair.b.nbytes for pair in pairs.values()))
    try:
        with tempfile.TemporaryDirectory(prefix=".combine-", dir=home.adapters_path) as made:
            folder = Path(made) / "adapter"
            write_peft_folder(folder, pairs, base.name)
            write_lineage(folder, lineage)
            folder.rename(target)
    except OSError as error:
        raise disk_error(error, target) from error
    return find_adapter(home, name)


def common_base(found: Sequence[StoredAdapter]) -> BaseFacts:
    """The one base of some adapters; those without a lineage are judged by their shapes alone.

    Raises:
        AdapterError: two bases.
    """
    known = [adapter for adapter in found if adapter.lineage is not None]
    for adapter in known[1:]:
        first, other = known[0].lineage, adapter.lineage
        assert first is not None and other is not None
        if first.base.digest != other.base.digest:
            raise AdapterError(
                f"the adapter {known[0].name!r} was tuned on {first.base.name!r} "
                f"(SHA-256 {first.base.digest[:12]}…) and {adapter.name!r} on {other.base.name!r} "
                f"({other.base.digest[:12]}…); only adapters of one base can be combined or compared"
            )
    lineage = known[0].lineage if known else None
    return lineage.base if lineage is not None else BaseFacts("", "")


def summed(parts: Sequence[tuple[Pairs, float]]) -> dict[str, LowRank]:
    """The weighted sum of adapters' pairs, ranks stacked.

    Raises:
        AdapterError: a site with different sizes.
    """
    stacked: dict[str, LowRank] = {}
    for pairs, weight in parts:
        for site, pair in pairs.items():
            b = pair.b * np.float32(weight)
            so_far = stacked.get(site)
            if so_far is None:
                stacked[site] = LowRank(pair.a, b)
                continue
            if so_far.a.shape[1] != pair.a.shape[1] or so_far.b.shape[0] != b.shape[0]:
                raise AdapterError(f"{site} has another size in each adapter: they are of different bases")
            stacked[site] = LowRank(np.concatenate([so_far.a, pair.a]), np.concatenate([so_far.b, b], axis=1))
    return stacked


def write_peft_folder(folder: Path, pairs: Pairs, base_name: str) -> None:
    """Pairs as a PEFT LoRA folder whose scale is 1 (lora_alpha equals the rank)."""
    from safetensors.numpy import save_file

    ranks = {site: pair.a.shape[0] for site, pair in pairs.items()}
    rank = max(ranks.values())
    other = {site: r for site, r in ranks.items() if r != rank}
    tensors = {}
    for site, pair in pairs.items():
        stem = f"base_model.model.{site}"
        tensors[f"{stem}.lora_A.weight"] = np.ascontiguousarray(pair.a, np.float32)
        tensors[f"{stem}.lora_B.weight"] = np.ascontiguousarray(pair.b, np.float32)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": other,
        "alpha_pattern": other,
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "target_modules": _targets(list(pairs)),
    }
    folder.mkdir(parents=True)
    save_file(tensors, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _targets(sites: Sequence[str]) -> list[str]:
    """Names of kinds where every layer has each kind, else every site by its whole name."""
    kinds = sorted({site.rsplit(".", 1)[-1] for site in sites})
    layers = {site.rsplit(".", 2)[0] for site in sites}
    counts = {site.split(".")[2] for site in sites if site.startswith("model.layers.")}
    is_even = len(sites) == len(kinds) * len(counts) and counts == {str(n) for n in range(len(counts))}
    return kinds if is_even and layers else sorted(sites)


def compare_pairs(one: Pairs, other: Pairs) -> list[Likeness]:
    """Norms and cosine of two adapters' changes, by kind of layer and in all."""
    sums: dict[str, list[float]] = {}
    for site in sorted({*one, *other}):
        values = [_inner(one, one, site), _inner(other, other, site), _inner(one, other, site)]
        for kind in ("all", site.rsplit(".", 1)[-1]):
            sums[kind] = [a + b for a, b in zip(sums.get(kind, [0.0] * 3), values, strict=True)]
    return [
        Likeness(kind, (first**0.5, second**0.5), _cosine(first, second, both))
        for kind, (first, second, both) in sums.items()
    ]


def _cosine(first: float, second: float, both: float) -> float | None:
    return both / (first * second) ** 0.5 if first > 0 and second > 0 else None


def _inner(one: Pairs, other: Pairs, site: str) -> float:
    if site not in one or site not in other:
        return 0.0
    p, q = one[site], other[site]
    if p.a.shape[1] != q.a.shape[1] or p.b.shape[0] != q.b.shape[0]:
        raise AdapterError(f"{site} has another size in each adapter: they are of different bases")
    b = p.b.T.astype(np.float64) @ q.b.astype(np.float64)
    a = p.a.astype(np.float64) @ q.a.T.astype(np.float64)
    return float((b * a).sum())


def compare_adapters(one: StoredAdapter, other: StoredAdapter) -> list[Likeness]:
    """How alike two adapters of one base are.

    Raises:
        AdapterError: two bases.
    """
    common_base((one, other))
    return compare_pairs(read_adapter_alone(one.path), read_adapter_alone(other.path))
