"""The only registry of commands: key bindings, key bar, help and palette are all derived from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider


@dataclass(frozen=True)
class Command:
    """A command bound to one key; its handler is `action_NAME` of the page in front, of its screen, or of the app."""

    key: str
    name: str
    """The suffix of the handler's name, and the title in the palette."""
    label: str
    """The label on the key bar; empty to leave the key out there."""
    help: str
    """One line: an imperative verb phrase."""
    screens: tuple[str, ...] = ()
    """The screens it belongs to; empty for all."""
    shown_key: str = ""
    """The key as shown to the user, if that differs from Textual's name for it."""
    pages: tuple[str, ...] = ()
    """On a screen with pages, the pages it belongs to; empty for all."""
    does: str = ""
    """The action in Textual's syntax; empty if it is the name."""

    @property
    def keys(self) -> str:
        """The key as shown to the user."""
        return self.shown_key or self.key.replace("ctrl+", "^")

    @property
    def action(self) -> str:
        """The action in Textual's syntax."""
        return self.does or self.name

    @property
    def page_action(self) -> str:
        """The action on a screen with pages, which passes it to the page in front."""
        return f"act({self.name!r})"


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
DIGITWISE = (ACTIVATIONS, OCCLUSION, ATTACKS)
RANGED = (FILTERS, ACTIVATIONS, OCCLUSION)
COLOURED = (DIGITS, FILTERS, ACTIVATIONS, OCCLUSION)
"""Screens that draw pictures; that show one digit; that offer a choice of value range; of colour map."""
MAPS = ("occlusion", "methods")
EXPLAINING = (*MAPS, "trust")
DRAWN = (*MAPS, "attack", "universal")
"""Pages with maps; all pages of the occlusion screen; all pages with pictures."""

