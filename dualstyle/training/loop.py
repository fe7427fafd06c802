"""One loop for all stages of training.

A stage names its networks and the phases of a step: which optimizers go down which loss, and how
often. The loop does what is the same everywhere: schedule, averaging, resume, previews, figures,
mixed precision, gradient accumulation and several processes (``accelerate launch``).

A step is computed in equal parts, one for each process and each round of gradient accumulation. A
part draws its share of the batch by chance of its own, which depends on the run's seed, the step,
the phase and the part's number alone. So a resumed run goes on bit for bit, and two processes take
the same step as one process that accumulates over two rounds.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from tqdm import tqdm

from dualstyle.errors import TrainingError
from dualstyle.images import save_png, to_picture
from dualstyle.training.events import EventWriter

STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"
PREVIEW_FILE = "preview.png"
PRECISIONS = ("no", "bf16")  # fp16 would need its loss scaled through the second derivatives


class Rates(Protocol):
    """Length of a run, and its learning rates over time."""

    @property
    def steps(self) -> int:
        """How many steps there are."""
        ...

    def factor(self, step: int) -> float:
        """Factor on all learning rates in a step of 0 .. steps-1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Linear warm-up, a plateau, a linear end."""

    steps: int
    warmup: int = 50  # steps
    decay_share: float = 0.35  # of all steps, at the end
    floor: float = 0.02  # factor of the last step

    def factor(self, step: int) -> float:
        """Factor for a step in 0 .. steps-1."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / (self.decay_share * self.steps)
        return rise * max(self.floor, min(1.0, left))


@dataclass(frozen=True)
class Constant:
    """The same learning rates from the first step to the last."""

    steps: int

    def factor(self, step: int) -> float:
        """1, always."""
        del step
        return 1.0


@dataclass(frozen=True)
class Averaging:
    """Exponential moving average of weights: how slowly it follows."""

    decay: float = 0.995  # per step
    warmup: int = 10  # early weights are forgotten quickly; 1: as slowly as all others

    def decay_at(self, step: int) -> float:
        """Share of the old average that is kept in a step."""
        return min(self.decay, (1 + step) / (self.warmup + step))


