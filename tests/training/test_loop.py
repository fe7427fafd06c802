"""The loop of all stages: resume, averages, lazy phases, parts, processes, what it writes."""

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.testing import assert_close

from dualstyle.errors import TrainingError
from dualstyle.training.events import EventWriter, crc32c
from dualstyle.training.loop import Averaging, Constant, Part, Phase, Run, Schedule, Stage

ROOT = Path(__file__).parents[2]


class Lines(Stage):
    """A line is fitted to noisy points; a second phase shrinks it now and then."""

    def __init__(self, steps=6, averaging=None, rate=0.1, batch=8, blow_up=None):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.line = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
            self.scale = nn.Linear(1, 1)
        super().__init__(
            nn.ModuleDict({"line": self.line}),
            Constant(steps),
            others=nn.ModuleDict({"scale": self.scale}),
            averaging=averaging,
        )
        self.batch, self.blow_up, self.seen = batch, blow_up, []
        fit = torch.optim.Adam(self.line.parameters(), lr=rate)
        shrink = torch.optim.SGD(self.scale.parameters(), lr=rate)
        self.phases = [
            Phase(name="fit", optimizers=[fit], loss=self.fit),
            Phase(
                name="shrink",
                optimizers=[shrink],
                loss=self.shrink,
                every=4,
                after=self.seen.append,
            ),
        ]

    def fit(self, part):
        assert not any(p.requires_grad for p in self.scale.parameters())
        x = part.normal(part.share(self.batch), 3)
        total = (self.scale(self.line(x)) - x.sum(dim=1, keepdim=True)).square().mean()
        return {"total": total * (float("nan") if part.step == self.blow_up else 1)}

    def shrink(self, part):
        assert not any(p.requires_grad for p in self.line.parameters())
        return {"total": self.scale.weight.square().sum(), "draw": part.normal(1).sum()}

    def preview(self, networks):
        return networks["line"][1].weight.expand(3, 8, 3)


