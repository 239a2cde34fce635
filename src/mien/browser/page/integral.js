// Integral images (summed-area tables), by which a picture is resized, whole or in part: a pixel of the result is the mean over
// the pixels that its rectangle touches. The arithmetic is that of mien.faces.mtcnn.integral_image: both find the same faces.

/**
 * Pixels as a canvas gives them: upright, four bytes each, red, green, blue and one that is not looked at.
 * @typedef {{width: number, height: number, data: Uint8ClampedArray}} Picture
 */

/** The integral image of a part of a picture. */
export class IntegralImage {
  /**
   * @param {Picture} picture
   * @param {number[]} region Left, top, right and bottom of the part, in whole pixels; positions count from its corner.
   */
  constructor(picture, [left, top, right, bottom] = [0, 0, picture.width, picture.height]) {
    this.width = right - left;
    this.height = bottom - top;
    // Sums up to (height + 1) x (width + 1) corners. They may wrap around in large pictures; differences are right all the same.
    this.sums = new Int32Array((this.height + 1) * (this.width + 1) * 3);
    const { sums } = this, line = 3 * (this.width + 1);
    for (let y = 0; y < this.height; y++) {
      let from = 4 * ((top + y) * picture.width + left), to = (y + 1) * line + 3;
      let red = 0, green = 0, blue = 0;
      for (let x = 0; x < this.width; x++, from += 4, to += 3) {
        red += picture.data[from];
        green += picture.data[from + 1];
        blue += picture.data[from + 2];
        sums[to] = sums[to - line] + red;
        sums[to + 1] = sums[to + 1 - line] + green;
        sums[to + 2] = sums[to + 2 - line] + blue;
      }
    }
  }

  /**
   * The picture in a black frame of `frame` pixels, resized to `size`.
   * @param {number} frame
   * @param {{width: number, height: number}} size
   * @param {number[]} part First row, end of rows, first column and end of columns of the result that are wanted.
   * @returns {{values: Float32Array, rows: number, columns: number}} (rows, columns, 3), 0 to 255.
   */
  level(frame, size, [firstRow, endRow, firstColumn, endColumn]) {
    const rows = bins(this.height + 2 * frame, size.height, firstRow, Math.min(endRow, size.height), -frame);
    const columns = bins(this.width + 2 * frame, size.width, firstColumn, Math.min(endColumn, size.width), -frame);
    const values = new Float32Array(rows.begin.length * columns.begin.length * 3);
    this.#means(rows, columns, values, 0);
    return { values, rows: rows.begin.length, columns: columns.begin.length };
  }

  /**
   * Boxes resized to squares of `side` pixels, one after the other; black beyond the picture.
   * @param {number[][]} boxes Whole numbers: left, top, right, bottom.
   * @param {number} side
   * @returns {Float32Array} (boxes, side, side, 3), 0 to 255.
   */
  crops(boxes, side) {
    const values = new Float32Array(boxes.length * side * side * 3);
    boxes.forEach(([left, top, right, bottom], place) => {
      const rows = bins(bottom - top, side, 0, side, top), columns = bins(right - left, side, 0, side, left);
      this.#means(rows, columns, values, place * side * side * 3);
    });
    return values;
  }

  /** Writes the means over rows and columns of rectangles into `values`, from the place `to` on. */
  #means(rows, columns, values, to) {
    const { sums } = this, line = 3 * (this.width + 1);
    const lefts = columns.begin.map((edge) => 3 * clamp(edge, this.width));
    const rights = columns.end.map((edge) => 3 * clamp(edge, this.width));
    for (let row = 0; row < rows.begin.length; row++) {
      const top = line * clamp(rows.begin[row], this.height), bottom = line * clamp(rows.end[row], this.height);
      const high = rows.end[row] - rows.begin[row];
      for (let column = 0; column < lefts.length; column++) {
        const left = lefts[column], right = rights[column];
        const area = high * (columns.end[column] - columns.begin[column]);
        for (let channel = 0; channel < 3; channel++, to++) {
          const lower = sums[bottom + right + channel] - sums[bottom + left + channel];
          const upper = sums[top + right + channel] - sums[top + left + channel];
          values[to] = Math.fround((lower - upper) | 0) / area;
        }
      }
    }
  }
}

/** Where parts `first` to `last` of `count` equal parts of `length` pixels begin (rounded down) and end (up), moved by `by`. */
function bins(length, count, first, last, by) {
  const begin = new Int32Array(last - first), end = new Int32Array(last - first);
  for (let part = first; part < last; part++) {
    begin[part - first] = Math.floor((part * length) / count) + by;
    end[part - first] = Math.floor(((part + 1) * length + count - 1) / count) + by;
  }
  return { begin, end };
}

function clamp(edge, length) {
  return edge < 0 ? 0 : edge > length ? length : edge;
}
