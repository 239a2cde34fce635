// MTCNN's cascade, as in mien.faces.detect.mtcnn: P-Net proposes boxes, R-Net looks at each again, O-Net at what that leaves, and
// places five landmarks.

import { corrected, squared, suppress } from "./boxes.js";
import { IntegralImage } from "./integral.js";
import { CHUNK, logit, propose } from "./proposals.js";

const single = Math.fround;

/** Boxes and landmarks lie on multiples of 1/GRID of a pixel: networks round differently in their last digits. */
const GRID = 32;

/**
 * A face in pixels of the picture, the corner of the first pixel being (0, 0): x0, y0, x1, y1; x and y of the left eye, the right
 * eye, the nose and the corners of the mouth, or null; and the probability that it is a face.
 * @typedef {{box: number[], landmarks: number[][] | null, score: number}} Face
 */

/** Finds faces by three networks. */
export class Mtcnn {
  /**
   * @param {{pnet: Function, rnet: Function, onet: Function}} nets
   * @param {Object} settings The detector's settings by their names in Python.
   */
  constructor(nets, settings) {
    this.nets = nets;
    this.settings = settings;
  }

  /**
   * The faces of a part of a picture, the surest first.
   * @param {import("./integral.js").Picture} picture
   * @param {number} leastFace Side in pixels of the smallest faces that are looked for.
   * @param {number[]} region Left, top, right and bottom of the part; the whole picture unless given.
   * @returns {Promise<Face[]>} In pixels of the whole picture.
   */
  async find(picture, leastFace, region = [0, 0, picture.width, picture.height]) {
    const sums = new IntegralImage(picture, region);
    let found = await this.#cascade(sums, leastFace, false);
    if (!found.length && this.settings.second_look) found = await this.#cascade(sums, leastFace, true);
    const [left, top] = region;
    return found.map(({ box, landmarks, score }) => ({
      box: [box[0] + left, box[1] + top, box[2] + left, box[3] + top],
      landmarks: landmarks.map(([x, y]) => [x + left, y + top]),
      score,
    }));
  }

  async #cascade(sums, leastFace, framed) {
    const { factor, propose: least, refine, output } = this.settings;
    let found = await propose(this.nets.pnet, sums, { least_face: leastFace, factor, propose: least }, framed);
    found = suppress(together(found), 0.7).map((one) => ({ ...one, box: squared(corrected(one.box, one.offsets, 0)) }));
    found = await this.#judge(this.nets.rnet, sums, found, 24, refine);
    found = suppress(found, 0.7).map((one) => ({ ...one, box: squared(corrected(one.box, one.offsets, 1)) }));
    found = await this.#judge(this.nets.onet, sums, found, 48, output);
    const faces = found.map((one) => {
      const [x0, y0, x1, y1] = corrected(one.box, one.offsets, 1);
      // Pixels count from 1 here, and the last one belongs to the box.
      return { ...one, landmarks: landmarks(one), box: [x0, y0, single(x1 + 1), single(y1 + 1)] };
    });
    return suppress(faces, 0.7, "smaller")
      .map(({ box: [x0, y0, x1, y1], landmarks: points, logit: value }) => ({
        box: [x0, y0, x1, y1].map((edge) => onGrid(single(edge - 1))),
        landmarks: points,
        score: (1 + Math.tanh(value / 2)) / 2,
      }))
      .filter(({ box: [x0, y0, x1, y1] }) => x0 < x1 && y0 < y1);
  }

  /** The candidates that R-Net or O-Net takes for faces, where they were, and what it says of each. */
  async #judge(net, sums, candidates, side, threshold) {
    const seen = candidates.map((one) => ({ ...one, pixels: this.#pixels(one.box, sums) }));
    const real = seen.filter(({ pixels: [x0, y0, x1, y1] }) => x1 > x0 && y1 > y0);
    const step = Math.floor(CHUNK / (side * side)), found = [];
    for (let first = 0; first < real.length; first += step) {
      const some = real.slice(first, first + step);
      const { data, dims } = await net(sums.crops(some.map((one) => one.pixels), side), [some.length, side, side, 3]);
      some.forEach((one, place) => {
        const [value, ...offsets] = data.subarray(place * dims[1], (place + 1) * dims[1]);
        if (value > logit(threshold)) found.push({ box: one.box, group: 0, logit: value, offsets });
      });
    }
    return found;
  }

  /** The whole pixels that a box covers: it may reach beyond the picture, unless boxes are cut. */
  #pixels(box, sums) {
    const [x0, y0, x1, y1] = box.map(Math.trunc);
    if (this.settings.beyond !== "cut") return [x0 - 1, y0 - 1, x1, y1];
    return [Math.max(0, x0 - 1), Math.max(0, y0 - 1), Math.min(x1, sums.width), Math.min(y1, sums.height)];
  }
}

function together(candidates) {
  return candidates.map((one) => ({ ...one, group: 0 }));
}

/** Five landmarks from 5 x and 5 y in shares of the box's width and height. */
function landmarks({ box: [x0, y0, x1, y1], offsets }) {
  const wide = single(single(x1 - x0) + 1), high = single(single(y1 - y0) + 1), parts = offsets.slice(4);
  return [0, 1, 2, 3, 4].map((point) => [
    onGrid(single(single(single(parts[point] * wide) + x0) - 1)),
    onGrid(single(single(single(parts[point + 5] * high) + y0) - 1)),
  ]);
}

/** A place moved to the nearest multiple of 1/GRID; one in the middle to the larger one. */
function onGrid(place) {
  return Math.floor(place * GRID + 0.5) / GRID;
}
