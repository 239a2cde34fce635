// From logits to an answer: the temperature, and the two thresholds that decide which classes are possible and what is sure.
// As mien.recognize.recognizer and mien.recognize.prediction do it.

/**
 * What is told of a face: the likeliest class and its calibrated probability, whether that is unsure, the possible classes, the
 * likeliest first, and the probability of every class, in the order of the model's classes.
 * @typedef {{top: string, confidence: number, unsure: boolean, possible: string[], scores: number[]}} Answer
 */

/** Calibrated probabilities of logits. Throws an error where one is not finite. */
export function probabilities(logits, temperature) {
  if (!logits.every(Number.isFinite)) throw new Error("its logits are not finite");
  const highest = Math.max(...logits);
  const odds = Array.from(logits, (value) => Math.exp((value - highest) / temperature));
  const sum = odds.reduce((total, value) => total + value, 0);
  return odds.map((value) => Math.fround(value / sum));
}

/**
 * The answer for probabilities in the order of the classes.
 * @param {number[]} values
 * @param {{classes: string[], least: number[], sure: number, unlike: ?{least: number}}} model `least`: from which probability on
 *   each class is possible.
 * @param {boolean} isUnlike Whether the face is unlike those of training: more is possible then, and nothing sure.
 * @returns {Answer}
 */
export function answer(values, { classes, least, sure, unlike }, isUnlike = false) {
  const lowered = isUnlike ? unlike.least : 1;
  const order = classes.map((_, place) => place).sort((a, b) => values[b] - values[a]);
  const possible = order.filter((place) => values[place] >= Math.min(least[place], lowered)).map((place) => classes[place]);
  const confidence = values[order[0]];
  return {
    top: classes[order[0]],
    confidence,
    // Several are possible, or none is, or the single one is not sure enough. At 1 no answer is sure.
    unsure: isUnlike || possible.length !== 1 || !(sure <= confidence) || sure >= 1,
    possible,
    scores: values,
  };
}
