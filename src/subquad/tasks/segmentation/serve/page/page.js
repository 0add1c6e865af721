// The page: a picture comes, the server is asked, what it says is shown.

import { askExplain, askModel, askPredict } from "./asking.js";
import { closeCamera, openCamera, pictureOf } from "./camera.js";
import { blobOf, bytesOf, canvasOf, classesOf, mixed, paintClasses, paintHeat, readable, save } from "./drawing.js";
import { boundsOf, factsOf, legendFoot, legendRow, number, percent, pressable, seconds, some } from "./telling.js";

const at = (id) => document.getElementById(id);

let model = null;
let picture = null; // {file, name}
let shown = null; // the mask on the page: {classes: {grey, width, height}, png}
let own = null; // the same with the network's own number of steps, to compare with
let kept = { picture: null, own: null, tile: "auto", steps: 1 }; // of what is on the page, should the next one fail
let cross = { x: 0, y: 0 };
let spread = [1, 1]; // width and height of the maps over those of the picture: the last positions lie on it in part
let asking = new AbortController();
let explaining = new AbortController();

const stem = () => picture.name.replace(/\.[^.]*$/, "");

function complain(error) {
  if (error?.name === "AbortError") return;
  at("problem").textContent = error ? error.message : "";
  at("problem").hidden = !error;
}

// ---- pictures come
async function take(file) {
  complain(null);
  if (!file) return;
  const { bytes } = model.limits;
  if (file.size > bytes) {
    throw new Error(`${file.name} has ${number(file.size)} bytes, and the server takes ${number(bytes)}.`);
  }
  const mine = { file: await readable(file, model.limits.pixels), name: file.name };
  picture = mine;
  own = null;
  explaining.abort();
  at("panel").inert = true; // nothing else is asked meanwhile
  at("tile").value = model.tile ?? "auto";
  at("steps").value = model.steps ?? 1;
  try {
    let answer = await asked(); // what the server reads it refuses by the header, before the browser decodes it
    let bitmap = await createImageBitmap(file).catch(() => null);
    if (bitmap?.width !== answer.width || bitmap.height !== answer.height) {
      answer = await asked({ picture: true }); // TIFF is for the server alone
      bitmap = await createImageBitmap(new Blob([bytesOf(answer.picture)]));
    }
    if (picture !== mine) return; // the next one came while this was decoded
    await show(answer, bitmap);
  } catch (error) {
    if (picture === mine) ({ picture, own, tile: at("tile").value, steps: at("steps").value } = kept);
    throw error;
  } finally {
    at("panel").inert = picture !== mine && picture !== kept.picture; // the next one may have come
  }
}

/** Ask for the mask, in place of what is being asked for. */
async function asked(more = {}) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  document.body.classList.add("busy");
  try {
    return await askPredict(picture.file, { ...way(), ...more }, signal);
  } finally {
    if (asking.signal === signal) document.body.classList.remove("busy");
  }
}

async function askAgain() {
  const answer = await asked();
  complain(null);
  await show(answer);
}

function way() {
  const tile = at("tile").value;
  const shares = model.steps !== null && Number(tile) > 0;
  return { steps: model.steps === null ? null : at("steps").value, tile, share_dictionary: shares || null };
}

// ---- what is shown
function showPicture(bitmap) {
  canvasOf(bitmap, at("photo"));
  at("frame").style.setProperty("--ratio", bitmap.width / bitmap.height);
  at("frame").style.setProperty("--widest", `${4 * bitmap.width}px`); // small pictures are enlarged
  at("view").hidden = at("tools").hidden = at("panel").hidden = false;
  at("drop").hidden = at("cross").hidden = at("tip").hidden = true;
  cross = { x: bitmap.width >> 1, y: bitmap.height >> 1 };
}

