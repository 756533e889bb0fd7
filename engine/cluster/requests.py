"""The requests for training runs on Ray."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from engine.cluster.space import Dimension, parse_dimension
from engine.request import Request, RequestError
from engine.runs.sweeps import MOST, sweep
from engine.training.requests import Train

SearchName = Literal["random", "halving"]
Address = Annotated[
    str, Meta(description="address of a running Ray cluster: HOST:PORT, ray://HOST:PORT or auto (none: start one)")
]
Parallel = Annotated[
    int, Meta(ge=0, le=MOST, description="number of runs at once (0: as many as there are cores, or fit on the GPUs)")
]
Shared = Annotated[
    bool, Meta(description="let the cluster's machines write to the folder of all runs, which they share")
]


class TrainOnRay(Request, frozen=True, tag="train-on-ray"):
    """Train several runs on Ray, here or on a cluster, and write their run folders here."""

    runs: Annotated[tuple[Train, ...], Meta(min_length=1, max_length=MOST, description="the runs to train")] = (
        Train(),
    )
    address: Address = ""
    parallel: Parallel = 0
    shared: Shared = False

    def check_together(self) -> None:
        """Refuse a single GPU by number, since Ray chooses it, and options of a cluster where none is named."""
        for run in self.runs:
            if run.device.startswith("cuda:"):
                raise RequestError(f"Ray chooses the GPU: use --device cuda instead of {run.device}")
        if self.shared and not self.address:
            raise RequestError("without an address Ray is started here, where every run is written anyway: drop shared")


class SearchOnRay(Request, frozen=True, tag="search-on-ray"):
    """Search for the best values of fields on validation images, then train the choice with fresh seeds, on Ray."""

    experiment: Annotated[Train, Meta(description="the experiment whose fields are searched")] = Train()
    method: Annotated[
        SearchName,
        Meta(description="random values trained to the end, or successive halving, which stops the worse ones early"),
    ] = "halving"
    space: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="fields and their bounds, such as learning-rate=1e-4..1e-2"),
    ] = ("learning-rate=1e-4..1e-2",)
    trials: Annotated[int, Meta(ge=1, le=MOST, description="number of values to try")] = 20
    seeds: Annotated[int, Meta(ge=1, le=MOST, description="number of runs of the choice")] = 1
    address: Address = ""
    parallel: Parallel = 0
    shared: Shared = False

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The fields that are searched. Raises RequestError where one is invalid."""
        return tuple(map(parse_dimension, self.space))

    def check_together(self) -> None:
        """Refuse fields that are named twice or bounds that do not fit together, and a client outside the cluster."""
        names = [each.name for each in self.dimensions]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise RequestError(f"{twice.replace('_', ' ')} is searched twice: name it once")
        for chosen in product(*((each.low, each.high) for each in self.dimensions)):
            replace(
                self.experiment, **{d.name: d.typed(value) for d, value in zip(self.dimensions, chosen, strict=True)}
            )
        if self.address.startswith("ray://"):
            raise RequestError("a search has to run in the cluster's network: give --address HOST:PORT, not ray://")
        TrainOnRay(runs=(self.experiment,), address=self.address, parallel=self.parallel, shared=self.shared)

    def runs(self, chosen: dict[str, float]) -> tuple[Train, ...]:
        """The runs of the choice, with seeds that the search has not used."""
        values = {each.name: each.typed(chosen[each.name]) for each in self.dimensions}
        first = self.experiment.seed + 1
        return tuple(replace(self.experiment, **values, seed=first + number) for number in range(self.seeds))


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
    if not (parallel := said.get("parallel", "0")).isdecimal() or len(parallel) > 9:
        raise RequestError(f"parallel must be a whole number, for example parallel=2, not {parallel}")
    if (shared := said.get("shared", "no")) not in ("yes", "no"):
        raise RequestError(f"shared must be yes or no, not {shared}")
    return TrainOnRay(runs=tuple(runs), address=said.get("address", ""), parallel=int(parallel), shared=shared == "yes")
