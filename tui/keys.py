"""The only registry of commands: key bindings, key bar, help, palette and the README's table are derived from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

import msgspec
from textual.binding import Binding, BindingType

Group = Literal["work", "drawing", "look", "page", "choose", "keep", "go", "program"]
"""What a command is for, in the order of the help."""
GROUPS: dict[Group, str] = {
    "work": "run and stop",
    "drawing": "draw",
    "look": "look closer",
    "page": "pages and settings",
    "choose": "choose what is shown",
    "keep": "keep and change files",
    "go": "go to a screen",
    "program": "the program",
}
Effect = Literal["", "saves", "writes", "changes"]
"""What a command does: look, save a picture, train or write other files, or change or remove those of a run."""


class Command(msgspec.Struct, frozen=True):
    """A command bound to a key; its handler is `action_NAME` of the page in front, of its screen, or of the app."""

    key: str
    """Textual's names of its keys, with commas between them; the first one is shown on the key bar. Empty for none."""
    name: str
    """The suffix of the handler's name, and the title in the palette."""
    label: str
    """The label on the key bar; empty to leave the key out there."""
    help: str
    """One line: an imperative verb phrase."""
    screens: tuple[str, ...] = ()
    """The screens it belongs to; empty for all."""
    pages: tuple[str, ...] = ()
    """On a screen with pages, the pages it belongs to; empty for all."""
    group: Group = "look"
    effect: Effect = ""
    does: str = ""
    """The action in Textual's syntax; empty if it is the name."""

    @property
    def keys(self) -> str:
        """Its first key as shown to the user."""
        return shown_key(self.key.split(",")[0])

    @property
    def all_keys(self) -> str:
        """All its keys as shown to the user."""
        return ", ".join(map(shown_key, self.key.split(",")))

    @property
    def title(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")

    @property
    def only_looks(self) -> bool:
        """Whether it neither trains nor changes files. A picture counts as looking: it can be handed to a browser."""
        return self.effect in ("", "saves")

    def action_on(self, screen: str) -> str:
        """The action in Textual's syntax; a screen passes those of its own to the page in front."""
        return f"act({self.name!r})" if screen else self.does or self.name

    @property
    def bound(self) -> tuple[str, ...]:
        """Textual's names of its keys."""
        return tuple(filter(None, self.key.split(",")))

    def on_page(self, page: str) -> bool:
        """Whether it belongs to a page of its screens."""
        return not self.pages or page in self.pages


_SHOWN = {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "comma": ",",
    "full_stop": ".",
    "slash": "/",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
    "question_mark": "?",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "escape": "esc",
    "shift+tab": "shift-tab",
    "shift+down": "shift-down",
    "shift+up": "shift-up",
    "shift+left": "shift-left",
    "shift+right": "shift-right",
}


def shown_key(key: str) -> str:
    """A key as shown to the user, from Textual's name for it."""
    return _SHOWN.get(key, key.upper() if key[:1] == "f" and key[1:].isdigit() else key.replace("ctrl+", "^"))


TRAIN, MODEL, DIGITS, FILTERS, ACTIVATIONS, OCCLUSION, ATTACKS, RUNS, DRAW = (
    "train",
    "model",
    "digits",
    "filters",
    "activations",
    "occlusion",
    "attacks",
    "runs",
    "draw",
)
PICTURES = (DIGITS, FILTERS, ACTIVATIONS, OCCLUSION, ATTACKS)
"""Screens that draw pictures."""
DIGITWISE = (ACTIVATIONS, OCCLUSION, ATTACKS)
"""Screens about one digit."""
LAYERWISE = (FILTERS, ACTIVATIONS)
PAGES: dict[str, tuple[str, ...]] = {
    TRAIN: ("curves", "rates", "insides", "learned"),
    DIGITS: ("digits", "matrix", "audit", "map"),
    FILTERS: ("conv1", "conv2", "pictures", "unit"),
    ACTIVATIONS: ("conv1", "conv2"),
    OCCLUSION: ("occlusion", "methods", "trust"),
    ATTACKS: ("attack", "curve", "beta", "transfer", "universal", "corruptions"),
    RUNS: ("list", "compare", "devices"),
}
"""The pages of each screen that has several."""
PAGED = tuple(PAGES)
CONVOLUTIONS = ("conv1", "conv2")
UNITS = ("pictures", "unit")
"""Pages about what units look for."""
BY_EPOCH = ("curves", "learned")
ABOUT_A_RUN = (*BY_EPOCH, "rates")
"""Pages of the train screen with charts that can be read and enlarged."""
MAPS = ("occlusion", "methods")
EXPLAINING = (*MAPS, "trust")
"""Pages with maps; all pages of the occlusion screen."""
DRAWN = (
    *("digits", "matrix", "audit", "map", *CONVOLUTIONS, *UNITS, *MAPS),
    *("attack", "universal", "corruptions"),
)
"""All pages with pictures."""
ONE_DIGIT = ("conv1", "conv2", *EXPLAINING, "attack", "corruptions")
"""Pages about a digit."""
CHARTED, CHARTS = (ATTACKS, RUNS), ("attack", "curve", "compare")
"""Screens, and their pages, with charts that can be enlarged."""

STARTS_QUEUE = "train what waits in the queue, also from an earlier session; again: hold it after this run"

COMMANDS = (
    # Work.
    Command("r", "run", "run", "train the experiment in the form, in a new run folder", (TRAIN,), (), "work", "writes"),
    Command("r", "run", "run", "run or restart it", (ATTACKS,), (), "work"),
    Command("space", "pause", "pause", "pause or resume the run", (TRAIN,), (), "work"),
    Command(
        "f",
        "find_rate",
        "find",
        "try learning rates from low to high on the experiment in the form; again: stop",
        (TRAIN,),
        ("rates",),
        "work",
        "writes",
    ),
    Command("space", "pause", "pause", "pause or resume the attack", (ATTACKS,), ("attack",), "work"),
    Command(
        "x", "stop", "stop", "stop the run and keep the weights of its last epoch", (TRAIN,), (), "work", "changes"
    ),
    Command("x", "stop", "stop", "stop averaging over many digits", (OCCLUSION,), (), "work"),
    Command("x", "stop", "stop", "stop it and keep what it has done", (ATTACKS,), (), "work"),
    # What is under the cursor.
    Command("enter", "open", "open", "open this run on all screens", (RUNS,), ("list",), "look"),
    Command("space", "mark", "mark", "mark or unmark this run for comparison", (RUNS,), ("list",), "choose"),
    Command("enter", "use_rate", "use it", "put the suggested rate into the form", (TRAIN,), ("rates",), "choose"),
    Command("enter", "zoom", "current", "make this digit the current one", (TRAIN,), ("learned",), "look"),
    Command("enter", "open_layer", "filters", "show the filters of this convolution", (MODEL,), (), "look"),
    Command("enter", "zoom", "zoom", "enlarge the digit", (DIGITS,), ("digits",), "look"),
    Command("enter", "zoom", "show", "show the digits that are counted here", (DIGITS,), ("matrix",), "look"),
    Command("enter", "zoom", "current", "make this digit the current one", (DIGITS,), ("audit", "map"), "look"),
    Command("enter", "zoom", "zoom", "enlarge the filter; once more: its unit", (FILTERS,), CONVOLUTIONS, "look"),
    Command("enter", "zoom", "unit", "show what is known of this unit", (FILTERS,), ("pictures",), "look"),
    Command("enter", "zoom", "map", "show its map for the current digit", (FILTERS,), ("unit",), "look"),
    Command("enter", "zoom", "zoom", "enlarge the map; once more: its unit", (ACTIVATIONS,), (), "look"),
    Command(
        "enter", "zoom", "zoom", "enlarge the selection", (OCCLUSION, ATTACKS), (*MAPS, "attack", "corruptions"), "look"
    ),
    # The drawing.
    Command("space", "pen", "pen", "lower the pen, so that moving it draws, or lift it", (DRAW,), (), "drawing"),
    Command("plus", "wider", "wider", "draw with a wider pen", (DRAW,), (), "drawing"),
    Command("minus", "thinner", "thinner", "draw with a thinner pen", (DRAW,), (), "drawing"),
    Command(
        "u", "undo", "undo", "take back the last stroke, shift, rotation, scaling or clearing", (DRAW,), (), "drawing"
    ),
    Command("delete,backspace", "delete", "clear", "clear the drawing", (DRAW,), (), "drawing"),
    Command("i", "begin", "digit", "begin with the current digit of the data set", (DRAW,), (), "drawing"),
    Command("shift+left", "shift_left", "", "shift the drawing to the left", (DRAW,), (), "drawing"),
    Command("shift+right", "shift_right", "", "shift the drawing to the right", (DRAW,), (), "drawing"),
    Command("shift+up", "shift_up", "", "shift the drawing up", (DRAW,), (), "drawing"),
    Command("shift+down", "shift_down", "", "shift the drawing down", (DRAW,), (), "drawing"),
    Command(
        "greater_than_sign", "rotate", "rotate", "rotate the drawing by 15 degrees, clockwise", (DRAW,), (), "drawing"
    ),
    Command("less_than_sign", "rotate_back", "", "rotate it by 15 degrees, anticlockwise", (DRAW,), (), "drawing"),
    Command("z", "larger", "larger", "make the drawing a tenth larger", (DRAW,), (), "drawing"),
    Command("Z", "smaller", "", "make the drawing a tenth smaller", (DRAW,), (), "drawing"),
    Command(
        "enter",
        "make_current",
        "current",
        "keep the drawing, and make it the current digit of Activations, Occlusion and Attacks",
        (DRAW,),
        (),
        "keep",
        "writes",
    ),
    Command("w", "keep", "keep", "keep the drawing as a digit of the data set drawings", (DRAW,), (), "keep", "writes"),
    Command("f", "next_baseline", "fill", "fill the patch with black, or with white", (DRAW,), (), "choose"),
    Command(
        "m",
        "centring",
        "centring",
        "scale and centre the drawing by its mass, as MNIST was, or leave it as drawn",
        (DRAW,),
        (),
        "choose",
    ),
    # Pages and settings.
    Command("tab", "next_page", "page", "go to the next page", PAGED, (), "page"),
    Command("shift+tab", "previous_page", "", "go to the previous page", PAGED, (), "page"),
    Command("s", "settings", "settings", "go to the form, or to its next field", (TRAIN,), ("curves",), "page"),
    Command(
        "s",
        "settings",
        "settings",
        "go to the settings, or to the next of them",
        PAGED,
        (
            *("digits", "map", *CONVOLUTIONS, *UNITS, *EXPLAINING),
            *("attack", "curve", "beta", "transfer", "universal"),
            *("corruptions", "compare", "devices", "rates", "insides", "learned"),
        ),
        "page",
    ),
    Command("escape", "leave", "", "leave the form, or go back to the curves", (TRAIN,), (), "page"),
    Command("escape", "back", "", "go back from the enlarged selection, or to the first page", PICTURES, (), "page"),
    Command("escape", "back", "", "go back to the list; there, remove the filter, then all marks", (RUNS,), (), "page"),
    Command("escape", "back", "", "lift the pen", (DRAW,), (), "page"),
    # Settings with a key of their own.
    Command(
        "y",
        "log_axis",
        "log",
        "switch the loss axis between logarithmic and linear",
        (TRAIN,),
        ("curves",),
        "choose",
    ),
    Command(
        "m",
        "mistakes",
        "mistakes",
        "show only misclassified digits, the most confident first",
        (DIGITS,),
        ("digits",),
        "choose",
    ),
    Command("a", "another", "others", "show other random digits", (DIGITS,), ("digits",), "choose"),
    Command("w", "next_class", "class", "show only the next class", (DIGITS,), ("digits",), "choose"),
    Command("W", "previous_class", "", "show only the previous class", (DIGITS,), ("digits",), "choose"),
    Command("m", "next_mistake", "mistake", "go to the next mistake", (DIGITS,), ("map",), "look"),
    Command("w", "next_class", "class", "let the next class stand out", (DIGITS,), ("map",), "choose"),
    Command("W", "previous_class", "", "let the previous class stand out", (DIGITS,), ("map",), "choose"),
    Command("p", "larger_patch", "patch", "make the patch one pixel larger", (OCCLUSION,), (), "choose"),
    Command("P", "smaller_patch", "", "make the patch one pixel smaller", (OCCLUSION,), (), "choose"),
    Command(
        "f",
        "next_baseline",
        "fill",
        "fill the patch with 0, the image's mean, 1, noise, or a gray",
        (OCCLUSION,),
        (),
        "choose",
    ),
    Command("w", "next_class", "class", "watch the next class: true, predicted, 0 to 9", (OCCLUSION,), (), "choose"),
    Command("W", "previous_class", "", "watch the previous class", (OCCLUSION,), (), "choose"),
    Command(
        "b",
        "other_map",
        "other map",
        "switch the second map between the predicted class and the drop",
        (OCCLUSION,),
        ("occlusion",),
        "choose",
    ),
    Command(
        "b", "other_map", "Grad-CAM", "switch Grad-CAM to the other convolution", (OCCLUSION,), ("methods",), "choose"
    ),
    Command("m", "minimum", "lowest", "go to the lowest probability", (OCCLUSION,), ("occlusion",), "choose"),
    Command(
        "a",
        "average",
        "mean",
        "average over many digits, or show this one",
        (OCCLUSION,),
        ("occlusion", "trust"),
        "choose",
    ),
    Command("a", "next_attack", "attack", "choose the next attack", (ATTACKS,), ("attack",), "choose"),
    Command("A", "previous_attack", "", "choose the previous attack", (ATTACKS,), ("attack",), "choose"),
    Command("w", "next_class", "class", "choose the next target class: any other, 0 to 9", (ATTACKS,), (), "choose"),
    Command("W", "previous_class", "", "choose the previous target class", (ATTACKS,), (), "choose"),
    Command("y", "measure", "curve", "compare another curve: losses, accuracies", (RUNS,), ("compare",), "choose"),
    Command("b", "beside", "beside", "show another network's filters beside these", (FILTERS,), ("conv1",), "choose"),
    Command("b", "next_layer", "layer", "show the pictures of the next layer", (FILTERS,), ("pictures",), "choose"),
    Command(
        "y",
        "measure",
        "values",
        "show the next of weights, gradients and activations",
        (TRAIN,),
        ("insides",),
        "choose",
    ),
    # Time.
    Command("left_square_bracket", "earlier", "earlier", "go one epoch back", (FILTERS,), CONVOLUTIONS, "look"),
    Command("left_square_bracket", "earlier", "earlier", "go one epoch back", (TRAIN,), ("insides",), "look"),
    Command(
        "right_square_bracket",
        "later",
        "later",
        "go one epoch forward; the last one follows the run",
        (TRAIN,),
        ("insides",),
        "look",
    ),
    Command(
        "right_square_bracket",
        "later",
        "later",
        "go one epoch forward; the last one follows the run",
        (FILTERS,),
        CONVOLUTIONS,
        "look",
    ),
    Command("left_square_bracket", "earlier", "earlier", "go one epoch back", (DIGITS,), ("map",), "look"),
    Command(
        "right_square_bracket",
        "later",
        "later",
        "go one epoch forward; the last one follows the run",
        (DIGITS,),
        ("map",),
        "look",
    ),
    Command("left_square_bracket", "earlier", "earlier", "go one step back", (ATTACKS,), ("attack",), "look"),
    Command(
        "right_square_bracket",
        "later",
        "later",
        "go one step forward; while paused, take a step",
        (ATTACKS,),
        ("attack",),
        "look",
    ),
    Command("left_square_bracket", "earlier", "", "read the curves one epoch earlier", (TRAIN,), BY_EPOCH, "look"),
    Command("right_square_bracket", "later", "", "read the curves one epoch later", (TRAIN,), BY_EPOCH, "look"),
    Command("left_square_bracket", "earlier", "", "read the loss at the next lower rate", (TRAIN,), ("rates",), "look"),
    Command("right_square_bracket", "later", "", "read the loss at the next higher rate", (TRAIN,), ("rates",), "look"),
    Command("left_square_bracket", "earlier", "", "read the curves one epoch earlier", (RUNS,), ("compare",), "look"),
    Command("right_square_bracket", "later", "", "read the curves one epoch later", (RUNS,), ("compare",), "look"),
    # Digits.
    Command("comma", "previous_digit", "previous", "go to the previous digit", DIGITWISE, ONE_DIGIT, "look"),
    Command("full_stop", "next_digit", "next", "go to the next digit", DIGITWISE, ONE_DIGIT, "look"),
    Command("comma", "previous_digit", "", "go to the previous digit", (DIGITS,), ("digits",), "look"),
    Command("full_stop", "next_digit", "", "go to the next digit", (DIGITS,), ("digits",), "look"),
    Command("slash,i", "digit", "find", "go to a digit by its number, in any split", DIGITWISE, ONE_DIGIT, "look"),
    # Runs.
    Command("slash", "filter", "filter", "list only the runs with these words", (RUNS,), ("list",), "choose"),
    Command("o", "order", "order", "sort by the next column", (RUNS,), ("list",), "choose"),
    Command("O", "reverse", "", "reverse the order", (RUNS,), ("list",), "choose"),
    Command("R", "resume", "resume", "resume this run", (RUNS,), ("list",), "work", "changes"),
    Command("x", "stop", "stop", "stop this run, even one that another process trains", (RUNS,), (), "work", "changes"),
    Command("X", "stop_sweep", "stop all", "stop all runs on Ray", (RUNS,), ("list",), "work", "changes"),
    Command(
        "N",
        "note",
        "note",
        "edit this run's note; words that begin with # are tags",
        (RUNS,),
        ("list",),
        "keep",
        "changes",
    ),
    Command(
        "D,delete",
        "delete",
        "delete",
        "move to the trash folder, or remove from the queue",
        (RUNS,),
        ("list",),
        "keep",
        "changes",
    ),
    Command("u", "undo", "undo", "restore the last deleted run", (RUNS,), ("list",), "keep", "changes"),
    Command("M,f2", "rename", "rename", "rename this run", (RUNS,), ("list",), "keep", "changes"),
    Command("C", "duplicate", "copy", "copy this experiment into the form on screen 1", (RUNS,), ("list",), "keep"),
    Command("K,shift+up", "earlier_turn", "earlier", "move up in the queue", (RUNS,), ("list",), "choose"),
    Command("J,shift+down", "later_turn", "", "move down in the queue", (RUNS,), ("list",), "choose"),
    # How things are drawn.
    Command(
        "o", "order", "order", "sort: random, mistakes, least or most certain first", (DIGITS,), ("digits",), "choose"
    ),
    Command(
        "o",
        "order",
        "order",
        "show digits most forgotten, last learned, or never right",
        (TRAIN,),
        ("learned",),
        "choose",
    ),
    Command("o", "order", "order", "sort by number, or the strongest first", LAYERWISE, CONVOLUTIONS, "choose"),
    Command(
        "n",
        "range",
        "range",
        "use one value range for all pictures, or one each",
        (*LAYERWISE, OCCLUSION),
        ("conv1", "conv2", *MAPS),
        "choose",
    ),
    Command(
        "c",
        "colours",
        "colours",
        "change the colour map: gray, viridis, diverging around zero",
        PICTURES[:-1],
        ("digits", "matrix", "conv1", "conv2", *MAPS),
        "choose",
    ),
    Command(
        "c", "colours", "colours", "change the colour map: gray, viridis, diverging around zero", (DRAW,), (), "choose"
    ),
    Command(
        "v",
        "view",
        "view",
        "draw in 24-bit colour, 256 colours, without colour, or in real pixels",
        PICTURES,
        DRAWN,
        "choose",
    ),
    Command(
        "v",
        "view",
        "view",
        "draw in 24-bit colour, 256 colours, without colour, or in real pixels",
        (DRAW,),
        (),
        "choose",
    ),
    Command("v", "view", "details", "show or hide the details of this run", (RUNS,), ("list",), "choose"),
    Command("plus", "zoom_in", "", "halve the horizontal axis, around the cursor", (TRAIN,), ABOUT_A_RUN, "look"),
    Command("minus", "zoom_out", "", "show twice as much of the horizontal axis", (TRAIN,), ABOUT_A_RUN, "look"),
    Command("0", "zoom_reset", "", "show the whole curves, and their latest values", (TRAIN,), ABOUT_A_RUN, "look"),
    Command("plus", "zoom_in", "", "show half of both axes, around the cursor", (DIGITS,), ("map",), "look"),
    Command("minus", "zoom_out", "", "show twice as much of both axes", (DIGITS,), ("map",), "look"),
    Command("0", "zoom_reset", "", "show the whole map", (DIGITS,), ("map",), "look"),
    Command("plus", "zoom_in", "", "halve the horizontal axis, around the cursor", CHARTED, CHARTS, "look"),
    Command("minus", "zoom_out", "", "show twice as much of the horizontal axis", CHARTED, CHARTS, "look"),
    Command("0", "zoom_reset", "", "show the whole horizontal axis", CHARTED, CHARTS, "look"),
    # The rest.
    Command(
        "Q", "queue", "queue", "add this experiment, or a sweep over it, to the queue", (TRAIN,), (), "work", "writes"
    ),
    Command(
        "G",
        "start_queue",
        "",
        STARTS_QUEUE,
        (TRAIN,),
        (),
        "work",
        "writes",
    ),
    Command(
        "G",
        "start_queue",
        "",
        STARTS_QUEUE,
        (RUNS,),
        ("list",),
        "work",
        "writes",
    ),
    Command(
        "R",
        "resume",
        "resume",
        "resume the run that was stopped or whose process died",
        (TRAIN,),
        (),
        "work",
        "changes",
    ),
    Command(
        "e",
        "export",
        "png",
        "export the figure as a PNG and copy its path",
        (TRAIN, MODEL, *PICTURES, RUNS, DRAW),
        (),
        "keep",
        "saves",
    ),
    Command("E", "export_second", "matrix png", "export the confusion matrix as a PNG", (DIGITS,), (), "keep", "saves"),
    Command(
        "E",
        "export_second",
        "report",
        "write a report on the marked runs, or on this one",
        (RUNS,),
        (),
        "keep",
        "writes",
    ),
    Command("1", "train", "", "go to Train", does="switch_mode('train')", group="go"),
    Command("2", "model", "", "go to Model: layers, shapes, parameters", does="switch_mode('model')", group="go"),
    Command("3", "digits", "", "go to Digits: predictions and mistakes", does="switch_mode('digits')", group="go"),
    Command(
        "4", "filters", "", "go to Filters: the kernels of both convolutions", does="switch_mode('filters')", group="go"
    ),
    Command(
        "5",
        "activations",
        "",
        "go to Activations: the feature maps of a digit",
        does="switch_mode('activations')",
        group="go",
    ),
    Command(
        "6",
        "occlusion",
        "",
        "go to Occlusion: why the network predicts it",
        does="switch_mode('occlusion')",
        group="go",
    ),
    Command(
        "7", "attacks", "", "go to Attacks: how easily the network is fooled", does="switch_mode('attacks')", group="go"
    ),
    Command("8", "runs", "", "go to Runs: all runs and the queue", does="switch_mode('runs')", group="go"),
    Command("9", "draw", "", "go to Draw: the network reads your drawing", does="switch_mode('draw')", group="go"),
    Command(
        "S",
        "screenshot",
        "",
        "save the screen as a picture, SVG and PNG",
        does="screen.screenshot",
        group="keep",
        effect="saves",
    ),
    Command("L", "lessons", "", "walk through a lesson; in a lesson: leave it", group="program"),
    Command("right_parenthesis", "next_step", "", "go to the next step of the lesson", group="program"),
    Command("left_parenthesis", "previous_step", "", "go to the previous step of the lesson", group="program"),
    Command("t", "theme", "", "switch between the light and the dark theme", group="program"),
    Command("ctrl+p", "command_palette", "palette", "find an action, a screen, a run or a digit", group="program"),
    Command("q", "quit", "quit", "quit (asks while a run is under way)", group="program"),
    Command("question_mark", "help", "help", "show every key of this screen", does="screen.help", group="program"),
)

MOVES = {
    TRAIN: (
        ("up, down, jk", "scroll the table, choose a layer, or move between fields or digits"),
        ("left, right, hl", "read the curves at another place, change the field, or move between digits"),
    ),
    MODEL: (("up, down, jk", "move the cursor"),),
    RUNS: (
        ("arrows, hjkl", "move the cursor; read the curves at another epoch"),
        ("page up, home", "move it far; page down and end too"),
    ),
    DRAW: (
        ("arrows, hjkl", "move the pen by a pixel"),
        ("page up, home", "move it by a quarter, or to the left edge; page down and end too"),
    ),
} | dict.fromkeys(
    PICTURES,
    (
        ("arrows, hjkl", "move the cursor, or change the setting"),
        ("page up, home", "move it far; page down and end too"),
    ),
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
    ("9", "Draw", DRAW),
)
"""Key, title and mode of each screen, as in the tab bar."""
SHORT_TITLES = {ACTIVATIONS: "Maps"}
"""Titles for terminals in which the tab bar has no room for the full ones."""


def commands(screen: str, registry: Sequence[Command] = COMMANDS, *, looking: bool = False) -> tuple[Command, ...]:
    """The commands of a screen, in the order of use: its own, then those of the app; if `looking`, those that look."""
    own = [command for command in registry if screen in command.screens]
    found = (*own, *(command for command in registry if not command.screens))
    return tuple(command for command in found if command.only_looks) if looking else found


def bindings(screen: str = "", registry: Sequence[Command] = COMMANDS) -> list[BindingType]:
    """The bindings of `screen`, or of the app if it is empty; hidden, since the program has its own key bar.

    Several commands of a screen may share a key: it is bound once, and the screen finds the command of its page.
    """
    if screen:
        own = [each for each in registry if screen in each.screens]
        found = {(key, f"press({key!r})"): each.title for each in own for key in each.bound}
    else:
        found = {(key, each.action_on("")): each.title for each in registry if not each.screens for key in each.bound}
    return [Binding(key, action, title, show=False) for (key, action), title in found.items()]


def grouped(found: Iterable[Command]) -> Iterator[tuple[str, list[Command]]]:
    """Commands by what they are for, each group with its title; groups without commands are left out."""
    found = list(found)
    for group in get_args(Group):
        if own := [command for command in found if command.group == group]:
            yield GROUPS[group], own