async function show(answer, bitmap = null) {
  const png = bytesOf(answer.mask);
  const of = picture;
  const classes = await classesOf(png);
  if (picture !== of) return; // the next one came meanwhile
  if (bitmap) showPicture(bitmap);
  shown = { classes, png };
  if (answer.steps === model.steps) own = shown;
  paintClasses(at("mask"), shown.classes, model.palette);
  showClasses();
  showLegend(answer);
  const link = at("save_mask");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([png], { type: "image/png" }));
  link.download = `${stem()}.png`;
  const tiles = answer.tiles > 1 ? `, ${answer.tiles} tiles` : "";
  at("caption").textContent =
    `${picture.name}: ${answer.width} × ${answer.height} pixels${tiles}, ${seconds(answer.seconds)}`;
  if (model.steps !== null) showEffect(answer);
  kept = { picture, own, tile: at("tile").value, steps: at("steps").value };
}

function showLegend({ classes }) {
  const found = classes.filter((one) => one.pixels).sort((a, b) => b.pixels - a.pixels);
  const absent = classes.filter((one) => !one.pixels).map((one) => one.name);
  at("legend").tBodies[0].replaceChildren(...found.map(legendRow));
  at("legend").tFoot.replaceChildren(legendFoot(found));
  at("absent").textContent = `Not found: ${some(absent, 12)}`;
  at("absent").hidden = !absent.length;
}

function showEffect(answer) {
  at("steps_value").textContent = answer.steps === model.steps ? `${answer.steps} (own)` : String(answer.steps);
  let effect = `K = ${answer.steps}: ${seconds(answer.seconds)}`;
  if (own && own !== shown && own.classes.grey.length === shown.classes.grey.length) {
    const differing = shown.classes.grey.reduce((sum, index, at) => sum + (index !== own.classes.grey[at]), 0);
    effect += `; ${percent(differing / shown.classes.grey.length)} of the pixels differ from K = ${model.steps}`;
  }
  at("effect").textContent = effect;
}

function showClasses() {
  at("frame").classList.remove("heated");
  at("found").hidden = true;
  at("hint").hidden = false;
}

// ---- a pixel
/** Put the cross on a pixel, and tell its class. */
function place(x, y) {
  if (!shown) return;
  const { grey, width, height } = shown.classes;
  cross = { x: Math.min(Math.max(x, 0), width - 1), y: Math.min(Math.max(y, 0), height - 1) };
  const index = grey[cross.y * width + cross.x];
  const [left, top] = [`${(100 * (cross.x + 0.5)) / width}%`, `${(100 * (cross.y + 0.5)) / height}%`];
  for (const name of ["cross", "tip"]) Object.assign(at(name).style, { left, top });
  at("tip").textContent = model.classes[index].name;
  at("tip").classList.toggle("left", cross.x > 0.7 * width);
  at("tip").hidden = false;
  for (const row of at("legend").tBodies[0].rows) row.classList.toggle("here", row.dataset.index === String(index));
}

function pixelOf(event) {
  const box = at("photo").getBoundingClientRect();
  const { width, height } = shown.classes;
  return [
    Math.floor(((event.clientX - box.left) / box.width) * width),
    Math.floor(((event.clientY - box.top) / box.height) * height),
  ];
}

async function explain() {
  if (model.steps === null) return;
  explaining.abort();
  explaining = new AbortController();
  const { steps, tile } = way();
  const { signal } = explaining;
  document.body.classList.add("explaining");
  try {
    const told = await askExplain(picture.file, { ...cross, steps, tile }, signal);
    complain(null);
    await showExplanation(told);
  } catch (error) {
    complain(error);
  } finally {
    if (explaining.signal === signal) document.body.classList.remove("explaining");
  }
}

async function showExplanation(told) {
  at("hint").hidden = true;
  at("found").hidden = false;
  at("cross").hidden = false;
  const { grey, width } = shown.classes;
  spread = [1, 0].map((axis) => told.grid[axis] / told.covered[axis]);
  Object.assign(at("heat").style, { width: `${100 * spread[0]}%`, height: `${100 * spread[1]}%` });
  at("at").textContent =
    `Pixel ${told.x}, ${told.y}: ${model.classes[grey[told.y * width + told.x]].name}. Of ${told.count} columns it uses most:`;
  const most = Math.max(...told.columns.map((one) => one.share));
  const context = { ...told.context, title: "Context", note: "what is like it" };
  const columns = told.columns.map((one) => ({ ...one, title: `Column ${one.column}`, of: most }));
  const entries = [context, ...columns].map((one) => {
    const button = pressable(one);
    button.addEventListener("click", () => showHeat(button, one).catch(complain));
    return button;
  });
  at("columns").replaceChildren(...entries.map((button) => {
    const entry = document.createElement("li");
    entry.append(button);
    return entry;
  }));
  await showHeat(entries[0], context);
}

