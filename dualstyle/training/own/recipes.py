"""How much is spent on learning a style of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dualstyle.training.extrinsic import ExtrinsicRecipe
from dualstyle.training.sampling import SamplingRecipe


@dataclass(frozen=True, kw_only=True)
class OwnRecipe:
    """Numbers of all stages; batches are counted in pictures."""

    faces: int  # people that the style is tried on while it is learnt
    steps: int  # of fine-tuning
    refinement_steps: int
    extrinsic: ExtrinsicRecipe = field(
        default_factory=lambda: ExtrinsicRecipe(batch_size=9, exemplars_per_batch=3)
    )
    refinement_batch: int = 12
    structure_rate: float = 2e-3  # Adam, of the refinement
    color_rate: float = 5e-3
    sampling: SamplingRecipe = field(default_factory=SamplingRecipe)
    truncation: float = 0.8  # of destylized faces: nearer to the average, nearer to photographs


PRESETS: Mapping[str, OwnRecipe] = MappingProxyType(
    {
        "smoke": OwnRecipe(
            faces=96,
            steps=220,
            refinement_steps=20,
            sampling=SamplingRecipe(rounds=30),
        ),
        "standard": OwnRecipe(faces=300, steps=2000, refinement_steps=150),
    }
)
"""smoke: under ten minutes of two CPU cores; standard: an hour or two."""
