// A model at work: faces are found, cut out and named as its settings say.

import { cropMap } from "./align.js";
import { FrameSearch } from "./between.js";
import { answer, probabilities } from "./calibration.js";
import { crop, gray } from "./crop.js";
import { Mtcnn } from "./mtcnn.js";
import { Tracker } from "./tracking.js";
import { TrainingFaces } from "./unlike.js";

/**
 * A face with what is told of it. `track` is the number of a person in front of the camera, else null.
 * @typedef {import("./mtcnn.js").Face & import("./calibration.js").Answer & {track: number | null}} NamedFace
 */

/** Names the expressions in pictures and in a camera's frames. */
export class Recognizer {
  /**
   * @param {Object} settings What mien.browser.page_settings writes.
   * @param {{pnet: Function, rnet: Function, onet: Function, names: Function}} networks
   */
  constructor(settings, networks) {
    this.settings = settings;
    this.names = networks.names;
    this.detector = new Mtcnn(networks, settings.detector);
    this.search = new FrameSearch(this.detector, settings.frames);
    this.tracker = new Tracker(settings.tracking);
    this.training = settings.unlike && new TrainingFaces(settings.unlike);
  }

  /**
   * The faces of a picture, the surest first.
   * @param {import("./integral.js").Picture} picture
   * @returns {Promise<NamedFace[]>}
   */
  async read(picture) {
    const { faces, scores, unlike } = await this.#scored(picture, await this.#faces(picture));
    return faces.map((face, place) => ({ ...face, track: null, ...answer(scores[place], this.settings, unlike[place]) }));
  }

  /**
   * The faces of a camera's next frame, with numbers and smoothed scores. At `time` 0 a new film begins.
   * @param {import("./integral.js").Picture} frame
   * @param {number} time In seconds.
   * @returns {Promise<NamedFace[]>}
   */
  async follow(frame, time) {
    if (time === 0) {
      this.search.restart();
      this.tracker.restart();
    }
    const found = this.settings.align.way === "whole" ? await this.#faces(frame) : await this.search.find(frame, time);
    const { faces, scores, unlike } = await this.#scored(frame, found);
    const followed = this.tracker.follow(time, faces.map(({ box }, place) => ({ box, scores: scores[place] })));
    const named = (place) => answer(followed[place].scores, this.settings, unlike[place]);
    return faces.map((face, place) => ({ ...face, ...followed[place], ...named(place) }));
  }

  /**
   * The faces of a picture, their crops, and what the network says of them, for comparing with Python.
   * @returns {Promise<{faces: import("./mtcnn.js").Face[], crops: Uint8Array[], logits: Float32Array[]}>}
   */
  async look(picture) {
    const faces = await this.#faces(picture), crops = this.#crops(picture, faces).map(({ pixels }) => pixels);
    return { faces, crops, logits: (await this.#outputs(crops)).map(({ logits }) => logits) };
  }

  async #faces(picture) {
    if (this.settings.align.way !== "whole") return this.detector.find(picture, this.settings.detector.least_face);
    return [{ box: [0, 0, picture.width, picture.height], landmarks: null, score: 1 }];
  }

  #crops(picture, faces) {
    const { align, side, channels } = this.settings;
    const mapped = faces.map((face) => ({ face, map: cropMap(align, picture, face) })).filter(({ map }) => map);
    return mapped.map(({ face, map }) => {
      const color = crop(picture, map, side);
      return { face, pixels: channels === 3 ? color : gray(color) };
    });
  }

  async #scored(picture, found) {
    const cut = this.#crops(picture, found);
    const outputs = await this.#outputs(cut.map(({ pixels }) => pixels));
    return {
      faces: cut.map(({ face }) => face),
      scores: outputs.map(({ logits }) => probabilities(logits, this.settings.temperature)),
      unlike: outputs.map(({ features }) => Boolean(this.training?.isUnlike(features))),
    };
  }

  /** The logits of each crop, and its features where the network gives them. */
  async #outputs(crops) {
    if (!crops.length) return [];
    const { side, channels } = this.settings, size = crops[0].length;
    const values = new Uint8Array(crops.length * size);
    crops.forEach((pixels, place) => values.set(pixels, place * size));
    const { data, dims, features } = await this.names(values, [crops.length, side, side, ...(channels === 3 ? [3] : [])]);
    if (dims[1] !== this.settings.classes.length) throw new Error("its logits are not one for each class");
    const row = ({ data, dims }, place) => data.slice(place * dims[1], (place + 1) * dims[1]);
    return crops.map((_, place) => ({ logits: row({ data, dims }, place), features: features && row(features, place) }));
  }
}
