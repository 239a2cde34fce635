// MTCNN's first stage: P-Net slides over a pyramid of the picture and proposes boxes, as in mien.faces.mtcnn.proposals.

import { suppress } from "./boxes.js";

/** Pixels that one cell of P-Net's map sees, and how many pixels apart cells are. */
export const WINDOW = 12, STRIDE = 2;
/** The pixels that a network is shown at once, and the columns: memory stays small for large pictures. */
export const CHUNK = 1 << 17, WIDE = 1 << 12;

/**
 * @typedef {{least_face: number, factor: number, propose: number}} Search Side in pixels of the smallest faces; the ratio between
 * levels of the pyramid; the least probability of being a face.
 */

/**
 * The candidates of P-Net at all levels of the pyramid.
 * @param {(values: Float32Array, shape: number[]) => Promise<{data: Float32Array, dims: number[]}>} net P-Net.
 * @param {import("./integral.js").IntegralImage} sums
 * @param {Search} search
 * @param {boolean} framed Whether to look in a black frame, for faces larger than half the picture's shorter side.
 * @returns {Promise<import("./boxes.js").Candidate[]>}
 */
export async function propose(net, sums, search, framed) {
  const { width, height } = sums;
  const frame = framed ? Math.min(Math.floor(Math.max(height, width) / 2), height, width) : 0;
  const least = framed ? Math.max(search.least_face, Math.min(height, width) / 2) : search.least_face;
  const size = { width: width + 2 * frame, height: height + 2 * frame };
  const found = [];
  let group = 0;
  for (const scale of pyramid(size, least, search.factor)) {
    for (const one of await scan(net, sums, frame, size, scale, logit(search.propose))) found.push({ ...one, group });
    group += 1;
  }
  return suppress(found, 0.5);
}

/** The scales at which a picture is searched: a face of `leastFace` fills a window first, then smaller ones. */
export function pyramid(size, leastFace, factor) {
  const scales = [];
  let scale = WINDOW / leastFace, shorter = (Math.min(size.width, size.height) * WINDOW) / leastFace;
  for (; shorter >= WINDOW; scale *= factor, shorter *= factor) scales.push(scale);
  return scales;
}

/** log(p / (1 - p)), infinite at 0 and 1. */
export function logit(probability) {
  return Math.log(probability / (1 - probability));
}

/** P-Net over one level of the pyramid, a tile at a time. */
async function scan(net, sums, frame, size, scale, least) {
  const level = { width: Math.floor(size.width * scale + 1), height: Math.floor(size.height * scale + 1) };
  const rows = cells(Math.floor(CHUNK / Math.min(level.width, WIDE))), columns = cells(WIDE);
  // The size of the map: 3x3, pooling rounded up, 3x3, 3x3.
  const down = Math.floor((level.height - 1) / STRIDE) - 4, across = Math.floor((level.width - 1) / STRIDE) - 4;
  const found = [];
  for (let row = 0; row < down; row += rows) {
    for (let column = 0; column < across; column += columns) {
      const endRow = STRIDE * (row + rows - 1) + WINDOW, endColumn = STRIDE * (column + columns - 1) + WINDOW;
      const tile = sums.level(frame, level, [STRIDE * row, endRow, STRIDE * column, endColumn]);
      const map = await net(tile.values, [1, tile.rows, tile.columns, 3]);
      found.push(...windows(map, scale, least, row, column, frame));
    }
  }
  return found;
}

function cells(pixels) {
  return Math.max(1, Math.floor((pixels - WINDOW) / STRIDE) + 1);
}

/** The windows of P-Net's map (1, 5, rows, columns) that may be faces, as boxes in the picture. */
function windows({ data, dims }, scale, least, firstRow, firstColumn, frame) {
  const [, , rows, columns] = dims, plane = rows * columns, unit = Math.fround(scale);
  const found = [];
  for (let place = 0; place < plane; place++) {
    if (data[place] < least) continue;
    const x = STRIDE * ((place % columns) + firstColumn), y = STRIDE * (Math.floor(place / columns) + firstRow);
    const box = [x + 1, y + 1, x + WINDOW, y + WINDOW].map((edge) => Math.floor(Math.fround(edge / unit)) - frame);
    found.push({ box, logit: data[place], offsets: [1, 2, 3, 4].map((channel) => data[channel * plane + place]) });
  }
  return found;
}
