// Many faces at once: one looks for one class, marks the faces that show it, and saves them together.

import { Faces, isLoaded } from "./faces.js";
import { Figures, blind, buttonOf, classes, find, isBounce, keyOf, nameOf, notUndone, showRefusal, showState } from "./common.js";
import { Sender, newKey } from "./sender.js";
import { openPhoto } from "./sheets.js";

const SHOWN = 24;
const figures = new Figures(() => sender.unsaved);
const past = []; // the sweeps of this tab, newest last: the questions that were answered together, and the answers' keys
const tiles = new Map(); // buttons by the number of their question
const marked = new Set();
let wanted = { kind: "label", label: 0 };

const sender = new Sender({
  answered(entries) {
    figures.save(entries.length);
    faces.settle();
  },
  undone(entry, reply) {
    figures.save(-1);
    faces.settle();
    if (entry.number !== null) return;
    faces.back([reply.question]);
    say("Taken back.");
  },
  refused(entry, problem) {
    if (entry.undo) return say(notUndone(entry));
    faces.refuse(entry.number);
    showRefusal(entry, problem);
  },
  state(count, trouble) {
    figures.showYours();
    showState(count, trouble, leave);
  },
});

const faces = new Faces(SHOWN + 12, SHOWN, sender.numbers, {
  changed: show,
  progress: (found, when) => figures.show(found, when) && faces.settle(),
  lost: (why) => showState(sender.entries.length, why, leave),
});

function leave() {
  sender.leaving = true;
}

function shown() {
  return faces.list.slice(0, SHOWN);
}

// Where guesses may be seen, the faces of the wanted class are marked already.
function premark(questions) {
  if (blind || wanted.kind !== "label") return;
  for (const { number, guess } of questions) if (guess && guess.label === wanted.label) marked.add(number);
}

function show() {
  const questions = shown(), here = new Set(questions.map((one) => one.number));
  for (const number of tiles.keys()) if (!here.has(number)) tiles.delete(number);
  premark(questions.filter((one) => !tiles.has(one.number)));
  for (const number of [...marked]) if (!here.has(number)) marked.delete(number);
  const waiting = find("waiting"), focus = document.activeElement;
  waiting.hidden = questions.length > 0;
  waiting.textContent = faces.none ? "No faces are left for you. New ones appear here by themselves." : "Looking for faces…";
  find("faces").replaceChildren(...questions.map(tileOf), waiting);
  if (focus && focus.isConnected) focus.focus();
  showMarks();
}

function tileOf(question) {
  const known = tiles.get(question.number);
  if (known) return known;
  const tile = document.createElement("button");
  tile.type = "button";
  tile.className = "tile";
  tile.dataset.number = question.number;
  tile.append(question.image);
  tile.addEventListener("click", () => toggle(question));
  tiles.set(question.number, tile);
  return tile;
}

function toggle({ number, image }) {
  if (!isLoaded(image)) return;
  if (!marked.delete(number)) marked.add(number);
  showMarks();
}

function showMarks() {
  for (const [number, tile] of tiles) tile.setAttribute("aria-pressed", marked.has(number));
  find("wanted").textContent = { not_a_face: "what is no face", unsure: "the faces that you are unsure of" }[wanted.kind] || `the faces that show ${nameOf(wanted)}`;
  for (const button of find("choices").children) {
    const chosen = button.dataset.kind === wanted.kind && (wanted.kind !== "label" || button.dataset.label === String(wanted.label));
    button.setAttribute("aria-pressed", chosen);
  }
  find("save").disabled = !marked.size;
  find("save").querySelector(".name").textContent = marked.size ? `save ${marked.size} as ${nameOf(wanted)}` : "none marked";
}

function want(kind, label) {
  wanted = { kind, label };
  marked.clear();
  premark(shown());
  showMarks();
}

function save() {
  const questions = shown().filter((one) => marked.has(one.number) && isLoaded(one.image));
  if (!questions.length) return;
  marked.clear();
  say(`The last ${questions.length === 1 ? "face" : `${questions.length} faces`}: ${nameOf(wanted)}.`);
  figures.give(questions.length);
  const entries = questions.map(({ number }) => ({ key: newKey(), number, kind: wanted.kind, label: wanted.label }));
  past.push({ questions, keys: entries.map((one) => one.key) });
  faces.take(questions.map((one) => one.number));
  show();
  sender.add(...entries);
}

// The last sweep as a whole; before this page was opened, the last answer.
function undo() {
  const last = past.pop();
  if (!last) return sender.add({ key: newKey(), undo: true, number: null, undoes: null });
  const { questions, keys } = last;
  faces.back(questions);
  say(`Taken back: ${questions.length === 1 ? "1 face" : `${questions.length} faces`}.`);
  sender.add(...questions.map(({ number }, n) => ({ key: newKey(), undo: true, number, undoes: keys[n] })));
}

function say(text) {
  find("said").textContent = text;
}

function move(key) {
  const all = [...find("faces").querySelectorAll(".tile")], place = all.indexOf(document.activeElement);
  const across = all.filter((tile) => tile.offsetTop === all[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[key];
  const next = all[place < 0 ? 0 : place + step];
  if (next) next.focus();
}

// The photo around the face that has the focus.
function around() {
  const question = shown().find((one) => tiles.get(one.number) === document.activeElement);
  if (question) openPhoto(question);
  else say("Choose a face with the arrow keys first, then p shows its photo.");
}

for (const button of find("choices").children) {
  button.addEventListener("click", () => want(button.dataset.kind, button.dataset.kind === "label" ? Number(button.dataset.label) : null));
}
find("save").addEventListener("click", (event) => isBounce(event) || save());
find("undo").addEventListener("click", (event) => isBounce(event) || undo());
addEventListener("keydown", (event) => {
  const key = keyOf(event);
  if (key.startsWith("Arrow") && tiles.size) move(key);
  else if (key === "Enter" && !event.target.closest("a, header, .choices, #undo")) save();
  else if (key === "p") around();
  else if (key.length === 1 && buttonOf(key)) buttonOf(key).click();
  else return;
  event.preventDefault();
});
show();
