// The strip of the last minute: how probable each expression of the largest face was, one above the other, and where it was
// unsure.

import { area } from "./boxes.js";
import { fitToScreen } from "./screen.js";
import { shortName } from "./words.js";

/** Seconds that are shown, and the pause from which on there is a gap. */
const SECONDS = 60, GAP = 1;
/** Seconds between two drawings: in them the strip moves by few pixels, and the whole of it is drawn each time. */
const PAUSE = 0.25;
/** The height of the line above that shows where the model is unsure, as a share, and its color. */
const UNSURE = 0.08, UNSURE_COLOR = "#444444";

/** Draws the last minute. */
export class Strip {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} legend A list for the names.
   * @param {{classes: string[], colors: string[]}} settings
   */
  constructor(canvas, legend, { classes, colors }) {
    this.canvas = canvas;
    this.colors = colors;
    this.clear();
    const items = classes.map((name, place) => legendItem(shortName(name), colors[place]));
    legend.replaceChildren(...items, legendItem("unsure", null));
  }

  /** Forgets all. */
  clear() {
    this.points = [];
    this.drawnAt = -Infinity;
  }

  /** Adds a frame's faces at a time in seconds, and draws unless it just did. */
  add(time, faces) {
    const largest = faces.reduce((best, face) => (!best || area(face.box) > area(best.box) ? face : best), null);
    if (largest) this.points.push({ time, scores: largest.scores, unsure: largest.unsure });
    while (this.points.length && this.points[0].time < time - SECONDS) this.points.shift();
    if (time - this.drawnAt < PAUSE) return;
    this.drawnAt = time;
    this.#draw(time);
  }

  #draw(now) {
    const { width, height, ratio } = fitToScreen(this.canvas);
    const context = this.canvas.getContext("2d"), top = Math.round(UNSURE * height) + ratio;
    context.clearRect(0, 0, width, height);
    this.points.forEach(({ time, scores, unsure }, place) => {
      const next = this.points[place + 1]?.time ?? now, end = Math.min(next, time + GAP);
      const left = Math.floor(((time - now) / SECONDS + 1) * width), right = Math.ceil(((end - now) / SECONDS + 1) * width);
      const wide = Math.max(1, right - left);
      let from = height;
      scores.forEach((score, number) => {
        const high = score * (height - top);
        context.fillStyle = this.colors[number];
        context.fillRect(left, from - high, wide, high);
        from -= high;
      });
      context.fillStyle = UNSURE_COLOR;
      if (unsure) context.fillRect(left, 0, wide, UNSURE * height);
    });
  }
}

/** A name with its color. */
function legendItem(name, color) {
  const item = document.createElement("li"), swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.ariaHidden = "true";
  swatch.style.background = color ?? UNSURE_COLOR;
  item.append(swatch, color ? name : "unsure (above)");
  return item;
}
