"""Numbers as people read them in reports."""

from __future__ import annotations


def share(value: float) -> str:
    """A share in percent that is never rounded to none or all.

    >>> share(0.9999), share(0.0), share(0.123)
    ('>99.9%', '0%', '12.3%')
    """
    if value in (0, 1):
        return f"{value:.0%}"
    if value < 0.0005:
        return "<0.1%"
    return ">99.9%" if value > 0.9995 else f"{value:.1%}"


def signed(value: float | None) -> str:
    """A correlation with its sign; - where there is none."""
    return "-" if value is None else f"{value:+.2f}"


def number(value: float) -> str:
    """A number in a few characters."""
    return f"{value:.4g}"
