"""Writing a figure to disk as a PNG file."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator
from pathlib import Path

from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.page import png_of
from engine.figures.events import FigureDrawn, FigureSaved
from engine.figures.requests import DrawFigure
from engine.paths import reserve, write_whole
from engine.request import RequestError
from engine.runs.folder import RunFolder

_FULL = (errno.ENOSPC, errno.EDQUOT)


def draw_figure(request: DrawFigure, _root: Path) -> Generator[FigureDrawn | FigureSaved, None, None]:
    """Draw `request.subject` to `request.path`, or under a new name in `request.folder`.

    Under a new name, no file is overwritten. Without a path and a folder, the figure comes with the event instead.
    Raises RequestError where there is no such figure, nothing to draw, or it cannot be written; then no file is left
    behind.
    """
    if request.path and Path(request.path).suffix.lower() != ".png":
        raise RequestError(f"{request.path} must end in .png, since figures are written as PNG files")
    # A run is read here, in a lane, so that a front end does not wait for a long one.
    subject = request.subject.history() if isinstance(request.subject, RunFolder) else request.subject
    figure = figure_of(
        subject,
        layer=request.layer,
        colours=request.colours,
        shared_range=request.shared_range,
        logarithmic=request.logarithmic,
    )
    png = png_of(figure)
    if request.path:
        path = Path(request.path)
        _write(path, png)
    elif not request.folder:
        yield FigureDrawn(name=f"{stem_of(subject, request.layer)}.png", png=png)
        return
    else:
        path = _reserve(Path(request.folder), stem_of(subject, request.layer))
        try:
            _write(path, png)
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            raise
    yield FigureSaved(path=str(path.absolute()))


def _reserve(folder: Path, stem: str) -> Path:
    try:
        return reserve(folder, stem, ".png")
    except (OSError, ValueError) as error:
        raise RequestError(f"cannot write to {folder} ({_reason(error)}): {_advice(error)}") from None


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, lambda partial: partial.write_bytes(data))
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise RequestError(f"cannot write {path} ({_reason(error)}): {_advice(error)}") from None


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _advice(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL:
        return "free disk space or choose another path"
    return "create its folder or choose another path" if number == errno.ENOENT else "choose another path"