@dataclass(frozen=True)
class Part:
    """One of the equal parts that a step is computed in."""

    step: int
    count: int  # parts in the step
    generator: torch.Generator  # on the CPU, so that a seed means the same on every device
    large: torch.Generator  # on the device of the networks, for noise maps: many numbers
    device: torch.device  # where the networks are

    @classmethod
    def fixed(cls, device: torch.device) -> Self:
        """The whole of a step that draws the same each time, for previews."""
        small, large = torch.Generator().manual_seed(0), torch.Generator(device).manual_seed(0)
        return cls(step=0, count=1, generator=small, large=large, device=device)

    def share(self, batch_size: int) -> int:
        """How many of the step's samples are this part's.

        Raises:
            TrainingError: The batch cannot be divided.
        """
        if batch_size % self.count:
            raise TrainingError(
                f"A batch of {batch_size} cannot be shared by {self.count} parts (processes times "
                "gradient accumulation); choose a divisor."
            )
        return batch_size // self.count

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1) numbers on the networks' device."""
        return torch.randn(shape, generator=self.generator).to(self.device)

    def rows(self, count: int, among: int) -> Tensor:
        """Draw `count` of the numbers 0 .. among-1, on the CPU, where data lie."""
        return torch.randint(among, (count,), generator=self.generator)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a step that ends with one step of its optimizers.

    Only the parameters of these optimizers get gradients while the loss is computed.
    """

    name: str
    optimizers: Sequence[torch.optim.Optimizer]
    loss: Callable[[Part], Mapping[str, Tensor]]  # what is minimized is "total"
    every: int = 1  # steps; lazy regularization (StyleGAN2, section 3.1) has more
    max_norm: float | None = None  # gradients are clipped to it
    full_precision: bool = False  # no mixed precision, for second derivatives
    after: Callable[[Mapping[str, float]], None] | None = None  # gets the means over all parts


class Stage:
    """What one stage of training hands to the loop.

    Args:
        networks: What is trained, saved and averaged.
        schedule: Length, and learning rates over time.
        others: What is trained or changes, and is saved, but is not averaged: a discriminator,
            running means.
        frozen: Networks that are only used.
        averaging: Of the networks.
    """

    phases: Sequence[Phase]

    def __init__(
        self,
        networks: nn.ModuleDict,
        schedule: Rates,
        *,
        others: nn.ModuleDict | None = None,
        frozen: Sequence[nn.Module] = (),
        averaging: Averaging | None = None,
    ) -> None:
        self.networks = networks
        self.schedule = schedule
        self.others = nn.ModuleDict() if others is None else others
        self.frozen = frozen
        self.averaging = Averaging() if averaging is None else averaging

    def preview(self, networks: nn.ModuleDict) -> Tensor:
        """Draw one sheet [3, H, W] in [-1, 1] to judge by, with the averaged networks."""
        raise NotImplementedError

    def measure(self, networks: nn.ModuleDict) -> dict[str, float]:
        """Figures of the averaged networks, on pictures that are not trained on where possible."""
        del networks
        return {}


def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move an exponential moving average towards current parameters and buffers; counts are set."""
    with torch.no_grad():
        for mean, value in zip(_tensors(average), _tensors(current), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _tensors(*modules: nn.Module) -> Iterator[Tensor]:
    for module in modules:
        yield from module.parameters()
        yield from module.buffers()


def optimizer_parameters(optimizers: Sequence[torch.optim.Optimizer]) -> list[nn.Parameter]:
    """All parameters that some optimizers change."""
    return [p for o in optimizers for group in o.param_groups for p in group["params"]]


class Run:
    """A stage with its progress in a folder: it can be stopped at any moment and resumed.

    Resuming continues bit for bit on the same machine: weights, averages, optimizers and whatever
    else changes are part of the state, and chance depends on the step alone.

    Args:
        stage: What to train.
        folder: Where the state, the log, the previews and TensorBoard's scalars lie.
        seed: Of all chance in this run.
        keep_every: Steps after which the averaged networks are kept for good, to choose from.
        accelerator: Device, precision, accumulation and processes; None: as the program was
            launched, on a GPU where there is one.

    Raises:
        TrainingError: Another precision was chosen than float32 or bfloat16.
    """

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        *,
        seed: int = 0,
        keep_every: int | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.stage, self.folder = stage, folder
        self.seed, self.keep_every = seed, keep_every
        self.accelerator = Accelerator() if accelerator is None else accelerator
        if self.accelerator.mixed_precision not in PRECISIONS:
            raise TrainingError(
                f"Mixed precision {self.accelerator.mixed_precision!r} is not supported; "
                f"choose one of {', '.join(PRECISIONS)}."
            )
        self.step = 0
        self.latest: dict[str, float] = {}  # numbers of every phase when it last took a step
        self.optimizers = list(dict.fromkeys(o for p in stage.phases for o in p.optimizers))
        self.base_rates = [[g["lr"] for g in o.param_groups] for o in self.optimizers]
        for module in (stage.networks, stage.others, *stage.frozen):
            module.to(self.accelerator.device)
        if self.accelerator.num_processes > 1:
            for tensor in _tensors(stage.networks, stage.others):
                tensor.data.copy_(broadcast(tensor.detach()))
        self.average = copy.deepcopy(stage.networks).eval().requires_grad_(False)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE_FILE).exists():
            self._restore()

    @property
    def finished(self) -> bool:
        """Whether the schedule has come to its end."""
        return self.step >= self.stage.schedule.steps

    def train(self, *, save_every: float = 120, report_every: int = 200) -> None:
        """Train to the end of the schedule; save every `save_every` seconds.

        Raises:
            TrainingError: A loss is no longer a number; the last saved state is kept.
        """
        if self.finished:
            return
        total, saved = self.stage.schedule.steps, time.monotonic()
        leads = self.accelerator.is_main_process
        events = EventWriter(self.folder) if leads else None
        with tqdm(total=total, initial=self.step, unit="step", disable=not leads) as bar:
            while not self.finished:
                self.one_step()
                bar.update()
                if events is None:
                    continue
                if self.step % report_every == 0 or self.finished:
                    totals = [f"{n} {v:.3f}" for n, v in self.latest.items() if n.endswith("total")]
                    bar.set_postfix_str(", ".join(totals))
                    self._report(events)
                if self.keep_every and self.step % self.keep_every == 0:
                    kept = self.folder / f"average-{self.step:06d}.pt"
                    torch.save(self.average.state_dict(), kept)
                if time.monotonic() - saved > save_every or self.finished:
                    self.save()
                    saved = time.monotonic()
        self.accelerator.wait_for_everyone()

    def one_step(self) -> dict[str, float]:
        """Take one step of training.

        Returns:
            What each phase's loss returned, as "phase/name", averaged over the step's parts.
        """
        numbers = {}
        for index, phase in enumerate(self.stage.phases):
            if self.step % phase.every == 0:
                values = self._take(phase, index)
                numbers |= {f"{phase.name}/{name}": value for name, value in values.items()}
        if self.accelerator.num_processes > 1:  # running statistics of the processes differ
            for module in (self.stage.networks, self.stage.others):
                for buffer in module.buffers():
                    if buffer.is_floating_point():
                        buffer.copy_(self.accelerator.reduce(buffer, reduction="mean"))  # pyright: ignore[reportArgumentType]
        decay = self.stage.averaging.decay_at(self.step)
        update_average(self.average, self.stage.networks, decay)
        self.step += 1
        self.latest |= numbers
        return numbers

    def _take(self, phase: Phase, index: int) -> dict[str, float]:
        trained = optimizer_parameters(phase.optimizers)
        self._train_only(trained)
        factor = self.stage.schedule.factor(self.step)
        for optimizer, rates in zip(self.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        for optimizer in phase.optimizers:
            optimizer.zero_grad()
        rounds = self.accelerator.gradient_accumulation_steps
        sums: defaultdict[str, float] = defaultdict(float)
        for round_ in range(rounds):
            part = self._part(index, round_)
            with nullcontext() if phase.full_precision else self.accelerator.autocast():
                losses = phase.loss(part)
            self.accelerator.backward(losses["total"])  # divides by the number of rounds
            for name, value in losses.items():
                sums[name] += float(value.detach()) / rounds
        numbers = self._mean(sums)
        if not math.isfinite(numbers["total"]):
            raise TrainingError(
                f"The loss {phase.name!r} in step {self.step} is {numbers['total']:g}. "
                f"The last saved state in {self.folder} is good; lower the learning rate."
            )
        self._share_gradients(trained)
        if phase.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(trained, phase.max_norm)
        for optimizer in phase.optimizers:
            optimizer.step()
        if phase.after is not None:
            phase.after(numbers)
        return numbers

    def _train_only(self, trained: Sequence[nn.Parameter]) -> None:
        for parameter in optimizer_parameters(self.optimizers):
            parameter.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_(True)

    def _part(self, phase: int, round_: int) -> Part:
        processes = self.accelerator.num_processes
        number = round_ * processes + self.accelerator.process_index
        entropy = np.random.SeedSequence((self.seed, self.step, phase, number))
        device = self.accelerator.device
        small, large = map(int, entropy.generate_state(2))
        return Part(
            step=self.step,
            count=processes * self.accelerator.gradient_accumulation_steps,
            generator=torch.Generator().manual_seed(small),
            large=torch.Generator(device).manual_seed(large),
            device=device,
        )

    def _mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Means over the processes."""
        if self.accelerator.num_processes == 1:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), device=self.accelerator.device)
        means = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(numbers, means.tolist(), strict=True))  # pyright: ignore[reportAttributeAccessIssue]

    def _share_gradients(self, trained: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their means over the processes, in one message."""
        gradients = [p.grad for p in trained if p.grad is not None]
        if self.accelerator.num_processes == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        mean: Tensor = self.accelerator.reduce(flat, reduction="mean")  # pyright: ignore[reportAssignmentType]
        parts = mean.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _report(self, events: EventWriter) -> None:
        with torch.no_grad():
            figures = self.stage.measure(self.average)
            sheet = self.stage.preview(self.average)
        save_png(to_picture(sheet.cpu()), self.folder / PREVIEW_FILE)
        numbers = self.latest | figures
        events.add(self.step, numbers)
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as log:
            entry = {"step": self.step, "time": round(time.time()), **numbers}
            log.write(json.dumps({k: round(v, 4) for k, v in entry.items()}) + "\n")

    def save(self) -> None:
        """Write the state, all or nothing."""
        state = {
            "step": self.step,
            "networks": self.stage.networks.state_dict(),
            "others": self.stage.others.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
        }
        partial = self.folder / (STATE_FILE + ".partial")
        torch.save(state, partial)
        os.replace(partial, self.folder / STATE_FILE)  # noqa: PTH105  atomic

    def _restore(self) -> None:
        device = self.accelerator.device
        state = torch.load(self.folder / STATE_FILE, weights_only=True, map_location=device)
        try:
            self.stage.networks.load_state_dict(state["networks"])
            self.stage.others.load_state_dict(state["others"])
            self.average.load_state_dict(state["average"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{self.folder / STATE_FILE} belongs to another stage or other sizes ({error}); "
                "name another folder, or delete it to begin anew."
            ) from error
        self.step = state["step"]
