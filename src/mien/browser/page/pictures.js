// Files as pixels. What is no picture, and what is too large, is refused in a sentence: before it is decoded where its head
// tells its size, else once the browser has decoded it. The latter: AVIF, and a JPEG with more than HEAD bytes before its size.

/** Says in a sentence why a file cannot be read. */
export class Unreadable extends Error {}

/**
 * A file as a bitmap: upright, of an animation the first picture. Color profiles are not applied, as in Python.
 * @param {Blob} file
 * @param {number} most The most pixels.
 * @returns {Promise<ImageBitmap>}
 */
export async function bitmapOf(file, most) {
  if (!file.size) throw new Unreadable("it is empty");
  const head = new DataView(await file.slice(0, HEAD).arrayBuffer());
  const size = sizeOf(head);
  if (size) requireFew(size, most);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new Unreadable("it is no picture that this browser knows");
  }
  try {
    requireFew(bitmap, most);
  } catch (error) {
    bitmap.close();
    throw error;
  }
  return bitmap;
}

/**
 * The pixels of a bitmap, transparent parts on white; the bitmap is let go.
 * @param {ImageBitmap} bitmap
 * @returns {import("./integral.js").Picture}
 */
export function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const canvas = canvasOf(width, height), context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Bytes of a file in which its size is looked for: before it a JPEG may have a preview or a color profile. */
const HEAD = 1 << 18;

let kept = null;

/** One canvas, as long as pictures are of one size: a camera's are. */
function canvasOf(width, height) {
  if (!kept || kept.width !== width || kept.height !== height) kept = new OffscreenCanvas(width, height);
  return kept;
}

function requireFew({ width, height }, most) {
  if (width * height <= most) return;
  const words = [width, height, most].map((number) => number.toLocaleString("en"));
  throw new Unreadable(`it has ${words[0]} x ${words[1]} pixels, and at most ${words[2]} are read`);
}

/** The size that the head of a PNG, GIF, BMP, WebP or JPEG states; null for other files. */
function sizeOf(head) {
  if (head.byteLength < 30) return null;
  const starts = (text, at = 0) => [...text].every((letter, place) => head.getUint8(at + place) === letter.charCodeAt(0));
  if (starts("\x89PNG")) return { width: head.getUint32(16), height: head.getUint32(20) };
  if (starts("GIF8")) return { width: head.getUint16(6, true), height: head.getUint16(8, true) };
  if (starts("BM")) return { width: Math.abs(head.getInt32(18, true)), height: Math.abs(head.getInt32(22, true)) };
  if (starts("RIFF") && starts("WEBP", 8)) return sizeOfWebp(head, starts);
  return starts("\xff\xd8") ? sizeOfJpeg(head) : null;
}

function sizeOfWebp(head, starts) {
  const three = (at) => head.getUint16(at, true) + (head.getUint8(at + 2) << 16) + 1;
  if (starts("VP8X", 12)) return { width: three(24), height: three(27) };
  if (starts("VP8 ", 12)) return { width: head.getUint16(26, true) & 0x3fff, height: head.getUint16(28, true) & 0x3fff };
  const bits = head.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
}

/** The size in the first frame header (SOF) of a JPEG. */
function sizeOfJpeg(head) {
  for (let at = 2; at + 9 < head.byteLength; ) {
    const marker = head.getUint16(at);
    if (marker === 0xffff) at += 1;
    else if (marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker)) {
      return { height: head.getUint16(at + 5), width: head.getUint16(at + 7) };
    } else at += 2 + head.getUint16(at + 2);
  }
  return null;
}
