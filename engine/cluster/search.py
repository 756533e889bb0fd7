"""Searching for the best values of fields with Ray Tune, and training the choice with fresh seeds."""

from __future__ import annotations

import math
import os
import queue
import secrets
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.cluster.events import SearchAdvanced, SearchEnded, Trial
from engine.cluster.hub import asked_to_stop
from engine.cluster.machines import Cluster, joined
from engine.cluster.requests import SearchOnRay, TrainOnRay
from engine.cluster.shares import share
from engine.cluster.space import Dimension
from engine.cluster.sweep import Sweep, begun
from engine.cluster.trial import train_trial
from engine.event import Event
from engine.request import DeviceFailed, RequestError
from engine.runs.folder import RunFolder
from engine.runs.origin import Origin, write_origin
from engine.training.events import EpochFinished

_FIGURES = ("val_loss", "robust_accuracy", "certified_accuracy")
"""What is told of the best epoch of a trial."""
TICK = 0.25
"""Seconds that the driver waits for results at a time."""
THIRD = 3
"""One in as many of the trials goes on from each rung of successive halving to the next (Li et al. 2020)."""


def search_on_ray(request: SearchOnRay, root: Path) -> Generator[Event, None, None]:
    """Try values of the fields of `request.space`, then train those of the best trial.

    That is the one with the lowest validation loss, or with the highest robust or certified accuracy, where the
    objective aims at that.

    ClusterStarted, SearchAdvanced in between, SearchEnded, then the events of a sweep over fresh seeds, as from
    `train_on_ray`; each of its runs keeps how its values were chosen. All trials have the seed of the experiment, which
    none of these runs has. Raises RequestError as `train_on_ray`, and where no trial has a finite loss.
    """
    with joined(request.address) as cluster:
        direct = request.shared or not request.address
        search = _Search(request, cluster)
        try:
            yield begun(cluster, request.address, direct)
            yield from search.advance()
        finally:
            search.stop()
        ended = search.ended()
        yield ended
        origin = Origin(
            method=request.method,
            space=tuple(each.words for each in request.dimensions),
            trials=len(ended.trials),
            epochs=ended.epochs,
            seconds=ended.seconds,
            val_loss=ended.val_loss,
            robust_accuracy=ended.robust_accuracy,
            certified_accuracy=ended.certified_accuracy,
        )
        runs = TrainOnRay(
            runs=request.runs(ended.chosen), address=request.address, parallel=request.parallel, shared=request.shared
        )
        yield from Sweep(runs, root.absolute(), cluster, lambda folder: _keep(folder, origin)).events()


def _keep(folder: RunFolder, origin: Origin) -> None:
    try:
        write_origin(folder, origin)
    except OSError as error:
        raise RequestError(f"cannot write to {folder.path} ({error.strerror})") from None


