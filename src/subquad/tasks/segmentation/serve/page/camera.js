// The camera, in a dialog that holds a video.

import { blobOf } from "./drawing.js";

export async function openCamera(dialog) {
  try {
    const wanted = { video: { facingMode: "environment" } };
    dialog.querySelector("video").srcObject = await navigator.mediaDevices.getUserMedia(wanted);
  } catch {
    throw new Error("The camera cannot be used: the browser or the system does not allow it, or there is none.");
  }
  dialog.showModal();
}

/** What the camera sees now, as a file; undefined if it has not begun yet. */
export async function pictureOf(dialog) {
  const video = dialog.querySelector("video");
  if (!video.videoWidth) return undefined;
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  dialog.close();
  return new File([await blobOf(canvas)], "camera.png", { type: "image/png" });
}

export function closeCamera(dialog) {
  const video = dialog.querySelector("video");
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
