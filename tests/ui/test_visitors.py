"""Two visitors at once: every answer is the one that they would get alone."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, product

import gradio as gr
import pytest
import torch
from PIL import Image

from dualstyle.checkpoints import read_header, save_network
from dualstyle.models.psp_encoder import PSPEncoder
from dualstyle.ui.api import Api
from dualstyle.ui.grid import Grid
from dualstyle.ui.offer import Offer
from dualstyle.ui.studio import Studio
from tests.ui.conftest import ENCODER, make_stylizer, picture

CALLS = 50  # of each visitor


@pytest.fixture(scope="module")
def api(home, tmp_path_factory):
    """The tiny model with two encoders that understand a face differently."""
    folder = shutil.copytree(home, tmp_path_factory.mktemp("two") / "styles")
    base = read_header(folder / "pocket/base.safetensors").base
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, space in (("encoder", "z+"), ("encoder_wplus", "w+")):
            save_network(
                PSPEncoder(ENCODER), folder / f"pocket/{name}.safetensors", space=space, base=base
            )
    stylizer = make_stylizer(folder, tmp_path_factory.mktemp("cache"))
    domains = ["pocket-cartoon", "pocket-toonhead"]
    offer = Offer(Studio(stylizer, stylizer.library.catalogue, domains))
    return Api(offer, Grid(offer))


def pixels(path: str) -> bytes:
    with Image.open(path) as opened:
        return opened.convert("RGB").tobytes()


def questions(domain: str, encoder: str, seed: int) -> list[dict]:
    photos = [picture(seed=seed), picture(600, 300, seed=seed + 1)]
    same = {"domain": domain, "encoder": encoder, "seed": seed, "face": "aligned"}
    return [
        {"image": photo, "style": style, **same} for photo, style in product(photos, ("0", "5"))
    ]


def test_a_hundred_interleaved_calls_are_answered_as_if_alone(api):
    visitors = [questions("pocket-cartoon", "z+", 1), questions("pocket-toonhead", "w+", 40)]
    alone = [[answer(api, one) for one in asked] for asked in visitors]
    assert len({got for visitor in alone for got in visitor}) == 8

    def visit(number: int) -> list[tuple[bytes, str]]:
        return [answer(api, one) for one in islice(cycle(visitors[number]), CALLS)]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(visit, range(2)))
    for got, expected in zip(together, alone, strict=True):
        assert got == list(islice(cycle(expected), CALLS))


def answer(api: Api, question: dict) -> tuple[bytes, str]:
    path, recipe = api.stylize(**question, request=gr.Request(headers={}))
    return pixels(path), str(recipe)
