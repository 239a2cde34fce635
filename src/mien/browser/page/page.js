// The page: what is clicked, dropped and pasted goes to the model, and what it answers is shown. Nothing is sent anywhere.

import { Camera } from "./camera.js";
import { Strip } from "./chart.js";
import { Table } from "./csv.js";
import { Filming } from "./filming.js";
import { clearMarks, drawMarks } from "./marks.js";
import { bitmapOf } from "./pictures.js";
import { Reader } from "./reader.js";
import { Results } from "./results.js";
import { plain, quantity, shortName } from "./words.js";

const at = (id) => document.getElementById(id);
const [stage, video, photo, marks] = ["stage", "camera", "photo", "marks"].map(at);

/** The page once its model is loaded. */
class Page {
  /** @param {Reader} reader @param {Object} settings */
  constructor(reader, settings) {
    this.reader = reader;
    this.settings = settings;
    this.results = new Results({ list: at("faces"), none: at("none"), said: at("said") }, settings.classes);
    this.strip = new Strip(at("strip"), at("legend"), settings);
    this.table = new Table(settings);
    this.camera = new Camera(video);
    this.films = 0;
    this.run = 0; // grows where the camera starts or stops: what began before it is no longer shown
    this.filming = new Filming(video, reader, {
      frame: (faces, frame, time, pace) => this.#showFrame(faces, frame, time, pace),
      failed: (error) => this.#stop(`The camera's picture cannot be read: ${error.message}.`),
    });
    this.reading = Promise.resolve();
    this.last = null;
    this.#listen();
    at("model").textContent = shortName(settings.name);
    at("start").disabled = at("files").disabled = false;
    say("Ready.");
  }

  #listen() {
    at("start").addEventListener("click", () => (this.camera.on ? this.#stop() : this.#start()));
    at("turn").addEventListener("click", () => this.#turn());
    at("save").addEventListener("click", () => this.#save());
    at("files").addEventListener("change", ({ target }) => {
      this.readAll([...target.files]);
      target.value = "";
    });
    document.addEventListener("visibilitychange", () => {
      if (this.camera.on) say(document.hidden ? "Paused while this tab is in the background." : "The camera is read.");
    });
    new ResizeObserver(() => this.#mark()).observe(stage);
  }

  async #start() {
    const own = ++this.run;
    trouble("");
    at("start").disabled = true;
    say("Starting the camera…");
    try {
      await this.camera.start(() => this.#stop("The camera was taken away."));
    } catch (error) {
      if (this.run === own) this.#stop(`${error.message} You can still choose, drop or paste pictures.`);
      return;
    }
    if (this.run !== own) return; // stopped meanwhile
    const several = await this.camera.isOneOfSeveral();
    if (this.run !== own) return;
    at("start").disabled = false;
    this.films += 1;
    this.strip.clear();
    at("start").textContent = "Stop camera";
    at("turn").hidden = !several;
    video.classList.toggle("mirrored", this.camera.mirrored);
    this.#stageOf(video);
    at("minute").hidden = false;
    say("The camera is read.");
    this.filming.start();
  }

  #stop(fault = "") {
    this.run += 1;
    this.filming.stop();
    this.camera.stop();
    at("start").disabled = false;
    at("start").textContent = "Start camera";
    at("turn").hidden = true;
    at("pace").textContent = "";
    if (photo.hidden) this.#stageOf(null);
    trouble(fault);
    say("Ready.");
  }

  async #turn() {
    const own = this.run;
    await this.camera.turn();
    if (this.run !== own) return;
    this.#stop();
    await this.#start();
    if (this.camera.on) at("turn").focus();
  }

  #showFrame(faces, frame, time, pace) {
    this.last = { size: { width: video.videoWidth, height: video.videoHeight }, faces };
    this.#mark();
    this.results.show(faces, "No face is seen.", true);
    this.strip.add(time, faces);
    this.table.add({ photo: this.films > 1 ? `camera ${this.films}` : "camera", frame, time }, faces);
    at("save").disabled = !this.table.rows.length;
    const text = pace ? `${pace.toFixed(0)} pictures a second` : "";
    if (at("pace").textContent !== text) at("pace").textContent = text;
  }

  /** Reads files, one after the other. */
  readAll(files) {
    if (!files.length) return;
    if (this.camera.wanted) this.#stop();
    trouble("");
    const faults = [], own = this.run;
    files.forEach((file, place) => {
      const which = files.length > 1 ? ` (${place + 1} of ${files.length})` : "";
      this.reading = this.reading.then(() => this.#read(file, faults, which, own));
    });
  }

  async #read(file, faults, which, own) {
    if (this.run !== own) return; // the camera was started meanwhile
    const name = plain(file.name);
    say(`Reading ${shortName(file.name)}${which}…`);
    try {
      const bitmap = await bitmapOf(file, this.settings.pixels);
      if (this.run !== own) {
        bitmap.close();
        return;
      }
      showPicture(bitmap, file.name);
      const size = { width: bitmap.width, height: bitmap.height };
      this.#stageOf(photo);
      const faces = await this.reader.ask("read", { bitmap });
      if (this.run !== own) return;
      this.last = { size, faces };
      this.table.add({ photo: name }, faces);
      this.#mark();
      this.results.show(faces, "No face was found.", false);
      at("save").disabled = !this.table.rows.length;
      say(`${shortName(file.name)}${which}: ${faces.length ? quantity(faces.length, "face") : "no face"}.`);
    } catch (error) {
      if (this.run !== own) return;
      faults.push(`${shortName(file.name)} cannot be read: ${error.message}.`);
      trouble(faults.join(" "));
      say("Ready.");
    }
  }

  /** Shows the video, the picture or neither. */
  #stageOf(shown) {
    video.hidden = shown !== video;
    photo.hidden = shown !== photo;
    at("hint").hidden = shown !== null;
    stage.classList.toggle("empty", shown === null);
    this.last = null;
    clearMarks(marks);
    if (shown !== video) at("minute").hidden = true;
  }

