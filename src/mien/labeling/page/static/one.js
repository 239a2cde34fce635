// One face after another.

import { Faces, isLoaded } from "./faces.js";
import { Figures, buttonOf, find, guessText, isBounce, keyOf, nameOf, notUndone, showRefusal, showState } from "./common.js";
import { Sender, newKey } from "./sender.js";
import { openPhoto } from "./sheets.js";

const figures = new Figures(() => sender.unsaved);
const past = []; // what was answered in this tab, newest last
const choices = document.querySelectorAll(".answer[data-kind]");
let current = null;

const sender = new Sender({
  answered(entries, reply) {
    figures.save(entries.length);
    faces.settle();
    const last = past[past.length - 1], number = entries[entries.length - 1].number;
    const guess = reply.answers[reply.answers.length - 1].guess;
    if (last && last.question.number === number && guess) say(last, guess);
  },
  undone(entry, reply) {
    figures.save(-1);
    faces.settle();
    if (entry.number === reply.question.number) return;
    // Answered before this page was opened, or in another tab.
    faces.back([reply.question]);
    say(null, null, "Taken back.");
  },
  refused(entry, problem) {
    if (entry.undo) return say(null, null, notUndone(entry));
    faces.refuse(entry.number);
    showRefusal(entry, problem);
  },
  state(count, trouble) {
    figures.showYours();
    showState(count, trouble, leave);
  },
});

const faces = new Faces(10, 1, sender.numbers, {
  changed: show,
  progress: (found, when) => figures.show(found, when) && faces.settle(),
  lost: (why) => showState(sender.entries.length, why, leave),
});

function leave() {
  sender.leaving = true;
}

function show() {
  if (current === (faces.list[0] || null) && current) return;
  current = faces.list[0] || null;
  const box = find("face"), waiting = find("waiting");
  waiting.hidden = Boolean(current);
  waiting.textContent = faces.none ? "No faces are left for you. New ones appear here by themselves." : "Looking for faces…";
  box.replaceChildren(...(current ? [current.image] : []), waiting);
  for (const button of choices) {
    const guess = current && current.guess;
    const guessed = Boolean(guess) && button.dataset.label === String(guess.label);
    const tag = button.querySelector(".tag");
    button.classList.toggle("guessed", guessed);
    tag.hidden = !guessed;
    tag.textContent = guessed ? guess.by : "";
    button.disabled = button.dataset.kind === "undo" ? false : !current;
  }
  const around = find("around");
  around.disabled = !(current && current.photo);
  around.querySelector(".name").textContent = current && !current.photo ? "no photo" : "photo";
}

function answer(kind, label) {
  // Nobody can have seen a face that is not there yet.
  if (!current || !isLoaded(current.image)) return;
  const entry = { key: newKey(), number: current.number, kind, label };
  past.push({ key: entry.key, question: current, kind, label });
  say(past[past.length - 1]);
  figures.give(1);
  faces.take([current.number]);
  show();
  sender.add(entry);
}

function undo() {
  const last = past.pop();
  if (last) {
    faces.back([last.question]);
    say(null, null, `Taken back: ${nameOf(last)}.`);
  }
  sender.add({ key: newKey(), undo: true, number: last ? last.question.number : null, undoes: last ? last.key : null });
}

// What was said of the last face, beside a small picture of it: it is no answer to the face that is seen now.
function say(last, guess, text = "") {
  const line = find("said");
  line.replaceChildren(text);
  find("last-face").replaceChildren(...(last ? [last.question.image] : []));
  if (!last) return;
  const name = document.createElement("strong");
  name.textContent = nameOf(last);
  line.replaceChildren("The last face: you said ", name, ". ", guessText(guess) || "");
}

function press(button) {
  const { kind, label } = button.dataset;
  if (kind === "undo") undo();
  else if (!button.disabled) answer(kind, kind === "label" ? Number(label) : null);
  button.classList.add("pressed");
  setTimeout(() => button.classList.remove("pressed"), 120);
}

find("around").addEventListener("click", () => current && openPhoto(current));
for (const button of choices) {
  button.addEventListener("click", (event) => isBounce(event) || press(button));
}
addEventListener("keydown", (event) => {
  // A key that is held down, on a button too, answers once.
  if (event.repeat && event.key === "Enter") event.preventDefault();
  const key = keyOf(event);
  if (key === "Enter" && !event.target.matches("button, a")) {
    if (current && current.guess) answer("label", current.guess.label);
    return;
  }
  const button = buttonOf(key);
  if (!button) return;
  event.preventDefault();
  if (key !== "p") press(button);
  else if (current) openPhoto(current);
});
show();
