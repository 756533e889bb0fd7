"""Starting Ray on this machine, or joining a cluster that runs."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.cluster.hub import Hub
from engine.cluster.scratch import scratch
from engine.cluster.shares import Machine
from engine.network.cores import cores as available_cores
from engine.request import DeviceFailed, RequestError

MISSING = "training on Ray needs the package ray: pip install 'ray[tune]'"
PATIENCE = 5.0
"""Seconds within which a cluster must answer at its address."""
STORE = 256 << 20
"""Bytes of the object store of a Ray that is started here: only events travel through it."""


class Cluster(Struct):
    """A cluster that this process has joined."""

    machines: tuple[Machine, ...]
    address: str
    """Empty if it was started here."""
    hub: Hub
    seconds: float
    """How long it took to start or join it."""

    @property
    def cores(self) -> float:
        """The number of its cores."""
        return sum(machine.cores for machine in self.machines)

    @property
    def gpus(self) -> float:
        """The number of its GPUs."""
        return sum(machine.gpus for machine in self.machines)


@contextlib.contextmanager
def joined(address: str = "", cores: int | None = None) -> Iterator[Cluster]:
    """The cluster at `address`, or, where that is empty, one that is started here, with all cores, and stopped again.

    If this process has joined a cluster already, it is that one, and it stays. `cores` is the number of cores of one
    that is started here, if not all. Raises RequestError where Ray is not installed, or there is no cluster at
    `address`; DeviceFailed where Ray does not start.
    """
    if importlib.util.find_spec("ray") is None:
        raise RequestError(MISSING)
    began = time.perf_counter()
    if address:
        _check(address)
    ray = _imported(private=not address)

    with contextlib.ExitStack() as ends:
        if not ray.is_initialized():
            if not faulthandler.is_enabled():  # else Ray does, on a standard error that may be no file
                faulthandler.enable(2)
                ends.callback(faulthandler.disable)
            with _own_sigterm():
                if address:
                    _join(ray, address)
                else:
                    _start(ray, cores, ends)
            ends.callback(ray.shutdown)
            # Ray tells on standard error, whatever its settings, that a worker has died: the driver says so itself.
            vars(ray._private.worker)["_worker_logs_enabled"] = False
        machines = tuple(
            Machine(node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU")
        )
        if not machines:
            raise RequestError(f"the cluster at {address} has no cores to train on")
        single = all(machine.gpus <= 1 for machine in machines)
        hub = Hub(single)
        if address.startswith("ray://"):
            hub = _remote(ray, single)
        yield Cluster(machines, address, hub, time.perf_counter() - began)


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this program's handler of SIGTERM, which ends a run in order: Ray installs one of its own."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _imported(private: bool) -> Any:
    """Ray, which reads its settings from the environment as it is imported; `private` is whether to start it here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if private and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # Only those who know a password may then use its ports. Ray's own would be written to the user's home.
        os.environ["RAY_AUTH_MODE"] = "token"
        if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ) and not _has_token():
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    return ray


def _has_token() -> bool:
    """Whether Ray keeps a password of the user, which other clusters may ask for."""
    try:
        return (Path.home() / ".ray" / "auth_token").is_file()
    except (OSError, RuntimeError):
        return False


def _start(ray: Any, cores: int | None, ends: contextlib.ExitStack) -> None:
    """Start Ray here; its files end with it."""
    folder = ends.enter_context(scratch())
    try:
        ray.init(
            "local",  # also where the user's RAY_ADDRESS names a cluster
            num_cpus=cores or available_cores(),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=STORE,
            _temp_dir=str(folder),
        )
    except Exception as error:
        raise DeviceFailed(f"Ray does not start here ({_line(error)}): train without it") from None


def _check(address: str) -> None:
    """Raise RequestError where nothing answers at `address`: before Ray is imported, which it would keep waiting."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address not in ("auto", "local"):
        if not host or not port.isdecimal():
            raise RequestError(f"the address of a cluster is HOST:PORT, ray://HOST:PORT or auto, not {address}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        except (OSError, OverflowError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RequestError(
                f"no Ray cluster answers at {address} ({why}): start one there with ray start --head, or leave out "
                "the address to start Ray here"
            ) from None
    elif address == "local":
        raise RequestError("leave out the address to start Ray here")


def _join(ray: Any, address: str) -> None:
    """Join the cluster at `address`. Raises RequestError where there is none."""
    try:
        with _quiet():
            ray.init(address, logging_level=logging.ERROR, **({} if "://" in address else {"log_to_driver": False}))
    except Exception as error:
        raise RequestError(f"cannot join the Ray cluster at {address}: {_line(error)}") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Ray's C++ libraries print: of an address that is wrong, a line a second."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _remote(ray: Any, single: bool) -> Hub:
    """A hub within the cluster: tasks can't stream to a client outside of it."""
    actor = ray.remote(num_cpus=0, max_concurrency=2)(Hub).remote(single)

    class Relay(Hub):
        def submit(self, *arguments: Any) -> None:
            ray.get(actor.submit.remote(*arguments))

        def take(self, seconds: float) -> Any:
            return ray.get(actor.take.remote(seconds))

        def stop(self, *arguments: Any) -> None:
            ray.get(actor.stop.remote(*arguments))

        def cancel(self, number: int) -> None:
            ray.get(actor.cancel.remote(number))

        def forget(self, sweep: str) -> None:
            ray.get(actor.forget.remote(sweep))

    return Relay(single)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")
