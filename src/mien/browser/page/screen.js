// Canvases that are as sharp as the screen.

/**
 * Gives a canvas as many pixels as the screen shows of it; what is drawn on it goes where that changes its size.
 * @param {HTMLCanvasElement} canvas
 * @returns {{width: number, height: number, ratio: number}} Its pixels, and how many of them are one of the page's.
 */
export function fitToScreen(canvas) {
  const ratio = self.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return { width, height, ratio };
}
