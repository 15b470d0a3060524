/* The server's time on this page: what the service said, carried on by the browser's monotonic counter. The device's own clock is
 * never asked, so a wrong one changes nothing. */

const SAMPLES = 20;

export class ServerClock {
  #offsets = [];

  /** Take note of a `server_time` that has just arrived. */
  observe(serverTime) {
    // The answer was on its way, and a cache may have kept it: the true time is later than this, never earlier. So the largest
    // offset is the best one, and a countdown reaches zero a moment after the opening, never before it.
    this.#offsets.push(Date.parse(serverTime) - performance.now());
    if (this.#offsets.length > SAMPLES) this.#offsets.shift();
  }

  /** Forget all: the counter may have stood still while the device slept. */
  reset() {
    this.#offsets = [];
  }

  get isSet() {
    return this.#offsets.length > 0;
  }

  /** The server's time in ms of the epoch. */
  now() {
    return Math.max(...this.#offsets) + performance.now();
  }

  /** Seconds until a time; negative when it is over. */
  secondsUntil(time) {
    return (Date.parse(time) - this.now()) / 1_000;
  }
}

/** `2 d 03:04:05`, `03:04:05` or `04:05`. Rounded up: it shows 00:00 only when the time has come. */
export function span(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor((whole % 86_400) / 3_600);
  const rest = `${two(Math.floor((whole % 3_600) / 60))}:${two(whole % 60)}`;
  if (days) return `${days} d ${two(hours)}:${rest}`;
  return hours ? `${two(hours)}:${rest}` : rest;
}

/** For a screen reader: `3 minutes`, `1 hour`. */
export function spokenSpan(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [size, name] = whole >= 86_400 ? [86_400, "day"] : whole >= 3_600 ? [3_600, "hour"] : whole >= 60 ? [60, "minute"] : [1, "second"];
  const count = Math.round(whole / size);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}
