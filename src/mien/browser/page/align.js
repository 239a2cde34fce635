// Where in its picture a face is cut out: the ways of mien.faces.align that need no more than a box and landmarks.

/**
 * A crop map: a matrix (2, 3) by rows that takes (x, y, 1), in pixels of the picture, to the crop.
 * The crop's corners are (0, 0) and (1, 1).
 * @typedef {number[][]} CropMap
 */

/**
 * The crop map of a face; null where it lacks what it is aligned by.
 * @param {{way: "eyes" | "box" | "whole", distance?: number, height?: number, margin?: number}} align
 * @param {import("./integral.js").Picture} picture
 * @param {import("./mtcnn.js").Face} face
 * @returns {CropMap | null}
 */
export function cropMap(align, picture, face) {
  if (align.way === "eyes") return byEyes(align, face.landmarks);
  if (align.way === "whole") return square([picture.width / 2, picture.height / 2], Math.min(picture.width, picture.height));
  const [x0, y0, x1, y1] = face.box, longer = Math.max(x1 - x0, y1 - y0);
  return longer ? square([(x0 + x1) / 2, (y0 + y1) / 2], longer * (1 + 2 * align.margin)) : null;
}

/** The map that turns and scales the picture so that the eyes are at the same place in every crop. */
function byEyes({ distance, height }, landmarks) {
  if (!landmarks) return null;
  const [left, right] = landmarks, x = right[0] - left[0], y = right[1] - left[1];
  if (!(Math.hypot(x, y) > 0)) return null;
  const scale = distance / (x * x + y * y);
  const [middleX, middleY] = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  return [
    [scale * x, scale * y, 0.5 - (scale * x * middleX + scale * y * middleY)],
    [-scale * y, scale * x, height - (-scale * y * middleX + scale * x * middleY)],
  ];
}

/** The map of an upright square, by its center and its side in pixels. */
function square([x, y], side) {
  return [
    [1 / side, 0, -(x - side / 2) / side],
    [0, 1 / side, -(y - side / 2) / side],
  ];
}
