"""Loaded weights: every file of a library is read once, when first needed, and then kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from dualstyle.checkpoints import (
    Codes,
    LoadedEncoder,
    load_code_sampler,
    load_codes,
    load_encoder,
    load_extrinsic,
    load_sampler,
    load_stylegan2,
    read_header,
)
from dualstyle.config import GeneratorConfig, Precision, Space
from dualstyle.errors import CatalogueError, CheckpointError
from dualstyle.models.dualstylegan import DualStyleGAN, ExtrinsicPath
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.models.sampler import CodeMLP, Sampler
from dualstyle.models.stylegan2 import StyleGAN2
from dualstyle.precision import DTYPES
from dualstyle.sources import DomainFiles, Library

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Weights:
    """The networks and codes of a library's domains, on one device.

    Files that domains share, the StyleGAN2 and the encoders, are in memory once. All methods may
    be called from several threads.

    Args:
        library: Where the files come from.
        device: Where networks live; codes stay on the CPU.
        precision: Of the networks; the small samplers stay float32.
    """

    def __init__(
        self, library: Library, device: torch.device, precision: Precision = "fp32"
    ) -> None:
        self.library = library
        self.device = device
        self.dtypes = DTYPES[precision]
        self._lock = threading.Lock()
        self._loaded: dict[tuple[Callable[[Path], object], Path], object] = {}

    def files(self, domain: str) -> DomainFiles:
        """Where they lie; an encoder, which is large, is fetched only when one is asked for."""
        return self.library.files(domain, encoder=None)

    def base_name(self, domain: str) -> str:
        """Name the StyleGAN2 of a domain, by its content, so that equal ones have equal names."""
        path = self.files(domain).base
        return self._keep(read_header, path).base or str(path)

    def codes(self, domain: str) -> Codes:
        """The exemplars' extrinsic codes, checked against the generator."""
        codes = self._keep(load_codes, self.files(domain).codes)
        self.check_layers(codes.values, domain, "codes file")
        return codes

    def intrinsic(self, domain: str) -> StyleGAN2:
        """The StyleGAN2 of a domain."""
        return self._keep(load_stylegan2, self.files(domain).base)

    def config(self, domain: str) -> GeneratorConfig:
        """Sizes of a domain's generator."""
        return self.intrinsic(domain).config

    def encoder(self, domain: str, space: Space) -> LoadedEncoder:
        """The encoder that writes codes of that space."""
        return self._keep(load_encoder, self.library.encoder_path(domain, space))

    def generator(self, domains: Sequence[str]) -> DualStyleGAN:
        """Build a generator out of one domain, or of one's structure and another's colours."""
        first, *others = (
            self._keep(load_extrinsic, self.files(domain).extrinsic) for domain in domains
        )
        for other in others:
            first = first.with_color_of(other)
        return DualStyleGAN.of(self.intrinsic(domains[0]), first)

    def sampler(self, domain: str) -> Sampler:
        """The sampling network N of a domain.

        Raises:
            CatalogueError: It has none.
        """
        path = self.files(domain).sampler
        if path is None:
            raise CatalogueError(
                f"{domain} has no sampling network, so no random styles; choose one of its "
                f"{len(self.codes(domain).names)} exemplars."
            )
        return self._keep(load_sampler, path)

    def face_sampler(self, domain: str) -> tuple[CodeMLP, Space] | None:
        """The network that draws intrinsic codes, and their space; None where z is drawn."""
        path = self.files(domain).intrinsic_sampler
        if path is None:
            return None
        space = self._keep(read_header, path).space or self.library.default_space(domain)
        return self._keep(load_code_sampler, path), space

    def check_layers(self, values: torch.Tensor, domain: str, what: str) -> None:
        """Refuse codes [N, L, D] that the generator of a domain does not read.

        Raises:
            CheckpointError: The files of two different models lie together.
        """
        config = self.config(domain)
        wanted = (config.num_layers, config.style_dim)
        if values.shape[1:] != wanted:
            raise CheckpointError(
                f"The {what} of {domain} gives codes {list(values.shape[1:])}, but its generator "
                f"reads {list(wanted)}; the files belong to different models."
            )

    def _place(self, network: torch.nn.Module, path: Path) -> None:
        """Bring a network to the device, in the numbers of this precision.

        Raises:
            CheckpointError: A weight is too large for them.
        """
        dtype = torch.float32
        if isinstance(network, PSPEncoder):
            dtype = self.dtypes.encoder
        elif isinstance(network, StyleGAN2 | ExtrinsicPath):
            dtype = self.dtypes.weights
        network.to(self.device, dtype)
        if dtype == torch.float16 and not all(w.isfinite().all() for w in network.parameters()):
            raise CheckpointError(
                f"{path} has weights too large for half precision; use --precision fp32."
            )

    def _keep(self, load: Callable[[Path], T], path: Path) -> T:
        key = (load, path)
        if key not in self._loaded:
            with self._lock:
                if key not in self._loaded:  # nobody else loaded it while we waited
                    _log.info("loading %s", path)
                    loaded = load(path)
                    network = getattr(loaded, "network", loaded)
                    if isinstance(network, torch.nn.Module):
                        self._place(network, path)
                    self._loaded[key] = loaded
        return self._loaded[key]  # pyright: ignore[reportReturnType]  the key holds the loader
