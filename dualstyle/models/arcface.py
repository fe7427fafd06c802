"""ArcFace's IR-SE50 backbone: an aligned face to an identity embedding, for identity losses."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812  the field's name for it
from torch import Tensor, nn

from dualstyle.models.psp_encoder import Bottleneck

CROP = (slice(None), slice(None), slice(35, 223), slice(32, 220))  # the face in a 256 px picture
INPUT_SIZE = 112  # [px]
WIDTHS = (64, 64, 128, 256, 512)
UNITS = (3, 4, 14, 3)
LAST_SIDE = INPUT_SIZE // 16
EMBEDDING = 512


class ArcFace(nn.Module):
    """Embeddings whose cosine says how alike two people are (Deng et al., CVPR 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.PReLU(WIDTHS[0]),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                Bottleneck(before, after, 2),
                *(Bottleneck(after, after, 1) for _ in range(units - 1)),
            )
            for (before, after), units in zip(pairwise(WIDTHS), UNITS, strict=True)
        )
        self.head = nn.Sequential(
            nn.BatchNorm2d(WIDTHS[-1]),
            nn.Dropout(0.6),
            nn.Flatten(),
            nn.Linear(WIDTHS[-1] * LAST_SIDE * LAST_SIDE, EMBEDDING),
            nn.BatchNorm1d(EMBEDDING),
        )

    def forward(self, face: Tensor) -> Tensor:
        """Embed aligned faces [N, 3, 256, 256] in [-1, 1] as unit vectors [N, 512]."""
        x = self.stem(F.adaptive_avg_pool2d(face[CROP], INPUT_SIZE))
        for stage in self.stages:
            x = stage(x)
        return F.normalize(self.head(x))