async function showHeat(button, { map, lowest, highest }) {
  await paintHeat(at("heat"), bytesOf(map));
  for (const other of at("columns").querySelectorAll("button")) other.ariaPressed = String(other === button);
  at("lowest").textContent = lowest.toPrecision(2);
  at("highest").textContent = highest.toPrecision(2);
  at("frame").classList.add("heated");
}

// ---- what is written
async function saveOverlay() {
  const heated = at("frame").classList.contains("heated");
  const [layer, larger] = heated ? ["heat", spread] : ["mask", [1, 1]];
  const canvas = mixed(at("photo"), at(layer), at("opacity").value / 100, heated, larger);
  save(await blobOf(canvas), `${stem()}_${heated ? "context" : "overlay"}.png`);
}

function showOpacity() {
  at("opacity_value").textContent = `${at("opacity").value} %`;
  at("frame").style.setProperty("--opacity", at("opacity").value / 100);
}

// ---- the beginning
function listen() {
  const on = (id, event, act) => at(id).addEventListener(event, act);
  const again = () => {
    at("file").value = "";
    at("file").click();
  };
  on("choose", "click", again);
  on("another", "click", again);
  on("file", "change", () => take(at("file").files[0]).catch(complain));
  on("camera", "click", () => (complain(null), openCamera(at("shooting")).catch(complain)));
  on("shoot", "click", () => pictureOf(at("shooting")).then(take).catch(complain));
  on("leave", "click", () => at("shooting").close());
  on("shooting", "close", () => closeCamera(at("shooting")));
  on("opacity", "input", showOpacity);
  on("steps", "input", () => (at("steps_value").textContent = at("steps").value));
  on("steps", "change", () => askAgain().catch(complain));
  on("tile", "change", () => ((own = null), askAgain().catch(complain)));
  on("hide", "click", showClasses);
  on("save_overlay", "click", () => saveOverlay().catch(complain));
  on("frame", "pointermove", (event) => place(...pixelOf(event)));
  on("frame", "pointerleave", () => (at("tip").hidden = true));
  on("frame", "click", (event) => (place(...pixelOf(event)), explain()));
  on("frame", "keydown", steer);
  for (const event of ["dragover", "dragleave", "drop"]) document.addEventListener(event, dragged);
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]).catch(complain));
}

function dragged(event) {
  event.preventDefault();
  document.body.classList.toggle("over", event.type === "dragover");
  if (event.type === "drop") take(event.dataTransfer.files[0]).catch(complain);
}

function steer(event) {
  const step = event.shiftKey ? 1 : Math.max(1, Math.round(shown.classes.width / 100));
  const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [];
  if (dx !== undefined) {
    at("cross").hidden = false;
    place(cross.x + dx, cross.y + dy);
  } else if (event.key === "Enter" || event.key === " ") explain();
  else if (event.key === "Escape") showClasses();
  else return;
  event.preventDefault();
}

async function begin() {
  model = await askModel();
  document.title = `${model.name} · subquad`;
  at("name").textContent = model.name;
  at("facts").textContent = factsOf(model);
  at("bounds").textContent = boundsOf(model, location.hostname);
  at("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  if (model.tile && ![...at("tile").options].some((one) => Number(one.value) === model.tile)) {
    at("tile").add(new Option(`in tiles of ${model.tile}`, model.tile));
  }
  if (model.steps === null) {
    at("steps_box").hidden = true;
    at("hint").textContent = `This network has no dictionary (its context is “${model.context}”), so there is nothing to show of a pixel.`;
  } else {
    at("steps").max = Math.max(8, model.steps);
    at("steps").value = model.steps;
  }
  listen();
}

begin().catch(complain);