  #mark() {
    const mirrored = !video.hidden && this.camera.mirrored;
    if (this.last) drawMarks(marks, this.last.size, this.last.faces, this.settings.classes, mirrored);
  }

  #save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(this.table.blob());
    link.download = "faces.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}

/** Draws a picture that is read into the page, at most as large as a screen. */
function showPicture(bitmap, name) {
  const share = Math.min(1, 1600 / Math.max(bitmap.width, bitmap.height), 1);
  photo.width = Math.max(1, Math.round(bitmap.width * share));
  photo.height = Math.max(1, Math.round(bitmap.height * share));
  photo.ariaLabel = `Picture ${shortName(name)}`;
  photo.getContext("2d").drawImage(bitmap, 0, 0, photo.width, photo.height);
}

function say(text) {
  at("state").textContent = text;
}

function trouble(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

/** What this browser lacks, in a sentence; empty where it has all. */
function missing() {
  if (typeof WebAssembly !== "object") return "This browser has no WebAssembly, which the model runs on: take a newer one.";
  if (typeof OffscreenCanvas !== "function") return "This browser is too old for this page: take a newer one.";
  return "";
}

/** Takes what is dropped and pasted. From the first moment: else the browser would show a dropped picture instead of the page. */
function listenForFiles(take) {
  document.addEventListener("paste", ({ clipboardData }) => take([...(clipboardData?.files ?? [])]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("over");
  });
  for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => stage.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}

async function main() {
  const early = []; // given before the model is loaded
  let page = null;
  listenForFiles((files) => (page ? page.readAll(files) : early.push(...files)));
  const lack = missing();
  if (lack) {
    say("");
    trouble(lack);
    return;
  }
  const reader = new Reader();
  try {
    page = new Page(reader, await reader.ask("open"));
    page.readAll(early);
  } catch (error) {
    say("");
    trouble(`The model cannot be loaded: ${error.message}. Load the page again.`);
  }
}

main();
