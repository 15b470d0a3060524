/* Being told: server-sent events read with fetch, since a browser's EventSource can send no token; long poll where streams are held
 * back. Ends when the order's status is final, or when stopped. */

import { NoAnswer, backOffMs, call, pause, problemOf, send } from "./http.js";

const SILENCE_MS = 40_000; // the service says something every 15 s
const WAIT_SECONDS = 20;
const STREAM_TRIES = 2;

/** Tell `onOrder` each state of an order other than the one known. `onRefused` hears of a problem that will not pass. */
export async function follow(order, getToken, { onOrder, onRefused, signal }) {
  const path = `/v1/sales/${encodeURIComponent(order.sale_id)}/orders/${order.order_id}`;
  const known = { seq: order.event_seq, isFinal: order.is_final };
  const take = (fresh) => {
    if (fresh.event_seq !== known.seq) onOrder(fresh);
    known.seq = fresh.event_seq;
    known.isFinal = fresh.is_final;
  };
  let failures = 0;
  let streamless = 0;
  while (!known.isFinal && !signal.aborted) {
    try {
      if (streamless < STREAM_TRIES) {
        let heard = false;
        const isOver = await stream(`${path}/events`, getToken(), known.seq, signal, (name, data) => {
          heard = true;
          if (name === "order") take(data);
        });
        if (isOver) return;
        streamless = heard ? 0 : streamless + 1;
      } else {
        take(await call("GET", `${path}?wait=${WAIT_SECONDS}&after=${known.seq}`, { token: getToken(), signal, timeoutMs: (WAIT_SECONDS + 15) * 1_000 }));
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof NoAnswer) && !error.isPassing) {
        onRefused(error);
        return;
      }
      await pause(Math.max(backOffMs(failures++), (error.retryAfterSeconds ?? 0) * 1_000), signal);
    }
  }
}

/** Read one stream to its end; true when the service says not to come again (204). Raises Problem or NoAnswer.
 *
 * `onEvent(name, data)` is called for each event, and with (null, null) for each sign of life. */
export async function stream(path, token, lastId, signal, onEvent) {
  const silence = new AbortController();
  const stop = () => silence.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE_MS);
  try {
    const headers = lastId === undefined ? {} : { "Last-Event-ID": String(lastId) };
    const response = await send("GET", path, { token, headers, signal: silence.signal, timeoutMs: 0 });
    if (response.status === 204) return true;
    if (!response.ok) throw await problemOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE_MS);
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) onEvent(...parse(frame));
    }
  } catch (error) {
    throw error instanceof Error && error.status ? error : new NoAnswer(error.message);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

function parse(frame) {
  let name = null;
  const data = [];
  for (const line of frame.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? [name ?? "message", JSON.parse(data.join("\n"))] : [null, null];
}
