// Whether a face is unlike those that the model learned from, as in mien.recognize.unlike_training.

/** What the features of the training faces are like: the centers of their clusters. */
export class TrainingFaces {
  /** @param {{beyond: number, width: number, centers: string}} settings `centers`: signed bytes in base64, `width` for each. */
  constructor({ beyond, width, centers }) {
    const bytes = Int8Array.from(atob(centers), (letter) => letter.charCodeAt(0));
    this.beyond = beyond;
    this.width = width;
    this.centers = Array.from({ length: bytes.length / width }, (_, row) => unit(bytes.subarray(row * width, (row + 1) * width)));
  }

  /**
   * Whether features lie farther from the nearest center, by the cosine, than those of training. Throws an error where there are
   * none, or they are not as the centers are.
   */
  isUnlike(features) {
    if (!features) throw new Error("its features are missing");
    if (features.length !== this.width || !features.every(Number.isFinite)) {
      throw new Error(`its features are not ${this.width} finite numbers`);
    }
    const given = unit(features);
    const cosines = this.centers.map((center) => center.reduce((sum, value, place) => sum + value * given[place], 0));
    return 1 - Math.max(...cosines) > this.beyond;
  }
}

/** Numbers divided by their length; 0 stays 0. */
function unit(values) {
  const length = Math.max(Math.hypot(...values), 1e-12);
  return Float64Array.from(values, (value) => value / length);
}
