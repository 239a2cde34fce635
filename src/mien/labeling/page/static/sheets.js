// What opens over the page: the help, and the photo around a face. While one is open, no key answers.

import { find, store } from "./common.js";

const help = find("help"), photo = find("photo");
const NONE = "No photo is known around this face.";

export function openPhoto(question) {
  const box = find("around-face");
  box.replaceChildren(question.photo ? "Looking for the photo…" : NONE);
  if (question.photo) {
    const image = new Image();
    image.alt = "The photo around the face, which has a frame";
    image.onload = () => box.replaceChildren(image);
    image.onerror = () => box.replaceChildren("The photo cannot be shown now.");
    image.src = `photos/${question.number}?store=${store}`;
  }
  photo.showModal();
}

find("open-help").addEventListener("click", () => help.showModal());
for (const sheet of [help, photo]) {
  sheet.querySelector(".close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close()); // beside it
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return;
  if (photo.open && event.key.toLowerCase() === "p") photo.close();
  else if (event.key === "?" && !photo.open) help.open ? help.close() : help.showModal();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation(); // what is closed now is not to be opened again
});
