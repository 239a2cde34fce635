// Runs the model beside the page, so that the page stays quick. Messages are {id, kind, ...}; answers {id, value} or {id, fault}.

import { Unreadable, bitmapOf, pixelsOf } from "./pictures.js";
import { Recognizer } from "./recognizer.js";
import { network } from "./runtime.js";

const opening = open();
opening.catch(() => {}); // said to whoever asks

/** What the page may ask for. */
const tasks = {
  /** The model's settings, once it is loaded and has run once. */
  open: async () => (await opening).settings,
  /** The faces of a picture. */
  read: async ({ bitmap }) => (await opening).read(pixelsOf(bitmap)),
  /** The faces of the next frame. */
  follow: async ({ bitmap, time }) => (await opening).follow(pixelsOf(bitmap), time),
  /** The crops and logits of a file, for comparing with Python. */
  look: async ({ file }) => {
    const recognizer = await opening;
    return recognizer.look(pixelsOf(await bitmapOf(file, recognizer.settings.pixels)));
  },
};

/** The end of what was asked for so far: one thing is done after the other. */
let before = Promise.resolve();

self.onmessage = ({ data }) => {
  before = before.then(() => reply(data));
};

async function reply({ id, kind, ...given }) {
  try {
    self.postMessage({ id, value: await tasks[kind](given) });
  } catch (error) {
    given.bitmap?.close();
    self.postMessage({ id, fault: error instanceof Unreadable ? error.message : `the model cannot read it (${error.message})` });
  }
}

/** Loads all files at once, and runs each network once: the first run of a network takes longest. */
async function open() {
  const settings = JSON.parse(new TextDecoder().decode(await content("model/settings.json")));
  const [graph, weights, ...cascade] = await Promise.all(
    ["model/model.onnx", "model/model.safetensors", "model/pnet.onnx", "model/rnet.onnx", "model/onet.onnx"].map(content),
  );
  const names = await network(graph, [{ path: "model.safetensors", data: weights }]);
  const [pnet, rnet, onet] = await Promise.all(cascade.map((file) => network(file)));
  const { side, channels } = settings;
  await names(new Uint8Array(side * side * channels), [1, side, side, ...(channels === 3 ? [3] : [])]);
  await pnet(new Float32Array(24 * 24 * 3), [1, 24, 24, 3]);
  await rnet(new Float32Array(24 * 24 * 3), [1, 24, 24, 3]);
  await onet(new Float32Array(48 * 48 * 3), [1, 48, 48, 3]);
  return new Recognizer(settings, { names, pnet, rnet, onet });
}

/** The content of one of the page's own files. */
async function content(name) {
  const response = await fetch(new URL(name, import.meta.url), { cache: "no-cache" }); // so that files of two models never mix
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
