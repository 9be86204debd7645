// Receipts: where each is, and, opened, what the functions have logged about it.

import { trace } from "./api.js";
import { byId, el, replay, setText, show } from "./dom.js";
import { agentName, clock, span, total } from "./format.js";
import { lineElement } from "./lines.js";

const STATUS = { delivered_to_webhook: "delivered to webhook", dead_lettered: "dead-lettered by recipient" };

/** What is said of a receipt's stage, and the steps of its track that are behind it. */
function progress(receipt, now) {
  const age = span(now - receipt.acceptedAtMs);
  switch (receipt.stage) {
    case "pushed": {
      // A POST that is repeated after the push moves the one time past the other.
      const isFirst = receipt.pushedAtMs >= receipt.acceptedAtMs;
      const took = isFirst ? ` after ${span(receipt.pushedAtMs - receipt.acceptedAtMs)}` : "";
      return { text: `pushed${took}`, done: 3 };
    }
    case "waiting":
      return { text: `waits for ${age}`, done: 2 };
    case "queued":
      return { text: receipt.receives ? `in the queue, tried ${receipt.receives}×` : "in the queue", done: 1 };
    case "dead":
      return { text: `dead: ${receipt.reasonCode ?? "tried too often"}`, done: 2 };
    default:
      return { text: "being recorded", done: 2 };
  }
}

function create(receipt) {
  const parts = {
    when: el("span", { className: "when mono" }),
    agents: el("span", {}),
    outcome: el("strong", {}),
    status: el("small", {}),
    track: el("span", { className: "track", ariaHidden: "true" }, el("i"), el("i"), el("i")),
    ids: el("dl", {}),
    lines: el("ol", { className: "lines" }),
  };
  const summary = el("summary", {},
    parts.when,
    el("span", { className: "who" }, parts.agents, el("span", { className: "mono" }, receipt.requestId)),
    parts.track,
    el("span", { className: "outcome" }, parts.outcome, parts.status));
  const element = el("details", { className: "receipt" }, summary,
    el("div", { className: "more" }, parts.ids, parts.lines));
  element.parts = parts;
  element.addEventListener("toggle", () => element.open && showTrace(element));
  return element;
}

function update(element, receipt, now) {
  const { parts } = element;
  const isNews = element.dataset.stage !== receipt.stage || element.receipt?.acceptedAtMs !== receipt.acceptedAtMs;
  element.receipt = receipt;
  element.dataset.stage = receipt.stage;
  const { text, done } = progress(receipt, now);
  setText(parts.when, clock(receipt.acceptedAtMs));
  setText(parts.agents, `${agentName(receipt.recipient)} → ${agentName(receipt.sender)}`);
  setText(parts.outcome, text);
  const status = STATUS[receipt.status] ?? receipt.status;
  setText(parts.status, receipt.reason ? `${status}: ${receipt.reason}` : status);
  [...parts.track.children].forEach((step, index) => {
    step.className = index < done ? "done" : index === done ? "here" : "";
  });
  if (isNews) {
    replay(element, "moved");
    if (element.open) showTrace(element);
  }
}

async function showTrace(element) {
  const { receipt, parts } = element;
  const ids = [
    ["receipt", receipt.requestId], ["from recipient", receipt.recipient], ["to sender", receipt.sender],
    ["last accepted", new Date(receipt.acceptedAtMs).toISOString()],
    ["pushed", receipt.pushedAtMs && new Date(receipt.pushedAtMs).toISOString()],
    ["reason", receipt.reason],
    ["correlation id", receipt.correlationId],
  ].filter(([, value]) => value);
  parts.ids.replaceChildren(...ids.flatMap(([name, value]) =>
    [el("dt", {}, name), el("dd", { className: "mono" }, value)]));
  try {
    const lines = await trace(receipt.requestId);
    const more = receipt.correlationId && !lines.length ? await trace(receipt.correlationId) : lines;
    parts.lines.replaceChildren(...more.map(lineElement));
    if (!more.length) parts.lines.append(el("li", { className: "fields" }, "No function has logged anything about it."));
  } catch (problem) {
    parts.lines.replaceChildren(el("li", {}, problem.message));
  }
}

const EMPTY = {
  "": "No receipt yet. Post one, or run the demo against this stack.",
  queued: "The queue is empty.",
  pushed: "Nothing has been pushed yet.",
  waiting: "Nothing waits for anybody.",
  dead: "No receipt is among the dead letters.",
};

export function showReceipts(receipts, stage, find, now) {
  setText(byId("receipts-total"), total(receipts));
  const key = (receipt) => `${receipt.sender} ${receipt.requestId}`;
  show(byId("receipts-list"), receipts.shown, key, create, (element, receipt) => update(element, receipt, now));
  const empty = byId("receipts-empty");
  empty.hidden = receipts.shown.length > 0;
  setText(empty, find ? "Nothing here has that in it." : EMPTY[stage]);
}
