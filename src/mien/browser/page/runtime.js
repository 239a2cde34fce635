// Networks run by onnxruntime-web, in WebAssembly: with several threads where the page is isolated from others, else with one.

import * as ort from "./vendor/ort.wasm.min.mjs";

/** Half of the processors: the page and the camera want theirs. The networks are small, and more threads wait for each other. */
const THREADS = Math.max(1, Math.min(4, Math.floor((navigator.hardwareConcurrency || 1) / 2)));

const vendor = (name) => new URL(`./vendor/${name}`, import.meta.url).href;
ort.env.wasm.wasmPaths = { mjs: vendor("ort-wasm-simd-threaded.mjs"), wasm: vendor("ort-wasm-simd-threaded.wasm") };
ort.env.wasm.numThreads = self.crossOriginIsolated ? THREADS : 1;
ort.env.logLevel = "error";

/**
 * A network as a function of one array.
 * @param {Uint8Array} graph The content of its ONNX file.
 * @param {{path: string, data: Uint8Array}[]} weights Files beside it that it names.
 * @typedef {{data: Float32Array, dims: number[]}} Values
 * @returns {Promise<(values: Float32Array | Uint8Array, shape: number[]) => Promise<Values & {features: ?Values}>>} Its first
 *   output, and the one that is named features.
 */
export async function network(graph, weights = []) {
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData: weights });
  const [input] = session.inputNames, [output] = session.outputNames;
  return async (values, shape) => {
    const kind = values instanceof Uint8Array ? "uint8" : "float32";
    const made = await session.run({ [input]: new ort.Tensor(kind, values, shape) });
    return { data: made[output].data, dims: made[output].dims, features: made.features ?? null };
  };
}
