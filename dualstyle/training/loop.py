"""One loop for all stages: schedule, averaging, resume, previews, a log line now and then."""

from __future__ import annotations

import copy
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dualstyle.images import save_png, to_picture

STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Learning-rate factor over a run: linear warm-up, a plateau, a linear end."""

    steps: int
    warmup: int = 50  # steps
    decay_share: float = 0.35  # of all steps, at the end
    floor: float = 0.02  # factor of the last step

    def factor(self, step: int) -> float:
        """Factor for a step in 0 .. steps-1."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / (self.decay_share * self.steps)
        return rise * max(self.floor, min(1.0, left))


class Stage(Protocol):
    """What one stage of training hands to the loop."""

    schedule: Schedule
    networks: nn.ModuleDict  # what is trained, and what is saved
    optimizers: list[torch.optim.Optimizer]

    def losses(self, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Draw a batch with `generator`; return the loss to minimize as "total", and its parts."""
        ...

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Draw one sheet [3, H, W] in [-1, 1] to judge by, with the averaged networks."""
        ...

    def measure(self, networks: nn.ModuleDict) -> dict[str, float]:
        """Figures on pictures that are not trained on."""
        ...


def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move an exponential moving average towards the current weights; buffers are copied."""
    with torch.no_grad():
        for mean, value in zip(average.parameters(), current.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for mean, value in zip(average.buffers(), current.buffers(), strict=True):
            mean.copy_(value)


class Run:
    """A stage with its progress in a folder: it can be stopped at any moment and resumed.

    Resuming continues bit for bit on the same machine: weights, averages, optimizers and the
    random generator are part of the state.

    Args:
        stage: What to train.
        folder: Where the state, the log and the previews lie.
        seed: Of the generator a new run starts with.
        average_decay: Of the moving average, per step.
    """

    def __init__(
        self, stage: Stage, folder: Path, *, seed: int = 0, average_decay: float = 0.995
    ) -> None:
        self.stage = stage
        self.folder = folder
        self.decay = average_decay
        self.step = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.average = copy.deepcopy(stage.networks).eval().requires_grad_(False)
        self.base_rates = [[g["lr"] for g in o.param_groups] for o in stage.optimizers]
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE_FILE).exists():
            self._restore()

    def train(self, *, save_every: float = 120, report_every: int = 200) -> None:
        """Train to the end of the schedule; save every `save_every` seconds.

        Raises:
            FloatingPointError: The loss is no longer a number; the last saved state is kept.
        """
        total = self.stage.schedule.steps
        saved = time.monotonic()
        with tqdm(total=total, initial=self.step, unit="step") as bar:
            while self.step < total:
                values = self._one_step()
                bar.update()
                if self.step % report_every == 0 or self.step == total:
                    bar.set_postfix_str(f"loss {values['total']:.3f}")
                    self._report(values)
                if time.monotonic() - saved > save_every or self.step == total:
                    self.save()
                    saved = time.monotonic()

    def _one_step(self) -> dict[str, float]:
        stage = self.stage
        factor = stage.schedule.factor(self.step)
        for optimizer, rates in zip(stage.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.zero_grad()
        losses = stage.losses(self.generator, self.step)
        if not torch.isfinite(losses["total"]):
            raise FloatingPointError(f"the loss at step {self.step} is {losses['total']:g}")
        losses["total"].backward()
        trained = [p for p in stage.networks.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(trained, max_norm=5.0)
        for optimizer in stage.optimizers:
            optimizer.step()
        # early weights are worth forgetting quickly
        update_average(
            self.average, stage.networks, min(self.decay, (1 + self.step) / (10 + self.step))
        )
        self.step += 1
        return {name: float(value.detach()) for name, value in losses.items()}

    def _report(self, values: dict[str, float]) -> None:
        with torch.no_grad():
            figures = self.stage.measure(self.average)
            sheet = self.stage.preview(self.average)
        save_png(to_picture(sheet), self.folder / "preview.png")
        with (self.folder / LOG_FILE).open("a") as log:
            entry = {"step": self.step, "time": round(time.time()), **values, **figures}
            log.write(json.dumps({k: round(v, 4) for k, v in entry.items()}) + "\n")

    def save(self) -> None:
        """Write the state, all or nothing."""
        state = {
            "step": self.step,
            "networks": self.stage.networks.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.stage.optimizers],
            "generator": self.generator.get_state(),
        }
        partial = self.folder / (STATE_FILE + ".partial")
        torch.save(state, partial)
        os.replace(partial, self.folder / STATE_FILE)  # noqa: PTH105  atomic

    def _restore(self) -> None:
        state = torch.load(self.folder / STATE_FILE, weights_only=True)
        self.step = state["step"]
        self.stage.networks.load_state_dict(state["networks"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.stage.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.generator.set_state(state["generator"])
