"""Full fine-tuning: every matrix of the chosen layers is learnt, in float32, behind one flat vector.

Embeddings, norms and the head stay as they are. It takes sixteen bytes a number (the number, its gradient, two
moments), so it is for small models.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function

from homespun.engines.row_order import to_half_order
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.parameters import chosen_layers
from homespun.tuning.options import TuneOptions


@dataclass(frozen=True)
class FullGroup:
    """The matrices of sites that read the same input, one below the other: (rows, columns)."""

    matrix: torch.Tensor


class FullParameters:
    """All trained numbers of a run. See `LoraParameters` for `flat` and `groups`."""

    def __init__(self, weights: FrozenWeights, options: TuneOptions) -> None:
        """They begin as the model's own.

        Raises:
            TuneError: a layer that this model has not.
        """
        self._weights = weights
        self.layers = chosen_layers(options.layers, weights.config.n_layers)
        places = [(layer, number) for layer in self.layers for number in range(len(weights.groups[layer]))]
        shapes = [tuple(weights.matrix(*place)().shape) for place in places]
        n_numbers = sum(math.prod(shape) for shape in shapes)
        self.flat = torch.nn.Parameter(torch.empty(n_numbers, device=weights.device))
        self.flat.grad = torch.zeros_like(self.flat)
        self.groups: dict[tuple[int, int], FullGroup] = {}
        first = 0
        for place, shape in zip(places, shapes, strict=True):
            last = first + math.prod(shape)
            view = torch.nn.Parameter(self.flat.data[first:last].view(shape))
            view.grad = self.flat.grad[first:last].view(shape)
            view.data.copy_(weights.exact(*place))
            self.groups[place] = FullGroup(view)
            first = last

    @property
    def n_trained(self) -> int:
        """Numbers that are learnt."""
        return self.flat.numel()

    def values(self, name: str) -> Any:
        """A tensor of the model as a GGUF holds it: what was learnt, or the file's own; float32."""
        config, file = self._weights.config, self._weights.file
        for (layer, number), group in self.groups.items():
            row = 0
            for site in self._weights.groups[layer][number]:
                if name == f"{site.gguf_name}.weight":
                    found = group.matrix[row : row + site.n_rows].detach().cpu().numpy().copy()
                    order = to_half_order(config, site.gguf_name, site.n_rows)
                    return found if order is None else found[order.argsort()]
                row += site.n_rows
        return file.dequantize(name)


class FullLinear(Function):
    """x W^T with W learnt: float32 masters, products in the type of x."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, matrix)
        return F.linear(x, matrix.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        x, matrix = ctx.saved_tensors
        dx = torch.mm(grads[0], matrix.to(x.dtype)) if ctx.needs_input_grad[0] else None
        return dx, torch.mm(grads[0].t(), x).float()
