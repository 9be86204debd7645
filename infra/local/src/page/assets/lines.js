// Log lines.

import { byId, el } from "./dom.js";
import { clock } from "./format.js";

const LINES_MAX = 300;

/** One line; everything that it says beyond its message comes behind it. */
export function lineElement(line) {
  const about = { ...(line.correlationId && { "correlation.id": line.correlationId }), ...line.fields };
  delete about.requestId;
  const fields = Object.entries(about).map(([name, value]) => `${name}=${value}`).join("  ");
  return el("li", {},
    el("span", { className: "when mono" }, clock(line.atMs)),
    el("span", { className: `level ${line.level}` }, line.level),
    el("span", {}, line.service),
    el("span", { className: "said-text" }, `${line.message} `, el("span", { className: "fields mono" }, fields)));
}

const identity = (line) => JSON.stringify(line);
let newest = [];

/** From when on lines are still missing; those of the last moment may not all have been there. */
export const missingSince = (first) => Math.max(first, ...newest.map((line) => line.atMs - 2000));

/** Puts lines that have not been shown yet on top. */
export function addLines(lines) {
  const known = new Set(newest.map(identity));
  const fresh = lines.filter((line) => !known.has(identity(line)));
  if (lines.length) newest = lines;
  const list = byId("lines-list");
  for (const line of fresh) list.prepend(lineElement(line));
  while (list.children.length > LINES_MAX) list.lastElementChild.remove();
  byId("lines-empty").hidden = list.children.length > 0;
  list.hidden = list.children.length === 0;
}
