// Agents with their sockets, and the mailboxes of those who are away.

import { byId, el, setText, show } from "./dom.js";
import { agentName, clock, span, total } from "./format.js";

/** A DID that breaks where its parts meet. */
function didElement(did) {
  const [authority, id] = did.split(":agent:");
  return el("code", { className: "mono" }, authority, el("wbr"), id ? `:agent:${id}` : "");
}

function createAgent(agent) {
  const parts = { name: el("strong", {}), badge: el("span", { className: "badge" }), note: el("span", { className: "agent-note" }) };
  const element = el("li", { className: "agent" }, parts.name, parts.badge,
    didElement(agent.did), parts.note);
  element.parts = parts;
  return element;
}

function updateAgent({ parts }, agent, now) {
  setText(parts.name, agent.name ?? agentName(agent.did));
  const [text, kind] = agent.revoked ? ["revoked", "bad"] : agent.socket ? ["connected", "on"] : ["away", "off"];
  setText(parts.badge, text);
  parts.badge.className = `badge ${kind}`;
  setText(parts.note, agent.socket
    ? `socket ${agent.socket.connectionId}, open for ${span(now - agent.socket.connectedAtMs)}`
    : agent.seenAtMs ? `last seen ${clock(agent.seenAtMs)}` : "registered");
}

function createBox() {
  const parts = { name: el("strong", {}), count: el("span", { className: "badge off" }), note: el("span", { className: "agent-note" }) };
  const element = el("li", { className: "box" }, parts.name, parts.count, parts.note);
  element.parts = parts;
  return element;
}

function updateBox({ parts }, agent, now) {
  setText(parts.name, agentName(agent.did));
  setText(parts.count, agent.waiting === 1 ? "1 receipt" : `${agent.waiting} receipts`);
  setText(parts.note, `the oldest for ${span(now - agent.waitingSinceMs)}`);
}

export function showAgents(agents, sockets, now) {
  setText(byId("agents-total"), `${total(agents)}, ${sockets} connected`);
  const key = (agent) => agent.did;
  show(byId("agents-list"), agents.shown, key, createAgent, (element, agent) => updateAgent(element, agent, now));
  byId("agents-empty").hidden = agents.shown.length > 0;
  const away = agents.shown.filter((agent) => agent.waiting > 0);
  setText(byId("mailbox-total"), away.length ? `of ${away.length} agent${away.length > 1 ? "s" : ""}` : "");
  show(byId("mailbox-list"), away, key, createBox, (element, agent) => updateBox(element, agent, now));
  byId("mailbox-empty").hidden = away.length > 0;
}
