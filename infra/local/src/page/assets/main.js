// Asks once a second while somebody looks, and shows what it hears.

import { showAgents } from "./agents.js";
import { linesSince, overview } from "./api.js";
import { showDeadLetters } from "./dead_letters.js";
import { byId, el, replay, setText } from "./dom.js";
import { learnNames } from "./format.js";
import { addLines, missingSince } from "./lines.js";
import { showReceipts } from "./receipts.js";

const ASK_EVERY_MS = 1000;
/** From when on log lines are shown: what has just happened is why somebody opens the page. */
const linesFrom = Date.now() - 600_000;

let stage = "";
let timer;
let asking = false;
let askAgain = false;

function showCounts(counts, queues) {
  for (const element of document.querySelectorAll("[data-count]")) {
    const text = String(counts[element.dataset.count]);
    const moved = element.textContent !== text && element.textContent !== "–";
    setText(element, text);
    const station = element.closest(".station");
    station.toggleAttribute("data-none", text === "0");
    if (moved) replay(station, "moved");
  }
  const queue = queues.find((queue) => queue.name === "receipts");
  if (queue) setText(byId("queue-hint"), `${queue.inFlight} in flight, ${queue.delayed} delayed`);
}

function showNotes(notes) {
  byId("notes").hidden = notes.length === 0;
  byId("notes").replaceChildren(...notes.map((note) => el("li", {}, note)));
}

function showLive(state, text) {
  byId("live").dataset.state = state;
  setText(byId("live-text"), text);
}

async function look() {
  const find = byId("find-text").value.trim();
  const [seen, lines] = await Promise.all([overview(find, stage), linesSince(missingSince(linesFrom))]);
  learnNames(seen.agents.shown);
  setText(byId("stack"), `${seen.stackName} · ${seen.region} · ${seen.proxyUrl}`);
  showCounts(seen.counts, seen.queues);
  showNotes(seen.notes);
  showReceipts(seen.receipts, stage, find, seen.atMs);
  showAgents(seen.agents, seen.counts.sockets, seen.atMs);
  showDeadLetters(seen.deadLetters, ask);
  addLines(lines);
}

/** Asks now; if an answer is under way, once more behind it. */
async function ask() {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  clearTimeout(timer);
  const started = Date.now();
  try {
    await look();
    showLive("live", "live");
  } catch (problem) {
    showLive("lost", problem.message);
  }
  asking = false;
  // A stack that is slow to answer is busy with better things.
  const wait = askAgain ? 0 : Math.max(ASK_EVERY_MS, 3 * (Date.now() - started));
  askAgain = false;
  if (!document.hidden) timer = setTimeout(ask, wait);
  else showLive("paused", "paused");
}

for (const station of document.querySelectorAll(".station")) {
  station.addEventListener("click", () => {
    stage = station.dataset.stage;
    for (const other of document.querySelectorAll(".station")) {
      other.setAttribute("aria-pressed", String(other === station));
    }
    ask();
  });
}
byId("find").addEventListener("submit", (event) => event.preventDefault());
byId("find-text").addEventListener("input", ask);
document.addEventListener("visibilitychange", () => document.hidden || ask());
ask();
