"""The driver of a sweep on Ray: orders and parcels on one side, run folders and events on the other."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from msgspec.structs import replace

from engine.cluster.events import (
    ClusterStarted,
    Outcome,
    RunLost,
    RunOutcome,
    RunPlaced,
    RunRefused,
    RunState,
    RunTold,
    SweepAdvanced,
    SweepEnded,
)
from engine.cluster.machines import Cluster, joined
from engine.cluster.messages import Lost, Order, Parcel
from engine.cluster.mirror import Mirror
from engine.cluster.requests import TrainOnRay
from engine.cluster.shares import share, wants_gpu
from engine.event import Cancelled, Event, Progress
from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.runs.processes import claimed
from engine.training.events import EpochFinished, RunFailed, RunStarted
from engine.training.requests import Train

TICK = 0.25
"""Seconds that the driver waits for parcels at a time."""
MOST_LOSSES = 5
"""How many workers in a row may die without finishing an epoch of a run before it counts as failed."""
RELEASE = 10.0
"""Seconds within which the lock of a dead worker is released."""


def train_on_ray(request: TrainOnRay, root: Path) -> Generator[Event, None, None]:
    """Train the runs of `request` on Ray; their folders come under `root`.

    ClusterStarted, then RunTold for each event of a run, with SweepAdvanced in between, and SweepEnded last; of a
    cluster that was joined, also DevicesSampled of each machine that trains. A run whose worker dies is resumed
    elsewhere from its last finished epoch, after RunLost; one that fails does not end the others. Where Cancelled is
    thrown in, all runs are stopped with everything needed to resume them on disk. Raises RequestError where Ray is not
    installed or does not answer.
    """
    with joined(request.address) as cluster:
        sweep = Sweep(request, root.absolute(), cluster)
        yield from sweep.events(begun(cluster, request.address, sweep.direct))


def begun(cluster: Cluster, address: str, direct: bool) -> ClusterStarted:
    """That the cluster has been joined, or started; `direct` is as in the event."""
    return ClusterStarted(
        machines=len(cluster.machines),
        cores=cluster.cores,
        gpus=cluster.gpus,
        address=address,
        direct=direct,
        seconds=cluster.seconds,
    )


class _Run:
    """A run of the sweep."""

    def __init__(self, number: int, request: Train) -> None:
        self.number, self.request = number, request
        self.name = ""
        """Of its folder; empty before it has one."""
        self.history = RunHistory(request=request)
        self.mirror: Mirror | None = None
        """Its folder, where this process writes it."""
        self.outcome: Outcome | None = None
        """None as long as it has not ended."""
        self.reason = ""
        self.seconds = 0.0
        self.losses = 0
        self.in_a_row = 0
        """How many workers have died since an epoch was finished."""
        self.under_way = False
        self.stop_asked = False

    @property
    def told(self) -> RunOutcome:
        """Its line in the table at the end."""
        best = self.history.best
        return RunOutcome(
            number=self.number,
            seed=self.request.seed,
            run=self.name,
            outcome=self.outcome or "stopped",
            reason=self.reason,
            epochs=self.history.epoch,
            val_loss=best.val_loss if best else None,
            test_accuracy=best.test_accuracy if best else None,
            robust_accuracy=best.robust_accuracy if best else None,
            certified_accuracy=best.certified_accuracy if best else None,
            seconds=self.seconds,
            losses=self.losses,
        )


class Sweep:
    """The runs, and what has become of them."""

    def __init__(
        self,
        request: TrainOnRay,
        root: Path,
        cluster: Cluster,
        started: Callable[[RunFolder], None] = lambda _: None,
    ) -> None:
        """`started` is called with the folder of each run that begins."""
        self.root, self.cluster, self.address, self.parallel = root, cluster, request.address, request.parallel
        self.started = started
        self.direct = request.shared or not request.address
        """Whether the workers write to the folder of all runs themselves."""
        self.watch = bool(request.address)
        """Whether the workers tell how busy their machines are: this one is watched anyway."""
        self.name = secrets.token_hex(8)
        self.runs = [_Run(number, each) for number, each in enumerate(request.runs)]
        self.gpu_share: float | None = None
        """The share of a GPU's memory that a run takes; None until it is measured."""
        self.measured: _Run | None = None
        """The run on which that is measured."""
        self.unsent = list(self.runs)
        """Runs that Ray does not know of yet: because of `parallel`, or until it is known how many fit on a GPU."""
        self.began = time.perf_counter()

    def events(self, *first: Event) -> Iterator[Event]:
        """The events of the sweep: `first`, those of its runs, and SweepEnded."""
        try:
            try:
                yield from first
                self._submit_first()
                while self._open:
                    yield from self._round()
                    yield self._advanced()
            except Cancelled:
                self._stop()
                while self._open:
                    yield from self._round()
            except BaseException:
                self._stop()
                raise
        finally:
            for run in self.runs:
                self._release(run)
            self.cluster.hub.forget(self.name)
        yield SweepEnded(runs=tuple(run.told for run in self.runs), seconds=time.perf_counter() - self.began)

    @property
    def _open(self) -> list[_Run]:
        return [run for run in self.runs if run.outcome is None]

    # Orders

    def _submit_first(self) -> None:
        """Submit all runs, or `parallel`. Without it, of those on a GPU only the largest: it shows how many fit."""
        on_gpu = [run for run in self.runs if wants_gpu(run.request, self.cluster.machines)]
        if self.parallel or not on_gpu:
            self._submit_rest()
            return
        self.measured = max(on_gpu, key=lambda run: _size(run.request))
        self.unsent = [run for run in on_gpu if run is not self.measured]
        for run in self.runs:
            if run not in self.unsent:
                self._submit(run)

    def _submit_rest(self) -> None:
        """Submit runs that Ray does not know of yet: all, or as many as make it `parallel` at once."""
        room = self.parallel - len(self._open) + len(self.unsent) if self.parallel else len(self.unsent)
        sent, self.unsent = self.unsent[:room], self.unsent[room:]
        for run in sent:
            self._submit(run)

    def _submit(self, run: _Run) -> None:
        given = share(run.request, self.cluster.machines, self.parallel, self.gpu_share)
        order = Order(
            number=run.number,
            sweep=self.name,
            request=run.request,
            threads=given.threads,
            root=str(self.root) if self.direct else "",
            resume=run.name,
            files=run.mirror.packed() if run.mirror else {},
            measure=run is self.measured and self.gpu_share is None,
            watch=self.watch,
        )
        self.cluster.hub.submit(order, given)

    def _stop(self) -> None:
        for run in self.unsent:
            run.outcome = "stopped"
        self.unsent = []
        self.cluster.hub.stop(self.name)
        for run in self._open:
            run.stop_asked = True
            if not run.under_way:  # Ray may never find room for it
                run.outcome = "stopped"
                self.cluster.hub.cancel(run.number)

    # Parcels

    def _round(self) -> Iterator[Event]:
        for number, parcel in self.cluster.hub.take(TICK):
            run = self.runs[number]
            if run.outcome is None:
                yield from self._lost(run, parcel) if isinstance(parcel, Lost) else self._taken(run, parcel)
        for run in self._open:
            if run.mirror and run.mirror.asked_to_stop and not run.stop_asked:
                run.stop_asked = True
                self.cluster.hub.stop(self.name, run.number)

    def _taken(self, run: _Run, parcel: Parcel) -> Iterator[Event]:
        if parcel.process:
            run.under_way = True
            yield RunPlaced(number=run.number, run=run.name, machine=parcel.machine, process=parcel.process)
        if parcel.sample:
            yield parcel.sample
        if parcel.gpu_share is not None:
            self.gpu_share = parcel.gpu_share
            self._submit_rest()
        try:
            events = self._written(run, parcel)
        except (OSError, RequestError) as error:
            why = getattr(error, "strerror", None) or error
            run.outcome, run.reason = "failed", f"cannot write its folder under {self.root} ({why})"
            self.cluster.hub.stop(self.name, run.number)
            yield RunRefused(number=run.number, run=run.name, reason=run.reason, bad_request=False)
            self._go_on(run)
            return
        for event in events:
            run.history.add(event)
            if not isinstance(event, Progress):
                yield RunTold(number=run.number, run=run.name, event=event)
        if parcel.seconds is not None:
            run.seconds += parcel.seconds
            yield from self._ended(run, parcel)

    def _written(self, run: _Run, parcel: Parcel) -> list[Event]:
        """The events of a parcel, with the name of the run's folder here, after they are on disk."""
        for event in parcel.events:
            if isinstance(event, RunStarted) and not run.name:
                if self.direct:
                    run.name = event.run
                else:
                    run.mirror = Mirror.create(self.root, run.request.variant)
                    run.name = run.mirror.folder.name
        events = [replace(event, run=run.name) if hasattr(event, "run") else event for event in parcel.events]
        if run.mirror:
            run.mirror.write(replace(parcel, events=tuple(events)))
        if any(isinstance(event, EpochFinished) for event in events):
            run.in_a_row = 0
        if any(isinstance(event, RunStarted) for event in events):
            self.started(RunFolder(self.root / run.name))
        return events

    def _ended(self, run: _Run, parcel: Parcel) -> Iterator[Event]:
        state = run.history.state
        if parcel.refused:
            run.outcome, run.reason = "failed" if run.name else "refused", parcel.refused
            yield RunRefused(number=run.number, run=run.name, reason=parcel.refused, bad_request=parcel.bad_request)
        elif state == "failed":
            run.outcome, run.reason = "failed", run.history.reason
        else:
            run.outcome = "finished" if state == "finished" else "stopped"
        self._go_on(run)

    def _go_on(self, ended: _Run) -> None:
        """Submit what waits for the end of a run: one run a GPU where it was to be measured, and was not."""
        self._release(ended)
        if ended is self.measured and self.gpu_share is None:
            self.gpu_share = 1.0
        if self.measured is None or self.gpu_share is not None:
            self._submit_rest()

    # Dead workers

    def _lost(self, run: _Run, lost: Lost) -> Iterator[Event]:
        """Resume a run whose worker has died, or give it up."""
        run.losses += 1
        run.in_a_row += 1
        run.under_way = False
        if self.direct and run.name:
            self._await_release(run)
        if run.history.state == "finished":  # only its last words were lost
            run.outcome = "finished"
        elif run.stop_asked:
            run.outcome = "stopped"
        elif run.in_a_row >= MOST_LOSSES:
            run.outcome = "failed"
            run.reason = f"its worker died {run.in_a_row} times without finishing an epoch ({lost.reason})"
            yield from self._given_up(run)
        else:
            yield RunLost(number=run.number, run=run.name, epoch=run.history.epoch, reason=lost.reason)
            self._submit(run)
            return
        self._go_on(run)

    def _await_release(self, run: _Run) -> None:
        """Wait until the dead worker's lock is released, and take in what it has written but not told."""
        folder, until = RunFolder(self.root / run.name), time.monotonic() + RELEASE
        while folder.locked and time.monotonic() < until:
            time.sleep(0.02)
        history = folder.told()
        history.request = run.request
        run.history = history

    def _given_up(self, run: _Run) -> Iterator[Event]:
        """Record in the folder that the run has failed."""
        if not run.name:
            yield RunRefused(number=run.number, run="", reason=run.reason, bad_request=False)
            return
        failed = RunFailed(run=run.name, reason=run.reason)
        folder = RunFolder(self.root / run.name)
        if run.mirror:
            folder.append(failed)
        else:
            with claimed(folder.lock_file) as free:
                if free is not False:
                    folder.append(failed)
        run.history.add(failed)
        yield RunTold(number=run.number, run=run.name, event=failed)

    def _release(self, run: _Run) -> None:
        if run.mirror:
            run.mirror.close()
            run.mirror = None

    def _advanced(self) -> SweepAdvanced:
        ended = sum(run.outcome is not None for run in self.runs)
        under_way = [run for run in self._open if run.under_way]
        return SweepAdvanced(
            active=tuple(
                RunState(run.number, run.name, run.history.progress) for run in under_way if run.history.progress
            ),
            waiting=len(self.runs) - ended - len(under_way),
            ended=ended,
        )


def _size(request: Train) -> tuple[int, ...]:
    """What the memory of a run grows with, the largest first."""
    return request.channels * request.batch_size, request.hidden, request.train_size
