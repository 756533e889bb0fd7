"""Labels of test splits that raters of published studies doubt."""

from __future__ import annotations

import msgspec

from engine.inspection.audit_events import DisputedLabel
from engine.paths import asset
from engine.request import RequestError


def disputed_labels(dataset: str, count: int) -> tuple[DisputedLabel, ...]:
    """The labels of the test split of `dataset` that most raters did not choose, among its first `count` images.

    For mnist the fifteen of Northcutt, Athalye and Mueller 2021 (arXiv:2103.14749); empty for other data sets, of which
    there is no list. Raises RequestError where the file that ships with the program is missing or damaged.
    """
    if dataset != "mnist":
        return ()
    file = asset("label-errors", "mnist-test.json")
    try:
        found = msgspec.json.decode(file.read_bytes(), type=tuple[DisputedLabel, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise RequestError(f"{file} is missing or damaged ({error}): reinstall mnist-tui") from None
    return tuple(each for each in found if each.index < count)