def everything(run):
    modules = {"networks": run.stage.networks, "others": run.stage.others, "mean": run.average}
    return {f"{k}.{n}": v for k, m in modules.items() for n, v in m.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_resumed_run_equals_one_that_was_never_stopped(tmp_path):
    whole = Run(Lines(), tmp_path / "whole")
    whole.train()
    first = Run(Lines(), tmp_path / "halves")
    for _ in range(3):
        first.one_step()
    first.save()
    second = Run(Lines(), tmp_path / "halves")
    assert second.step == 3
    second.train()
    assert second.finished
    assert_same(everything(whole), everything(second))


def test_a_finished_run_is_restored_and_not_trained_again(tmp_path):
    run = Run(Lines(), tmp_path)
    run.train()
    again = Run(Lines(), tmp_path)
    written = (tmp_path / "log.jsonl").read_text()
    again.train()
    assert_same(everything(run), everything(again))
    assert (tmp_path / "log.jsonl").read_text() == written


def test_another_seed_draws_other_batches(tmp_path):
    runs = [Run(Lines(), tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    assert runs[0].one_step() != runs[1].one_step()


def test_a_lazy_phase_takes_its_steps_only(tmp_path):
    run = Run(Lines(), tmp_path)
    named = [set(run.one_step()) for _ in range(5)]
    lazy = {"shrink/total", "shrink/draw"}
    assert [lazy <= names for names in named] == [True, False, False, False, True]
    assert len(run.stage.seen) == 2
    assert {"fit/total"} | lazy == set(run.latest)


def test_the_average_follows_parameters_and_running_statistics(tmp_path):
    run = Run(Lines(averaging=Averaging(decay=0.75, warmup=1)), tmp_path)
    before = {n: v.clone() for n, v in run.average.state_dict().items()}
    run.one_step()
    for name, mean in run.average.state_dict().items():
        now = run.stage.networks.state_dict()[name]
        if mean.is_floating_point():
            assert not torch.equal(now, before[name]), name
            assert_close(mean, 0.75 * before[name] + 0.25 * now)
        else:
            assert torch.equal(mean, now)


def test_warmup_forgets_early_weights_quickly():
    averaging = Averaging(decay=0.99, warmup=10)
    assert averaging.decay_at(0) == 0.1
    assert averaging.decay_at(10_000) == 0.99
    assert Averaging(decay=0.99, warmup=1).decay_at(0) == 0.99


def test_the_schedule_rises_stays_and_falls():
    schedule = Schedule(steps=1000, warmup=10, decay_share=0.5)
    factors = [schedule.factor(s) for s in (0, 9, 400, 750, 999)]
    assert factors == pytest.approx([0.1, 1, 1, 0.5, 0.02])


def test_a_loss_that_is_no_number_stops_before_the_weights_are_changed(tmp_path):
    run = Run(Lines(blow_up=2), tmp_path)
    with pytest.raises(TrainingError, match=r"'fit' in step 2 is nan"):
        run.train()
    assert all(p.isfinite().all() for p in run.stage.networks.parameters())


def test_a_state_of_another_stage_is_refused(tmp_path):
    Run(Lines(), tmp_path).save()
    stage = Lines()
    stage.networks["more"] = nn.Linear(2, 2)
    with pytest.raises(TrainingError, match="belongs to another stage"):
        Run(stage, tmp_path)


def test_the_folder_tells_what_happened(tmp_path):
    run = Run(Lines(), tmp_path, keep_every=4)
    run.train(report_every=3)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [3, 6]
    assert {"fit/total", "shrink/draw"} <= set(entries[0])
    assert (tmp_path / "preview.png").exists()
    assert [p.name for p in tmp_path.glob("average-*")] == ["average-000004.pt"]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1


def test_a_batch_that_cannot_be_shared_is_refused():
    part = Part(0, 3, torch.Generator(), torch.Generator(), torch.device("cpu"))
    assert part.share(9) == 3
    with pytest.raises(TrainingError, match="batch of 8 cannot be shared by 3"):
        part.share(8)


@pytest.fixture
def fresh_accelerator():
    """accelerate keeps its state for the whole process; leave none behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator
    AcceleratorState._reset_state(reset_partial_state=True)


def test_accumulated_rounds_average_their_gradients(tmp_path, fresh_accelerator):
    accelerator = fresh_accelerator(gradient_accumulation_steps=2)
    run = Run(Lines(rate=0.0), tmp_path, accelerator=accelerator)
    parts = [run._part(0, round_) for round_ in range(2)]
    assert [part.share(8) for part in parts] == [4, 4]
    run.one_step()
    accumulated = run.stage.line[1].weight.grad
    separate = []
    for round_ in range(2):
        stage = Lines()
        stage.scale.requires_grad_(False)
        stage.fit(parts[round_])["total"].backward()
        separate.append(stage.line[1].weight.grad)
    assert_close(accumulated, (separate[0] + separate[1]) / 2)


def test_mixed_precision_of_brain_floats_trains_and_half_precision_is_refused(
    tmp_path, fresh_accelerator
):
    run = Run(Lines(), tmp_path / "a", accelerator=fresh_accelerator(mixed_precision="bf16"))
    seen = []
    run.stage.line[1].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    run.one_step()
    assert seen == [torch.bfloat16]
    run.accelerator.state._mixed_precision = "fp16"
    with pytest.raises(TrainingError, match="'fp16' is not supported"):
        Run(Lines(), tmp_path / "b", accelerator=run.accelerator)


TWO = """
import sys, torch
from pathlib import Path
from accelerate import Accelerator
from dualstyle.training import recipes
from dualstyle.training.loop import Run
from dualstyle.training.stylegan import StyleGAN2Stage
from tests.training import tiny
from tests.training.test_loop import Lines, everything

torch.set_num_threads(1)
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=rounds)
gan = recipes.GanRecipe(batch_size=4, r1_every=2, path_every=2, path=0.0, augment=True)
recipe = recipes.StyleGAN2Recipe(steps=2, gan=gan)
portraits = StyleGAN2Stage(recipe, tiny.generator(), tiny.discriminator(), tiny.pictures(8))
weights = {}
for name, stage in (("line", Lines(steps=5)), ("gan", portraits)):
    run = Run(stage, folder / name, accelerator=accelerator)
    run.train()
    weights |= {f"{name}.{n}": value for n, value in everything(run).items()}
torch.save(weights, folder / f"process{accelerator.process_index}.pt")
accelerator.end_training()
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder, rounds, **environment):
    names = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE")}
    names |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", TWO, str(folder), str(rounds)]
    return subprocess.Popen(command, env=names, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_two_processes_take_the_steps_of_one_that_accumulates(tmp_path):
    """A line and a GAN of 64 px; the environment is that of ``accelerate launch --cpu``."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"ACCELERATE_USE_CPU": "true"}
    processes = [start(tmp_path / "one", 2)]
    for rank in ("0", "1"):
        processes.append(start(tmp_path / "two", 1, RANK=rank, LOCAL_RANK=rank, **shared))
    for process in processes:
        _, errors = process.communicate(timeout=250)
        assert process.returncode == 0, errors
    alone, first, second = (
        torch.load(tmp_path / name, weights_only=True)
        for name in ("one/process0.pt", "two/process0.pt", "two/process1.pt")
    )
    assert_same(first, second)
    # only the order of sums differs; what follows one process's batches is the mean of both
    own = ("running", "num_batches", "path_length", "augmentation")
    for name in (name for name in alone if not any(word in name for word in own)):
        assert_close(alone[name], first[name], rtol=1e-5, atol=1e-6, msg=name)
    assert len((tmp_path / "two/gan/log.jsonl").read_text().splitlines()) == 1


def test_checksum_of_the_event_file_is_castagnoli():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_an_event_file_holds_scalars_as_tensorboard_reads_them(tmp_path):
    writer = EventWriter(tmp_path)
    writer.add(300, {"a/b": 0.5})
    data = writer.path.read_bytes()
    lengths = []
    while data:
        [length] = struct.unpack("<Q", data[:8])
        record, data = data[12 : 12 + length], data[16 + length :]
        lengths.append(length)
    assert len(lengths) == 2
    assert record[9:12] == b"\x10\xac\x02"  # field 2, the varint 300
    value = b"\x0a\x03a/b" + b"\x15" + struct.pack("<f", 0.5)
    assert record[12:] == b"\x2a\x0c" + b"\x0a\x0a" + value
