// Follows faces from frame to frame and smooths their scores, as in mien.recognize.tracking_and_smoothing.

import { area } from "./boxes.js";

/** Gives faces numbers that stay, and averages their probabilities. */
export class Tracker {
  /** @param {{overlap: number, away: number, smooth: number}} settings Those of mien.recognize.tracking_and_smoothing. */
  constructor(settings) {
    this.settings = settings;
    this.restart();
  }

  /** Forgets all faces. */
  restart() {
    this.tracks = [];
    this.count = 0;
  }

  /**
   * The number and the smoothed probabilities of each face of the next frame.
   * @param {number} time In seconds.
   * @param {{box: number[], scores: number[]}[]} faces
   * @returns {{track: number, scores: number[]}[]}
   */
  follow(time, faces) {
    this.tracks = this.tracks.filter((track) => time - track.time <= this.settings.away);
    const known = this.#matched(faces);
    return faces.map((face, place) => this.#next(time, face, known.get(place)));
  }

  /** The track of each face that has one: pairs that overlap most come first. */
  #matched(faces) {
    const { tracks } = this;
    const pairs = faces.flatMap(({ box }, place) => tracks.map((track) => ({ place, track, worth: shared(box, track.box) })));
    const known = new Map(), taken = new Set();
    for (const { place, track, worth } of pairs.sort((a, b) => b.worth - a.worth)) {
      if (worth < this.settings.overlap || known.has(place) || taken.has(track)) continue;
      known.set(place, track);
      taken.add(track);
    }
    return known;
  }

  /** The average over a track, in which a score counts the less the longer ago it was. */
  #next(time, { box, scores }, known) {
    let track = known;
    if (!track) {
      track = { number: ++this.count, time, sums: scores.map(() => 0), weight: 0 };
      this.tracks.push(track);
    }
    const { smooth } = this.settings, kept = smooth ? Math.exp((track.time - time) / smooth) : 0;
    track.sums = track.sums.map((sum, place) => kept * sum + scores[place]);
    track.weight = kept * track.weight + 1;
    track.box = box;
    track.time = time;
    return { track: track.number, scores: track.sums.map((sum) => sum / track.weight) };
  }
}

/** Intersection over union of two boxes; 0 for boxes of no size. */
function shared(one, other) {
  const wide = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]));
  const high = Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));
  const whole = area(one) + area(other) - wide * high;
  return whole > 0 ? (wide * high) / whole : 0;
}
