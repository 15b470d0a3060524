/* A customer's orders as tickets: each with its status, its way so far, its clock, and a button to cancel. */

import { el } from "./dom.js";
import { dateTime, money, place, status, units } from "./words.js";

const STEPS = {
  paid: [["PENDING", "Reserved"], ["AUTHORIZED", "Authorized"], ["PLACED", "Yours"]],
  free: [["PLACED", "Yours"]],
};

const CANCEL = { ENTERED: "Withdraw the entry", WAITLISTED: "Leave the line" };

/** Whether it stands by lot: its moment is when it entered, and gives no place. */
const isEntry = (order) => order.status === "ENTERED" || order.draw_place !== null;

let drawn = "";

/** Draw them, the newest first; those that ended in nothing as one line each. Redraws only what differs from the last time. */
export function drawOrders(section, orders, clock, onCancel) {
  const key = JSON.stringify(orders);
  section.hidden = orders.length === 0;
  if (key === drawn) return;
  drawn = key;
  const newest = [...orders].sort((a, b) => b.position.placed_at.localeCompare(a.position.placed_at));
  const isOver = (order) => order.is_final && order.status !== "PLACED";
  // The latest order is shown whole however it ended: that is the answer which people wait for.
  const tickets = newest.filter((order, index) => !isOver(order) || index === 0);
  const past = newest.filter((order) => !tickets.includes(order));
  const focused = document.activeElement?.closest?.(".ticket")?.dataset.order;
  section.replaceChildren(...tickets.map((order) => ticket(order, onCancel)), past.length ? pastOrders(past) : "");
  if (focused) section.querySelector(`[data-order="${focused}"] h2`)?.focus();
}

function ticket(order, onCancel) {
  const { name, tone, text } = status(order.status);
  return el(
    "article.card.ticket",
    { "data-tone": tone, "data-order": order.order_id, "data-status": order.status },
    el("div", { role: "status" }, el("div.head", {}, el("h2", { tabindex: "-1" }, name), el("span.quiet.number", {}, what(order))), el("p", {}, text)),
    steps(order),
    timers(order),
    el(
      "dl.details",
      {},
      el("dt", {}, isEntry(order) ? "Entered at" : "Place in line"),
      el("dd.mono", { title: "The moment your order was recorded, and what breaks a tie. It never changes." }, place(order.position)),
      order.draw_place === null ? null : el("dt", {}, "Place in the draw"),
      order.draw_place === null ? null : el("dd.number.draw-place", {}, order.draw_place.toLocaleString()),
      el("dt", {}, "Order"),
      el("dd.mono", {}, order.order_id),
    ),
    order.cancellable ? el("div.actions", {}, el("button.danger", { type: "button", onclick: () => onCancel(order) }, CANCEL[order.status] ?? "Cancel this order")) : null,
  );
}

function what(order) {
  return order.unit_price_minor ? `${units(order.units)}, ${money(order.units * order.unit_price_minor, order.currency)}` : units(order.units);
}

function steps(order) {
  if (order.is_final && order.status !== "PLACED") return null;
  const before = order.status === "WAITLISTED" ? [["WAITLISTED", "In line"]] : order.status === "ENTERED" ? [["ENTERED", "Entered"]] : [];
  const all = [...before, ...(order.unit_price_minor ? STEPS.paid : STEPS.free)];
  if (all.length < 2) return null;
  const at = all.findIndex(([name]) => name === order.status);
  return el(
    "ol.steps",
    { "aria-label": "Progress" },
    all.map(([, text], index) => el(`li${index <= at ? ".done" : ""}`, index === at ? { "aria-current": "step" } : {}, text)),
  );
}

function timers(order) {
  const until = order.due_at ?? order.cancellable_until;
  if (!until) return null;
  const label = order.due_at ? "Held for you for" : "Free to cancel for";
  return el("p.timer.note", { title: `until ${dateTime(until)}` }, el("span", {}, label), el("strong.number", { "data-until": until }));
}

function pastOrders(orders) {
  return el(
    "div.card.past",
    {},
    el("h2", {}, "Earlier"),
    el("ul.past", {}, orders.map((order) => el("li", { "data-order": order.order_id, "data-status": order.status }, el("span", {}, what(order)), el("span.chip", { "data-tone": status(order.status).tone }, status(order.status).name)))),
  );
}
