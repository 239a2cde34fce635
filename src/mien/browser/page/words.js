// How answers stand in sentences, as in mien.recognize.prediction.

/** The most letters of a name. */
const LETTERS = 80;

/** A share as people read it: 97%. */
export function percent(share) {
  return `${(100 * share).toFixed(0)}%`;
}

/** A name that is safe to show: control characters are written out, and what is long is cut. */
export function shortName(text) {
  const shown = text.length <= LETTERS ? text : `${text.slice(0, LETTERS - 1)}…`;
  return plain(shown);
}

/** A text whose control characters, and letters that turn the direction of writing, are written out. */
export function plain(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (letter) => {
    const code = letter.codePointAt(0);
    if (code === 0x200c || code === 0x200d) return letter; // they belong into words of Persian and Hindi, and into emoji
    const known = { "\t": "\\t", "\n": "\\n", "\r": "\\r" }[letter];
    return known ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  });
}

/** The answer in words: `happiness 97%`, or the two likeliest classes where it is unsure. */
export function sentence({ scores, unsure }, classes) {
  const order = classes.map((_, place) => place).sort((a, b) => scores[b] - scores[a]);
  const named = order.slice(0, unsure ? 2 : 1).map((place) => `${shortName(classes[place])} ${percent(scores[place])}`);
  return unsure ? `unsure (${named.join(", ")})` : named[0];
}

/** A number with its noun: 1 face, 2 faces. */
export function quantity(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
