/* Placing an order through a bad connection: one Idempotency-Key for one press of the button, kept on the device until the service
 * has answered, so that a reload or a lost connection finds the same order and never makes a second. */

import { Problem, NoAnswer, backOffMs, pause, problemOf, send } from "./http.js";

const KEPT_MS = 24 * 3_600_000; // an attempt found later than this is history: the list of orders tells how it ended
const EARLY_TRIES = 20;
const EARLY_PAUSE_MS = 250;
const EARLY_SECONDS = 3;

/** The attempt of one customer at one sale, as the device keeps it. */
export class AttemptBox {
  #place;

  constructor(saleId, subject) {
    this.#place = `fairdrop.attempt:${saleId}:${subject}`;
  }

  /** A new attempt, with a key of its own. */
  open(units, paymentMethod) {
    const body = paymentMethod ? { units, payment_method: paymentMethod } : { units };
    const attempt = { key: randomKey(), body, at: Date.now() };
    try {
      localStorage.setItem(this.#place, JSON.stringify(attempt));
    } catch {
      // It then lasts as long as the page.
    }
    return attempt;
  }

  /** The attempt that was never answered, or null. */
  find() {
    try {
      const attempt = JSON.parse(localStorage.getItem(this.#place));
      if (attempt && Date.now() - attempt.at < KEPT_MS) return attempt;
    } catch {
      // As good as none.
    }
    this.close();
    return null;
  }

  close() {
    try {
      localStorage.removeItem(this.#place);
    } catch {
      // There was none.
    }
  }
}

/** The order, once the service has answered. Goes on through lost connections and overload, with the same key, for as long as it
 * takes; raises the Problem that is a no. `onTry(reason, seconds)` hears of each pause: "lost", "busy" or "early". */
export async function place(saleId, attempt, token, onTry) {
  let failures = 0;
  let early = 0;
  for (;;) {
    try {
      const response = await send("POST", `/v1/sales/${encodeURIComponent(saleId)}/orders`, {
        token,
        body: attempt.body,
        headers: { "Idempotency-Key": attempt.key },
      });
      if (response.ok) return await response.json().catch((error) => Promise.reject(new NoAnswer(error.message)));
      throw await problemOf(response);
    } catch (error) {
      if (error instanceof NoAnswer) {
        const ms = backOffMs(failures++);
        onTry("lost", ms / 1_000);
        await pause(ms);
      } else if (error instanceof Problem && error.isPassing) {
        const ms = Math.max(backOffMs(failures++), error.retryAfterSeconds * 1_000 * (1 + Math.random() / 4));
        onTry("busy", ms / 1_000);
        await pause(ms);
      } else if (error.kind === "sale-not-open" && error.retryAfterSeconds <= EARLY_SECONDS && early++ < EARLY_TRIES) {
        onTry("early", EARLY_PAUSE_MS / 1_000);
        await pause(EARLY_PAUSE_MS);
      } else {
        throw error;
      }
    }
  }
}

/** 128 bits of chance. Not crypto.randomUUID: a plain http address on a local network has none. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
