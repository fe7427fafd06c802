"""In which numbers the networks compute, and what is fast on which machine.

float32 is the mode in which results equal the official ones. The mixed mode keeps it where pictures
get their shapes, up to 32 px, and takes bfloat16 above, where most of the work is: 50 dB and more
from float32. Its weights are kept in float16, which rounds them eight times more finely than
bfloat16 would, and are modulated in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from dualstyle.config import Precision

Wish = Precision | Literal["auto"]


@dataclass(frozen=True)
class Dtypes:
    """The kinds of numbers of one mode."""

    trunk: torch.dtype  # of the generator's maps up to 32 px
    fine: torch.dtype  # and above
    weights: torch.dtype  # of the generator's, in memory
    encoder: torch.dtype  # of its weights and maps


DTYPES: dict[Precision, Dtypes] = {
    "fp32": Dtypes(torch.float32, torch.float32, torch.float32, torch.float32),
    "mixed": Dtypes(torch.float32, torch.bfloat16, torch.float16, torch.bfloat16),
    "half": Dtypes(torch.float16, torch.float16, torch.float16, torch.float16),
}


def choose_precision(wish: Wish, device: torch.device) -> Precision:
    """Turn "auto" into the mixed mode where a CPU has bfloat16 units, and into float32 elsewhere.

    On a GPU nothing but float32 is chosen: the other modes were never measured there.
    """
    if wish != "auto":
        return wish
    return "mixed" if device.type == "cpu" and has_bfloat16_units() else "fp32"


def has_bfloat16_units() -> bool:
    """Tell whether this CPU multiplies bfloat16 faster than float32; without, it is far slower."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))
