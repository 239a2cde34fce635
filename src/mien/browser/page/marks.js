// Boxes around faces, over the picture: blue where the model is sure and vermilion where not, with the answer in words.

import { fitToScreen } from "./screen.js";
import { sentence } from "./words.js";

const SURE = "#0072b2", UNSURE = "#c24e00";

/**
 * Draws the faces of a picture onto a canvas above it.
 * @param {HTMLCanvasElement} canvas
 * @param {{width: number, height: number}} size The picture's size in its own pixels.
 * @param {import("./recognizer.js").NamedFace[]} faces
 * @param {string[]} classes
 * @param {boolean} mirrored Whether the picture is shown mirrored, as a camera that looks at its user is.
 */
export function drawMarks(canvas, size, faces, classes, mirrored = false) {
  const { width, height, ratio } = fitToScreen(canvas), unit = width / size.width;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const letters = Math.round(Math.min(18, Math.max(12, canvas.clientWidth / 32)) * ratio);
  context.font = `600 ${letters}px system-ui, "DejaVu Sans", sans-serif`;
  context.textBaseline = "middle";
  context.lineWidth = Math.max(2, 2.5 * ratio);
  for (const [place, face] of faces.entries()) {
    const [x0, y0, x1, y1] = face.box.map((edge) => edge * unit), left = mirrored ? width - x1 : x0;
    context.strokeStyle = context.fillStyle = face.unsure ? UNSURE : SURE;
    context.strokeRect(left, y0, x1 - x0, y1 - y0);
    const number = faces.length > 1 ? `${face.track ?? place + 1}: ` : "";
    const text = number + sentence(face, classes), high = 1.5 * letters;
    const wide = Math.min(width, context.measureText(text).width + letters);
    // Above the face, or below it where there is no room.
    const x = Math.min(Math.max(0, left - context.lineWidth / 2), width - wide);
    const y = y0 >= high ? y0 - high : Math.min(y1, height - high);
    context.fillRect(x, y, wide, high);
    context.fillStyle = "#fff";
    context.fillText(text, x + letters / 2, y + high / 2, wide - letters);
  }
}

/** Takes all boxes away. */
export function clearMarks(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}
