// Sends answers and undos in their order. What is not saved yet stays in this tab, also when the page is loaded anew, and is
// sent again with the same key: nothing is lost, nothing is there twice.

import { annotator, store } from "./common.js";

const MOST = 50; // answers sent at once
const PATIENCE = 15000; // milliseconds until a request counts as lost
const NEVER = [404, 409, 422]; // what is refused so is refused whenever it is sent: no such question, its key is another's, no answer
const FIRST_PAUSE = 500, LONGEST_PAUSE = 10000;

// crypto.randomUUID is not there without TLS.
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Sender {
  // heard: { answered(entries, reply), undone(entry, reply), refused(entry, problem), state(count, trouble) }
  constructor(heard) {
    // What somebody said of the faces of one store is for nobody else and no other store that is open here later.
    this.room = `mien ${store} ${annotator}`;
    this.heard = heard;
    this.entries = JSON.parse(sessionStorage.getItem(this.room) || "[]");
    this.pause = FIRST_PAUSE;
    this.most = MOST;
    this.trouble = "";
    this.leaving = false;
    addEventListener("online", () => this.send());
    addEventListener("beforeunload", (event) => {
      if (this.entries.length && !this.leaving) event.preventDefault();
    });
    this.send();
  }

  // An answer { key, number, kind, label }, or an undo { key, undo: true, number, undoes: the key of the answer, null for the last }.
  add(...entries) {
    this.entries.push(...entries);
    this.keep();
    this.send();
  }

  // How many answers are not saved, those that are taken back aside.
  get unsaved() {
    return this.entries.reduce((sum, entry) => sum + (entry.undo ? -1 : 1), 0);
  }

  // The numbers of the questions whose answers are not saved.
  get numbers() {
    const found = new Set();
    for (const entry of this.entries) entry.undo ? found.delete(entry.number) : found.add(entry.number);
    return found;
  }

  async send() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    try {
      while (this.entries.length && (await this.sendFirst()));
    } finally {
      this.busy = false;
    }
    if (this.entries.length && this.trouble !== "signed out") {
      this.timer = setTimeout(() => this.send(), this.pause);
      this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    }
    this.tell();
  }

  // Sends what comes first, and says whether to go on at once.
  async sendFirst() {
    const undo = this.entries[0].undo;
    const next = this.entries.findIndex((entry) => entry.undo);
    const batch = undo ? [this.entries[0]] : this.entries.slice(0, Math.min(this.most, next < 0 ? MOST : next));
    const answers = batch.map(({ key, number, kind, label }) => ({ key, number, kind, label }));
    const { key, undoes } = batch[0];
    this.tell();
    let response, reply;
    try {
      response = await post(undo ? "undo" : "answers", undo ? { store, key, undoes } : { store, answers });
      reply = await response.json();
    } catch {
      this.trouble = "no connection";
      return false;
    }
    if (response.ok) {
      this.trouble = "";
      this.pause = FIRST_PAUSE;
      this.most = MOST;
      this.drop(batch.length);
      if (undo) this.heard.undone(batch[0], reply);
      else this.heard.answered(batch, reply);
      return true;
    }
    if (response.status === 401) this.trouble = "signed out";
    else if (response.headers.has("Mien-Store")) this.trouble = "another store";
    else if (!NEVER.includes(response.status)) this.trouble = reply.found;
    else if (batch.length > 1) {
      this.most = 1; // one of them is refused: find out which
      return true;
    } else {
      this.trouble = "";
      this.most = MOST;
      this.drop(1);
      this.heard.refused(batch[0], reply);
      return true;
    }
    return false;
  }

  drop(count) {
    this.entries.splice(0, count);
    this.keep();
  }

  keep() {
    sessionStorage.setItem(this.room, JSON.stringify(this.entries));
  }

  tell() {
    this.heard.state(this.entries.length, this.entries.length ? this.trouble : "");
  }
}

function post(address, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(address, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) });
}
