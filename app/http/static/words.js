/* What the page says: statuses, problems, money and times in plain words. */

/** A status: its name for people, its tone, and what it means for the customer. */
export const STATUSES = {
  ENTERED: { name: "In the draw", tone: "wait", text: "Your entry is in. The draw decides after the entries have closed." },
  PENDING: { name: "Reserved for you", tone: "wait", text: "Your units are held while the payment is authorized." },
  AUTHORIZED: { name: "Reserved and authorized", tone: "good", text: "Your payment is authorized. Nothing is charged while you may still cancel." },
  PLACED: { name: "It is yours", tone: "good", text: "Your order is complete." },
  WAITLISTED: { name: "In line", tone: "wait", text: "All units are taken. When one comes free, it goes to the head of the line at once." },
  PAYMENT_FAILED: { name: "Payment failed", tone: "bad", text: "The payment was declined. Nothing was charged, and the units went to the next in line." },
  EXPIRED: { name: "Expired", tone: "bad", text: "The payment did not come in time. Nothing was charged." },
  CANCELLED: { name: "Cancelled", tone: "quiet", text: "You cancelled this order. Nothing was charged." },
  LAPSED: { name: "Not this time", tone: "quiet", text: "The sale is over, and no unit came free for you. Nothing was charged." },
};

export function status(name) {
  return STATUSES[name] ?? { name: name.replaceAll("_", " ").toLowerCase(), tone: "quiet", text: "" };
}

const PROBLEMS = {
  "sold-out": () => "Sold out. Every unit is taken, and the waitlist is full. Should anything come free, the button comes back.",
  "sale-paused": () => "The seller has paused the sale. Stay here: the button comes back when it goes on.",
  "sale-closed": () => "The sale is over.",
  "sale-not-open": () => "The sale is not open yet.",
  "sale-not-found": () => "There is no such sale.",
  "limit-exceeded": (b) => `At most ${b.limit} a customer, and your orders already have ${b.live_units}.`,
  "payment-method-required": () => "Choose how to pay.",
  "idempotency-key-reused": () => "This order was sent before with something else in it. Please press the button again.",
  "cancel-window-closed": () => "It is too late to cancel: the payment is being taken.",
  "transition-refused": () => "The order has ended meanwhile.",
  "already-entered": () => "You are in the draw already. Withdraw that entry to enter again.",
  "withdrawal-closed": () => "The entries are closed, and this one is being drawn.",
  "not-a-lottery": () => "This sale has no draw.",
  "order-not-found": () => "There is no such order.",
  "invalid-request": (b) => `${b.field}: ${b.rule}`,
  "too-many-waiting": () => "Very many people are here. Please try again in a moment.",
  overloaded: () => "Very many people are here. Please try again in a moment.",
  "storage-unavailable": () => "The service cannot be reached just now. Please try again in a moment.",
  unauthenticated: () => "Please sign in again.",
  forbidden: () => "This account may not do that.",
};

/** A problem or a lost connection in plain words. */
export function problemText(error) {
  if (!error.status) return "There is no connection.";
  return PROBLEMS[error.kind]?.(error.body) ?? error.body.detail ?? error.body.title ?? "Something went wrong. Please try again.";
}

export function money(minor, currency) {
  if (minor === 0) return "Free";
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const units = (count) => `${count.toLocaleString()} ${count === 1 ? "unit" : "units"}`;

export function dateTime(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The place in the line: the moment to the microsecond, and what breaks a tie. */
export function place(position) {
  const [, seconds, fraction] = /T(\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(position.placed_at) ?? ["", position.placed_at, ""];
  return `${seconds}.${(fraction ?? "").padEnd(6, "0").slice(0, 6)} UTC · ${position.shard_id}·${position.seq}`;
}

/** How far a lottery's draw is; `phase` is the sale's. */
export function drawText(draw, phase) {
  const count = (number) => (number ?? 0).toLocaleString();
  if (draw.state === "DRAWN") return `Drawn ${dateTime(draw.drawn_at)}: ${count(draw.won_orders)} of ${count(draw.entries)} entries won.`;
  if (draw.state === "DRAWING") return `Being drawn: ${count(draw.done_entries)} of ${count(draw.entries)} entries have their place.`;
  return phase === "closed" ? "The entries are closed, and the draw is about to begin." : "Not drawn yet: all entries are drawn together after the close.";
}
