// Arithmetic on boxes, in single precision as in mien.faces.mtcnn.boxes.

const single = Math.fround;

/**
 * Something that may be a face. Pixels count from 1, and x1, y1 is the box's last pixel, as in MTCNN's first implementation.
 * @typedef {{box: number[], logit: number, offsets: number[], group: number}} Candidate
 */

/** A box as a square of its longer side, about the same center. */
export function squared([x0, y0, x1, y1]) {
  const wide = single(x1 - x0), high = single(y1 - y0), longer = Math.max(wide, high);
  const left = single(single(x0 + single(wide / 2)) - single(longer / 2));
  const top = single(single(y0 + single(high / 2)) - single(longer / 2));
  return [left, top, single(left + longer), single(top + longer)];
}

/** A box moved by a network's offsets, in shares of its width and height, to which `more` pixels are added. */
export function corrected(box, offsets, more) {
  const sides = [0, 1].map((axis) => single(single(box[axis + 2] - box[axis]) + more));
  return box.map((edge, place) => single(edge + single(offsets[place] * sides[place % 2])));
}

/**
 * Greedy non-maximum suppression within each group: those that stay, the highest logits first.
 * @param {Candidate[]} candidates
 * @param {number} threshold A box goes where it overlaps a better one that stays by more than this:
 * @param {"union" | "smaller"} over intersection over union, or over the smaller of both areas.
 * @returns {Candidate[]}
 */
export function suppress(candidates, threshold, over = "union") {
  const kept = new Map();
  const staying = [];
  for (const one of [...candidates].sort((a, b) => b.logit - a.logit)) {
    const better = kept.get(one.group) ?? [];
    if (better.some((other) => isBeaten(one.box, other.box, threshold, over))) continue;
    better.push(one);
    kept.set(one.group, better);
    staying.push(one);
  }
  return staying;
}

function isBeaten(one, other, threshold, over) {
  const wide = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const high = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  if (wide <= 0 || high <= 0) return false;
  const common = wide * high, first = area(one), second = area(other);
  return common > threshold * (over === "union" ? first + second - common : Math.min(first, second));
}

/** The area of a box in square pixels. */
export function area([x0, y0, x1, y1]) {
  return (x1 - x0) * (y1 - y0);
}
