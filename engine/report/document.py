"""A document of headings, words, tables and figures, as Markdown with PNG files and as one HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.paths import write_whole
from engine.words import shown

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 16px/1.55 system-ui, sans-serif; color: #22262d;
  background: #fbfbf9; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5d8dd; } h3 { margin-top: 1.8rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid #e4e6ea; }
figcaption { color: #5c636e; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #e4e6ea; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
blockquote { margin: 1rem 0 .3rem; padding: .1rem 1rem; border-left: 3px solid #0069a6; color: #3d434c; }
.verdict { font-weight: 600; }
.supported { color: #00704e; } .contradicted { color: #b3261e; } .mixed { color: #a85800; }
"""


@dataclass
class Document:
    """A document, written from top to bottom."""

    title: str
    _markdown: list[str] = field(default_factory=list)
    _html: list[str] = field(default_factory=list)
    figures: dict[str, bytes] = field(default_factory=dict)
    """PNG files by their names."""

    def heading(self, level: int, text: str) -> None:
        """A heading of level 2 or more; level 1 is the title."""
        self._markdown.append(f"{'#' * level} {_escaped(text)}")
        self._html.append(f"<h{level}>{_as_html(text)}</h{level}>")

    def words(self, text: str) -> None:
        """A paragraph."""
        self._markdown.append(_escaped(text))
        self._html.append(f"<p>{_as_html(text)}</p>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table, whose first column holds text and the others numbers."""
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        cells = [[_escaped(cell) if row is not lines[1] else cell for cell in row] for row in lines]
        self._markdown.append("\n".join(f"| {' | '.join(row)} |" for row in cells))
        top = "".join(f"<th>{_as_html(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{_as_html(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        self._html.append(f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>')

    def figure(self, name: str, png: bytes, caption: str) -> None:
        """A figure; `name` is without suffix."""
        self.figures[file := f"{name}.png"] = png
        self._markdown.append(f"![{_escaped(caption)}](figures/{file})")
        data = base64.b64encode(png).decode()
        words = _as_html(caption)
        self._html.append(
            f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'
        )

    def claim(self, said: str, verdict: str, evidence: str) -> None:
        """An observation of the notebook, its verdict, and the evidence."""
        self._markdown.append(f"> {_escaped(said)}\n\n**{verdict}:** {_escaped(evidence)}")
        kind = verdict.split(maxsplit=1)[0].lower()
        self._html.append(
            f"<blockquote>{_as_html(said)}</blockquote>"
            f'<p><span class="verdict {kind}">{_as_html(verdict)}:</span> {_as_html(evidence)}</p>'
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `report.md` with `figures/`, and `report.html`; returns their paths. Raises OSError."""
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for file, png in self.figures.items():
            write_whole(folder / "figures" / file, lambda path, png=png: path.write_bytes(png))  # type: ignore[misc]
        markdown, page = folder / "report.md", folder / "report.html"
        text = "\n\n".join([f"# {_escaped(self.title)}", *self._markdown]) + "\n"
        write_whole(markdown, lambda path: path.write_text(text, encoding="utf-8"))
        title = _as_html(self.title)
        whole = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
            + "\n".join(self._html)
            + "\n</body></html>\n"
        )
        write_whole(page, lambda path: path.write_text(whole, encoding="utf-8"))
        return markdown, page


def _as_html(text: str) -> str:
    return html.escape(shown(text))


def _escaped(text: str) -> str:
    """`text` escaped for Markdown, since names may contain special characters."""
    text = shown(text)
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text
