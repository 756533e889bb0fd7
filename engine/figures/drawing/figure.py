"""The figure of an event or of a run's history, and the name of its file."""

from __future__ import annotations

import re

from matplotlib.figure import Figure

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    DrawingExplained,
    FaithfulnessMeasured,
    OcclusionMap,
)
from engine.benchmark.events import BenchFinished
from engine.certification.events import CertificationMeasured, DigitCertified
from engine.corruptions.events import DigitCorrupted
from engine.figures.drawing.activations import activations_figure
from engine.figures.drawing.attacks import (
    attack_figure,
    beta_figure,
    robustness_figure,
    transfer_figure,
    universal_figure,
)
from engine.figures.drawing.attributions import attributions_figure, faithfulness_figure
from engine.figures.drawing.audit import audit_figure
from engine.figures.drawing.benchmark import benchmark_figure
from engine.figures.drawing.certification import certification_figure, digit_figure
from engine.figures.drawing.comparison import comparison_figure
from engine.figures.drawing.confusion import confusion_figure
from engine.figures.drawing.corruptions import corruptions_figure
from engine.figures.drawing.digits import digits_figure
from engine.figures.drawing.embedding import embedding_figure
from engine.figures.drawing.explained import drawing_figure
from engine.figures.drawing.filters import filters_figure
from engine.figures.drawing.insides import insides_figure
from engine.figures.drawing.layers import layers_figure
from engine.figures.drawing.learning import learning_figure, rates_figure
from engine.figures.drawing.occlusion import class_occlusion_figure, occlusion_figure
from engine.figures.drawing.page import look
from engine.figures.drawing.predictions import predictions_figure
from engine.figures.drawing.side_by_side import figure_beside
from engine.figures.drawing.training import curves_figure
from engine.figures.drawing.units import unit_figure, units_figure
from engine.figures.requests import ColourMapName
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.events import (
    ActivationsComputed,
    DigitsShown,
    FiltersShown,
    ImagesPredicted,
    NetworkSummarised,
    SplitEvaluated,
)
from engine.inspection.learning_events import LearningShown
from engine.inspection.map_events import ImagesEmbedded
from engine.inspection.requests import LayerName
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.request import RequestError
from engine.runs.events import InsidesShown, RunsCompared
from engine.runs.history import RunHistory
from engine.training.events import LearningRateFound


def figure_of(  # noqa: PLR0912, PLR0915 (a case for each event)
    subject: object,
    *,
    layer: LayerName = "conv1",
    colours: ColourMapName = "gray",
    shared_range: bool = False,
    logarithmic: bool = True,
) -> Figure:
    """The figure of an event, of the same event of several networks as a tuple, or of a run's history.

    `layer` is for events that hold both convolutions, `colours` for images, `shared_range` for maps and kernels (a
    common range, or one for each), and `logarithmic` for the axis of losses. Raises RequestError where there is no such
    figure, or nothing to draw.
    """
    with look():
        match subject:
            case RunHistory():
                figure = curves_figure(subject, logarithmic=logarithmic)
            case InsidesShown():
                figure = insides_figure(subject)
            case RunsCompared():
                figure = comparison_figure(subject, logarithmic=logarithmic)
            case NetworkSummarised():
                figure = layers_figure(subject)
            case SplitEvaluated():
                figure = confusion_figure(subject, colours)
            case NetworksAudited():
                figure = audit_figure(subject)
            case ImagesEmbedded():
                figure = embedding_figure(subject)
            case LearningShown():
                figure = learning_figure(subject)
            case LearningRateFound():
                figure = rates_figure(subject)
            case DigitsShown():
                figure = digits_figure(subject, colours)
            case DrawingExplained():
                figure = drawing_figure(subject, colours, shared_range)
            case ImagesPredicted():
                figure = predictions_figure(subject, colours)
            case FiltersShown():
                figure = filters_figure(subject, colours, shared_range)
            case ActivationsComputed():
                figure = activations_figure(subject, layer, colours, shared_range)
            case UnitsVisualised():
                figure = units_figure(subject)
            case UnitShown():
                figure = unit_figure(subject)
            case OcclusionMap():
                figure = occlusion_figure(subject, colours, shared_range)
            case ClassOcclusionReady():
                figure = class_occlusion_figure(subject, colours, shared_range)
            case AttributionsComputed():
                figure = attributions_figure(subject, colours, shared_range)
            case FaithfulnessMeasured():
                figure = faithfulness_figure(subject)
            case AttackFinished():
                figure = attack_figure(subject)
            case RobustnessMeasured():
                figure = robustness_figure(subject)
            case BetaSwept():
                figure = beta_figure(subject)
            case TransferMeasured():
                figure = transfer_figure(subject)
            case UniversalMade():
                figure = universal_figure(subject)
            case DigitCorrupted():
                figure = corruptions_figure(subject)
            case CertificationMeasured():
                figure = certification_figure(subject)
            case DigitCertified():
                figure = digit_figure(subject)
            case BenchFinished():
                figure = benchmark_figure(subject)
            case tuple():
                figure = figure_beside(subject, colours)
            case _:
                kinds = "a run, a comparison, layers, digits, filters, activations, occlusion, attributions, attacks"
                raise RequestError(f"there is no figure of {type(subject).__name__}: choose {kinds} or corruptions")
    return figure


