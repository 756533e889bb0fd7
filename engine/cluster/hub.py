"""The tasks of a sweep as Ray runs them: orders go out, parcels come in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from engine.cluster.messages import Lost, Order, Parcel
from engine.cluster.shares import Share

STOPS = b"mnist-tui"
"""Namespace of the cluster's key-value store in which runs are asked to stop."""


class Hub:
    """Submits orders to Ray as tasks, and collects their parcels.

    A task is a generator whose items Ray streams to this process. The scheduling is Ray's.
    """

    def __init__(self, reuse_gpu_workers: bool) -> None:
        """`reuse_gpu_workers` is whether a worker on a GPU may train several runs, one after the other.

        That needs machines with one GPU each, since a process can't change its GPU.
        """
        self._tasks: list[tuple[Any, int]] = []
        self._reuse = reuse_gpu_workers

    def submit(self, order: Order, share: Share) -> None:
        """Hand an order to Ray, to be carried out where there is room for its share."""
        import ray

        options: dict[str, Any] = {"num_cpus": share.cores, "num_gpus": share.gpus, "max_retries": 0}
        if share.gpus and self._reuse:
            options["max_calls"] = 0  # by default, Ray ends a process after each task on a GPU
        remote = ray.remote(num_returns="streaming", **options)(_carried_out)
        self._tasks.append((remote.remote(order), order.number))

    def take(self, seconds: float) -> list[tuple[int, Parcel | Lost]]:
        """What has come, by the numbers of the orders; waits for something up to this time."""
        import ray

        if not self._tasks:
            return []
        ready, _ = ray.wait([task for task, _ in self._tasks], num_returns=1, timeout=seconds, fetch_local=False)
        if ready:  # others may be ready as well
            everything = [task for task, _ in self._tasks]
            ready, _ = ray.wait(everything, num_returns=len(everything), timeout=0, fetch_local=False)
        found: list[tuple[int, Parcel | Lost]] = []
        for task in ready:
            number = next(number for each, number in self._tasks if each is task)
            if (parcel := _next(task)) is not None:
                found.append((number, parcel))
            if parcel is None or isinstance(parcel, Lost) or parcel.seconds is not None:
                self._tasks = [(each, other) for each, other in self._tasks if each is not task]
        return found

    def stop(self, sweep: str, number: int | None = None) -> None:
        """Ask a run to stop, or all; those that have not begun end without a folder."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(_key(sweep, number), b"", namespace=STOPS)

    def cancel(self, number: int) -> None:
        """Forget the order `number`: where Ray has found no room for it yet, it never will."""
        import ray

        for task, _ in [each for each in self._tasks if each[1] == number]:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.cancel(task)
        self._tasks = [each for each in self._tasks if each[1] != number]

    def forget(self, sweep: str) -> None:
        """Remove what `stop` has left behind."""
        from ray.experimental.internal_kv import _internal_kv_del

        with contextlib.suppress(Exception):  # the cluster may be gone
            _internal_kv_del(_key(sweep, None), del_by_prefix=True, namespace=STOPS)


def _next(task: Any) -> Parcel | Lost | None:
    """The next parcel of a task for which one is ready; None at its end."""
    import ray
    from ray import exceptions

    deaths = {
        exceptions.WorkerCrashedError: "its process ended",
        exceptions.OutOfMemoryError: "its machine ran out of memory",
        exceptions.NodeDiedError: "its machine stopped",
        exceptions.LocalRayletDiedError: "its machine stopped",
        exceptions.ObjectLostError: "its machine stopped before it had told all",
    }
    kinds: tuple[type[Exception], ...] = tuple(deaths)
    try:
        parcel: Parcel = ray.get(next(task))
    except StopIteration:
        return None
    except kinds as error:
        return Lost(next(words for kind, words in deaths.items() if isinstance(error, kind)))
    except exceptions.RayError as error:
        return Parcel(refused=_first_line(error), seconds=0.0)
    return parcel


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"Ray cannot train it: {(lines or [type(error).__name__])[-1]}"


def _key(sweep: str, number: int | None) -> bytes:
    return f"{sweep}/{'all' if number is None else number}".encode()


def asked_to_stop(sweep: str, number: int | None = None) -> bool:
    """Whether a run of a sweep, or all of them, are to stop; called by a worker."""
    from ray.experimental.internal_kv import _internal_kv_exists

    return any(_internal_kv_exists(_key(sweep, each), namespace=STOPS) for each in {None, number})


def _carried_out(order: Order) -> Iterator[Parcel]:
    """The task of a worker."""
    from engine.cluster.worker import carry_out

    yield from carry_out(order, lambda: asked_to_stop(order.sweep, order.number))
