// The table to download, with the columns of `mien predict --csv`: a row for each face.

import { plain } from "./words.js";

/** The most rows that are kept; the oldest go first. */
const MOST = 500_000;

/** Collects rows. */
export class Table {
  /** @param {{columns: string[], classes: string[]}} settings The columns before those of the classes, and the classes. */
  constructor({ columns, classes }) {
    this.head = line([...columns, ...classes.map(plain)]);
    this.columns = columns;
    this.rows = [];
  }

  /**
   * Adds the faces of a picture, or of a camera's frame.
   * @param {{photo: string, frame?: number, time?: number}} where
   * @param {import("./recognizer.js").NamedFace[]} faces
   */
  add({ photo, frame, time }, faces) {
    for (const face of faces) {
      const [x0, y0, x1, y1] = face.box.map((edge) => decimal(edge, 1));
      const cells = {
        photo, frame, x0, y0, x1, y1,
        time: time?.toFixed(3),
        track: face.track,
        top: plain(face.top),
        confidence: decimal(face.confidence, 4),
        unsure: Number(face.unsure),
      };
      this.rows.push(line([...this.columns.map((name) => cells[name] ?? ""), ...face.scores.map((score) => decimal(score, 4))]));
    }
    if (this.rows.length > MOST) this.rows.splice(0, this.rows.length - MOST);
  }

  /** The table as a file. */
  blob() {
    return new Blob([this.head, ...this.rows], { type: "text/csv" });
  }
}

/** A number as Python writes it: rounded, what lies in the middle to the even digit, and with a point. */
function decimal(value, digits) {
  const exact = value.toFixed(60), end = exact.indexOf(".") + digits + 1;
  const isTie = /^50*$/.test(exact.slice(end)), isEven = "02468".includes(exact[end - 1]);
  const number = Number(isTie && isEven ? exact.slice(0, end) : value.toFixed(digits));
  const text = Object.is(number, -0) ? "-0" : String(number);
  return text.includes(".") ? text : `${text}.0`;
}

function line(cells) {
  return `${cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}
