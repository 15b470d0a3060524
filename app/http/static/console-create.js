/* The form for a new sale. Times are typed in the seller's zone and sent in UTC; the opening is judged by the database's clock. */

import { byId, say, show } from "./dom.js";
import { call } from "./http.js";
import { problemText } from "./words.js";

const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));

/** Make the dialog create sales. `onCreated` gets the new sale. */
export function createHere(getToken, onCreated) {
  const dialog = byId("create");
  let isIdTyped = false;
  byId("new-sale").addEventListener("click", () => {
    show(byId("create-trouble"), false);
    propose();
    dialog.showModal();
  });
  byId("create-no").addEventListener("click", () => dialog.close());
  byId("c-id").addEventListener("input", () => {
    isIdTyped = byId("c-id").value !== "";
  });
  byId("c-name").addEventListener("input", () => {
    if (!isIdTyped) byId("c-id").value = slug(byId("c-name").value);
  });
  byId("create-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      onCreated(await call("POST", "/v1/admin/sales", { token: getToken(), body: terms() }));
      dialog.close();
      byId("create-form").reset();
      isIdTyped = false;
    } catch (error) {
      say(byId("create-trouble"), problemText(error));
      show(byId("create-trouble"), true);
    }
  });
}

const slug = (name) =>
  name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 60)
    .replace(/^-+|-+$/g, "");

function propose() {
  const opens = new Date(Date.now() + 3_600_000);
  opens.setMinutes(0, 0, 0);
  const closes = new Date(opens.getTime() + 24 * 3_600_000);
  const local = (time) => new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  byId("c-opens").value ||= local(opens);
  byId("c-closes").value ||= local(closes);
}

function terms() {
  const currency = byId("c-currency").value;
  const digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  return {
    sale_id: byId("c-id").value,
    name: byId("c-name").value,
    policy: byId("c-policy").value,
    unit_price_minor: Math.round(number("c-price") * 10 ** digits),
    currency,
    stock: number("c-stock"),
    limit_per_customer: number("c-limit"),
    waitlist_limit: number("c-waitlist"),
    expected_crowd: number("c-crowd"),
    opens_at: new Date(byId("c-opens").value).toISOString(),
    closes_at: new Date(byId("c-closes").value).toISOString(),
    hold_seconds: number("c-hold") * 60,
    cancel_window_seconds: number("c-window") * 60,
  };
}
