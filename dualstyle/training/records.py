"""What the records of analysed pictures share: choosing rows, stacking, storing as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Record:
    """A frozen dataclass of tensors that all have N rows, one per picture."""

    def __len__(self) -> int:
        """Number of pictures."""
        return next(iter(self._values().values())).shape[0]

    def select(self, rows: Sequence[int] | Tensor) -> Self:
        """Some of the rows, in the order asked for."""
        index = torch.as_tensor(rows)
        return type(self)(**{name: value[index] for name, value in self._values().items()})

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Several records as one."""
        names = parts[0]._values()
        return cls(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for `numpy.savez_compressed`."""
        return {name: value.numpy() for name, value in self._values().items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Read back what `to_arrays` gave."""
        return cls(**{f.name: torch.from_numpy(np.asarray(arrays[f.name])) for f in fields(cls)})

    def _values(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self)}
