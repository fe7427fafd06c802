"""From a folder of portraits to a domain, stage by stage; every stage can be resumed and repeated.

    training/1-check/        report.html    which portraits are used, and why others are not
                             sheet.png      the faces, cut out upright
    training/2-destylize/    sheet.png      portraits, and the ordinary faces behind them
    training/3-fine-tune/    preview.png    faces in the manner of exemplars: taught, then drawn
    training/4-refine/       preview.png    exemplars, and their codes' drawings before and after
    training/5-sample/       sheet.png      styles that no exemplar has
    training/6-finish/       sheet.png      people who do not exist in the new styles

A stage's folder also keeps what later ones need, and the key it was made with: a hash of what the
stage depends on and of the key before it. A stage whose key has changed is done anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from dualstyle.catalogue import POCKET, check_name
from dualstyle.checkpoints import Codes, load_extrinsic, read_header
from dualstyle.config import NUM_STRUCTURE_LAYERS, SamplerConfig
from dualstyle.errors import TrainingError
from dualstyle.faces import FaceFinder
from dualstyle.images import save_png, to_picture
from dualstyle.models.dualstylegan import ExtrinsicPath
from dualstyle.models.sampler import Sampler
from dualstyle.models.stylegan2 import truncate
from dualstyle.sources import Library
from dualstyle.training.base import sheet
from dualstyle.training.data import PictureSet
from dualstyle.training.extrinsic import CodeTable
from dualstyle.training.generic import GenericLook, analyse_exemplar
from dualstyle.training.loop import STATE_FILE, Run, Stage
from dualstyle.training.own.check import FEWEST, Report, check_folder, crops, portrait_files
from dualstyle.training.own.install import FinishedStyle, install, style_names
from dualstyle.training.own.learn import OwnStage, RefinementStage, Sitters, Style
from dualstyle.training.own.recipes import OwnRecipe
from dualstyle.training.own.report import page
from dualstyle.training.own.sitters import analysed_faces
from dualstyle.training.own.start import nearest_start, open_start
from dualstyle.training.regions import PhotoRegions
from dualstyle.training.sampling import fit_sampler

STAGES = ("check", "destylize", "fine-tune", "refine", "sample", "finish")
WORK_FOLDER = "training"
KEY_FILE, KEPT_FILE, SHEET_FILE, REPORT_FILE = "key", "kept.pt", "sheet.png", "report.html"
TESTS = 6  # people on the sheets who are not trained on
COLUMNS, ROWS = 12, 8  # of a plain sheet
FACES_FOR_MEAN = 256  # whose mean code destylized faces are pulled to
SAVE_EVERY = 45.0  # [s]
REPORT_EVERY = 50  # steps

Progress = Callable[[int, int, str], None]
Kept = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be learnt, and where it goes."""

    name: str  # of the new domain
    portraits: Path
    domains: Path  # the folder of own domains
    recipe: OwnRecipe
    base: str | None = None  # domain to start from; None: the bundled one that is nearest
    aligned: bool | None = None  # whether the portraits are crops of faces; None: as they look


