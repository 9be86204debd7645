// The JSON API behind this page; infra/local/src/page.rs describes it.

async function answerOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new Error(body.error?.message ?? `the page's own program answered ${response.status}`);
}

export async function overview(find, stage) {
  return answerOf(await fetch(`/api/overview?${new URLSearchParams({ find, stage })}`));
}

export async function linesSince(ms) {
  return answerOf(await fetch(`/api/lines?since=${ms}`));
}

export async function trace(id) {
  return answerOf(await fetch(`/api/trace/${encodeURIComponent(id)}`));
}

export async function redrive(letter) {
  const path = [letter.queue, letter.messageId].map(encodeURIComponent).join("/");
  // No other origin may add this header.
  const headers = { "x-local-page": "redrive" };
  return answerOf(await fetch(`/api/dead-letters/${path}/redrive`, { method: "POST", headers }));
}
