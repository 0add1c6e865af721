// What the page asks the server; an answer that is none is the server's one sentence.

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; see whether it still runs.");
  }
  const content = await response.json().catch(() => null);
  if (!response.ok || content === null) {
    throw new Error(content?.error ?? `The server answered ${response.status}.`);
  }
  return content;
}

function sent(path, file, parameters, signal) {
  const form = new FormData();
  form.append("image", file, file.name ?? "picture.png");
  const given = Object.entries(parameters).filter(([, value]) => value !== null);
  return answered(`${path}?${new URLSearchParams(given)}`, { method: "POST", body: form, signal });
}

export const askModel = () => answered("model");

/** @param {{steps?: number, tile?: number, share_dictionary?: boolean, picture?: boolean}} parameters */
export const askPredict = (file, parameters, signal) => sent("predict", file, parameters, signal);

/** @param {{x: number, y: number, steps?: number, tile?: number}} parameters */
export const askExplain = (file, parameters, signal) => sent("explain", file, parameters, signal);
