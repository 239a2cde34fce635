// Faces in frames that follow each other closely, as in mien.faces.between_frames: only every so many frames are searched whole.
// In those between, faces are looked for around their last places, and not much smaller than they were. Where one is lost, all of
// the frame is searched.

/** Seconds by which two times may differ, as they are rounded. */
const CLOSE = 1e-3;

/** Finds the faces of a camera, frame after frame. */
export class FrameSearch {
  /**
   * @param {import("./mtcnn.js").Mtcnn} detector
   * @param {Object} settings The constants of mien.faces.between_frames by their names in small letters, and `smallest`: in which
   * part of a frame's shorter side the smallest faces are.
   */
  constructor(detector, settings) {
    this.detector = detector;
    this.settings = settings;
    this.restart();
  }

  /** Forgets all frames so far. */
  restart() {
    this.faces = [];
    this.count = 0;
    this.wholeAt = -Infinity;
    this.lastAt = -Infinity;
  }

  /**
   * The faces of the next frame, the surest first.
   * @param {import("./integral.js").Picture} frame
   * @param {number} time In seconds.
   */
  async find(frame, time) {
    const { smallest } = this.settings;
    const least = Math.max(Math.min(frame.width, frame.height) / smallest, this.detector.settings.least_face);
    const regions = this.#isWholeDue(time) ? [] : regionsOf(this.faces, frame, this.settings);
    this.lastAt = time;
    let found = [];
    if (regions.length) {
      const sides = this.faces.map(({ box }) => Math.max(box[2] - box[0], box[3] - box[1]));
      const like = Math.max(least, this.settings.smaller * Math.min(...sides));
      for (const region of regions) found.push(...(await this.detector.find(frame, like, region)));
    }
    this.count += 1;
    if (!found.length || found.length < this.faces.length) {
      found = await this.detector.find(frame, least);
      this.count = 0;
      this.wholeAt = time;
    }
    this.faces = found.sort((a, b) => b.score - a.score);
    return this.faces;
  }

  #isWholeDue(time) {
    const { whole_every: every, whole_after: after, near } = this.settings;
    return this.count + 1 >= every || time - this.wholeAt > after + CLOSE || time - this.lastAt >= near - CLOSE;
  }
}

/** Where to look for these faces; places that overlap are one, and so is the whole frame where they take most of it. */
function regionsOf(faces, { width, height }, { around, worth }) {
  let joined = [];
  for (let region of faces.map(({ box }) => surroundings(box, around, width, height))) {
    for (let near = joined.find((one) => overlap(one, region)); near; near = joined.find((one) => overlap(one, region))) {
      const other = near;
      joined = joined.filter((one) => one !== other);
      region = [0, 1, 2, 3].map((edge) => (edge < 2 ? Math.min(region[edge], other[edge]) : Math.max(region[edge], other[edge])));
    }
    joined.push(region);
  }
  const covered = joined.reduce((sum, [x0, y0, x1, y1]) => sum + (x1 - x0) * (y1 - y0), 0);
  if (covered > worth * width * height) return [[0, 0, width, height]];
  return joined.filter(([x0, y0, x1, y1]) => x0 < x1 && y0 < y1);
}

/** The square around a box, within the frame, in whole pixels. */
function surroundings([x0, y0, x1, y1], around, width, height) {
  const half = (around * Math.max(x1 - x0, y1 - y0)) / 2, x = (x0 + x1) / 2, y = (y0 + y1) / 2;
  const within = (edge, length) => Math.min(Math.max(edge, 0), length);
  return [
    within(Math.floor(x - half), width),
    within(Math.floor(y - half), height),
    within(Math.ceil(x + half), width),
    within(Math.ceil(y + half), height),
  ];
}

function overlap(one, other) {
  return Math.max(one[0], other[0]) < Math.min(one[2], other[2]) && Math.max(one[1], other[1]) < Math.min(one[3], other[3]);
}
