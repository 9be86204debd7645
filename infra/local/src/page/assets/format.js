// How times, agents and totals are written.

const SECOND = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };

export function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", { ...SECOND, fractionalSecondDigits: 3 });
}

/** For what is not known to the millisecond. */
export function second(ms) {
  return new Date(ms).toLocaleTimeString("en-GB", SECOND);
}

/** A span of time, as precise as it matters. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

const names = new Map();

/** Takes note of what agents are called. */
export function learnNames(agents) {
  for (const agent of agents) if (agent.name) names.set(agent.did, agent.name);
}

/** An agent's name, with enough of its DID to tell two of one name apart. */
export function agentName(did) {
  const end = did.slice(-4);
  return names.has(did) ? `${names.get(did)} ·${end}` : `agent ·${end}`;
}

/** How many there are, and how many of them are listed. */
export function total({ shown, total: all }) {
  return shown.length === all ? `${all}` : `${shown.length} of ${all}`;
}
