// The page's side of the worker.

/** Asks the worker, and waits for its answers. */
export class Reader {
  constructor() {
    this.waiting = new Map();
    this.last = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data: { id, value, fault } }) => {
      const { done, failed } = this.waiting.get(id);
      this.waiting.delete(id);
      if (fault === undefined) done(value);
      else failed(new Error(fault));
    };
    // The worker itself could not be loaded.
    this.worker.onerror = (event) => {
      event.preventDefault();
      for (const { failed } of this.waiting.values()) failed(new Error("its scripts cannot be loaded"));
      this.waiting.clear();
    };
  }

  /**
   * What the worker answers.
   * @param {"open" | "read" | "follow" | "look"} kind
   * @param {Object} given What goes with it; a bitmap is handed over, not copied.
   */
  ask(kind, given = {}) {
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, kind, ...given }, given.bitmap ? [given.bitmap] : []);
    });
  }
}
