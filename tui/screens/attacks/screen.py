"""The attacks screen, with the list of its pages."""

from __future__ import annotations

from tui.keys import bindings
from tui.screens.attacks.attack import AttackPage
from tui.screens.attacks.beta import BetaPage
from tui.screens.attacks.corruptions import CorruptionsPage
from tui.screens.attacks.curve import CurvePage
from tui.screens.attacks.transfer import TransferPage
from tui.screens.attacks.universal import UniversalPage
from tui.screens.inspect_pages import InspectPages


class AttacksScreen(InspectPages):
    """The notebook's section 3, and the question that it leaves open: how large a perturbation an attack needs."""

    mode = "attacks"
    BINDINGS = bindings("attacks")
    page_types = (AttackPage, CurvePage, BetaPage, TransferPage, UniversalPage, CorruptionsPage)
