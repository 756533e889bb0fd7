"""The request for training runs on Ray."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.request import Request, RequestError
from engine.runs.sweeps import MOST, sweep
from engine.training.requests import Train


class TrainOnRay(Request, frozen=True, tag="train-on-ray"):
    """Train several runs on Ray, here or on a cluster, and write their run folders here."""

    runs: Annotated[tuple[Train, ...], Meta(min_length=1, max_length=MOST, description="the runs to train")] = (
        Train(),
    )
    address: Annotated[
        str, Meta(description="address of a running Ray cluster: HOST:PORT, ray://HOST:PORT or auto (none: start one)")
    ] = ""
    parallel: Annotated[
        int,
        Meta(ge=0, le=MOST, description="number of runs at once (0: as many as there are cores, or fit on the GPUs)"),
    ] = 0
    shared: Annotated[
        bool, Meta(description="let the cluster's machines write to the folder of all runs, which they share")
    ] = False

    def check_together(self) -> None:
        """Refuse a single GPU by number, since Ray chooses it, and options of a cluster where none is named."""
        for run in self.runs:
            if run.device.startswith("cuda:"):
                raise RequestError(f"Ray chooses the GPU: use --device cuda instead of {run.device}")
        if self.shared and not self.address:
            raise RequestError("without an address Ray is started here, where every run is written anyway: drop shared")


def planned(request: Train, text: str) -> TrainOnRay | list[Train]:
    """What a line such as `seeds=5 on=ray parallel=2 address=auto shared=yes` asks for; without `on=ray`, the runs.

    Raises RequestError where the line is invalid.
    """
    pairs = [word.partition("=") for word in text.split()]
    said = {name: value for name, _, value in pairs if name in ("on", "parallel", "address", "shared")}
    runs = sweep(request, " ".join("".join(pair) for pair in pairs if pair[0] not in said))
    place = said.pop("on", "here")
    if place not in ("here", "ray"):
        raise RequestError(f"on must be here or ray, not {place}")
    if place == "here":
        if said:
            raise RequestError(f"{', '.join(said)} is only for Ray: add on=ray")
        return runs
    if not (parallel := said.get("parallel", "0")).isdecimal():
        raise RequestError(f"parallel must be a whole number, for example parallel=2, not {parallel}")
    if (shared := said.get("shared", "no")) not in ("yes", "no"):
        raise RequestError(f"shared must be yes or no, not {shared}")
    return TrainOnRay(runs=tuple(runs), address=said.get("address", ""), parallel=int(parallel), shared=shared == "yes")
