"""Perceptual hashes of faces: 64 bits that near-duplicates share; pairs with close hashes, and how alike these look.

The hash is the DCT hash of pHash (Klinger & Starkweather, phash.org; Zauner 2010, Implementation and benchmarking of perceptual
image hash functions): of a gray picture of 32 x 32 pixels the two-dimensional DCT, and of its 8 x 8 lowest frequencies but
those of index 0 whether each is above their median. Half of the bits are set, so that distances are even. Departures: the 32 x
32 pixels are means over areas, where pHash smooths and picks pixels; what comes before the median is linear, and done as matrix
products.

Pairs are found by multi-index hashing (Norouzi, Punjani & Fleet 2012): hashes within a distance are closer still in at least
one of four bands of 16 bits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, ndimage, sparse

from mien.data.convert import GRAY_WEIGHTS
from mien.errors import MienError

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SIDE = 32
"""Side of the gray picture that is hashed and compared, in pixels."""
LOW = 8
"""How many frequencies are kept in each direction."""
FLAT = 0.05
"""A picture whose coefficients, of gray levels from 0 to 255, are all below this is flat: the rest is rounding."""
BANDS, BITS = 4, 16
EQUAL = 64
"""The most faces with one hash of which every pair is kept, or which are compared with one face."""
MOST_PAIRS = 20_000_000
BLOCK = 1024
"""Faces, or pairs of them, that are looked at together."""
CANDIDATES = 1 << 20
"""Candidates of pairs that are compared together."""
SHIFT = 2
"""How many of the 32 pixels one face may be shifted against the other when they are compared."""
BLUR = 3.0
"""Standard deviation, in pixels of the 32, of the blur that is subtracted before faces are compared: lines count, not light."""


def hash_pictures(faces: Bytes) -> Hashes:
    """The hashes of pictures, uint8 (N, S, S) or (N, S, S, 3), and of their mirror images: (N, 2); 0 for a single gray."""
    basis = fft.dct(_means(faces.shape[1]), axis=0, norm="ortho")[1 : LOW + 1]
    # The mirror image has the same frequencies, the odd ones along a row with the other sign.
    signs = np.stack([np.ones(LOW), (-1.0) ** np.arange(1, LOW + 1)]).astype(np.float32)
    found = np.zeros((len(faces), 2), np.uint64)
    for start in range(0, len(faces), BLOCK):
        low = basis @ _gray(faces[start : start + BLOCK]) @ basis.T
        both = (low[:, None] * signs[:, None]).reshape(-1, 2, LOW * LOW)
        above = (both > np.median(both, axis=2, keepdims=True)) & (np.abs(both).max(axis=2, keepdims=True) > FLAT)
        # Bits are dealt to the bands in turn: the lowest frequencies are alike in all faces, and would fill one band.
        dealt = above.reshape(-1, 2, BITS, BANDS).swapaxes(2, 3).reshape(-1, 2, LOW * LOW)
        found[start : start + BLOCK] = np.packbits(dealt, axis=2, bitorder="little").view("<u8")[..., 0]
    return found


def close_pairs(given: Hashes, others: Hashes | None = None, distance: int = 0) -> Integers:
    """Pairs (M, 2) of rows of `given` (N,) and `others` whose hashes differ in at most `distance` bits, in order.

    Without `others`: pairs within `given`, the smaller row first. Where two hashes have more than EQUAL^2 pairs, each face is
    paired only with the first face of the other hash. Raises MienError for a distance that is not from 0 to 16, and for more
    than MOST_PAIRS.
    """
    _check_distance(distance)
    mine = _Alike.of(given)
    theirs = mine if others is None else _Alike.of(others)
    close = _close(mine.values, theirs.values, distance, others is None)
    counts = mine.counts[close[:, 0]] * theirs.counts[close[:, 1]]
    whole = counts <= EQUAL * EQUAL
    few, many = close[whole], close[~whole]
    _bound(int(counts[whole].sum() + mine.counts[many[:, 0]].sum() + theirs.counts[many[:, 1]].sum()))
    which, place = _each(counts[whole])
    down, across = np.divmod(place, theirs.counts[few[which, 1]])
    found = [np.stack([mine.rows(few[which, 0], down), theirs.rows(few[which, 1], across)], axis=1)]
    for own, other in many:
        ours, far = (one.rows(at, np.arange(one.counts[at])) for one, at in ((mine, own), (theirs, other)))
        found += [np.stack(np.broadcast_arrays(*ends), axis=1) for ends in ((ours, far[:1]), (ours[:1], far))]
    made = np.concatenate(found)
    return in_order(made) if others is None else _unique(made)


def any_close(given: Hashes, others: Hashes, distance: int, alike: Callable[[Integers], Bools]) -> Bools:
    """Whether each of `given` (N,) is within `distance` bits of one of `others` with which it is `alike`.

    `alike` tells it of pairs of rows (m, 2). About CANDIDATES pairs are in memory, and a row that has its yes is done. Of
    `others` with one hash the first EQUAL are looked at. Raises MienError for a distance that is not from 0 to 16.
    """
    _check_distance(distance)
    theirs, without = _Alike.of(others), np.ones(len(given), bool)
    for found in _near(given, theirs.values, distance, without):
        counts = np.minimum(theirs.counts[found[:, 1]], EQUAL)
        for close, repeated in zip(_parted(found, counts), _parted(counts, counts), strict=True):
            which, place = _each(repeated)
            rows = np.stack([close[which, 0], theirs.rows(close[which, 1], place)], axis=1)
            for asked in _few_first(rows):
                asked = asked[without[asked[:, 0]]]
                without[asked[alike(asked), 0]] = False
    return ~without


def in_order(found: Integers) -> Integers:
    """Pairs (M, 2) of rows of one set with the smaller row first, each pair once, none of a row with itself."""
    return _unique(np.sort(found[found[:, 0] != found[:, 1]], axis=1))


def connected_groups(found: Integers, count: int) -> Integers:
    """The group (count,) of each face that pairs (M, 2) connect, numbered by their first faces; -1 for a face in no pair."""
    edges = sparse.coo_array((np.ones(len(found), bool), (found[:, 0], found[:, 1])), shape=(count, count))
    part = sparse.csgraph.connected_components(edges, directed=False)[1]
    together = np.bincount(part)[part] > 1
    _, first, index = np.unique(part[together], return_index=True, return_inverse=True)
    number = np.full(count, -1)
    number[together] = np.argsort(np.argsort(first))[index]
    return number


def correlations(ours: Callable[[Integers], Bytes], theirs: Callable[[Integers], Bytes], found: Integers) -> Floats:
    """How alike the faces of pairs (M, 2) look, (M,), from -1 to 1. `ours` and `theirs` give the faces of rows.

    The normalized cross-correlation of lines (the gray picture minus its blur), at the best shift by up to SHIFT pixels; 0
    where there are no lines.
    """
    blocks = [found[start : start + BLOCK] for start in range(0, len(found), BLOCK)]
    alike = [_correlation(_lines(ours(block[:, 0])), _lines(theirs(block[:, 1]))) for block in blocks]
    return np.concatenate([np.zeros(0, np.float32), *alike])


@dataclass(frozen=True, eq=False)
class _Alike:
    """Rows by their hash: those of `values[n]` are `order[starts[n]:][:counts[n]]`, ascending."""

    values: Hashes
    order: Integers
    starts: Integers
    counts: Integers

    @staticmethod
    def of(given: Hashes) -> "_Alike":
        values, index, counts = np.unique(given, return_inverse=True, return_counts=True)
        return _Alike(values, np.argsort(index, kind="stable"), np.cumsum(counts) - counts, counts)

    def rows(self, values: Integers, places: Integers) -> Integers:
        """The rows at these places among those of a hash."""
        found: Integers = self.order[self.starts[values] + places]
        return found


def _close(mine: Hashes, theirs: Hashes, distance: int, within: bool) -> Integers:
    """(M, 2) places of hashes at most `distance` bits apart; `within` one list, the smaller first."""
    kept, count = [np.zeros((0, 2), np.int64)], 0
    for found in _near(mine, theirs, distance, np.ones(len(mine), bool)):
        kept.append(found[found[:, 0] <= found[:, 1]] if within else found)
        count += len(kept[-1])
        _bound(count)
    return np.concatenate(kept)


def _near(mine: Hashes, theirs: Hashes, distance: int, wanted: Bools) -> Iterator[Integers]:
    """(m, 2) places of hashes at most `distance` bits apart, in blocks, each pair once.

    `wanted`: the places of `mine` that are looked for; who takes the blocks may strike some out meanwhile.
    """
    # Of hashes that differ in more than r bits of every band, all differ in at least the sum of r + 1 over the bands.
    least, more = divmod(distance + 1, BANDS)
    radii = [least + (band < more) - 1 for band in range(BANDS)]
    for band, radius in enumerate(radii):
        for left, right in _candidates(_band(mine, band), _band(theirs, band), radius, wanted):
            places = np.stack([left, right], axis=1)[np.bitwise_count(mine[left] ^ theirs[right]) <= distance]
            differing = mine[places[:, 0]] ^ theirs[places[:, 1]]
            new = np.ones(len(places), bool)
            for before in range(band):
                new &= np.bitwise_count(_band(differing, before)) > radii[before]
            yield places[new]


def _band(values: Hashes, band: int) -> Integers:
    return (values >> np.uint64(BITS * band) & np.uint64((1 << BITS) - 1)).astype(np.int64)


def _candidates(mine: Integers, theirs: Integers, radius: int, wanted: Bools) -> Iterator[tuple[Integers, Integers]]:
    """Places whose bands differ in at most `radius` bits, in blocks of CANDIDATES or what one of `mine` has; those `wanted`."""
    order = np.argsort(theirs, kind="stable")
    counts = np.bincount(theirs, minlength=1 << BITS)
    starts = np.cumsum(counts) - counts
    masks = [sum(bits) for r in range(radius + 1) for bits in combinations([1 << bit for bit in range(BITS)], r)]
    for mask in masks:
        keys = mine ^ mask
        rows = np.flatnonzero((counts[keys] > 0) & wanted)
        if not len(rows):  # most masks, of a small set
            continue
        for block in _parted(rows, counts[keys[rows]]):
            part = block[wanted[block]]
            which, place = _each(counts[keys[part]])
            yield part[which], order[starts[keys[part]][which] + place]


def _parted(things: Integers, lengths: Integers) -> list[Integers]:
    """Arrays (n, ...) in parts whose `lengths` (n,) sum to about CANDIDATES."""
    return np.split(things, np.flatnonzero(np.diff(np.cumsum(lengths) // CANDIDATES)) + 1)


def _few_first(rows: Integers) -> Iterator[Integers]:
    """Pairs (m, 2) in parts: of each first row one pair, then two more, then four more, and so on."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    turn = np.frexp(_each(np.unique(rows[:, 0], return_counts=True)[1])[1] + 1)[1]
    for number in range(1, int(turn.max(initial=0)) + 1):
        yield rows[turn == number]