class _Search:
    """A search that runs in a thread of its own, since Tune does not return before its end."""

    def __init__(self, request: SearchOnRay, cluster: Cluster) -> None:
        self.request, self.cluster = request, cluster
        self.name = secrets.token_hex(8)
        self.results: queue.SimpleQueue[tuple[str, Trial, bool]] = queue.SimpleQueue()
        """The name of a trial, what it has reached, and whether it has ended."""
        self.trials: dict[str, Trial] = {}
        self.done: set[str] = set()
        self.error: Exception | None = None
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._fit, name="search", daemon=True)
        self._began = time.perf_counter()

    def advance(self) -> Iterator[Event]:
        """Search until all trials have ended."""
        self._thread.start()
        while self._thread.is_alive() or not self.results.empty():
            try:
                name, trial, ended = self.results.get(timeout=TICK)
                self.trials[name] = trial
                if ended:
                    self.done.add(name)
            except queue.Empty:
                pass
            best = self._best
            yield SearchAdvanced(
                done=len(self.done),
                trials=self.request.trials,
                epochs=sum(trial.epochs for trial in self.trials.values()),
                val_loss=best.val_loss if best else None,
                robust_accuracy=best.robust_accuracy if best else None,
                certified_accuracy=best.certified_accuracy if best else None,
                values=best.values if best else {},
            )

    def stop(self) -> None:
        """Stop the trials, and wait for their end."""
        if self._thread.is_alive():
            self.stopping.set()
            self.cluster.hub.stop(self.name)
            self._thread.join()
        self.cluster.hub.forget(self.name)

    @property
    def _best(self) -> Trial | None:
        known = [trial for trial in self.trials.values() if trial.val_loss is not None]
        return max(known, key=_merit, default=None)

    def ended(self) -> SearchEnded:
        """What was found. Raises RequestError where no trial has a finite loss, DeviceFailed where Ray has failed."""
        if self.error:
            raise DeviceFailed(f"the search failed: {type(self.error).__name__}: {str(self.error).splitlines()[0]}")
        best = self._best
        if best is None or best.val_loss is None:
            raise RequestError("no trial of the search has a finite loss: narrow --search-space")
        return SearchEnded(
            method=self.request.method,
            space=tuple(each.words for each in self.request.dimensions),
            trials=tuple(sorted(self.trials.values(), key=_merit, reverse=True)),
            chosen=best.values,
            val_loss=best.val_loss,
            robust_accuracy=best.robust_accuracy,
            certified_accuracy=best.certified_accuracy,
            epochs=sum(trial.epochs for trial in self.trials.values()),
            seconds=sum(trial.seconds for trial in self.trials.values()),
            elapsed=time.perf_counter() - self._began,
        )

    def _fit(self) -> None:
        try:
            with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="mnist-tui-") as folder:
                warnings.simplefilter("ignore")  # Tune's are about itself
                self._tuner(folder).fit()
        except Exception as error:
            self.error = error

    def _tuner(self, folder: str) -> Any:
        os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        from ray import tune
        from ray.tune.schedulers import ASHAScheduler
        from ray.tune.search import BasicVariantGenerator

        request, link = self.request, _Link(self.results, self.stopping)
        dimensions = request.dimensions

        def tried(trial: Any, result: dict[str, Any]) -> Trial:
            values = {each.name: each.typed(trial.config[each.name]) for each in dimensions}
            found = {name: result.get(name) for name in _FIGURES}
            return Trial(values=values, epochs=result.get("epoch", 0), seconds=result.get("seconds", 0.0), **found)

        class Told(tune.Callback):
            """Passes results on."""

            def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any) -> None:
                link.tell(trial.trial_id, tried(trial, result), False)

            def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
                link.tell(trial.trial_id, tried(trial, trial.last_result or {}), True)

            on_trial_error = on_trial_complete

        class Asked(tune.Stopper):
            """Ends the search when it is to stop."""

            def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
                return link.stopping

            def stop_all(self) -> bool:
                return link.stopping

        halving = request.method == "halving"
        epochs = request.experiment.epochs
        # A GPU is not shared unless asked for: how many trials fit depends on their values.
        given = share(request.experiment, self.cluster.machines, request.parallel, 1.0)
        return tune.Tuner(
            tune.with_resources(_trainable(request, given.threads, self.name), {"cpu": given.cores, "gpu": given.gpus}),
            param_space={each.name: _domain(tune, each) for each in dimensions},
            tune_config=tune.TuneConfig(
                metric="flaw",
                mode="min",
                num_samples=request.trials,
                reuse_actors=True,
                search_alg=BasicVariantGenerator(random_state=request.experiment.seed),
                scheduler=ASHAScheduler(time_attr="epoch", max_t=epochs, grace_period=1, reduction_factor=THIRD)
                if halving
                else None,
            ),
            run_config=tune.RunConfig(
                name="search", storage_path=folder, verbose=0, callbacks=[Told()], stop=Asked(), log_to_file=False
            ),
        )


class _Link:
    """What connects Tune with a search. Tune keeps copies of what it is given on disk, where this is nothing."""

    def __init__(
        self, results: queue.SimpleQueue[tuple[str, Trial, bool]] | None = None, stop: threading.Event | None = None
    ) -> None:
        self._results, self._stop = results, stop

    def __reduce__(self) -> tuple[type[_Link], tuple[()]]:
        return _Link, ()

    def tell(self, name: str, trial: Trial, ended: bool) -> None:
        """Pass on what a trial has reached."""
        if self._results:
            self._results.put((name, trial, ended))

    @property
    def stopping(self) -> bool:
        """Whether the search is to end."""
        return self._stop is not None and self._stop.is_set()


def _trainable(request: SearchOnRay, threads: int, name: str) -> Callable[[dict[str, float]], None]:
    """What a worker does with the values of a trial."""
    experiment, dimensions = request.experiment, request.dimensions

    def train(config: dict[str, float]) -> None:
        from ray import tune

        def report(epoch: int, best: EpochFinished | None, seconds: float) -> None:
            figures = {name: getattr(best, name) for name in _FIGURES} if best else {}
            tune.report({"flaw": _flaw(best), "epoch": epoch, "seconds": seconds, **figures})

        values = {each.name: each.typed(config[each.name]) for each in dimensions}
        train_trial(replace(experiment, **values), threads, report, lambda: asked_to_stop(name))

    return train


def _domain(tune: Any, dimension: Dimension) -> Any:
    """Where Tune draws the values of a field."""
    low, high = dimension.low, dimension.high
    if dimension.whole:
        draw = tune.lograndint if dimension.logarithmic else tune.randint
        return draw(int(low), int(high) + 1)
    return (tune.loguniform if dimension.logarithmic else tune.uniform)(low, high)


def _flaw(best: EpochFinished | None) -> float:
    """What Tune minimises: the validation loss, or what is missing to a certified or robust accuracy of 1."""
    if best is None:
        return math.inf
    return best.val_loss if best.robust_accuracy is None else 1 - best.merit[0]


def _merit(trial: Trial) -> tuple[float, float]:
    return trial.merit
