// Dead letters: why each is here, and the way back.

import { redrive } from "./api.js";
import { byId, el, setText, show } from "./dom.js";
import { agentName, second, total } from "./format.js";

/** Says what came of an action; screen readers hear it. */
function say(text, kind = "success") {
  const said = byId("said");
  said.dataset.kind = kind;
  said.textContent = text;
}

const subject = (letter) => (letter.requestId ? `receipt ${letter.requestId}` : `message ${letter.messageId}`);

function create(letter, onRedriven) {
  const button = el("button", { className: "act", type: "button" }, "Redrive");
  button.setAttribute("aria-label", `Redrive ${subject(letter)}`);
  const facts = [
    letter.requestId ? `receipt ${letter.requestId} for ${agentName(letter.sender)}` : "not a receipt",
    `tried ${letter.receives}×`,
    `${letter.queue} queue`,
    `since ${second(letter.sentAtMs)}`,
  ];
  const reason = letter.reason ?? "SQS showed it as often as it may, and it was never handled";
  const element = el("li", { className: "letter" },
    el("div", {},
      el("p", { className: "why" }, letter.reasonCode ?? "tried_too_often"),
      el("p", {}, reason),
      el("p", { className: "fields" }, facts.join(" · "))),
    button,
    el("details", {}, el("summary", {}, "Message"),
      el("p", { className: "fields mono" },
        `id ${letter.messageId} · version ${letter.version ?? "none"} · correlation ${letter.correlationId ?? "none"}`),
      el("pre", {}, letter.body)));
  element.button = button;
  button.addEventListener("click", () => send(element, letter, onRedriven));
  return element;
}

async function send(element, letter, onRedriven) {
  element.busy = true;
  element.button.disabled = true;
  setText(element.button, "Redriving…");
  try {
    await redrive(letter);
    say(`Redriven: ${subject(letter)} is back on the ${letter.queue} queue.`);
    leave(element);
    onRedriven();
  } catch (problem) {
    element.busy = false;
    element.button.disabled = false;
    setText(element.button, "Redrive");
    say(`Not redriven: ${problem.message}`, "failure");
  }
}

/** Takes a letter off the list. Focus must not fall back to the top of the page with it. */
function leave(element) {
  const hadFocus = element.contains(document.activeElement) || document.activeElement === document.body;
  const letters = [...element.parentElement.children].filter((letter) => !letter.hidden);
  const index = letters.indexOf(element);
  const next = letters[index + 1] ?? letters[index - 1];
  element.hidden = true;
  if (hadFocus) (next?.button ?? byId("dead-title")).focus();
}

function update(element, letter) {
  if (element.busy) return;
  element.button.disabled = letter.held;
  setText(element.button, letter.held ? "In use" : "Redrive");
}

export function showDeadLetters(letters, onRedriven) {
  setText(byId("dead-total"), total(letters));
  const key = (letter) => `${letter.queue} ${letter.messageId}`;
  show(byId("dead-list"), letters.shown, key, (letter) => create(letter, onRedriven), update);
  byId("dead-empty").hidden = letters.shown.length > 0;
}