def _each(counts: Integers) -> tuple[Integers, Integers]:
    """For `counts` things of each kind, kinds and the places 0, 1, ... within them, both (sum,)."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def _unique(found: Integers) -> Integers:
    """Rows (M, 2) in order, each once."""
    width = int(found[:, 1].max(initial=0)) + 1
    codes = np.unique(found[:, 0] * width + found[:, 1])
    return np.stack(np.divmod(codes, width), axis=1)


def _check_distance(distance: int) -> None:
    if not 0 <= distance <= BITS:
        raise MienError(f"a distance from 0 to {BITS} bits", f"{distance}", "give another `distance`")


def _bound(count: int) -> None:
    if count > MOST_PAIRS:
        raise MienError(f"at most {MOST_PAIRS:,} pairs of close faces", f"{count:,} or more", "give a smaller `distance`")


def _means(side: int) -> Floats:
    """(SIDE, side): the mean over each of SIDE parts of a row of pixels."""
    edges, pixels = np.linspace(0, side, SIDE + 1), np.arange(side)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means: Floats = (shared.clip(0) * SIDE / side).astype(np.float32)
    return means


def _gray(faces: Bytes) -> Floats:
    """Gray levels (n, S, S)."""
    pixels = faces.astype(np.float32)
    return pixels if faces.ndim == 3 else pixels @ np.array(GRAY_WEIGHTS, np.float32)


def _lines(faces: Bytes) -> Floats:
    """Gray pictures minus their blur, (n, SIDE, SIDE)."""
    means = _means(faces.shape[1])
    small = means @ _gray(faces) @ means.T
    lines: Floats = small - ndimage.gaussian_filter(small, (0, BLUR, BLUR))
    return lines


def _correlation(ours: Floats, theirs: Floats) -> Floats:
    """(n,) the best normalized correlation of the middle of `ours` with the windows of `theirs`, both (n, SIDE, SIDE)."""
    side = SIDE - 2 * SHIFT
    middle = ours[:, SHIFT:-SHIFT, SHIFT:-SHIFT]
    middle = middle - middle.mean(axis=(1, 2), keepdims=True)
    windows = sliding_window_view(theirs, (side, side), axis=(1, 2))
    products = np.einsum("nij,nuvij->nuv", middle, windows, optimize=False)
    sums, squares = windows.sum(axis=(3, 4)), np.einsum("nuvij,nuvij->nuv", windows, windows)
    spread = np.sqrt(np.maximum(squares - sums**2 / side**2, 0)) * np.linalg.norm(middle, axis=(1, 2))[:, None, None]
    # Lines of less than a gray level are rounding.
    alike = np.where(spread > side**2, products / np.maximum(spread, 1e-6), 0)
    best: Floats = alike.max(axis=(1, 2))
    return best
