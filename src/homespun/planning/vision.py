"""A vision part (an `mmproj` file) beside a model: its weights, and what one image takes while it is read.

Key names and projector types are those of llama.cpp's `clip.cpp`; the buffer is arithmetic, not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Types that read an image at one fixed size, and those that take it as large as it comes.
_FIXED = frozenset(
    ("mlp", "mlp_norm", "ldp", "ldpv2", "resampler", "adapter", "gemma3", "idefics3", "internvl")
)
_FREE = frozenset(("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "pixtral", "lightonocr", "kimivl"))


@dataclass(frozen=True)
class VisionPart:
    """A vision part's file; sizes that it does not state are 0.

    Attributes:
        size_bytes: of the file.
        kind: the projector's type, "" where it is not stated.
        hidden_size, ffn_size, n_heads: of its transformer.
        patch_size, image_size: pixels of a side.
    """

    size_bytes: int
    kind: str = ""
    hidden_size: int = 0
    ffn_size: int = 0
    n_heads: int = 0
    patch_size: int = 0
    image_size: int = 0

    def buffer_bytes(self, image_size: int = 0) -> int:
        """What one image takes, in float32: its patches' rows (one inner and eight stream widths) and the scores
        of all heads; 0 where the sizes are not known.

        Args:
            image_size: pixels of a side, for types that read images of any size; 0: the part's own.
        """
        if self.why_unknown:
            return 0
        size = image_size if image_size and self.kind in _FREE else self.image_size
        n_patches = (-(-size // self.patch_size)) ** 2
        return 4 * n_patches * (self.ffn_size + 8 * self.hidden_size + self.n_heads * n_patches)

    @property
    def why_unknown(self) -> str:
        """Why its buffer is not counted; "" where it is."""
        if self.kind not in _FIXED | _FREE:
            return f"the buffer of its vision part: the type {self.kind or 'is not stated and'} is not known"
        if not (self.patch_size and self.image_size and self.hidden_size):
            return "the buffer of its vision part: its file does not state the sizes"
        return ""


def vision_part(metadata: Mapping[str, Any], size_bytes: int) -> VisionPart:
    """A vision part from its file's header; an empty one counts by its bytes alone."""

    def whole(key: str) -> int:
        value = metadata.get(f"clip.vision.{key}")
        return value if isinstance(value, int) and 0 < value < 2**24 else 0

    kind = metadata.get("clip.projector_type") or metadata.get("clip.vision.projector_type") or ""
    return VisionPart(
        size_bytes,
        str(kind),
        whole("embedding_length"),
        whole("feed_forward_length"),
        whole("attention.head_count"),
        whole("patch_size"),
        whole("image_size"),
    )