def stem_of(subject: object, layer: LayerName = "conv1") -> str:  # noqa: PLR0912, PLR0915 (a case for each event)
    """The name of the figure's file, without `.png`: for example `filters-conv2-epoch-15`."""
    parts: tuple[object, ...]
    match subject:
        case RunHistory():
            parts = ("training", subject.variant)
        case InsidesShown():
            parts = ("insides", subject.layer, f"epoch-{subject.epochs[-1]}" if subject.epochs else "")
        case RunsCompared():
            parts = ("comparison",)
        case NetworkSummarised():
            parts = ("model", subject.variant)
        case SplitEvaluated():
            parts = ("confusion", subject.part)
        case NetworksAudited():
            parts = ("audit", subject.dataset, subject.part)
        case ImagesEmbedded():
            epoch = f"epoch-{subject.epoch}" if len(subject.epochs) > 1 else ""
            parts = ("map", subject.method, subject.layer, subject.part, epoch)
        case LearningShown():
            parts = ("learned", subject.dataset, subject.split)
        case LearningRateFound():
            parts = ("learning-rate", subject.variant, "" if subject.objective == "clean" else subject.objective)
        case DigitsShown():
            taken_for = f"as-{subject.predicted}" if subject.predicted >= 0 else ""
            parts = ("digits", subject.part, subject.order, subject.digit if subject.digit >= 0 else "", taken_for)
        case DrawingExplained():
            parts = ("drawing", f"as-{subject.predictions[0]}")
        case ImagesPredicted():
            parts = ("predictions", len(subject.files))
        case FiltersShown():
            parts = ("filters", subject.layer, f"epoch-{subject.epoch}" if subject.epoch is not None else "")
        case ActivationsComputed():
            parts = ("activations", layer, subject.part, subject.index)
        case UnitsVisualised():
            parts = ("units", subject.layer)
        case UnitShown():
            parts = ("unit", subject.layer, subject.unit)
        case OcclusionMap():
            parts = ("occlusion", subject.part, subject.index, f"patch-{subject.patch_size}")
        case ClassOcclusionReady():
            parts = ("occlusion", subject.part, f"class-{subject.digit}", f"patch-{subject.patch_size}")
        case AttributionsComputed():
            method = subject.methods[0] if len(subject.methods) == 1 else ""
            parts = ("attributions", method, subject.part, subject.index)
        case FaithfulnessMeasured():
            parts = ("faithfulness", subject.part, subject.averaged)
        case AttackFinished():
            parts = ("attack", subject.attack, subject.source if subject.count else "")
        case RobustnessMeasured():
            parts = ("robustness", subject.norm, subject.points[0].count)
        case BetaSwept():
            parts = ("beta", subject.averaged)
        case TransferMeasured():
            parts = ("transfer", subject.attack)
        case UniversalMade():
            parts = ("universal", subject.made_of, f"towards-{subject.target}" if subject.target >= 0 else "")
        case DigitCorrupted():
            parts = ("corruptions", subject.part, subject.index)
        case CertificationMeasured():
            parts = ("certified", subject.bound, subject.points[0].count)
        case DigitCertified():
            parts = ("certified", subject.bound, subject.part, subject.index)
        case tuple():
            parts = (stem_of(subject[0], layer), "side-by-side")
        case BenchFinished():
            parts = ("bench", subject.device.partition(":")[0])
        case _:
            parts = ("figure",)
    return re.sub(r"[^\w.]+", "-", "-".join(str(part) for part in parts if part != ""))
