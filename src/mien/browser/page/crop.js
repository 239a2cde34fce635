// Cuts a face out of its picture by a crop map, bit for bit as mien.faces.align.crop does with OpenCV. Where it shrinks, the
// picture is averaged over areas first; then it is interpolated between four pixels, in OpenCV's whole numbers.

/**
 * @param {import("./integral.js").Picture} picture
 * @param {import("./align.js").CropMap} map
 * @param {number} side Pixels of the crop's side.
 * @returns {Uint8Array} (side, side, 3), black beyond the picture.
 */
export function crop(picture, map, side) {
  const back = fromCrop(map, side);
  const x = seen(back[0], side, picture.width), y = seen(back[1], side, picture.height);
  if (x.begin >= x.end || y.begin >= y.end) return new Uint8Array(side * side * 3);
  const part = averaged(picture, x, y);
  // What is averaged counts from the center of its first pixel, as OpenCV does.
  const matrix = [
    [back[0][0] / x.shrink, back[0][1] / x.shrink, (back[0][2] - x.begin) / x.shrink - 0.5],
    [back[1][0] / y.shrink, back[1][1] / y.shrink, (back[1][2] - y.begin) / y.shrink - 0.5],
  ];
  const made = warped(part, matrix, side);
  return x.inside && y.inside ? made : darkened(made, back, [x, y], [picture.width, picture.height], side);
}

/** The map from column and row of a pixel in the crop, and 1, to x and y of its center in the picture. */
function fromCrop([[a, b, c], [d, e, f]], side) {
  const one = 1 / (a * e - b * d);
  const along = [e * one, -b * one], across = [-d * one, a * one];
  return [
    [along[0], along[1], -along[0] * c - along[1] * f],
    [across[0], across[1], -across[0] * c - across[1] * f],
  ].map(([p, q, r]) => [p / side, q / side, (0.5 * p + 0.5 * q + side * r) / side]);
}

/**
 * What a crop sees of a picture's width, or of its height.
 * @returns {{step: number, shrink: number, begin: number, end: number, inside: boolean}} Pixels between neighbors in the crop;
 * how many are averaged into one; the range of those that are needed; and whether the crop ends within the picture.
 */
function seen([along, down, first], side, length) {
  const step = Math.hypot(along, down);
  // What is whole but for rounding counts as whole.
  const shrink = Math.floor(Math.min(Math.max(1, step * (1 + 1e-9)), length));
  const corner = first - (along + down) / 2;
  const low = corner + side * (Math.min(along, 0) + Math.min(down, 0));
  const high = corner + side * (Math.max(along, 0) + Math.max(down, 0));
  let begin = Math.max(0, Math.floor(low) - 2 * shrink), end = Math.min(length, Math.ceil(high) + 2 * shrink);
  // What does not fill an area is left out, but not at the picture's own edges.
  const rest = (((end - begin) % shrink) + shrink) % shrink;
  if (end < length) end -= rest;
  else if (begin > 0) begin += rest;
  return { step, shrink, begin, end, inside: low >= 0 && high <= length };
}

/** Means over areas of a part of the picture, and over what is left at its right and lower edge: three bytes a pixel. */
function averaged(picture, x, y) {
  const width = Math.ceil((x.end - x.begin) / x.shrink), height = Math.ceil((y.end - y.begin) / y.shrink);
  const data = new Uint8Array(width * height * 3);
  for (let row = 0, to = 0; row < height; row++) {
    const top = y.begin + row * y.shrink, bottom = Math.min(top + y.shrink, y.end);
    for (let column = 0; column < width; column++, to += 3) {
      const left = x.begin + column * x.shrink, right = Math.min(left + x.shrink, x.end);
      for (let channel = 0; channel < 3; channel++) {
        data[to + channel] = mean(picture, channel, left, top, right, bottom);
      }
    }
  }
  return { width, height, data };
}

/** The mean of one channel over a rectangle, rounded as OpenCV rounds it. */
function mean(picture, channel, left, top, right, bottom) {
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left, from = 4 * (y * picture.width + left) + channel; x < right; x++, from += 4) sum += picture.data[from];
  }
  const wide = right - left, high = bottom - top;
  if (wide === 2 && high === 2) return (sum + 2) >> 2;
  return roundedToEven(Math.fround(sum * Math.fround(1 / (wide * high))));
}

/** OpenCV's warpAffine: places in 32nds of a pixel, weights in whole numbers, edge pixels repeated. */
function warped({ width, height, data }, [[a, b, c], [d, e, f]], side) {
  const made = new Uint8Array(side * side * 3);
  for (let row = 0, to = 0; row < side; row++) {
    const beginX = roundedToEven((b * row + c) * 1024) + 16, beginY = roundedToEven((e * row + f) * 1024) + 16;
    for (let column = 0; column < side; column++) {
      const x = (beginX + roundedToEven(a * column * 1024)) >> 5, y = (beginY + roundedToEven(d * column * 1024)) >> 5;
      const right = x & 31, lower = y & 31;
      const left = limited(x >> 5, width), next = limited((x >> 5) + 1, width);
      const top = limited(y >> 5, height) * width, bottom = limited((y >> 5) + 1, height) * width;
      for (let channel = 0; channel < 3; channel++, to++) {
        const above = data[3 * (top + left) + channel] * (32 - right) + data[3 * (top + next) + channel] * right;
        const below = data[3 * (bottom + left) + channel] * (32 - right) + data[3 * (bottom + next) + channel] * right;
        made[to] = (above * (32 - lower) + below * lower + 512) >> 10;
      }
    }
  }
  return made;
}

/** The crop, with what lies beyond the picture in black. */
function darkened(made, back, [seenX, seenY], [width, height], side) {
  const share = ([along, down, first], { step, shrink }, length, column, row) => {
    const place = along * column + down * row + first;
    return Math.min(1, Math.max(0, Math.min(place, length - place) / Math.min(step, shrink) + 0.5));
  };
  return made.map((value, place) => {
    const pixel = Math.floor(place / 3), column = pixel % side, row = Math.floor(pixel / side);
    return roundedToEven(value * share(back[0], seenX, width, column, row) * share(back[1], seenY, height, column, row));
  });
}

/** Gray values of a crop (side, side, 3), with the weights of OpenCV. */
export function gray(color) {
  const made = new Uint8Array(color.length / 3);
  for (let to = 0, from = 0; to < made.length; to++, from += 3) {
    made[to] = (color[from] * 9798 + color[from + 1] * 19235 + color[from + 2] * 3735 + 16384) >> 15;
  }
  return made;
}

function limited(place, length) {
  return place < 0 ? 0 : place >= length ? length - 1 : place;
}

function roundedToEven(value) {
  const down = Math.floor(value), over = value - down;
  return over > 0.5 || (over === 0.5 && down % 2 !== 0) ? down + 1 : down;
}
