"""Feed damaged files to the code that reads them: `python -m tests.mutate --count 3000 [--seed N] [--only K]`.

Failures are: an exception other than the program's own one-line errors; death by a signal; more than 2 GB or 10 s; code
that was executed; a file written or a process affected outside; a file accepted wrongly (numbers that are not in the
file, non-finite numbers without a warning, a state that lacks tensors of its network, data other than those bundled). A
mutant is determined by its number and the seed. Failed mutants are kept in `--keep`, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

sys.dont_write_bytecode = True

from tests.canary import Canary  # noqa: E402
from tests.finder_home import at_home_in  # noqa: E402
from tests.mutate import feed, material  # noqa: E402
from tests.mutate.material import MATERIALS, Material, damage  # noqa: E402
from tests.mutate.trial import in_child  # noqa: E402
from tests.walk.world import few_images  # noqa: E402

SECONDS = 10.0
USED = (
    *(
        "engine.runs.comparison",
        "engine.runs.exchange",
        "engine.network.loading",
        "engine.inspection.filters",
        "engine.inspection.layers",
    ),
    *(
        "engine.inspection.predictions",
        "tui.cli.arguments",
        "tui.cli.runner",
        "tui.cli.tables.results",
        "tui.cli.gallery",
    ),
    "torch._dynamo",
)
"""Modules that are imported once instead of in each child process."""
WORDS = ("summary", "evaluate", "export", "import", "runs", "compare", "filters")
"""Commands whose options are parsed once in advance."""


class Mutants:
    """Makes mutants and tries them, in one folder."""

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.whole = folder / "whole"
        if problem := in_child(lambda _: material.make_material(self.whole), 600.0):
            raise RuntimeError(problem)
        torch.set_num_threads(1)  # a fork has no other threads, so work shared with them would never finish
        few_images()
        for module in USED:
            importlib.import_module(module)
        for word in WORDS:
            feed.command(word, "--help")
        self.unharmed = {each.path: feed.unharmed_numbers(each, self.whole) for each in MATERIALS}
        self.canary = Canary(folder, print)
        gc.collect()
        gc.freeze()  # or garbage collection would copy all memory in each child

    def trial(self, number: int) -> tuple[Material, str, str]:
        """The damaged file, how it was damaged, and the failure; empty if there is none."""
        chance = random.Random(f"{self.seed} {number}")
        (chosen,) = chance.choices(MATERIALS, [each.weight for each in MATERIALS])
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.whole, place)
        os.chdir(place)
        how = damage(chosen, place, chance)
        return chosen, how, in_child(partial(self._fed, chosen, place), self.seconds)

    def unharmed_trial(self, chosen: Material) -> str:
        """The failure with an undamaged file, which should be empty."""
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.whole, place)
        os.chdir(place)
        return in_child(partial(self._fed, chosen, place, wanted=True), 10 * self.seconds)

    def _fed(self, chosen: Material, place: Path, tell: Callable[[str], None], *, wanted: bool = False) -> None:
        self.canary.tell, self.canary.awake = tell, True
        if not feed.feed(chosen, place, self.unharmed[chosen.path]) and wanted:
            tell("it is not taken")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutation test; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, default=None, help="one mutant by its number")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for a mutant")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for those that failed")
    given = parser.parse_args(arguments)
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="mutate-") as name:
        folder = Path(name)
        at_home_in(folder)
        mutants = Mutants(folder, given.seed, given.seconds)
        for each in MATERIALS:
            if problem := mutants.unharmed_trial(each):
                kinds[f"{each.path}, unharmed: {problem.splitlines()[0]}"] += 1
                print(f"{each.path}, unharmed: {problem}", flush=True)
        began = time.monotonic()
        numbers = range(given.count) if given.only is None else [given.only]
        for number in numbers:
            chosen, how, problem = mutants.trial(number)
            if problem:
                kinds[problem.splitlines()[0]] += 1
                first = kinds[problem.splitlines()[0]] == 1
                print(
                    f"mutant {number}, {chosen.path}, {how}: {problem if first else problem.splitlines()[0]}",
                    flush=True,
                )
                if given.keep:
                    target = given.keep / f"{given.seed}-{number}"
                    shutil.copytree(folder / "place", target, symlinks=True, dirs_exist_ok=True, ignore=_no_devices)
        took = time.monotonic() - began
        os.chdir("/")
    print(f"{len(numbers):,} mutants with seed {given.seed} in {took:.0f} s: {kinds.total():,} bad")
    for words, count in kinds.most_common():
        print(f"{count:6,}  {words}")
    return bool(kinds)


def _no_devices(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not (Path(folder) / name).is_file() and not (Path(folder) / name).is_dir()]


if __name__ == "__main__":
    sys.exit(main())
