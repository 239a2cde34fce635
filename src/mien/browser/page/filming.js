// Frame after frame of the camera through the model, as fast as it answers; while the tab is in the background it waits.

/** Seconds over which the pace is counted. */
const COUNTED = 2;
/** Frames that are on their way at most: one is read, and the next one waits, so that the model never does. */
const MOST = 2;

/** Reads a camera until it is told to stop. */
export class Filming {
  /**
   * @param {HTMLVideoElement} video
   * @param {import("./reader.js").Reader} reader
   * @param {{frame: (faces: Object[], frame: number, time: number, pace: number) => void, failed: (error: Error) => void}} told
   */
  constructor(video, reader, told) {
    Object.assign(this, { video, reader, told });
    this.film = 0;
  }

  /** Begins a new film. */
  async start() {
    const own = ++this.film, times = [];
    const began = performance.now();
    let sent = 0, asked = 0;
    const read = async (frame, time) => {
      try {
        const bitmap = await createImageBitmap(this.video);
        const faces = await this.reader.ask("follow", { bitmap, time });
        if (this.film === own) this.told.frame(faces, frame, time, paceOf(times, (performance.now() - began) / 1000));
      } catch (error) {
        if (this.film === own) this.told.failed(error);
      }
      asked -= 1;
    };
    while (this.film === own) {
      await this.#drawn();
      if (this.film !== own || asked >= MOST) continue;
      asked += 1;
      read(sent, sent ? (performance.now() - began) / 1000 : 0);
      sent += 1;
    }
  }

  /** Ends the film. */
  stop() {
    this.film += 1;
  }

  /** Waits for the next frame that is drawn, and while the tab is in the background. */
  async #drawn() {
    const { video } = this;
    while (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    await new Promise((seen) => {
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
      else requestAnimationFrame(seen);
    });
  }
}

/** Frames a second, by the times of those that were read; `now` is added to them. */
function paceOf(times, now) {
  times.push(now);
  while (times[0] < now - COUNTED) times.shift();
  return times.length > 1 ? (times.length - 1) / (now - times[0]) : 0;
}