COMMANDS = (
    Command("r", "run", "run", "train the experiment in the form, in a new run folder", (TRAIN,)),
    Command("Q", "queue", "queue", "add this experiment, or a sweep over it, to the queue", (TRAIN,)),
    Command("R", "resume", "resume", "resume the run that was stopped or whose process died", (TRAIN,)),
    Command("space", "pause", "pause", "pause or resume the run", (TRAIN,)),
    Command("x", "stop", "stop", "stop the run and keep the weights of its last epoch", (TRAIN,)),
    Command("f", "form", "form", "go to the experiment form (on a narrow terminal, show or hide it)", (TRAIN,)),
    Command("y", "log_axis", "log loss", "switch the loss axis between logarithmic and linear", (TRAIN,)),
    Command("escape", "leave", "", "leave the form", (TRAIN,), shown_key="esc"),
    Command("p", "larger_patch", "patch", "make the patch one pixel larger", (OCCLUSION,)),
    Command("P", "smaller_patch", "", "make the patch one pixel smaller", (OCCLUSION,)),
    Command("s", "longer_stride", "stride", "increase the stride by one pixel", (OCCLUSION,)),
    Command("S", "shorter_stride", "", "decrease the stride by one pixel", (OCCLUSION,)),
    Command(
        "f", "next_baseline", "baseline", "change the baseline: 0, the image's mean, 1, noise, or a gray", (OCCLUSION,)
    ),
    Command("w", "next_watched", "class", "change the watched class: true, predicted, 0 to 9", (OCCLUSION,)),
    Command("W", "previous_watched", "", "go back to the previous watched class", (OCCLUSION,)),
    Command("g", "methods", "methods", "show the attribution methods side by side, or go back", (OCCLUSION,)),
    Command("d", "trust", "trust", "show deletion and insertion curves, or go back", (OCCLUSION,)),
    Command("a", "average", "mean", "average over many digits", (OCCLUSION,), pages=("occlusion", "trust")),
    Command("x", "stop", "stop", "stop averaging over many digits", (OCCLUSION,)),
    Command("a", "next_attack", "attack", "choose the next attack", (ATTACKS,), pages=("attack",)),
    Command("A", "previous_attack", "", "choose the previous attack", (ATTACKS,), pages=("attack",)),
    Command("w", "next_target", "class", "change the target class: any other, 0 to 9", (ATTACKS,)),
    Command("W", "previous_target", "", "go back to the previous target class", (ATTACKS,)),
    Command("o", "next_option", "option", "select the next parameter", (ATTACKS,)),
    Command("O", "previous_option", "", "select the previous parameter", (ATTACKS,)),
    Command("p", "more", "more", "increase the selected parameter, or take its next choice", (ATTACKS,)),
    Command("P", "less", "", "decrease the selected parameter", (ATTACKS,)),
    Command("r", "run", "run", "run or restart it", (ATTACKS,)),
    Command("space", "pause", "pause", "pause or resume the attack", (ATTACKS,), pages=("attack",)),
    Command("s", "step", "step", "take one step while paused", (ATTACKS,), pages=("attack",)),
    Command("x", "stop", "stop", "stop it and keep what it has done", (ATTACKS,)),
    Command("left_square_bracket", "back_in_time", "earlier", "go one step back", (ATTACKS,), "[", ("attack",)),
    Command("right_square_bracket", "on_in_time", "", "go one step forward", (ATTACKS,), "]", ("attack",)),
    Command("d", "gallery", "gallery", "attack the notebook's ten digits, or one", (ATTACKS,), pages=("attack",)),
    Command("g", "curve", "curve", "show accuracy by epsilon, or go back", (ATTACKS,)),
    Command("b", "beta", "beta", "show whether the penalty keeps the image close, or go back", (ATTACKS,)),
    Command("y", "transfer", "transfer", "show whether attacks transfer to another network, or go back", (ATTACKS,)),
    Command("u", "universal", "", "show one perturbation that fools many digits, or go back", (ATTACKS,)),
    Command("enter", "open", "open", "open this run on all screens", (RUNS,), pages=("list",)),
    Command("R", "resume", "resume", "resume this run", (RUNS,), pages=("list",)),
    Command("x", "stop", "stop", "stop this run, even one that another process trains", (RUNS,)),
    Command("space", "mark", "mark", "mark or unmark this run for comparison", (RUNS,), pages=("list",)),
    Command("tab,shift+tab", "compare", "compare", "compare the marked runs, or go back", (RUNS,), "tab"),
    Command("y", "measure", "curve", "compare another curve: losses, accuracies", (RUNS,), pages=("compare",)),
    Command("b", "axis", "by seconds", "switch the axis between epochs and seconds", (RUNS,), pages=("compare",)),
    Command("w", "smooth", "smooth", "smooth over 3, 5 or 9 epochs", (RUNS,), pages=("compare",)),
    Command("escape", "back", "", "go back to the list; there, remove all marks", (RUNS,), "esc"),
    Command("slash", "filter", "filter", "filter the runs while you type", (RUNS,), "/", ("list",)),
    Command("o", "order", "order", "sort by the next column", (RUNS,), pages=("list",)),
    Command("O", "reverse", "", "reverse the order", (RUNS,), pages=("list",)),
    Command("N", "note", "note", "edit this run's note; words that begin with # are tags", (RUNS,), pages=("list",)),
    Command("C", "duplicate", "copy", "copy this experiment into the form on screen 1", (RUNS,), pages=("list",)),
    Command("E", "report", "report", "write a report on the marked runs, or on this one", (RUNS,)),
    Command("M,f2", "rename", "rename", "rename this run", (RUNS,), "M", ("list",)),
    Command(
        "D,delete", "delete", "delete", "move to the trash folder, or remove from the queue", (RUNS,), "D", ("list",)
    ),
    Command("u", "undo", "undo", "restore the last deleted run", (RUNS,), pages=("list",)),
    Command("v", "view", "details", "show or hide the details of this run", (RUNS,), pages=("list",)),
    Command("J,shift+down", "later_turn", "later", "move down in the queue", (RUNS,), "J", ("list",)),
    Command("K,shift+up", "earlier_turn", "", "move up in the queue", (RUNS,), "K", ("list",)),
    Command("enter", "zoom", "zoom", "enlarge the selection", PICTURES, pages=(*MAPS, "attack")),
    Command("escape", "back", "", "go back from the enlarged selection, or to the first page", PICTURES, "esc"),
    Command("e", "export", "png", "export the figure as a PNG and copy its path", (TRAIN, MODEL, *PICTURES, RUNS)),
    Command("tab", "panel", "panel", "switch the second map, or Grad-CAM's layer", (OCCLUSION,), pages=MAPS),
    Command("E", "export_matrix", "matrix png", "export the confusion matrix as a PNG", (DIGITS,)),
    Command("s", "shuffle", "shuffle", "show other random digits", (DIGITS,)),
    Command("m", "mistakes", "mistakes", "show only misclassified digits, the most confident first", (DIGITS,)),
    Command("o", "order", "order", "sort: random, mistakes, least or most certain first", (DIGITS,)),
    Command("d", "next_class", "class", "show only the next class", (DIGITS,)),
    Command("D", "previous_class", "", "show only the previous class", (DIGITS,)),
    Command("tab", "panel", "matrix", "switch between digits and confusion matrix on a narrow terminal", (DIGITS,)),
    Command("tab", "layer", "layer", "switch to the other convolution", (FILTERS, ACTIVATIONS)),
    Command("left_square_bracket", "earlier", "earlier", "go one epoch back", (FILTERS,), "["),
    Command(
        "right_square_bracket", "later", "later", "go one epoch forward; the last one follows the run", (FILTERS,), "]"
    ),
    Command("comma", "previous_digit", "previous", "go to the previous digit", DIGITWISE, ",", (*EXPLAINING, "attack")),
    Command("full_stop", "next_digit", "next", "go to the next digit", DIGITWISE, ".", (*EXPLAINING, "attack")),
    Command("i", "digit", "", "go to a digit by its number, in any split", DIGITWISE, pages=(*EXPLAINING, "attack")),
    Command("m", "minimum", "minimum", "go to the lowest probability", (OCCLUSION,), pages=("occlusion",)),
    Command("o", "sort", "sort", "sort by number, or the strongest first", (FILTERS, ACTIVATIONS)),
    Command("n", "range", "range", "use one value range for all pictures, or one each", RANGED, pages=MAPS),
    Command(
        "c", "colours", "colours", "change the colour map: gray, viridis, diverging around zero", COLOURED, pages=MAPS
    ),
    Command("v", "view", "view", "draw in 24-bit colour, 256 colours, or glyphs", PICTURES, pages=DRAWN),
    Command("1", "train", "", "go to Train", does="switch_mode('train')"),
    Command("2", "model", "", "go to Model: layers, shapes, parameters", does="switch_mode('model')"),
    Command("3", "digits", "", "go to Digits: predictions and mistakes", does="switch_mode('digits')"),
    Command("4", "filters", "", "go to Filters: the kernels of both convolutions", does="switch_mode('filters')"),
    Command(
        "5", "activations", "", "go to Activations: the feature maps of a digit", does="switch_mode('activations')"
    ),
    Command("6", "occlusion", "", "go to Occlusion: why the network predicts it", does="switch_mode('occlusion')"),
    Command("7", "attacks", "", "go to Attacks: how easily the network is fooled", does="switch_mode('attacks')"),
    Command("8", "runs", "", "go to Runs: all runs and the queue", does="switch_mode('runs')"),
    Command("s", "screenshot", "", "save the screen as an SVG", does="screen.screenshot"),
    Command("t", "theme", "", "switch between the light and the dark theme"),
    Command("question_mark", "help", "help", "show every key of this screen", shown_key="?", does="screen.help"),
    Command("ctrl+p", "command_palette", "palette", "find an action by name"),
    Command("q", "quit", "quit", "quit (asks while a run is under way)"),
)

