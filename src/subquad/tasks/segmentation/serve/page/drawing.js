// From the PNG files of the server to pixels, and from pixels to canvases.

import { number } from "./telling.js";

const READ = ["image/png", "image/jpeg", "image/bmp", "image/tiff"]; // by the server; others the browser turns to PNG
const HEAT = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];

/** What the server does not read but the browser does, such as WebP, as PNG: its size is known once it is decoded. */
export async function readable(file, most) {
  if (!file.type.startsWith("image/") || READ.includes(file.type)) return file;
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const pixels = bitmap.width * bitmap.height;
  if (pixels > most) {
    bitmap.close();
    throw new Error(`${file.name} has ${number(pixels)} pixels, and the server takes ${number(most)}.`);
  }
  const blob = await blobOf(canvasOf(bitmap));
  return new File([blob], `${file.name.replace(/\.[^.]*$/, "")}.png`, { type: "image/png" });
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

export function canvasOf(source, canvas = document.createElement("canvas")) {
  canvas.width = source.width;
  canvas.height = source.height;
  canvas.getContext("2d").drawImage(source, 0, 0);
  return canvas;
}

/** One channel of a PNG whose three are equal. */
async function greyOf(png) {
  const bitmap = await createImageBitmap(new Blob([png], { type: "image/png" }), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const { data } = canvasOf(bitmap).getContext("2d").getImageData(0, 0, bitmap.width, bitmap.height);
  const grey = new Uint8Array(bitmap.width * bitmap.height);
  for (let at = 0; at < grey.length; at++) grey[at] = data[4 * at];
  return { grey, width: bitmap.width, height: bitmap.height };
}

/** The class of each pixel of a mask: its colours are made grey first, as two classes may share one. */
export async function classesOf(png) {
  const copy = png.slice();
  const view = new DataView(copy.buffer);
  for (let at = 8; at < copy.length; at += 12 + view.getUint32(at)) {
    if (String.fromCharCode(...copy.subarray(at + 4, at + 8)) !== "PLTE") continue;
    const length = view.getUint32(at);
    for (let entry = 0; entry < length; entry++) copy[at + 8 + entry] = Math.floor(entry / 3);
    view.setUint32(at + 8 + length, checksum(copy.subarray(at + 4, at + 8 + length)));
    break;
  }
  return greyOf(copy);
}

function checksum(bytes) {
  let rest = ~0;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (0xedb88320 & -(rest & 1));
  }
  return ~rest >>> 0;
}

function painted(canvas, width, height, grey, table) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let at = 0; at < grey.length; at++) pixels[at] = table[grey[at]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const packed = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

export function paintClasses(canvas, { grey, width, height }, palette) {
  const table = new Uint32Array(256);
  palette.forEach((colour, index) => (table[index] = packed(colour)));
  painted(canvas, width, height, grey, table);
}

export async function paintHeat(canvas, png) {
  const { grey, width, height } = await greyOf(png);
  const table = Uint32Array.from({ length: 256 }, (_, level) => {
    const place = (level / 255) * (HEAT.length - 1);
    const below = Math.min(Math.floor(place), HEAT.length - 2);
    return packed(HEAT[below].map((from, i) => Math.round(from + (place - below) * (HEAT[below + 1][i] - from))));
  });
  painted(canvas, width, height, grey, table);
}

/** A picture with a layer over it, which is as large or coarser, and may reach over the right and the lower edge. */
export function mixed(photo, layer, opacity, isSmooth, [wider, higher]) {
  const canvas = canvasOf(photo);
  const drawing = canvas.getContext("2d");
  drawing.globalAlpha = opacity;
  drawing.imageSmoothingEnabled = isSmooth;
  drawing.drawImage(layer, 0, 0, canvas.width * wider, canvas.height * higher);
  return canvas;
}

export function blobOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot write so large a picture."))));
  });
}

export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