class Workshop:
    """Works an order off.

    Args:
        order: What is wanted.
        library: Where the domain to start from is.
        finder: Finds faces.
        progress: Called with (done, total, label) within a stage.
        on_report: Called with the report on the portraits when they were looked at.
        on_picture: Called with the name of a finished stage and the file to judge it by.

    Raises:
        TrainingError: The name cannot be that of a domain, or belongs to another.
    """

    def __init__(
        self,
        order: Order,
        library: Library,
        finder: FaceFinder,
        *,
        progress: Progress = lambda done, total, label: None,
        on_report: Callable[[Report], None] = lambda report: None,
        on_picture: Callable[[str, Path], None] = lambda stage, file: None,
    ) -> None:
        try:
            check_name(order.name)
        except ValueError as error:
            raise TrainingError(f"{order.name!r} is no name for a style: {error}.") from error
        known = library.catalogue.domains.get(order.name)
        if order.name.startswith(POCKET) or (known is not None and known.own is None):
            raise TrainingError(f"The name {order.name!r} belongs to another domain; choose one.")
        self.order, self.library, self.finder = order, library, finder
        self.progress, self.on_report, self.on_picture = progress, on_report, on_picture
        self.folder = order.domains / order.name
        self.starts = [order.base] if order.base is not None else _bundled(library)
        self.start = open_start(library, self.starts[0])
        self._made: dict[str, Kept] = {}

    def run(self, stage: str | None = None) -> None:
        """Do what is not done yet; or repeat one stage, after those before it that are missing.

        Raises:
            TrainingError: The portraits cannot be learnt from, or the loss exploded.
            DualStyleError: A file cannot be read or written.
        """
        wanted = STAGES if stage is None else STAGES[: STAGES.index(stage) + 1]
        if stage is not None and self.place(stage).exists():
            shutil.rmtree(self.place(stage))
        for each in wanted:
            self._do(each)

    def place(self, stage: str) -> Path:
        """Folder of a stage."""
        return self.folder / WORK_FOLDER / f"{STAGES.index(stage) + 1}-{stage}"

    # ---- keeping ----

    def _do(self, stage: str) -> None:
        place, key = self.place(stage), self._key(stage)
        if (place / KEY_FILE).exists() and (place / KEY_FILE).read_text() != key:
            shutil.rmtree(place)
        if not (place / KEPT_FILE).exists():
            try:
                place.mkdir(parents=True, exist_ok=True)
                (place / KEY_FILE).write_text(key)
            except OSError as error:
                raise TrainingError(f"{place} cannot be written ({error.strerror}).") from error
            kept = getattr(self, f"_{stage.replace('-', '_')}")(place)
            torch.save(kept, place / f".{KEPT_FILE}")
            (place / f".{KEPT_FILE}").replace(place / KEPT_FILE)
            self._made.pop(stage, None)
        for name in (REPORT_FILE, SHEET_FILE, "preview.png"):
            if (place / name).exists():
                self.on_picture(stage, place / name)

    def _kept(self, stage: str) -> Kept:
        """What a stage has kept."""
        if stage not in self._made:
            self._made[stage] = torch.load(self.place(stage) / KEPT_FILE, weights_only=True)
        return self._made[stage]

    def _key(self, stage: str) -> str:
        order, recipe = self.order, asdict(self.order.recipe)
        facts: Any = None
        if stage == "check":
            files = [
                (
                    str(path.relative_to(order.portraits)),
                    path.lstat().st_size,
                    path.lstat().st_mtime_ns,
                )
                for path in portrait_files(order.portraits)
            ]
            facts = files, order.aligned, read_header(self.start.files.base).base
        elif stage == "destylize":
            facts = self.starts, recipe["truncation"]
        elif stage == "fine-tune":
            facts = recipe["faces"], recipe["steps"], recipe["extrinsic"]
        elif stage in ("refine", "sample"):
            facts = {k: v for k, v in recipe.items() if k not in ("faces", "steps", "extrinsic")}
        before = self._key(STAGES[STAGES.index(stage) - 1]) if stage != STAGES[0] else ""
        return hashlib.sha256(json.dumps([before, facts]).encode()).hexdigest()

    # ---- the stages: each gets its folder and returns what it keeps ----

    def _check(self, place: Path) -> Kept:
        report = check_folder(
            self.order.portraits,
            self.start,
            self.finder,
            aligned=self.order.aligned,
            progress=self.progress,
        )
        (place / REPORT_FILE).write_text(page(report), "utf-8", newline="\n")
        self.on_report(report)
        if len(report.used) < FEWEST:
            raise TrainingError(
                f"Only {len(report.used)} of the portraits can be used, at least {FEWEST} are "
                f"needed. {place / REPORT_FILE} says why the others are left out."
            )
        pictures = _bytes(crops(report.used, self.start.size))
        _save(_plain_sheet(_floats(pictures)), place / SHEET_FILE)
        names = style_names([portrait.name for portrait in report.used])
        return {"names": list(names), "pictures": pictures}

    def _destylize(self, place: Path) -> Kept:
        """Paper, section on facial destylization, without the optimization between its ends.

        The encoder's code of a portrait is its extrinsic code. Drawn by the generator of ordinary
        faces, nearer to the average, it is the face behind the portrait, and that face's code is
        the intrinsic code.
        """
        pictures = _floats(self._kept("check")["pictures"])
        extrinsic = self.start.encode(pictures)
        mean = self.start.nobodies(FACES_FOR_MEAN, _chance(0)).mean(dim=0)
        faces = self.start.draw(truncate(extrinsic, self.order.recipe.truncation, mean))
        intrinsic = self.start.encode(faces)
        regions = analysed_faces(pictures, faces, self.finder, self.progress)
        rows = _spread(len(pictures))
        redrawn = self.start.draw(intrinsic[rows])
        _save(sheet([pictures[rows], faces[rows], redrawn]), place / SHEET_FILE)
        chosen = nearest_start(self.library, self.starts, pictures, extrinsic)
        kept = {"extrinsic": extrinsic, "intrinsic": intrinsic, "start": chosen}
        return kept | {"regions": _tensors(regions)}

    def _fine_tune(self, place: Path) -> Kept:
        style, recipe = self._style(), self.order.recipe
        file = place / "faces.pt"
        if not file.exists():
            w_plus = self.start.nobodies(recipe.faces + TESTS, _chance(1))
            faces = self.start.draw(w_plus)
            regions = analysed_faces(faces, faces, self.finder, self.progress)
            torch.save({"w_plus": w_plus, "regions": _tensors(regions)}, file)
        kept = torch.load(file, weights_only=True)
        w_plus, regions = kept["w_plus"], PhotoRegions(**kept["regions"])
        pictures = _bytes(self.start.draw(w_plus))
        people, tests = torch.arange(recipe.faces), torch.arange(recipe.faces, len(w_plus))
        own = PhotoRegions(**self._kept("destylize")["regions"])
        sitters = Sitters(
            _set(torch.cat([pictures[people], style.pictures.pictures])),
            torch.cat([w_plus[people], style.intrinsic]),
            PhotoRegions.stack([regions.select(people), own]),
        )
        shown = Sitters(_set(pictures[tests]), w_plus[tests], regions.select(tests))
        chosen = self._kept("destylize")["start"]
        path = load_extrinsic(self.library.files(chosen).extrinsic)
        stage = OwnStage(recipe, self.start, path, sitters, shown, style)
        average = self._train(stage, place)
        codes = cast("CodeTable", average["codes"])
        rows = torch.arange(len(style.pictures))
        found = codes(rows, torch.ones(len(rows)))
        file.unlink()
        return {"path": average["path"].state_dict(), "codes": found}

    def _refine(self, place: Path) -> Kept:
        path, codes = self._path(), self._kept("fine-tune")["codes"]
        stage = RefinementStage(self.order.recipe, self.start, path, self._style(), codes)
        average = self._train(stage, place)
        return {"codes": stage.codes(average["codes"])}

    def _sample(self, place: Path) -> Kept:
        config, codes = self.start.base.generator.config, self._kept("refine")["codes"]
        parts = codes.tensor_split([NUM_STRUCTURE_LAYERS], dim=1)
        sizes = [SamplerConfig(num_layers=p.shape[1], style_dim=config.style_dim) for p in parts]
        with torch.random.fork_rng():  # layers draw their first numbers from the global state
            torch.manual_seed(0)
            sampler = Sampler(*sizes)
        chance = _chance(2)
        for number, (mlp, part) in enumerate(
            zip((sampler.structure, sampler.color), parts, strict=True)
        ):
            self.progress(number, 2, "sampling network")
            fit_sampler(mlp, part, self.order.recipe.sampling, chance)
        with torch.no_grad():
            styles = sampler.sample(COLUMNS * 2, generator=_chance(3))
        faces = self.start.nobodies(len(styles), _chance(4))
        _save(_plain_sheet(self.start.stylize(self._path(), faces, styles)), place / SHEET_FILE)
        return {"sampler": sampler.state_dict(), "sizes": [asdict(size) for size in sizes]}

    def _finish(self, place: Path) -> Kept:
        kept = self._kept("sample")
        sampler = Sampler(*(SamplerConfig(**size) for size in kept["sizes"]))
        sampler.load_state_dict(kept["sampler"])
        values = self._kept("refine")["codes"]
        codes = Codes(tuple(self._kept("check")["names"]), values, "w+")
        path = self._path()
        install(self.folder, FinishedStyle(path, codes, sampler.eval()), self.start)
        faces = self.start.nobodies(TESTS, _chance(5))
        rows = _spread(len(values))
        lines = [_floats(self._kept("check")["pictures"][rows])]
        for face in faces.split(1):
            drawn = self.start.stylize(path, face.expand(len(rows), -1, -1), values[rows])
            lines.append(drawn)
        left = torch.cat([torch.ones_like(lines[0][:1]), self.start.draw(faces)])
        _save(
            sheet([torch.cat([each[None], line]) for each, line in zip(left, lines, strict=True)]),
            place / SHEET_FILE,
        )
        return {}

    # ---- what stages share ----

    def _train(self, stage: Stage, place: Path) -> torch.nn.ModuleDict:
        """Train to the end, or go on where it was stopped; gives the averaged networks."""
        run = Run(stage, place, accelerator=Accelerator(cpu=True))
        run.train(save_every=SAVE_EVERY, report_every=REPORT_EVERY)
        (place / STATE_FILE).unlink(missing_ok=True)
        return run.average

    def _style(self) -> Style:
        check, found = self._kept("check"), self._kept("destylize")
        regions = PhotoRegions(**found["regions"])
        pictures = PictureSet(tuple(check["names"]), check["pictures"])
        looks = []
        for row in range(len(pictures)):
            picture = pictures.batch(torch.tensor([row]))
            looks.append(analyse_exemplar(picture, regions.select([row])))
        return Style(pictures, found["extrinsic"], found["intrinsic"], GenericLook.stack(looks))

    def _path(self) -> ExtrinsicPath:
        path = ExtrinsicPath(self.start.base.generator.config)
        path.load_state_dict(self._kept("fine-tune")["path"])
        return path.eval().requires_grad_(False)


