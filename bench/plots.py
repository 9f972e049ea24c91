"""Bar charts as SVG text. Pure: figures in, text out, the same text for the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from bench.figures import Figure

_WIDTH: Final = 760
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 64, 36
_GRID_LINES: Final = 4
_FONT: Final = 'font-family="sans-serif" font-size="12" fill="#777"'
#: Told apart without colour vision too, on light and dark pages.
_COLOURS: Final = ("#8a8a8a", "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00")


@dataclass(frozen=True, slots=True)
class Group:
    """Bars that stand together, one for each series; None where there is no figure."""

    label: str
    bars: Sequence[Figure | None]


def bar_chart(title: str, unit: str, series: Sequence[str], groups: Sequence[Group]) -> str:
    """A chart of grouped bars; a thin line on each bar shows how far the rounds lie apart.

    Args:
        title: above it.
        unit: of the vertical axis, which begins at zero.
        series: the names of the bars of each group.
        groups: from left to right.
    """
    top = axis_end(max(bar.highest for group in groups for bar in group.bars if bar is not None))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" {_FONT}>',
        f"<title>{escape(title)}</title>",
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}, {escape(unit)}</text>',
        *_legend(series),
        *_grid(top),
    ]
    width = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    for number, group in enumerate(groups):
        parts += _group(group, _LEFT + number * width, width, top)
    return "\n".join([*parts, "</svg>", ""])


def axis_end(highest: float) -> float:
    """The smallest of 1, 2, 4, 5 or 8 times a power of ten that is not below ``highest``."""
    step = 1e-6
    while True:
        for factor in (1, 2, 4, 5, 8):
            if step * factor >= highest:
                return step * factor
        step *= 10


def _legend(series: Sequence[str]) -> list[str]:
    parts = []
    for number, name in enumerate(series):
        x = _LEFT + number * 105
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{_COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 15}" y="39">{escape(name)}</text>')
    return parts


def _grid(top: float) -> list[str]:
    parts = []
    for line in range(_GRID_LINES + 1):
        value = top * line / _GRID_LINES
        y = _y(value, top)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#7774"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    return parts


def _group(group: Group, left: float, width: float, top: float) -> list[str]:
    bar = width * 0.8 / len(group.bars)
    parts = [
        f'<text x="{left + width / 2:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{escape(group.label)}</text>',
    ]
    for number, figure in enumerate(group.bars):
        if figure is None:
            continue
        x = left + width * 0.1 + number * bar
        y = _y(figure.median, top)
        height = _HEIGHT - _BOTTOM - y
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar * 0.9:.1f}" height="{height:.1f}" fill="{_COLOURS[number]}"/>'
        )
        middle = x + bar * 0.45
        low, high = _y(figure.lowest, top), _y(figure.highest, top)
        parts.append(f'<line x1="{middle:.1f}" y1="{low:.1f}" x2="{middle:.1f}" y2="{high:.1f}" stroke="#444"/>')
    return parts


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)
