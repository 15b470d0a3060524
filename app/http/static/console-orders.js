/* Finding orders, with the history of each, and all of a sale's as a file. */

import { byId, el } from "./dom.js";
import { NoAnswer, call, problemOf, send } from "./http.js";
import { money, place, status, units } from "./words.js";

/** Show what a search finds. Raises Problem or NoAnswer. */
export async function find(saleId, by, what, token) {
  const query = new URLSearchParams({ [by]: what.trim() });
  const { orders } = await call("GET", `/v1/admin/sales/${encodeURIComponent(saleId)}/orders?${query}`, { token });
  byId("found").replaceChildren(...(orders.length ? orders.map(found) : [el("p.quiet", {}, "No such order in this sale.")]));
}

function found(order) {
  const { name, tone } = status(order.status);
  const price = order.unit_price_minor ? `, ${money(order.units * order.unit_price_minor, order.currency)}` : "";
  return el(
    "article.order",
    { "data-order": order.order_id },
    el("div.head", {}, el("h3.mono", {}, order.order_id), el("span.chip", { "data-tone": tone }, name)),
    el("p", {}, `${order.customer_id}: ${units(order.units)}${price}. Place in line ${place(order.position)}`),
    el(
      "table.table",
      {},
      el("thead", {}, el("tr", {}, ["Committed at (UTC)", "Status", "By", "Why"].map((title) => el("th", { scope: "col" }, title)))),
      el(
        "tbody",
        {},
        order.events.map((event) =>
          el("tr", {}, el("td.mono", {}, event.committed_at.replace("T", " ").replace("Z", "")), el("td", {}, event.status), el("td", {}, `${event.trigger}, ${event.actor}`), el("td", {}, event.reason ?? "")),
        ),
      ),
    ),
  );
}

/** Save every order of a sale as CSV. Raises Problem or NoAnswer. */
export async function exportOrders(saleId, token) {
  const response = await send("GET", `/v1/admin/sales/${encodeURIComponent(saleId)}/orders.csv`, { token, timeoutMs: 0 });
  if (!response.ok) throw await problemOf(response);
  const file = await response.blob().catch((error) => Promise.reject(new NoAnswer(error.message)));
  const address = URL.createObjectURL(file);
  el("a", { href: address, download: `${saleId}-orders.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
