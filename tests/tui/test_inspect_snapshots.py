"""Snapshots of screens 2 to 7 at 80x24 and 120x40, with and without colour, as they open and enlarged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import MakeApp
from tests.tui.driving import INSPECTING, settled, until
from tui.screens.inspect import InspectScreen

SnapCompare = Callable[..., bool]
pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


def pressing(*keys: str) -> Callable[[Pilot[int]], object]:
    """Press keys, each after the effect of the previous one is drawn."""

    async def run(pilot: Pilot[int]) -> None:
        for key in keys:
            await pilot.press(key)
            if isinstance(screen := pilot.app.screen, InspectScreen):
                await until(pilot, lambda screen=screen: screen.is_mounted)  # type: ignore[misc]
                await settled(pilot, screen)

    return run


@SIZES
@pytest.mark.parametrize(("key", "mode"), INSPECTING, ids=[mode for _, mode in INSPECTING])
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "no-colour"])
def test_as_it_opens(  # noqa: PLR0917
    snap_compare: SnapCompare,
    still_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    key: str,
    mode: str,
    colour: bool,
) -> None:
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(still_app(), terminal_size=size, run_before=pressing(key))


@SIZES
@pytest.mark.parametrize(
    "keys",
    [
        ("3", "m", "enter"),
        ("4", "tab", "down", "right"),
        ("5", "tab", "o", "enter"),
        ("6", "P", "P", "P", "P", "b", "right"),
        ("6", "enter"),
        ("6", "tab", "down", "right"),
        ("6", "tab", "right", "right", "enter"),
        ("6", "tab", "tab", "down", "down"),
        ("7", "a", "a", "right", "left_square_bracket", "left_square_bracket", "enter"),
    ],
    ids=[
        "a mistake",
        "conv2's kernels",
        "a channel of conv2",
        "drop under a small patch",
        "the patch",
        "all methods",
        "one method",
        "deletion and insertion",
        "a moment of an attack",
    ],
)
def test_from_near(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=pressing(*keys))


@SIZES
@pytest.mark.parametrize("colour", [True, False], ids=["colour", "no-colour"])
@pytest.mark.parametrize("keys", [("6", "a"), ("6", "tab", "tab", "a")], ids=["mean map", "mean curves"])
def test_over_many_digits(  # noqa: PLR0917
    snap_compare: SnapCompare,
    still_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    keys: tuple[str, ...],
    colour: bool,
) -> None:
    monkeypatch.setattr("tui.screens.occlusion.occlusion.AVERAGED", 3)
    monkeypatch.setattr("tui.screens.occlusion.trust.MEASURED", 2)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(still_app(), terminal_size=size, run_before=pressing(*keys))


@SIZES
@pytest.mark.parametrize(
    "keys",
    [("7", "tab", "r", "end"), ("7", "tab", "tab", "r", "down"), ("7", "tab", "tab", "tab", "r")],
    ids=["accuracy under attack", "beta", "transfer"],
)
def test_attacks_on_many_digits(
    snap_compare: SnapCompare,
    still_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    keys: tuple[str, ...],
) -> None:
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 10)
    assert snap_compare(still_app(), terminal_size=size, run_before=pressing(*keys))


def test_methods_in_256_colours_on_white(
    snap_compare: SnapCompare, still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORTERM", "")
    assert snap_compare(still_app(), terminal_size=(120, 40), run_before=pressing("6", "tab", "t"))


def test_confusion_matrix_in_256_colours_on_white(
    snap_compare: SnapCompare, still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORTERM", "")
    assert snap_compare(still_app(), terminal_size=(80, 24), run_before=pressing("3", "tab", "c", "t"))
