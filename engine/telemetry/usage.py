"""What several epochs used, and what one used as columns of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.telemetry.events import Level, Usage


def together(usages: Iterable[Usage]) -> Usage | None:
    """What several epochs used: means over their time, maxima, sums; None where nothing is known."""
    found = list(usages)
    if not found:
        return None

    def over(levels: Sequence[Level | None]) -> Level | None:
        pairs = [(level, each.seconds) for level, each in zip(levels, found, strict=True) if level]
        if not pairs:
            return None
        weight = sum(seconds for _, seconds in pairs)
        weighted = sum(level.mean * seconds for level, seconds in pairs)
        mean = weighted / weight if weight else sum(level.mean for level, _ in pairs) / len(pairs)
        return Level(mean=mean, peak=max(level.peak for level, _ in pairs))

    energies = [each.energy for each in found if each.energy is not None]
    return Usage(
        seconds=sum(each.seconds for each in found),
        samples=sum(each.samples for each in found),
        cpu=over([each.cpu for each in found]),
        memory=over([each.memory for each in found]),
        gpu=over([each.gpu for each in found]),
        gpu_memory=over([each.gpu_memory for each in found]),
        power=over([each.power for each in found]),
        energy=sum(energies) if len(energies) == len(found) else None,
    )


def columns(usage: Usage) -> dict[str, float]:
    """What is known of an epoch's usage by the name of a column, in the units of Usage: `memory_peak`, `energy`."""
    found: dict[str, float] = {}
    for name in Usage.__struct_fields__:
        value = getattr(usage, name)
        if isinstance(value, Level):
            found |= {f"{name}_mean": value.mean, f"{name}_peak": value.peak}
        elif name == "energy" and value is not None:
            found[name] = value
    return found
