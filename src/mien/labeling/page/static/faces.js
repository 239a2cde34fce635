// The next faces, loaded before they are needed.

import { store } from "./common.js";

const AGAIN = 2000, LONGEST = 30000; // milliseconds until a failed request is made again
const KEPT = 120000; // the server keeps faces for five minutes: ask again before
const SETTLE = 1500; // after the last answer, until figures are asked for again
const LOOK = 10000; // how often to look for new questions where none are left

export class Faces {
  // ahead: how many to have. shown: how many of the first are on the page, which stay where they are.
  // answered: the numbers of those that need not be shown. heard: { changed(), progress(figures, when), lost(why) }
  constructor(ahead, shown, answered, heard) {
    this.ahead = ahead;
    this.shown = shown;
    this.heard = heard;
    this.list = [];
    this.answered = answered;
    this.returned = new Set(); // taken back and not answered since: what the server lists may be from before
    this.none = false;
    setInterval(() => document.hidden || this.refill(), KEPT);
    this.refill();
  }

  // These were answered.
  take(numbers) {
    for (const number of numbers) {
      this.answered.add(number);
      this.returned.delete(number);
    }
    this.list = this.list.filter((one) => !this.answered.has(one.number));
    if (this.list.length <= this.ahead / 2) this.refill();
  }

  // Something was saved: figures will change.
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.refill(), SETTLE);
  }

  // The answer to this one was not taken.
  refuse(number) {
    this.answered.delete(number);
    this.refill();
  }

  // The answers to these were taken back.
  back(questions) {
    for (const { number } of questions) {
      this.answered.delete(number);
      this.returned.add(number);
    }
    const here = new Set(questions.map((one) => one.number));
    this.list = [...questions.map(withPicture), ...this.list.filter((one) => !here.has(one.number))];
    this.heard.changed();
  }

  async refill() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    const began = performance.now();
    let pause = AGAIN;
    try {
      const response = await fetch(`questions?count=${this.ahead}`, { signal: AbortSignal.timeout(15000) });
      if (response.status === 401) return this.heard.lost("signed out");
      if (!response.ok) throw new Error(response.statusText);
      const { store: found, questions, progress } = await response.json();
      if (found !== store) return this.heard.lost("another store");
      this.heard.progress(progress, began);
      this.merge(questions);
      pause = this.list.length ? 0 : LOOK;
    } catch {
      // The timer below tries again.
    } finally {
      this.busy = false;
    }
    if (pause) this.timer = setTimeout(() => this.refill(), pause);
    this.heard.changed();
  }

  merge(questions) {
    const known = new Map(this.list.map((one) => [one.number, one]));
    const first = this.list.filter((one, place) => place < this.shown || this.returned.has(one.number));
    const there = new Set([...this.answered, ...first.map((one) => one.number)]);
    const others = questions.filter((one) => !there.has(one.number));
    this.list = [...first, ...others.map((one) => known.get(one.number) || withPicture(one))];
    this.none = !this.list.length;
  }
}

// The question with an image, which is loaded from now on, again and again where that fails.
function withPicture(question) {
  if (question.image) return question;
  const image = new Image();
  let tries = 0;
  image.alt = "A face";
  const address = `faces/${question.number}?store=${store}`;
  image.onerror = () => setTimeout(() => (image.src = `${address}&again=${++tries}`), Math.min(AGAIN * 2 ** tries, LONGEST));
  image.src = address;
  return { ...question, image };
}

export function isLoaded(image) {
  return image.complete && image.naturalWidth > 0;
}
