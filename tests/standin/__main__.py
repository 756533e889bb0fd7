"""Compare every operation on a device with the CPU. Prints a table; the exit code is 1 if one differs.

python -m tests.standin              on the stand-in
python -m tests.standin --gpu        on the machine's own GPU
python -m tests.standin --rounding   on the stand-in, with rounding that differs from the CPU's
python -m tests.standin --faults 30  on the stand-in, with 30 faults planted one at a time in a copy of the engine
python -m tests.standin --json       for programs: one object, on standard output
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.standin import device
from tests.standin.runs import Findings, everything

if TYPE_CHECKING:
    from tests.standin.faults import Trial


def main(arguments: Sequence[str]) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gpu", action="store_true", help="on the machine's own GPU")
    parser.add_argument("--rounding", action="store_true", help="let the stand-in round otherwise than the CPU")
    parser.add_argument("--faults", type=int, default=0, metavar="N", help="then plant N faults")
    parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")
    asked = parser.parse_args(arguments)
    if not asked.gpu:
        device.take_the_place_of_cuda(device.install())
        device.ROUNDING = asked.rounding
    tried: list[Trial] = []
    if asked.faults:
        from tests.standin.faults import trials

        tried = trials(asked.faults)
    with tempfile.TemporaryDirectory() as folder:
        found = everything(Path(folder))
    if asked.json:
        sys.stdout.buffer.write(msgspec.json.encode({"found": found, "trials": tried}))
        return 0
    _print(found)
    for each in tried:
        print(f"{each.place:40}{each.line}\n{'':40}{each.caught(found) or 'MISSED'}")
    if tried:
        print(f"{sum(bool(each.caught(found)) for each in tried)} of {len(tried)} faults caught")
    return int(any(each.problem for each in found.operations) or any(found.checks.values()))


def _print(found: Findings) -> None:
    for each in found.operations:
        told = each.problem or f"{each.deviation:.1e} of {each.tolerance:.0e}"
        print(f"{each.name:32}{told:22}{each.kernels:7,} kernels{sum(each.waits.values()):5} waits")
    for name, problem in found.checks.items():
        print(f"{name:54}{problem or 'holds'}")
    for name, step in found.steps.items():
        print(f"a training step of {name:35}{step.kernels} kernels")
        print(f"waits {name:48}{step.waits} a chunk, {step.outside} more an epoch")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
