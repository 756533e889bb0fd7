"""Which table an event gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    FaithfulnessMeasured,
    OcclusionMapReady,
)
from engine.benchmark.events import BenchFinished
from engine.certification.events import CertificationMeasured, DigitCertified
from engine.corruptions.events import CorruptionsMeasured
from engine.event import Event
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.events import (
    ActivationsComputed,
    ChannelsSurveyed,
    DigitsShown,
    FiltersShown,
    ImagesPredicted,
    NetworkSummarised,
    SplitEvaluated,
)
from engine.inspection.learning_events import LearningShown
from engine.inspection.map_events import ImagesEmbedded
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.network.events import NetworkEvent
from engine.runs.events import QueueListed, RunsCompared, RunsListed
from engine.training.events import LearningRateFound
from tui.cli.tables.attacks import attack, beta, robustness, transfer, universal
from tui.cli.tables.attribution import attributions, class_occlusion, faithfulness, occlusion
from tui.cli.tables.audit import audit
from tui.cli.tables.bench import bench
from tui.cli.tables.certification import certification, digit
from tui.cli.tables.corruptions import corruptions
from tui.cli.tables.embedding import embedding
from tui.cli.tables.inspection import activations, digits, evaluation, filters, learning, predicted, summary, survey
from tui.cli.tables.layout import heading
from tui.cli.tables.runs import compared, queue, runs
from tui.cli.tables.training import learning_rates
from tui.cli.tables.units import unit, visualised

TABLES: dict[type[Event], Callable[[Any], list[RenderableType]]] = {
    RunsListed: runs,
    QueueListed: queue,
    RunsCompared: compared,
    NetworkSummarised: summary,
    SplitEvaluated: evaluation,
    NetworksAudited: audit,
    ImagesEmbedded: embedding,
    LearningShown: learning,
    DigitsShown: digits,
    ImagesPredicted: predicted,
    FiltersShown: filters,
    ActivationsComputed: activations,
    ChannelsSurveyed: survey,
    UnitsVisualised: visualised,
    UnitShown: unit,
    OcclusionMapReady: occlusion,
    ClassOcclusionReady: class_occlusion,
    AttributionsComputed: attributions,
    FaithfulnessMeasured: faithfulness,
    AttackFinished: attack,
    BetaSwept: beta,
    RobustnessMeasured: robustness,
    TransferMeasured: transfer,
    UniversalMade: universal,
    CorruptionsMeasured: corruptions,
    CertificationMeasured: certification,
    DigitCertified: digit,
    LearningRateFound: learning_rates,
    BenchFinished: bench,
}
"""The table of each kind of event."""
BELOW = (ChannelsSurveyed, ClassOcclusionReady, FaithfulnessMeasured)
"""Events printed below those of a single image, without a heading of their own."""


def results(
    event: NetworkEvent | RunsListed | QueueListed | RunsCompared | LearningRateFound | BenchFinished,
) -> RenderableType:
    """`event` as text and tables."""
    lines = next((table(event) for kind, table in TABLES.items() if isinstance(event, kind)), [])
    if not isinstance(event, NetworkEvent):
        return Group(*lines)
    return Group("", *lines) if isinstance(event, BELOW) else Group(heading(event), "", *lines)
