"""How far the digit under the cursor of screen 7 is safe: asked for when the cursor rests, as a sentence and a bar."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from engine import operations
from engine.attacks.requests import AttackFgsm, AttackPgd
from engine.certification.events import DigitCertified
from engine.certification.requests import CertifyDigit
from engine.request import Request
from tests.certified import BROKEN, PROVED
from tests.tui.conftest import MakeApp
from tests.tui.driving import CNN, drawn, go, settled, until, words
from tui.screens.attacks import AttacksScreen
from tui.screens.attacks.attack import AttackPage
from tui.widgets.proof import LONGEST, ProofLine

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
SAFE = "proved to 0.0834, broken from 0.1207, unknown between"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that rests at once."""
    monkeypatch.setattr("tui.screens.attacks.attack.AT_REST", 0.01)


def page(screen: AttacksScreen) -> AttackPage:
    found = screen.pages["attack"]
    assert isinstance(found, AttackPage)
    return found


def proofs(screen: AttacksScreen) -> list[Request]:
    return [request for request in screen.wanted() if isinstance(request, CertifyDigit)]


async def at_rest(pilot: Pilot[int], screen: AttacksScreen) -> str:
    await until(pilot, lambda: page(screen)._moving is None)
    await settled(pilot, screen)
    return words(screen.query_one(ProofLine)).strip()


async def test_the_digit_under_the_cursor_is_proved_once_it_rests(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        assert (await at_rest(pilot, screen)).startswith(f"test 3, L-inf: {SAFE} 0 ██")
        assert proofs(screen) == [CertifyDigit(what=CNN, index=3)]
        await pilot.press("right", "right")
        assert (await at_rest(pilot, screen)).startswith(f"test 1, L-inf: {SAFE}")
        assert proofs(screen) == [CertifyDigit(what=CNN, index=1)]
        await pilot.press(".")  # the current digit alone, and then the next one
        assert (await at_rest(pilot, screen)).startswith(f"test 61, L-inf: {SAFE}")
        await pilot.press(".")
        assert (await at_rest(pilot, screen)).startswith(f"test 62, L-inf: {SAFE}")
        await pilot.press("A")  # images from noise are no digits
        await until(pilot, lambda: page(screen).attack_name == "noise")
        await drawn(pilot)
        assert proofs(screen) == []
        assert not screen.query_one(ProofLine).display or not words(screen.query_one(ProofLine)).strip()


async def test_what_is_known_so_far_is_said(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await at_rest(pilot, screen)
        proof = page(screen).proof
        assert isinstance(proof, DigitCertified)
        assert (proof.proved, proof.broken_from) == (PROVED, BROKEN)
        so_far, _ = operations.perform(CertifyDigit(what=CNN, index=3), app.workspace.root)
        assert isinstance(so_far, DigitCertified)
        page(screen).proof = so_far
        screen.update()
        await drawn(pilot)
        assert words(screen.query_one(ProofLine)).strip() == "test 3, L-inf: proved to 0.0417 so far"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("name", ["NO_COLOR", "LC_ALL", "TERM"])
async def test_the_bar_shows_three_parts_also_without_colour(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    monkeypatch.setenv(name, "C" if name != "TERM" else "xterm-256color")
    proved, unknown, broken = "#.-" if name == "LC_ALL" else "█░╌"
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        shown = await at_rest(pilot, screen)
        assert shown.startswith(f"test 3, L-inf: {SAFE}")
        assert shown.isascii() or name != "LC_ALL"
        if size == (80, 24):
            assert shown.endswith("between")  # no room for a bar
            return
        bar = shown.removesuffix(" 0.5")[-LONGEST:]
        assert [bar.count(part) for part in (proved, unknown, broken)] == [7, 3, 30]  # of 40 cells for 0.5
        assert bar == proved * 7 + unknown * 3 + broken * 30


async def test_the_keys_of_the_attack_do_not_act_on_a_proof(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await at_rest(pilot, screen)
        job = app.workspace.ask(CertifyDigit(what=CNN, index=5), lambda *_: None)
        monkeypatch.setattr(type(screen.inquiry), "job", property(lambda _: job))
        assert page(screen).job is None
        assert {"pause", "stop"} <= page(screen).unused()


async def test_it_goes_with_the_split_and_the_attack(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        app.workspace.digit = ("val", 5)
        await pilot.press("a", ".")
        assert (await at_rest(pilot, screen)).startswith("val 5, L-inf: ")
        assert screen.wanted() == [
            AttackFgsm(what=CNN, split="val", indices=(5,)),
            CertifyDigit(what=CNN, split="val", index=5),
        ]
        await pilot.press("a")
        await at_rest(pilot, screen)
        assert screen.wanted()[0] == AttackPgd(what=CNN, split="val", indices=(5,))