MOVES = {
    TRAIN: (("tab, up, down", "move between fields"), ("left, right", "change a choice")),
    RUNS: (("arrows, jk", "move the cursor"), ("page up, home", "move it far; page down and end too")),
} | dict.fromkeys(
    PICTURES, (("arrows, hjkl", "move the cursor"), ("page up, home", "move it far; page down and end too"))
)
"""Help on the keys that widgets handle themselves."""

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
"""Key, title and mode of each screen, as in the tab bar."""


def commands(screen: str) -> tuple[Command, ...]:
    """The commands of a screen: its own, then those of the app."""
    own = [command for command in COMMANDS if screen in command.screens]
    taken = {command.key for command in own}
    everywhere = (command for command in COMMANDS if not command.screens)
    return (*own, *(replace(c, shown_key="^p") if c.key in taken else c for c in everywhere))


def bindings(screen: str = "", *, paged: bool = False) -> list[BindingType]:
    """The bindings of `screen`, or of the app if it is empty; hidden, since the program has its own key bar."""
    own = [each for each in COMMANDS if (screen in each.screens if screen else not each.screens)]
    return [
        Binding(each.key, each.page_action if paged else each.action, each.label or each.name, show=False)
        for each in own
    ]


class Palette(Provider):
    """Provides the registered commands to Textual's command palette."""

    def _entries(self) -> Iterable[tuple[str, Command]]:
        for command in commands(getattr(self.screen, "mode", "")):
            if command.name not in ("command_palette", "leave", "back"):
                yield f"{command.name.replace('_', ' ')}  ({command.keys})", command

    async def discover(self) -> Hits:
        """All commands, before anything is typed."""
        for title, command in self._entries():
            yield DiscoveryHit(title, partial(self._perform, command), help=command.help)

    async def search(self, query: str) -> Hits:
        """The commands whose name or help matches."""
        matcher = self.matcher(query)
        for title, command in self._entries():
            if (score := matcher.match(f"{title} {command.help}")) > 0:
                yield Hit(score, matcher.highlight(title), partial(self._perform, command), help=command.help)

    async def _perform(self, command: Command) -> None:
        screen, app = self.app.screen, self.app
        if command.screens and hasattr(screen, "action_act"):
            await app.run_action(command.page_action, screen)
        else:
            await app.run_action(command.action, screen if command.screens else app)


class PaletteScreen(CommandPalette):
    """Textual's command palette, safe for keys that arrive before it is displayed or after it has closed."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ignore keys for the list before it exists and has a size on the screen."""
        lists = self.query(CommandList)
        there = any(each.scrollable_content_region for each in lists) if action == "command_list" else bool(lists)
        return self.is_mounted and there and super().check_action(action, parameters)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close only once: a second choice in a burst of keys must not close the screen behind the palette."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
