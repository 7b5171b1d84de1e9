"""What an adapter makes of the model's matrices, for those that can only be served merged (DoRA)."""

from collections.abc import Callable
from typing import Any

import torch

from homespun.engines.row_order import to_half_order
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.parameters import LoraParameters


def learnt_values(weights: FrozenWeights, learnt: LoraParameters) -> Callable[[str], Any]:
    """Gives each tensor in float32 in the file's own row order, with what was learnt in it.

    LoRA: W + scale B A. DoRA (Liu et al. 2024): each row of that, brought to its learnt length.
    """
    file, config = weights.file, weights.config
    places = {
        f"{site.gguf_name}.weight": (layer, number, site)
        for (layer, number), group in learnt.groups.items()
        for site in weights.groups[layer][number]
        if site.name in group.names
    }

    def values(name: str) -> Any:
        if name not in places:
            return file.dequantize(name)
        layer, number, site = places[name]
        group = learnt.groups[layer, number]
        place = group.names.index(site.name)
        span = group.spans[place]
        with torch.no_grad():
            matrix = weights.exact(layer, number)[slice(*span.rows)]
            merged = matrix + span.scale * (group.bs[place] @ group.a[slice(*span.ranks)])
            if group.magnitudes:
                merged *= (group.magnitudes[place] / merged.norm(dim=1))[:, None]
        found = merged.cpu().numpy()
        order = to_half_order(config, site.gguf_name, site.n_rows)
        return found if order is None else found[order.argsort()]

    return values