def _bundled(library: Library) -> list[str]:
    """Domains of the bundled model that are here.

    Raises:
        TrainingError: There are none.
    """
    here = [name for name in library.available() if name.startswith(POCKET)]
    if not here:
        raise TrainingError("The bundled model is not here; name a domain to start from: --base.")
    return here


def _chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _bytes(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _floats(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1


def _set(pictures: Tensor) -> PictureSet:
    return PictureSet(tuple(map(str, range(len(pictures)))), pictures)


def _tensors(regions: PhotoRegions) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in regions.to_arrays().items()}


def _spread(count: int) -> Tensor:
    """Rows of at most a sheet's width, evenly over all."""
    return torch.linspace(0, count - 1, min(COLUMNS, count)).long()


def _plain_sheet(pictures: Tensor) -> Tensor:
    """Some pictures [N, 3, S, S] on a sheet; empty places are white."""
    chosen = pictures[
        torch.linspace(0, len(pictures) - 1, min(COLUMNS * ROWS, len(pictures))).long()
    ]
    columns = min(COLUMNS, len(chosen))
    missing = -len(chosen) % columns
    filled = torch.cat([chosen, chosen.new_ones(missing, *chosen.shape[1:])])
    return sheet(filled.split(columns))


def _save(picture: Tensor, file: Path) -> None:
    save_png(to_picture(picture), file)
