// Numbers in words, and the rows of the tables.

export const number = (value) => value.toLocaleString("en");
export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;
export const seconds = (time) => (time < 1 ? `${Math.round(1000 * time)} ms` : `${time.toFixed(1)} s`);
const megapixels = (pixels) => (pixels < 1e7 ? (pixels / 1e6).toFixed(1) : Math.floor(pixels / 1e6));
export const some = (names, most) =>
  names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");

export function factsOf({ network, backbone, parameters, classes }) {
  const kind = backbone ? `${network} on ${backbone}` : network;
  return `${kind} · ${number(parameters)} parameters · ${classes.length} classes`;
}

export function boundsOf({ limits }, host) {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(host);
  const goes = local ? "It does not leave this machine." : `It is sent to ${host}.`;
  return `PNG, JPEG, BMP or TIFF, up to ${megapixels(limits.pixels)} megapixels. ${goes}`;
}

function made(kind, content, options = {}) {
  const element = Object.assign(document.createElement(kind), options);
  element.append(...[content].flat());
  return element;
}

/** A class: {index, name, color, share, pixels}. */
export function legendRow(one) {
  const swatch = made("span", [], { className: "swatch" });
  swatch.style.backgroundColor = one.color;
  const cells = [percent(one.share), number(one.pixels)].map((text) => made("td", text));
  const row = made("tr", [made("th", [swatch, one.name], { scope: "row" }), ...cells]);
  row.dataset.index = one.index;
  return row;
}

export function legendFoot(found) {
  const sum = (name) => found.reduce((total, one) => total + one[name], 0);
  const cells = [percent(sum("share")), number(sum("pixels"))].map((text) => made("td", text));
  return made("tr", [made("th", "All", { scope: "row" }), ...cells]);
}

/** A map to be chosen: {title, share, of} with a bar, or {title, note}. */
export function pressable({ title, share, of, note }) {
  if (note) return made("button", [made("span", title), made("span", note)], { type: "button" });
  const bar = made("i", []);
  bar.style.width = `${(100 * share) / (of || 1)}%`;
  const cells = [made("span", title), made("span", bar, { className: "length" }), made("span", percent(share))];
  return made("button", cells, { type: "button" });
}
