"""Walk randomly through the app and print each failure with the fewest steps that reproduce it.

`python -m tests.walk --keys 30000 --seed N`; `--replay FILE` (or the text itself) repeats the steps that were printed.
The exit code is 1 if anything failed: an exception in the app, a worker or a job of the lab; a step that was not
handled within `--limit` seconds (2, for an otherwise idle machine); a file written or a process affected outside.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.dont_write_bytecode = True

from engine.paths import PRETRAINED  # noqa: E402
from tests.canary import Canary  # noqa: E402
from tests.finder_home import at_home_in  # noqa: E402
from tests.styles import parsed_once  # noqa: E402
from tests.walk.minimise import minimised  # noqa: E402
from tests.walk.play import Failure, Outcome, Start, play  # noqa: E402
from tests.walk.steps import Steps, random_size, size_of  # noqa: E402
from tests.walk.world import few_images, make_world  # noqa: E402

AN_APP = 400
"""Number of keys after which an app is closed and a new one is started."""


class Walker:
    """Runs apps in copies of one world, and keeps statistics."""

    def __init__(self, folder: Path, limit: float) -> None:
        self.world, self.place, self.limit = folder / "world", folder / "place", limit
        make_world(self.world)
        self.canary = Canary(folder, print)
        self.apps = self.keys = 0
        self.slowest = 0.0

    def play(self, start: Start, steps: Sequence[str]) -> Outcome:
        """Run one app through `steps`."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.world, self.place, symlinks=True)
        os.chdir(self.place)
        outcome = asyncio.run(play(start, steps, self.limit, self.canary))
        self.apps += 1
        return outcome

    def walk(self, keys: int, seed: int) -> list[Outcome]:
        """Run apps with random steps until `keys` keys were pressed; returns the outcomes with failures."""
        chance, failed = random.Random(seed), []
        while self.keys < keys:
            start, steps = self._some(chance, min(AN_APP, keys - self.keys))
            outcome = self.play(start, steps)
            self.keys += max(1, outcome.keys)
            self.slowest = max(self.slowest, outcome.slowest)
            if outcome.failures:
                failed.append(outcome)
                print(f"{self.keys:,} keys: {outcome.failures[0].words}", file=sys.stderr, flush=True)
        return failed

    def _some(self, chance: random.Random, keys: int) -> tuple[Start, list[str]]:
        """A start, and steps with about `keys` keys: the same for the same seed, regardless of timing."""
        names = sorted(path.name for path in (self.world / "runs").iterdir() if (path / "request.json").is_file())
        whats = ("", *(f"pretrained:{name}" for name in PRETRAINED), "net.pth", "20260101-000001-cnn")
        what = chance.choice((*whats, chance.choice(names)))
        columns, rows = random_size(chance)
        start = Start(columns, rows, what, chance.random() < 0.5)
        steps: list[str] = []
        endless = iter(Steps(chance, columns, rows))
        while sum(map(size_of, steps)) < keys:
            steps.append(next(endless))
        return start, steps

    def fewest(self, outcome: Outcome, failure: Failure, seconds: float) -> list[str] | None:
        """The fewest steps to this failure that were found in time; None if it cannot be reproduced."""

        def fails(steps: Sequence[str]) -> bool:
            return failure.signature in {each.signature for each in self.play(outcome.start, steps).failures}

        return minimised(outcome.steps, fails, seconds) if fails(outcome.steps) else None


def _told(walker: Walker, failed: Sequence[Outcome], seconds: float) -> None:
    """Print each kind of failure once."""
    kinds: dict[tuple[str, str, str], list[tuple[Outcome, Failure]]] = {}
    for outcome in failed:
        for failure in outcome.failures:
            kinds.setdefault(failure.signature, []).append((outcome, failure))
    for number, seen in enumerate(kinds.values(), 1):
        outcome, failure = min(seen, key=lambda each: len(each[0].steps))
        print(f"\nfailure {number}, seen {len(seen)} times: {failure.kind}: {failure.words}\n  {failure.place}")
        print(*(f"  | {line}" for line in failure.trace.splitlines()[-12:]), sep="\n")
        steps = walker.fewest(outcome, failure, seconds)
        if steps is None:
            print("replay (it did not come again, so this is all that was done):")
        else:
            print(f"replay ({len(steps)} of {len(outcome.steps)} steps):")
        print(outcome.start, *(outcome.steps if steps is None else steps), sep="\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the walk; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--keys", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds for an answer")
    parser.add_argument("--minimise", type=float, default=60.0, help="seconds for each failure")
    parser.add_argument("--replay", default="", help="a file with steps, or the steps; lines, or with ; between them")
    given = parser.parse_args(arguments)
    given_steps = ""
    if given.replay:
        given_steps = (
            Path(given.replay).read_text() if Path(given.replay).is_file() else given.replay.replace("; ", "\n")
        )
    with tempfile.TemporaryDirectory(prefix="walk-") as name, parsed_once():
        folder = Path(name)
        at_home_in(folder)
        few_images()
        walker = Walker(folder, given.limit)
        began = time.monotonic()
        if given_steps:
            first, *steps = filter(None, map(str.strip, given_steps.splitlines()))
            outcome = walker.play(Start.parse(first), steps)
            for failure in outcome.failures:
                print(f"{failure.kind}: {failure.words}\n{failure.trace}")
            print(f"{len(outcome.steps)} steps: {len(outcome.failures)} failures")
            return bool(outcome.failures)
        failed = walker.walk(given.keys, given.seed)
        took = time.monotonic() - began
        _told(walker, failed, given.minimise)
        print(
            f"\n{walker.keys:,} keys with seed {given.seed} in {walker.apps:,} apps, {walker.keys / took:.0f} keys/s, "
            f"the slowest answer after {walker.slowest:.2f} s: {len(failed)} apps with failures"
        )
        os.chdir("/")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
