"""The code of docs/TRAINING.md runs: a whole style, every stage of it, on tiny networks."""

import re
from dataclasses import replace
from pathlib import Path

import torch

from dualstyle.checkpoints import save_network
from dualstyle.images import save_png, to_picture
from dualstyle.training import recipes
from tests.golden_rules import entries, rule_discriminator, state
from tests.training import tiny

GUIDE = Path(__file__).parents[2] / "docs/TRAINING.md"
NARROW = {512: tiny.WIDTH, 513: tiny.WIDTH + 1, 8192: 16 * tiny.WIDTH}


def write_files(folder):
    """What the guide's code reads, at the tiny sizes."""
    base = save_network(tiny.generator(), folder / "converted/base.safetensors")
    encoder = tiny.base().encoder
    save_network(encoder, folder / "converted/encoder.safetensors", space="z+", base=base)
    keys = [
        [key, [NARROW.get(n, n) for n in shape], *rest]
        for key, shape, *rest in entries("keys_disc64.json")
    ]
    torch.save({"d": state(keys, rule_discriminator)}, folder / "stylegan2-ffhq-config-f.pt")
    for name in ("cartoon", "ffhq-part"):
        (folder / name).mkdir()
        for number, picture in enumerate(tiny.pictures(3).batch(torch.arange(3))):
            save_png(to_picture(picture), folder / name / f"{number}.png")


def shorten(monkeypatch):
    """The recipes that the guide names, with two steps each."""
    gan = recipes.GanRecipe(batch_size=4, augment=True)
    transfer = recipes.StyleGAN2Recipe(steps=2, gan=gan)
    cartoon = replace(recipes.FINE_TUNING["cartoon"], steps=2, gan=gan)
    short = {
        "STYLEGAN2_TRANSFER": transfer,
        "DestylizationRecipe": lambda: destylization,
        "StructureTransferRecipe": lambda: structure,
        "FINE_TUNING": {"cartoon": cartoon},
        "REFINEMENT_CARTOON": replace(recipes.REFINEMENT_CARTOON, steps=2, batch_size=3),
    }
    destylization = recipes.DestylizationRecipe(steps=2)
    structure = recipes.StructureTransferRecipe(layer_steps=((7, 1), (5, 1)), gan=gan)
    for name, value in short.items():
        monkeypatch.setattr(recipes, name, value)


def test_the_code_of_the_guide_trains_a_style(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    write_files(tmp_path)
    shorten(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # no networks of this machine
    names, small = {}, code.replace("size=1024", f"size={tiny.SIZE}")
    exec(compile(small, str(GUIDE), "exec"), names)
    assert names["refined"].shape == (3, tiny.LAYERS, tiny.DIM)
    assert names["refined"].isfinite().all()
    shown = {
        p.parent.relative_to(tmp_path / "runs/cartoon").as_posix()
        for p in tmp_path.rglob("preview.png")
    }
    assert shown == {"transfer", "destylized/0000", "structure", "tuned", "refined/0000"}
