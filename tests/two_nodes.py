"""A sweep on a cluster of two nodes, one of which is stopped: `python -m tests.two_nodes [RUNS] [EPOCHS]`.

Two `ray start` on this machine, with ports of their own and one core each, stand for two machines; the folder of all
runs is not shared. The second node is killed with all its processes once each run under way has finished an epoch. All
runs (4) must then finish all their epochs (10), none of them trained twice, and be bit for bit as trained here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.runs.folder import RunFolder
from engine.training.events import EpochFinished
from tests.kill_and_resume import files, numbers

SMALL = ("--train-size", "640", "--channels", "4", "--hidden", "16", "--device", "cpu", "--threads", "1")


@dataclass
class Outcome:
    """The results of the trial."""

    runs: int
    finished: int
    """Number of runs that finished all epochs."""
    resumed: int
    """Number of runs that lost their node and were resumed on the other."""
    again: int
    """Number of finished epochs that were trained again."""
    identical: int
    """Number of runs whose weights and numbers are those of a run here."""
    code: int
    """Exit code of the sweep."""


def free_port() -> int:
    """A port that nothing uses now."""
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def node(environment: dict[str, str], *arguments: str) -> Iterator[psutil.Process]:
    """A node of a cluster with one core, as a process that ends with it."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *arguments]
    with subprocess.Popen(
        [*command, "--object-store-memory=100000000", "--disable-usage-stats", "--node-ip-address=127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as started:
        process = psutil.Process(started.pid)
        try:
            yield process
        finally:
            kill(process)


def kill(process: psutil.Process) -> None:
    """Kill a process and all that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)


def nodes(address: str, environment: dict[str, str]) -> int:
    """The number of nodes that are alive in the cluster at `address`."""
    code = f"import ray; ray.init({address!r}, logging_level='ERROR'); print(sum(n['Alive'] for n in ray.nodes()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def trial(root: Path, runs: int, epochs: int) -> Outcome:
    """Train `runs` runs of `epochs` epochs on two nodes, and stop one of them."""
    short = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # paths of sockets are short
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = os.environ | own
    address = f"127.0.0.1:{free_port()}"
    options = ("--epochs", str(epochs), *SMALL)
    program = (sys.executable, "-m", "tui.cli", "train", *options, "--seeds", str(runs), "--json")
    try:
        head = ("--head", f"--port={address.partition(':')[2]}", f"--temp-dir={short}", "--include-dashboard=false")
        with node(environment, *head):
            while not nodes(address, environment):
                pass
            with node(environment, f"--address={address}") as second:
                while nodes(address, environment) < 2:
                    pass
                command = [*program, "--on", "ray", "--address", address, "--runs", str(root / "ray")]
                with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as sweep:
                    resumed = _watch(sweep, second)
                code = sweep.returncode
    finally:
        shutil.rmtree(short, ignore_errors=True)
    subprocess.run([*program, "--runs", str(root / "here")], stdout=subprocess.DEVNULL, check=True)
    found, here = _by_seed(root / "ray"), _by_seed(root / "here")
    told = [[e.epoch for e in run.events() if isinstance(e, EpochFinished)] for run in found.values()]
    return Outcome(
        runs=runs,
        finished=sum(run.history().state == "finished" and run.history().epoch == epochs for run in found.values()),
        resumed=resumed,
        again=sum(len(each) - len(set(each)) for each in told),
        identical=sum(
            files(run) == files(here[seed]) and numbers(run) == numbers(here[seed]) for seed, run in found.items()
        ),
        code=code,
    )


def _watch(sweep: subprocess.Popen[bytes], second: psutil.Process) -> int:
    """Kill the node `second` once two runs have finished an epoch; the number of runs that were lost with it."""
    assert sweep.stdout
    done: Counter[str] = Counter()
    resumed, killed = 0, False
    for line in sweep.stdout:
        event = json.loads(line)
        resumed += event["type"] == "RunLost"
        if event["type"] == EpochFinished.__name__:
            done[event["run"]] += 1
            if len(done) >= 2 and not killed:
                kill(second)
                killed = True
    return resumed


def _by_seed(root: Path) -> dict[int, RunFolder]:
    runs = [RunFolder(path) for path in root.iterdir()]
    return {run.read_record().request.seed: run for run in runs}


def main() -> None:
    """Run the trial and print its outcome."""
    given = [int(word) for word in sys.argv[1:]]
    runs, epochs = (*given, *(4, 10)[len(given) :])
    with tempfile.TemporaryDirectory() as root:
        outcome = trial(Path(root), runs, epochs)
    print(
        f"{outcome.runs} runs on two nodes, one of which was stopped: {outcome.resumed} resumed on the other, "
        f"{outcome.finished} finished, {outcome.again} finished epochs lost, {outcome.identical} identical to runs "
        f"trained here, exit code {outcome.code}"
    )


if __name__ == "__main__":
    main()
