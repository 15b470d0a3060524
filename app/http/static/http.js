/* Requests to the service: one function, and its two ways to fail. Nothing here knows the page. */

/** The service said no: a problem document (RFC 9457). `kind` is the last part of its `type`. */
export class Problem extends Error {
  constructor(status, body, retryAfterSeconds) {
    super(body.detail ?? body.title ?? `status ${status}`);
    this.status = status;
    this.body = body;
    this.kind = String(body.type ?? "").split(":").pop();
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Whether the same request may be answered otherwise in a moment. */
  get isPassing() {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** No answer came, so nobody knows whether the request was heard. */
export class NoAnswer extends Error {}

export const REQUEST_TIMEOUT_MS = 20_000; // longer than the service's own deadline for an order, 10 s

/** The response to a request, whatever its status. Raises NoAnswer. */
export async function send(method, path, { token, body, headers = {}, signal, timeoutMs = REQUEST_TIMEOUT_MS } = {}) {
  const all = { ...headers };
  if (token) all.Authorization = `Bearer ${token}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  const timeout = new AbortController();
  const timer = timeoutMs ? setTimeout(() => timeout.abort(), timeoutMs) : undefined;
  const stop = () => timeout.abort();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  try {
    return await fetch(path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: timeout.signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    throw new NoAnswer(error.message);
  } finally {
    clearTimeout(timer);
    if (timeoutMs) signal?.removeEventListener("abort", stop);
  }
}

/** The JSON of a good answer. Raises Problem or NoAnswer. */
export async function call(method, path, options) {
  const response = await send(method, path, options);
  if (response.ok) return read(response);
  throw await problemOf(response);
}

/** What a response that is not `ok` says. */
export async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A proxy's own page, or a connection that broke in the middle: the status has to do.
  }
  return new Problem(response.status, body, Number(response.headers.get("Retry-After")) || 0);
}

async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    throw new NoAnswer(error.message);
  }
}

/** Wait; shorter when the connection comes back meanwhile, or the signal is given. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}

/** The n-th pause before another try, in ms: 1, 2, 4 … 30 s, each with some chance in it, so that a crowd that was cut off
 * together does not come back together. */
export function backOffMs(tries) {
  return Math.min(30_000, 1_000 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random() / 2);
}
