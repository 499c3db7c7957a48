"""Colours of heat maps: cividis, which reads alike with and without colour vision."""

from __future__ import annotations

from itertools import pairwise

_STOPS = (
    (0x00, 0x22, 0x4E), (0x08, 0x33, 0x70), (0x35, 0x45, 0x6C),
    (0x4F, 0x57, 0x6C), (0x66, 0x69, 0x70), (0x7D, 0x7C, 0x78),
    (0x94, 0x8E, 0x77), (0xAE, 0xA3, 0x71), (0xC8, 0xB8, 0x66),
    (0xE5, 0xCF, 0x52), (0xFE, 0xE8, 0x38),
)  # fmt: skip
"""Cividis (Nuñez, Anderton and Renslow 2018) at equal steps, dark to light."""


def paint(heat: float) -> str:
    """Return the colour of a value between 0 (dark, the worst) and 1 (light, the best)."""
    return "#" + "".join(f"{round(part):02x}" for part in _rgb(heat))


def ink(heat: float) -> str:
    """Return black or white, whichever reads better upon :func:`paint`."""
    return "black" if _luminance(_rgb(heat)) > _EQUAL_CONTRAST else "white"


_EQUAL_CONTRAST = 0.179
"""Relative luminance upon which black and white have the same contrast (WCAG 2)."""


def _rgb(heat: float) -> list[float]:
    steps = list(pairwise(_STOPS))
    position = min(max(heat, 0.0), 1.0) * len(steps)
    step = min(int(position), len(steps) - 1)
    return [a + (b - a) * (position - step) for a, b in zip(*steps[step], strict=True)]


def _luminance(rgb: list[float]) -> float:
    # Relative luminance of sRGB, as WCAG 2 defines it.
    linear = (
        part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for part in rgb
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
