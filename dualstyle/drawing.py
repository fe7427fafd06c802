"""From codes to pictures, in the published order; whether codes fit is for the caller to check."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from dualstyle.codes import RANDOM, ExtrinsicCode, IntrinsicCode
from dualstyle.config import NUM_STRUCTURE_LAYERS, Space, StylizeOptions
from dualstyle.images import to_picture
from dualstyle.models.dualstylegan import DualStyleGAN
from dualstyle.models.stylegan2 import Stage, StyleGAN2, Trunk, truncate
from dualstyle.precision import Dtypes


@dataclass(frozen=True, eq=False)
class Drawing:
    """Faces to be drawn in the manner of styles, and how; nothing is computed until asked for."""

    generator: DualStyleGAN  # of the styles
    intrinsic: IntrinsicCode  # N faces, or one
    extrinsic: ExtrinsicCode  # N styles, or one
    options: StylizeOptions  # every sample gets the same noise
    dtypes: Dtypes

    def pictures(self, shown: range, trunk: Trunk | None = None) -> Iterator[list[Image.Image]]:
        """Draw all samples but the last, then show each size of all with the last one's progress.

        Args:
            shown: The sizes to show [px]; drawing ends at the last of them.
            trunk: What `trunk` made of one face and one style.

        Yields:
            N pictures of each size.
        """
        *others, last = [sample._grow(shown, trunk) for sample in self._samples()]
        finished = [list(one) for one in others]
        for pictures in zip(*finished, last, strict=True):
            yield list(pictures)

    @torch.inference_mode()
    def trunk(self) -> Trunk:
        """Draw one face in one style up to 32 px."""
        return Trunk.of(self._stages())

    def _samples(self) -> list[Drawing]:
        """The drawings of one face in one style each."""
        count = max(len(self.intrinsic), len(self.extrinsic))
        faces = self.intrinsic.values.expand(count, -1, -1).split(1)
        styles = self.extrinsic.values.expand(count, -1, -1).split(1)
        return [
            replace(
                self,
                intrinsic=replace(self.intrinsic, values=face),
                extrinsic=replace(self.extrinsic, values=style),
            )
            for face, style in zip(faces, styles, strict=True)
        ]

    @torch.inference_mode()
    def _grow(self, shown: range, trunk: Trunk | None) -> Iterator[Image.Image]:
        """Draw one sample; yield it at the sizes `shown`."""
        for stage in self._stages(trunk):
            if stage.size in shown:
                yield to_picture(stage.rgb)
            if stage.size == shown[-1]:
                return
            del stage  # or its features would stay in memory while the next size is drawn

    def _stages(self, trunk: Trunk | None = None) -> Iterator[Stage]:
        """Draw one sample in the published order."""
        base, options = self.generator.intrinsic, self.options
        w_plus = _to_w_plus(base, self.intrinsic.values, self.intrinsic.space)
        extrinsic = _to_w_plus(base, self.extrinsic.values, self.extrinsic.space)
        if options.preserve_color:
            # Published: z+ rows are exchanged before the mapping, w+ rows after it. The mapping
            # treats each row alone, so this is both. These rows are not truncated.
            kept = extrinsic[:, :NUM_STRUCTURE_LAYERS]
            extrinsic = torch.cat([kept, w_plus[:, NUM_STRUCTURE_LAYERS:]], dim=1)
        w_plus = truncate(w_plus, options.truncation)
        noise = None
        if options.noise == RANDOM:
            noise = base.random_noise(torch.Generator().manual_seed(options.seed))
        return self.generator.synthesize(
            w_plus,
            extrinsic,
            torch.tensor(options.strengths),
            noise=noise,
            dtype=self.dtypes.trunk,
            fine_dtype=self.dtypes.fine,
            trunk=trunk,
        )


@torch.inference_mode()
def draw_plain(base: StyleGAN2, faces: IntrinsicCode, dtypes: Dtypes) -> list[Image.Image]:
    """Draw faces one after another by the StyleGAN2 alone: no truncation, stored noise."""
    pictures = []
    for values in faces.values.split(1):
        w_plus = _to_w_plus(base, values, faces.space)
        stages = base.synthesize(w_plus, dtype=dtypes.trunk, fine_dtype=dtypes.fine)
        last = deque(stages, maxlen=1).pop()  # the others' features do not stay in memory
        pictures.append(to_picture(last.rgb))
    return pictures


def _to_w_plus(base: StyleGAN2, values: Tensor, space: Space) -> Tensor:
    """Bring a code [N, L, D] of any space to w+ [N, L, D], where the network is."""
    values = values.to(base.constant.device)
    return base.repeat_layers(values) if space == "w+" else base.to_w_plus(values)
