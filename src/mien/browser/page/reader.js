// The page's side of the worker.

/**
 * The address of a script that loads the worker. A worker from such a blob has the page's own content policy, wherever the page
 * lies. From a file it would have the policy of the server's headers, and most servers send none.
 */
function loader() {
  const worker = new URL("./worker.js", import.meta.url).href;
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(worker)};`], { type: "text/javascript" }));
}

/** Asks the worker, and waits for its answers. */
export class Reader {
  constructor() {
    this.waiting = new Map();
    this.last = 0;
    this.isLost = false;
    this.worker = new Worker(loader(), { type: "module" });
    this.worker.onmessage = ({ data: { id, value, fault } }) => {
      const asked = this.waiting.get(id);
      if (!asked) return; // the worker was given up, and answers all the same
      this.waiting.delete(id);
      if (fault === undefined) asked.done(value);
      else asked.failed(new Error(fault));
    };
    // The worker itself could not be loaded, or broke.
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.isLost = true;
      for (const { failed } of this.waiting.values()) failed(lost());
      this.waiting.clear();
    };
  }

  /**
   * What the worker answers.
   * @param {"open" | "read" | "follow" | "look"} kind
   * @param {Object} given What goes with it; a bitmap is handed over, not copied.
   */
  ask(kind, given = {}) {
    if (this.isLost) {
      given.bitmap?.close();
      return Promise.reject(lost());
    }
    const id = ++this.last;
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage({ id, kind, ...given }, given.bitmap ? [given.bitmap] : []);
    });
  }
}

function lost() {
  return new Error("its scripts cannot be loaded");
}
