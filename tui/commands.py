"""The one registry of actions: key bindings, key bar, help and palette all come from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.app import MnistTui


@dataclass(frozen=True)
class Command:
    """Something that one key does: the handler is `action_NAME` of its screen, or of the app."""

    key: str
    name: str
    """Of the handler, and the word in the palette."""
    label: str
    """On the key bar; empty where the key is not shown there."""
    help: str
    """One line."""
    screens: tuple[str, ...] = ()
    """The screens it belongs to; empty for all."""
    shown_key: str = ""
    """How the key is written where its name is not what is printed on it."""

    @property
    def keys(self) -> str:
        """The key as people write it."""
        return self.shown_key or self.key.replace("ctrl+", "^")

    def binding(self) -> Binding:
        """For Textual; the key bar is our own, so it is shown nowhere else."""
        return Binding(self.key, self.name, self.label or self.name, show=False)


TRAIN, MODEL, DIGITS, FILTERS, ACTIVATIONS, OCCLUSION, ATTACKS, RUNS = (
    "train",
    "model",
    "digits",
    "filters",
    "activations",
    "occlusion",
    "attacks",
    "runs",
)
PICTURES = (DIGITS, FILTERS, ACTIVATIONS, OCCLUSION, ATTACKS)

COMMANDS = (
    Command("r", "run", "run", "train the experiment of the form in a new run folder", (TRAIN,)),
    Command("Q", "queue", "queue", "let this experiment, or a sweep from it, wait for its turn", (TRAIN,)),
    Command("R", "resume", "resume", "go on with the run that was stopped, or whose process died", (TRAIN,)),
    Command("space", "pause", "pause", "pause the run, or go on with it", (TRAIN,)),
    Command("x", "cancel", "cancel", "stop the run; the weights of its last epoch are kept", (TRAIN,)),
    Command("f", "form", "form", "go to the experiment form (fold it away on a narrow terminal)", (TRAIN,)),
    Command("y", "log_axis", "log loss", "draw the loss on a logarithmic axis, or a linear one", (TRAIN,)),
    Command("escape", "leave", "", "leave the form", (TRAIN,), shown_key="esc"),
    Command("p", "larger_patch", "patch", "a patch that is a pixel larger", (OCCLUSION,)),
    Command("P", "smaller_patch", "", "a patch that is a pixel smaller", (OCCLUSION,)),
    Command("s", "longer_stride", "stride", "a step of one pixel more from place to place", (OCCLUSION,)),
    Command("S", "shorter_stride", "", "a step of one pixel less", (OCCLUSION,)),
    Command(
        "f", "next_baseline", "baseline", "what the patch shows: 0, the image's mean, 1, noise, or a gray", (OCCLUSION,)
    ),
    Command("w", "next_watched", "class", "the class watched: the true one, the predicted one, 0 to 9", (OCCLUSION,)),
    Command("W", "previous_watched", "", "the class watched before", (OCCLUSION,)),
    Command("g", "methods", "methods", "the gradient methods beside occlusion, or back", (OCCLUSION,)),
    Command("d", "trust", "trust", "deletion and insertion: do the maps tell the truth? or back", (OCCLUSION,)),
    Command("a", "average", "mean", "over many digits: the mean map of the class, the mean curves", (OCCLUSION,)),
    Command("x", "stop", "stop", "stop what goes on over many digits", (OCCLUSION,)),
    Command("a", "next_attack", "attack", "the next attack", (ATTACKS,)),
    Command("A", "previous_attack", "", "the attack before", (ATTACKS,)),
    Command("w", "next_target", "class", "the class wanted: any other, 0 to 9", (ATTACKS,)),
    Command("W", "previous_target", "", "the class wanted before", (ATTACKS,)),
    Command("o", "next_option", "option", "the next parameter", (ATTACKS,)),
    Command("O", "previous_option", "", "the parameter before", (ATTACKS,)),
    Command("p", "more", "more", "more of this parameter, or its next choice", (ATTACKS,)),
    Command("P", "less", "", "less of it", (ATTACKS,)),
    Command("r", "run", "run", "run it, or once more from its beginning", (ATTACKS,)),
    Command("space", "pause", "pause", "pause the attack, or go on with it", (ATTACKS,)),
    Command("s", "step", "step", "in a pause: one step more", (ATTACKS,)),
    Command("x", "stop", "stop", "stop it; what it has done stays in view", (ATTACKS,)),
    Command(
        "left_square_bracket", "back_in_time", "earlier", "a step back through what it did", (ATTACKS,), shown_key="["
    ),
    Command("right_square_bracket", "on_in_time", "", "a step on", (ATTACKS,), shown_key="]"),
    Command("d", "gallery", "gallery", "the notebook's ten digits, or the current digit alone", (ATTACKS,)),
    Command("g", "curve", "curve", "accuracy by how much an attack may change, or back", (ATTACKS,)),
    Command("b", "beta", "beta", "does the penalty keep the image close? or back", (ATTACKS,)),
    Command("y", "transfer", "transfer", "do they fool another network too? or back", (ATTACKS,)),
    Command("u", "universal", "", "one perturbation that fools many digits, or back", (ATTACKS,)),
    Command("enter", "open", "open", "look into this run: the other screens are about it then", (RUNS,)),
    Command("R", "resume", "resume", "go on with this run from where it was left", (RUNS,)),
    Command("x", "stop", "stop", "stop this run, also one that another process trains", (RUNS,)),
    Command("space", "mark", "mark", "take this run into the comparison, or out of it", (RUNS,)),
    Command("g", "compare", "compare", "the marked runs over one another, or back", (RUNS,)),
    Command("y", "measure", "curve", "compare another curve: losses, accuracies", (RUNS,)),
    Command("b", "axis", "by seconds", "by epochs, or by seconds", (RUNS,)),
    Command("w", "smooth", "smooth", "means of 3, 5 or 9 epochs", (RUNS,)),
    Command("escape", "back", "", "back to the list; there, all marks off", (RUNS,), shown_key="esc"),
    Command("p", "report", "report", "the whole notebook redone on the marked runs, or on this one", (RUNS,)),
    Command("n", "note", "note", "note something of this run; words with # are tags", (RUNS,)),
    Command("slash", "filter", "filter", "show only runs with some words", (RUNS,), shown_key="/"),
    Command("o", "order", "order", "by date, name, loss, accuracy, time or state", (RUNS,)),
    Command("c", "duplicate", "copy", "put its experiment into the form of screen 1", (RUNS,)),
    Command("m", "rename", "rename", "give this run another name", (RUNS,)),
    Command("d", "delete", "delete", "into the trash folder, or out of the queue", (RUNS,)),
    Command("u", "undo", "undo", "bring back what was deleted last", (RUNS,)),
    Command("minus", "earlier_turn", "earlier", "a place forward in the queue", (RUNS,), shown_key="-"),
    Command("plus", "later_turn", "", "a place back", (RUNS,), shown_key="+"),
    Command("enter", "zoom", "zoom", "see what the cursor is on from near", PICTURES),
    Command("escape", "back", "", "back from there", PICTURES, shown_key="esc"),
    Command("e", "export", "png", "draw the figure as a PNG and copy its path", (TRAIN, MODEL, *PICTURES, RUNS)),
    Command("tab", "panel", "panel", "winning class or drop; of Grad-CAM the other convolution", (OCCLUSION,)),
    Command("E", "export_matrix", "matrix png", "draw the confusion matrix as a PNG", (DIGITS,)),
    Command("s", "shuffle", "shuffle", "other random digits", (DIGITS,)),
    Command("m", "mistakes", "mistakes", "only the digits it gets wrong, the surest first", (DIGITS,)),
    Command("o", "order", "order", "random, mistakes, least certain or most certain first", (DIGITS,)),
    Command("d", "next_class", "class", "only digits of the next class", (DIGITS,)),
    Command("D", "previous_class", "", "only digits of the class before", (DIGITS,)),
    Command("tab", "panel", "matrix", "digits or confusion matrix, where there is no room for both", (DIGITS,)),
    Command("tab", "layer", "layer", "the other convolution", (FILTERS, ACTIVATIONS)),
    Command("left_square_bracket", "earlier", "earlier", "an epoch earlier", (FILTERS,), shown_key="["),
    Command("right_square_bracket", "later", "later", "an epoch later; the last follows", (FILTERS,), shown_key="]"),
    Command(
        "comma", "previous_digit", "previous", "the digit before", (ACTIVATIONS, OCCLUSION, ATTACKS), shown_key=","
    ),
    Command("full_stop", "next_digit", "next", "the next digit", (ACTIVATIONS, OCCLUSION, ATTACKS), shown_key="."),
    Command("i", "digit", "", "go to a digit by its number, in any split", (ACTIVATIONS, OCCLUSION, ATTACKS)),
    Command("m", "minimum", "minimum", "to the place of the lowest probability", (OCCLUSION,)),
    Command("o", "sort", "sort", "by number, or the strongest first", (FILTERS, ACTIVATIONS)),
    Command(
        "n", "range", "range", "one value range for all pictures, or each its own", (FILTERS, ACTIVATIONS, OCCLUSION)
    ),
    Command("c", "colours", "colours", "gray, viridis, or diverging with zero in the middle", PICTURES),
    Command("v", "view", "view", "24-bit colour, 256 colours, or glyphs", PICTURES),
    Command("1", "train", "", "the Train screen"),
    Command("2", "model", "", "the Model screen: layers, shapes, parameters"),
    Command("3", "digits", "", "the Digits screen: predictions and mistakes"),
    Command("4", "filters", "", "the Filters screen: the kernels of both convolutions"),
    Command("5", "activations", "", "the Activations screen: what they make of a digit"),
    Command("6", "occlusion", "", "the Occlusion screen: why it says so, and whether that is true"),
    Command("7", "attacks", "", "the Attacks screen: noise and digits made to be mistaken, and how easily"),
    Command("8", "runs", "", "the Runs screen: all runs, and the queue"),
    Command("s", "screenshot", "", "save the screen as an SVG"),
    Command("t", "theme", "", "light or dark theme"),
    Command("question_mark", "help", "help", "every key of this screen", shown_key="?"),
    Command("ctrl+p", "command_palette", "palette", "every action by name"),
    Command("q", "quit", "quit", "leave (asks while a run is under way)"),
)

MOVES = {
    TRAIN: (("tab, up, down", "from field to field"), ("left, right", "change a choice")),
    RUNS: (("arrows, jk", "move the cursor"), ("page up, home", "move it far; page down and end too")),
} | dict.fromkeys(
    PICTURES, (("arrows, hjkl", "move the cursor"), ("page up, home", "move it far; page down and end too"))
)
"""What help says of the keys that widgets take themselves."""

SCREENS = (
    ("1", "Train", TRAIN),
    ("2", "Model", MODEL),
    ("3", "Digits", DIGITS),
    ("4", "Filters", FILTERS),
    ("5", "Activations", ACTIVATIONS),
    ("6", "Occlusion", OCCLUSION),
    ("7", "Attacks", ATTACKS),
    ("8", "Runs", RUNS),
)
"""Key, title and mode of each screen, as on the tab line."""


def commands(screen: str) -> tuple[Command, ...]:
    """The commands of a screen: its own, then those of the app."""
    own = [command for command in COMMANDS if screen in command.screens]
    taken = {command.key for command in own}
    everywhere = (command for command in COMMANDS if not command.screens)
    return (*own, *(replace(c, shown_key="^p") if c.key in taken else c for c in everywhere))


def bindings(screen: str = "") -> list[BindingType]:
    """The bindings that belong to `screen`, or to the app."""
    if not screen:
        return [command.binding() for command in COMMANDS if not command.screens]
    return [command.binding() for command in COMMANDS if screen in command.screens]


class Palette(Provider):
    """The registry, for Textual's command palette."""

    def _entries(self) -> Iterable[tuple[str, str, str]]:
        for command in commands(_mode(self.screen)):
            if command.name not in ("command_palette", "leave", "back"):
                title = f"{command.name.replace('_', ' ')}  ({command.keys})"
                yield title, command.name, command.help

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for title, name, explanation in self._entries():
            yield DiscoveryHit(title, partial(self._perform, name), help=explanation)

    async def search(self, query: str) -> Hits:
        """Those whose name or explanation matches."""
        matcher = self.matcher(query)
        for title, name, explanation in self._entries():
            if (score := matcher.match(f"{title} {explanation}")) > 0:
                yield Hit(score, matcher.highlight(title), partial(self._perform, name), help=explanation)

    async def _perform(self, name: str) -> None:
        app: MnistTui = self.app  # type: ignore[assignment]
        await app.run_action(name, app.screen if hasattr(app.screen, f"action_{name}") else app)


class PaletteScreen(CommandPalette):
    """Textual's command palette, for people who type faster than it appears."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing moves in a list that is not there yet, or has no place on the screen yet."""
        lists = self.query(CommandList)
        there = any(each.scrollable_content_region for each in lists) if action == "command_list" else bool(lists)
        return self.is_mounted and there and super().check_action(action, parameters)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Go, once: of a burst of keys the next choice comes when it has gone, and what is behind it stays."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


def _mode(screen: Screen[object]) -> str:
    return getattr(screen, "mode", "")
