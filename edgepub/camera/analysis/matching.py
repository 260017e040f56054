"""Finds the pairs of boxes in two frames that are the same object, by their overlap."""

from bisect import bisect_left
from collections.abc import Sequence

_MAX_LOOKS = 8_000
"""About the number of pairs that are compared: it bounds the cost of a crowd in which all boxes overlap."""
_MIN_LOOKS = 32
"""The number of pairs of one box that are compared in any case."""

Place = tuple[str, float, float, float, float, int, float]
"""A box: its label, its centre's x and y, its width and height, a number for the caller, and how many times larger it
and the other box of a pair become before they are compared (that of the earlier one counts).

When sorted, boxes of one label are side by side, from left to right. A plain tuple costs a seventh of a named one.
"""


def match(earlier: Sequence[Place], later: Sequence[Place], min_iou: float) -> list[tuple[int, int]]:
    """Return the numbers of each pair. Both have the same label, and no box is in two pairs.

    Args:
        earlier: boxes where they are expected.
        later: boxes where they are.
        min_iou: the least intersection over union of a pair.

    """
    if not earlier or not later:
        return []
    earlier, later = sorted(earlier), sorted(later)
    count = len(earlier)
    # The IoU is less if the centres are further apart than this part of the sum of the widths, or of the heights.
    bound = (1 - min_iou) / (1 + min_iou) / 2
    max_width = max(place[3] for place in earlier)
    max_scale = max(place[6] for place in earlier)
    max_looks = max(_MIN_LOOKS, _MAX_LOOKS // len(later))
    gains: dict[int, float] = {}  # by pair: its two ranks in one number, as thousands of tuples would cost more
    for rank, (label, x, y, width, height, _, _) in enumerate(later):
        reach = bound * max_scale * (width + max_width)
        low, high = bisect_left(earlier, (label, x - reach)), bisect_left(earlier, (label, x + reach))
        if high - low > max_looks:
            low, high = _narrow(later, rank, reach, low, high, max_looks)
        area = width * height
        for pair, (_, x0, y0, width0, height0, _, scale) in enumerate(earlier[low:high], rank * count + low):
            # To enlarge both boxes is to bring their centres closer.
            distance_y, heights = abs(y - y0) / scale, height + height0
            if distance_y >= bound * heights:
                continue
            distance_x, widths = abs(x - x0) / scale, width + width0
            if distance_x >= bound * widths:
                continue
            side_x, side_y = widths / 2 - distance_x, heights / 2 - distance_y
            side_x = min(side_x, width, width0) if side_x > width or side_x > width0 else side_x
            side_y = min(side_y, height, height0) if side_y > height or side_y > height0 else side_y
            both = side_x * side_y
            iou = both / (area + width0 * height0 - both)
            if iou > min_iou:
                gains[pair] = iou - min_iou
    return [(earlier[other][5], later[rank][5]) for rank, other in _choose(gains, count).items()]


def _choose(gains: dict[int, float], count: int) -> dict[int, int]:
    """Return the earlier rank by the later one; `later rank * count + earlier rank` is a pair."""
    best_first = sorted(gains, key=gains.__getitem__, reverse=True)
    chosen: dict[int, int] = {}
    owners: dict[int, int] = {}
    for pair in best_first:
        rank, other = divmod(pair, count)
        if rank not in chosen and other not in owners:
            chosen[rank], owners[other] = other, rank
    if len(chosen) < len(gains):
        _exchange(gains, count, best_first, chosen, owners)
    return chosen


def _exchange(
    gains: dict[int, float], count: int, pairs: Sequence[int], chosen: dict[int, int], owners: dict[int, int]
) -> None:
    """Let a later box take another earlier one, and give its own to that one's owner, or to one without, if that gains.

    To take the best pair first is sometimes wrong for the next. One round of exchanges mends nearly all of it.
    """
    waiting: dict[int, int] = {}
    for rank, other in (divmod(pair, count) for pair in pairs):
        if rank not in chosen:
            waiting.setdefault(other, rank)
    for pair in pairs:
        rank, other = divmod(pair, count)
        own = chosen.get(rank)
        if own is None:
            continue
        owner = owners.get(other)
        partner = waiting.get(own) if owner is None else owner
        if partner is None or (owner is None and partner in chosen):
            continue
        now = gains[rank * count + own] + (0.0 if owner is None else gains[owner * count + other])
        if gains[pair] + gains.get(partner * count + own, -1.0) > now:
            chosen[rank], owners[other] = other, rank
            chosen[partner], owners[own] = own, partner


def _narrow(later: Sequence[Place], rank: int, reach: float, low: int, high: int, size: int) -> tuple[int, int]:
    """Return the part of a range of earlier boxes to look at: those with about the same rank in the crowd."""
    label, x = later[rank][:2]
    first, last = bisect_left(later, (label, x - reach)), bisect_left(later, (label, x + reach))
    middle = low + (high - low) * (rank - first) // max(last - first, 1)
    low = min(max(low, middle - size // 2), high - size)
    return low, low + size
