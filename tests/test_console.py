"""Photos of a folder are drawn side by side, and come out one after another."""

import signal
import threading
from pathlib import Path

import pytest
import torch

from dualstyle.cli.console import AHEAD, AT_ONCE, Console, shared_cores
from dualstyle.errors import DualStyleError, FaceError

PHOTOS = [Path(f"{number}.jpg") for number in range(9)]
PATIENCE = 30  # [s]


def test_photos_are_drawn_side_by_side_and_kept_in_order():
    together, kept = threading.Barrier(3, timeout=PATIENCE), []

    def draw(photo):
        together.wait()  # three at once, or it breaks
        return photo.stem

    code = Console().each(PHOTOS, draw, lambda photo, drawn: kept.append((photo, drawn)), 3)
    assert code == 0
    assert kept == [(photo, photo.stem) for photo in PHOTOS]


def test_no_more_are_begun_than_memory_holds():
    begun, most = [], []

    def keep(photo, drawn):
        most.append(len(begun) - len(most))

    Console().each(PHOTOS, begun.append, keep, 2)
    assert max(most) <= 2 * AHEAD
    assert sorted(begun) == PHOTOS  # two threads may begin two photos in either order


def test_results_are_kept_in_the_calling_thread():
    kept, drawn = set(), set()
    Console().each(
        PHOTOS,
        lambda photo: drawn.add(threading.current_thread()),
        lambda photo, _: kept.add(threading.current_thread()),
        2,
    )
    assert kept == {threading.current_thread()}
    assert not kept & drawn


def test_a_photo_without_a_face_fails_alone(capsys):
    kept = []

    def draw(photo):
        if photo.stem in "36":
            raise FaceError(f"{photo} shows nobody.")

    assert Console().each(PHOTOS, draw, lambda photo, _: kept.append(photo.stem), 2) == 1
    assert "".join(kept) == "0124578"
    assert capsys.readouterr().err.startswith("2 of 9 failed:")


@pytest.mark.parametrize("error", [DualStyleError("The weights are gone."), KeyboardInterrupt()])
def test_what_stops_the_command_begins_no_further_photo(error):
    begun, kept = [], []

    def draw(photo):
        begun.append(photo)
        if photo == PHOTOS[1]:
            raise error

    with pytest.raises(type(error)) as caught:
        Console().each(PHOTOS, draw, lambda photo, _: kept.append(photo), 2)
    assert caught.value is error
    assert kept == PHOTOS[:1]
    assert len(begun) <= 1 + 2 * AHEAD


def test_control_c_ends_it_after_what_is_being_drawn():
    begun = []

    def interrupt(photo, drawn):
        signal.raise_signal(signal.SIGINT)

    # Where the tests run in the background, the shell may have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Console().each(PHOTOS, begun.append, interrupt, 2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) <= 2 * AHEAD


@pytest.mark.parametrize(
    ("threads", "photos", "at_once", "each"),
    [(1, 9, 1, 1), (2, 9, 2, 1), (2, 1, 1, 2), (11, 9, AT_ONCE, 2), (4, 3, 3, 1)],
)
def test_portraits_share_the_cores(threads, photos, at_once, each):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with shared_cores(torch.device("cpu"), photos) as found:
            seen = []
            Console().each(
                PHOTOS[:photos],
                lambda photo: torch.get_num_threads(),
                lambda photo, drawn: seen.append(drawn),
                found,
            )
        assert (found, set(seen)) == (at_once, {each})
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_gpu_draws_one_at_a_time():
    with shared_cores(torch.device("cuda"), 9) as at_once:
        assert at_once == 1
