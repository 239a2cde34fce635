// What both views share: figures, troubles, names.

export const classes = JSON.parse(document.body.dataset.classes);
export const store = document.body.dataset.store;
export const annotator = document.body.dataset.annotator;
export const blind = document.body.dataset.guess !== "before";
export const find = (id) => document.getElementById(id);

const REST = 60000; // a longer pause between two answers is no labeling

export function nameOf({ kind, label }) {
  return kind === "label" ? classes[label] : kind.replaceAll("_", " ");
}

export function guessText(guess) {
  return guess && (guess.by === "label" ? `It was labeled ${classes[guess.label]}.` : `The model says ${classes[guess.label]}.`);
}

// The figures at the foot of the page: what the server counted a moment ago, and what this tab has done since.
export class Figures {
  // unsaved: says how many answers are not sent yet, those that are taken back aside.
  constructor(unsaved) {
    this.unsaved = unsaved;
    this.counted = null;
    this.saved = [];
    this.times = [];
  }

  // What the server counted so many seconds (age) before it was asked (when). Says whether more was saved since.
  show({ questions, done, remaining, yours, age, alpha, people }, when) {
    this.counted = yours;
    this.saved = this.saved.filter((one) => one.at > when - 1000 * age);
    find("bar").max = questions || 1;
    find("bar").value = done;
    find("done").textContent = `${done} of ${questions}`;
    find("left").textContent = remaining;
    find("agreement").hidden = alpha === null || people < 2;
    find("alpha").textContent = alpha === null ? "" : alpha.toFixed(2);
    this.showYours();
    return this.saved.length > 0;
  }

  // So many answers more are saved, fewer where they were taken back.
  save(answers) {
    this.saved.push({ at: performance.now(), answers });
    this.showYours();
  }

  // So many answers were given.
  give(answers) {
    this.times = [...this.times.slice(-19), { at: performance.now(), answers }];
    const steps = this.times.slice(1).map((one, n) => ({ answers: one.answers, took: one.at - this.times[n].at }));
    const work = steps.filter((step) => step.took < REST);
    const took = sum(work.map((step) => step.took));
    if (took) find("pace").textContent = Math.round((sum(work.map((step) => step.answers)) * 60000) / took);
  }

  showYours() {
    if (this.counted !== null) find("yours").textContent = this.counted + sum(this.saved.map((one) => one.answers)) + this.unsaved();
  }
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

let refusals = 0;

// What is not saved, and what to do about it. leave: called when somebody goes to sign in, or to another store's page.
export function showState(count, trouble, leave) {
  find("saved").textContent = count ? `all but ${count}` : "all";
  find("saved").classList.toggle("open", count > 0);
  const box = find("trouble");
  if (refusals && !trouble) return;
  box.hidden = !trouble;
  box.textContent = "";
  if (trouble === "signed out") {
    const link = linkTo("sign-in", "sign in again", leave);
    box.append(count ? `${answersText(count)} not saved: you are signed out. They stay in this tab; ` : "You are signed out; ", link, ".");
  } else if (trouble === "another store") {
    const kept = count ? ` ${answersText(count)} not saved, and will be when the one of before is back: they stay in this tab.` : "";
    box.append("Another label store is open at this address now; ", linkTo(location.pathname, "load its page", leave), `.${kept}`);
  } else if (trouble) {
    box.textContent = `${answersText(count)} not saved yet: ${trouble}. They stay in this tab and are sent again by themselves.`;
  }
}

function linkTo(address, text, leave) {
  const link = document.createElement("a");
  link.href = address;
  link.textContent = text;
  link.onclick = leave;
  return link;
}

// What became of an undo that the server does not take.
export function notUndone(entry) {
  return entry.undoes ? "Nothing was taken back: that answer was taken back before, or never saved." : "There is nothing to take back.";
}

// An answer that the server does not take, which is said until the next page.
export function showRefusal(entry, problem) {
  refusals += 1;
  find("trouble").hidden = false;
  find("trouble").textContent = `An answer was refused (${nameOf(entry)}): expected ${problem.expected}; found ${problem.found}; ${problem.todo}.`;
}

function answersText(count) {
  return count === 1 ? "1 answer is" : `${count} answers are`;
}

// The key of a keyboard event as the page names its keys, "" for those that are not the page's.
export function keyOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return "";
  if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return "";
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code); // also where digits need the shift key
  if (digit) return digit[1];
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}

export function buttonOf(key) {
  return key && document.querySelector(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
}

// Where one pointer press follows the last so soon, it was one.
let lastPress = -Infinity;
export function isBounce(event) {
  const pointed = event.detail > 0, soon = event.timeStamp - lastPress < 150;
  if (pointed) {
    lastPress = event.timeStamp;
    event.currentTarget.blur(); // so that Enter does not press it again
  }
  return pointed && soon;
}
