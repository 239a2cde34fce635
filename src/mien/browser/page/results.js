// The list of faces beside the picture: a card for each, with a bar for every expression.

import { percent, sentence, shortName } from "./words.js";

/** The most faces that are listed; the surest come first. */
const MOST = 20;
/** Milliseconds between two sentences for screen readers while the camera runs. */
const PAUSE = 4000;

/** Shows faces. */
export class Results {
  /**
   * @param {{list: HTMLElement, none: HTMLElement, said: HTMLElement}} places The list, what stands there without faces, and what
   * screen readers speak.
   * @param {string[]} classes
   */
  constructor({ list, none, said }, classes) {
    Object.assign(this, { list, none, said, classes });
    this.spokenAt = -Infinity;
  }

  /**
   * Shows the faces of a picture.
   * @param {import("./recognizer.js").NamedFace[]} faces
   * @param {string} empty What is said where there are none.
   * @param {boolean} live Whether more come soon: not every answer is spoken then.
   */
  show(faces, empty, live) {
    const shown = faces.slice(0, MOST);
    while (this.list.children.length > shown.length) this.list.lastChild.remove();
    while (this.list.children.length < shown.length) this.list.append(card(this.classes));
    shown.forEach((face, place) => fill(this.list.children[place], face, place, this.classes));
    this.none.hidden = faces.length > 0 && faces.length <= MOST;
    this.none.textContent = faces.length ? `The ${MOST} surest of ${faces.length} faces are listed.` : empty;
    const text = faces.length ? shown.map((face) => sentence(face, this.classes)).join("; ") : empty;
    if ((live && performance.now() - this.spokenAt < PAUSE) || text === this.said.textContent) return;
    this.spokenAt = performance.now();
    this.said.textContent = text;
  }
}

/** An empty card. */
function card(classes) {
  const item = element("li", "face"), title = element("h3"), bars = element("dl", "bars");
  title.append(element("span"), element("span", "soft"));
  for (const name of classes) {
    const term = element("dt"), value = element("dd"), bar = element("span", "bar");
    term.textContent = shortName(name);
    bar.ariaHidden = "true";
    bar.append(element("span", "fill"));
    value.append(bar, element("span", "share"));
    bars.append(term, value);
  }
  item.append(title, bars);
  return item;
}

function fill(item, face, place, classes) {
  item.classList.toggle("unsure", face.unsure);
  const [answer, name] = item.querySelectorAll("h3 span");
  const possible = face.possible.map(shortName).join(" or ") || "none is likely";
  setText(answer, face.unsure ? `unsure: ${possible}` : sentence(face, classes));
  setText(name, `face ${face.track ?? place + 1}`);
  const [terms, fills, shares] = ["dt", ".fill", ".share"].map((kind) => item.querySelectorAll(kind));
  face.scores.forEach((score, number) => {
    terms[number].classList.toggle("possible", face.possible.includes(classes[number]));
    fills[number].style.transform = `scaleX(${score.toFixed(3)})`;
    setText(shares[number], percent(score));
  });
}

/** Sets a text where it is another: what is unchanged is not drawn again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function element(name, kind = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  return made;
}
