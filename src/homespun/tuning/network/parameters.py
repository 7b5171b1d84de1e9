"""What is learnt: the A and B of each site, in float32, behind one flat vector.

One vector makes the optimizer, the clipping of gradients and a checkpoint one operation each.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from homespun.engines.openvino.bank import LINEAR_GROUPS
from homespun.tuning.errors import TuneError
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.kernels import SiteSpan
from homespun.tuning.options import TuneOptions

SITE_NAMES = tuple(peft.rsplit(".", 1)[-1] for group in LINEAR_GROUPS for _, peft in group)


@dataclass(frozen=True)
class GroupParameters:
    """The trained matrices of sites that read the same input.

    Attributes:
        names: PEFT names of the sites that are trained.
        spans: where each lies among the group's rows and ranks.
        a: (ranks of all, columns), A one below the other.
        bs: (rows, rank) of each site.
        magnitudes: DoRA's length of each row of a site, (rows,); empty for LoRA.
    """

    names: tuple[str, ...]
    spans: tuple[SiteSpan, ...]
    a: torch.Tensor
    bs: tuple[torch.Tensor, ...]
    magnitudes: tuple[torch.Tensor, ...] = ()


class LoraParameters:
    """All trained numbers of a run.

    Attributes:
        flat: (n,) float32, what the optimizer steps on; the matrices are views of it.
        groups: by (layer, number of the group); a group without a trained site is absent.
        scale: alpha / rank, or alpha / sqrt(rank).
    """

    def __init__(self, weights: FrozenWeights, options: TuneOptions) -> None:
        """A is drawn (Kaiming uniform, as in PEFT), B is 0: the tuned model begins as the base.

        Raises:
            TuneError: a target or a layer that this model has not.
        """
        self.rank = options.rank
        self.alpha = options.alpha or 2.0 * options.rank
        self.is_rank_stabilized = options.rslora
        self.is_dora = options.method == "dora"
        self.targets = checked_targets(options.targets)
        self.layers = chosen_layers(options.layers, weights.config.n_layers)
        self._n_layers = weights.config.n_layers
        self.scale = self.alpha / (math.sqrt(self.rank) if options.rslora else self.rank)
        shapes = list(self._shapes(weights))
        n_numbers = sum(math.prod(shape) for _, shape in shapes)
        self.flat = torch.nn.Parameter(torch.zeros(n_numbers, device=weights.device))
        self.flat.grad = torch.zeros_like(self.flat)
        self.groups = self._views(weights, shapes)
        self._draw(options.seed)
        if self.is_dora:
            self._set_magnitudes(weights)

    @property
    def n_trained(self) -> int:
        """Numbers that are learnt."""
        return self.flat.numel()

    def tensors(self) -> dict[str, Any]:
        """The adapter as PEFT names it: A (rank, columns), B (rows, rank) of each site, in float32."""
        found: dict[str, Any] = {}
        for group in self.groups.values():
            for place, name in enumerate(group.names):
                stem = f"base_model.model.{name}"
                found[f"{stem}.lora_A.weight"] = _array(group.a[slice(*group.spans[place].ranks)])
                found[f"{stem}.lora_B.weight"] = _array(group.bs[place])
                if group.magnitudes:
                    found[f"{stem}.lora_magnitude_vector"] = _array(group.magnitudes[place])
        return found

    def peft_config(self, base_name: str) -> dict[str, Any]:
        """adapter_config.json as PEFT reads it."""
        is_all = len(self.layers) == self._n_layers
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_name,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "use_rslora": self.is_rank_stabilized,
            "use_dora": self.is_dora,
            "target_modules": list(self.targets),
            "layers_to_transform": None if is_all else list(self.layers),
            "layers_pattern": None if is_all else "layers",
            "inference_mode": True,
        }

    def _shapes(self, weights: FrozenWeights) -> Any:
        for layer in self.layers:
            for number, sites in enumerate(weights.groups[layer]):
                chosen = [site for site in sites if site.name.rsplit(".", 1)[-1] in self.targets]
                if not chosen:
                    continue
                yield (layer, number, "a"), (self.rank * len(chosen), chosen[0].n_columns)
                for site in chosen:
                    yield (layer, number, f"b {site.name}"), (site.n_rows, self.rank)
                if self.is_dora:
                    for site in chosen:
                        yield (layer, number, f"m {site.name}"), (site.n_rows,)

    def _views(
        self, weights: FrozenWeights, shapes: Sequence[tuple[tuple[int, int, str], tuple[int, ...]]]
    ) -> dict[tuple[int, int], GroupParameters]:
        """Leaf tensors over the flat vector; their gradients are views of its gradient, added up in place."""
        found: dict[tuple[int, int], dict[str, torch.nn.Parameter]] = {}
        first = 0
        assert self.flat.grad is not None
        for (layer, number, what), shape in shapes:
            last = first + math.prod(shape)
            view = torch.nn.Parameter(self.flat.data[first:last].view(shape))
            view.grad = self.flat.grad[first:last].view(shape)
            found.setdefault((layer, number), {})[what] = view
            first = last
        groups = {}
        for (layer, number), views in found.items():
            sites = [site for site in weights.groups[layer][number] if f"b {site.name}" in views]
            groups[layer, number] = GroupParameters(
                names=tuple(site.name for site in sites),
                spans=tuple(self._spans(weights, layer, number, [site.name for site in sites])),
                a=views["a"],
                bs=tuple(views[f"b {site.name}"] for site in sites),
                magnitudes=tuple(views[f"m {site.name}"] for site in sites) if self.is_dora else (),
            )
        return groups

    def _spans(self, weights: FrozenWeights, layer: int, number: int, names: Sequence[str]) -> Any:
        row, rank = 0, 0
        for site in weights.groups[layer][number]:
            if site.name in names:
                yield SiteSpan((row, row + site.n_rows), (rank, rank + self.rank), self.scale)
                rank += self.rank
            row += site.n_rows

    def _draw(self, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for group in self.groups.values():
                bound = 1 / math.sqrt(group.a.shape[1])  # Kaiming uniform with a = sqrt(5)
                group.a.copy_(torch.empty(group.a.shape).uniform_(-bound, bound, generator=random))

    def _set_magnitudes(self, weights: FrozenWeights) -> None:
        with torch.no_grad():
            for (layer, number), group in self.groups.items():
                matrix = weights.matrix(layer, number)().float()
                for span, magnitude in zip(group.spans, group.magnitudes, strict=True):
                    magnitude.copy_(matrix[slice(*span.rows)].norm(dim=1))


def checked_targets(targets: Sequence[str]) -> tuple[str, ...]:
    """The names of linear layers to tune, all of them by default.

    Raises:
        TuneError: a name that no layer here has; nothing is left out in silence.
    """
    for name in targets:
        if name not in SITE_NAMES:
            raise TuneError(
                f"there is no linear layer {name!r} to tune; there are {', '.join(SITE_NAMES)}",
                remedy="Embeddings and the head are not tuned by an adapter: a live one could not carry them."
                if name in ("lm_head", "embed_tokens")
                else None,
            )
    return tuple(name for name in SITE_NAMES if not targets or name in targets)


def chosen_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """The layers that `--layers` names: all, FIRST-LAST (from 0), or upper:N.

    Raises:
        TuneError: not of that form, or not in the model.
    """
    if text == "all":
        return tuple(range(n_layers))
    upper = re.fullmatch(r"upper:(\d+)", text)
    if upper and 1 <= int(upper[1]) <= n_layers:
        return tuple(range(n_layers - int(upper[1]), n_layers))
    span = re.fullmatch(r"(\d+)-(\d+)", text)
    if span and int(span[1]) <= int(span[2]) < n_layers:
        return tuple(range(int(span[1]), int(span[2]) + 1))
    raise TuneError(f"layers {text!r} is not all, FIRST-LAST or upper:N of the layers 0 to {n_layers - 1}")


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy().copy()
