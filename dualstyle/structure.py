"""Drawings up to 32 px, handed out and in again while only colours change.

Colours are made by the layers from 7 on, so pictures that differ in them alone have their first
fifth of work in common.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from dualstyle.codes import ExtrinsicCode, IntrinsicCode
from dualstyle.config import NUM_STRUCTURE_LAYERS, StylizeOptions
from dualstyle.models.stylegan2 import Trunk


@dataclass(frozen=True, eq=False)
class Structure:
    """What one face and one style have drawn up to 32 px, and what it was drawn from."""

    trunk: Trunk
    key: str  # see `structure_key`


def structure_key(
    intrinsic: IntrinsicCode, extrinsic: ExtrinsicCode, options: StylizeOptions, drawn_by: str
) -> str:
    """Name all that decides a drawing up to 32 px, and nothing of what comes after.

    Args:
        intrinsic: One face.
        extrinsic: One style.
        options: How it is drawn.
        drawn_by: The weights and the precision.
    """
    facts = (
        drawn_by,
        extrinsic.domain,
        intrinsic.space,
        extrinsic.space,
        options.strengths[:NUM_STRUCTURE_LAYERS],
        options.truncation,
        options.noise,
        options.seed if options.noise == "random" else None,
    )
    digest = hashlib.sha256(repr(facts).encode())
    for code in (intrinsic, extrinsic):
        rows = code.values[:, :NUM_STRUCTURE_LAYERS].contiguous()
        digest.update(rows.numpy().tobytes())
    return digest.hexdigest()
