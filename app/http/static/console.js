/* The seller's console: the list of sales, one sale live, and what the seller does with it. */

import { randomKey } from "./attempt.js";
import { Checks } from "./console-checks.js";
import { createHere } from "./console-create.js";
import { exportOrders, find } from "./console-orders.js";
import { drawHead, drawLive } from "./console-sale.js";
import { byId, el, say, show } from "./dom.js";
import { stream } from "./follow.js";
import { backOffMs, call, pause } from "./http.js";
import { Session } from "./session.js";
import { signInHere } from "./sign-in.js";
import { drawText, problemText, units } from "./words.js";

const isLocal = document.body.dataset.signIn === "local";
const LIST = "/v1/admin/sales";
const PAGE = 50;

const state = { saleId: null, sale: null, sales: [], nextPage: null };
let watching = new AbortController();

const checks = new Checks(() => session.token);
const session = new Session(start);

function start() {
  const isSeller = session.hasRole("seller");
  show(byId("welcome"), !isSeller);
  show(byId("desk"), isSeller);
  show(byId("sign-out"), isSeller && isLocal);
  say(byId("who"), isSeller ? session.subject : "");
  watching.abort();
  if (!isSeller) return;
  listSales().then(choose);
  checks.lookAtLetters();
}

/* The list. */
async function listSales(pageToken = null) {
  try {
    const query = new URLSearchParams({ page_size: PAGE, ...(pageToken ? { page_token: pageToken } : {}) });
    const page = await call("GET", `${LIST}?${query}`, { token: session.token });
    state.sales = pageToken ? [...state.sales, ...page.sales] : page.sales;
    state.nextPage = page.next_page_token;
    drawList();
  } catch (error) {
    complain(error);
  }
}

function drawList() {
  byId("sale-list").replaceChildren(
    ...state.sales.map((sale) =>
      el("li", {}, el("a", { href: `#${sale.sale_id}`, "aria-current": sale.sale_id === state.saleId ? "page" : null }, sale.name, el("span", {}, `${sale.sale_id} · ${units(sale.stock)}`))),
    ),
  );
  show(byId("more-sales"), Boolean(state.nextPage));
}

/* The sale that the address names. */
function choose() {
  if (!session.hasRole("seller")) return;
  const saleId = decodeURIComponent(location.hash.slice(1));
  watching.abort();
  state.saleId = saleId || null;
  state.sale = null;
  byId("found").replaceChildren();
  complain(null);
  drawList();
  checks.choose(state.saleId);
  show(byId("nothing"), !saleId);
  show(byId("chosen"), false);
  if (saleId) watch(saleId);
}

async function watch(saleId) {
  const stop = (watching = new AbortController());
  const path = `${LIST}/${encodeURIComponent(saleId)}`;
  try {
    take(await call("GET", path, { token: session.token }));
  } catch (error) {
    complain(error);
    if (error.status) return;
  }
  let failures = 0;
  while (!stop.signal.aborted) {
    try {
      await stream(`${path}/live`, session.token, undefined, stop.signal, (name, sale) => {
        if (name !== "sale" || stop.signal.aborted) return;
        failures = 0;
        // What an action has just answered is newer than a look of a second ago.
        if (state.sale && Date.parse(sale.as_of) < Date.parse(state.sale.as_of)) return;
        take(sale);
        drawLive(sale);
        live(true);
      });
    } catch (error) {
      if (stop.signal.aborted) return;
      live(false);
      if (error.status && !error.isPassing) {
        complain(error);
        return;
      }
      await pause(Math.max(backOffMs(failures++), (error.retryAfterSeconds ?? 0) * 1_000), stop.signal);
    }
  }
}

function take(sale) {
  const isOther = !state.sale || state.sale.phase !== sale.phase || state.sale.state !== sale.state || state.sale.draw?.state !== sale.draw?.state;
  state.sale = { ...state.sale, ...sale };
  drawHead(state.sale);
  checks.take(state.sale);
  if (isOther) drawActions(state.sale);
  show(byId("chosen"), true);
}

function live(isLive) {
  byId("live").dataset.tone = isLive ? "good" : "bad";
  say(byId("live"), isLive ? "Live" : "No connection");
}

/* What the seller does. */
const ACTIONS = {
  open: { scheduled: "Open now", paused: "Resume" },
  pause: { scheduled: "Hold back", open: "Pause" },
  restock: { scheduled: null, open: "Restock", paused: "Restock" },
  draw: { closed: "Draw" },
  close: { scheduled: "Call off", open: "Close", paused: "Close" },
};
const ASK = {
  open: ["Open the sale?", "It takes orders from this moment on."],
  pause: ["Pause the sale?", "It takes no orders until you resume it. What was ordered stands, and payments go on."],
  close: ["Close the sale for good?", "It takes no more orders, and cannot be opened again. What was ordered stands."],
  draw: ["Draw now?", "The draw is done once, and cannot be changed. It begins by itself, too, some seconds after the close."],
  restock: ["Restock", "New units go to the waitlist first, in its order."],
};

function drawActions(sale) {
  const buttons = Object.entries(ACTIONS)
    .filter(([name, words]) => words[sale.phase] && (name !== "draw" || (sale.draw && sale.draw.state !== "DRAWN")))
    .map(([name, words]) => el(`button${name === "close" ? ".danger" : ""}`, { type: "button", "data-action": name, onclick: () => act(name) }, words[sale.phase]));
  const page = el("a.button", { href: `/sales/${encodeURIComponent(sale.sale_id)}`, target: "_blank", rel: "noopener" }, "Buyer's page");
  byId("actions").replaceChildren(...buttons, page);
}

async function act(name) {
  const [title, text] = ASK[name];
  const dialog = byId("ask");
  say(byId("ask-title"), title);
  say(byId("ask-text"), text);
  say(byId("ask-yes"), ACTIONS[name][state.sale.phase]);
  byId("ask-yes").className = name === "close" ? "danger" : "primary";
  show(byId("ask-field"), name === "restock");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return;
  const options = { token: session.token };
  if (name === "restock") {
    options.body = { units: Number(byId("ask-units").value) };
    options.headers = { "Idempotency-Key": randomKey() };
  }
  try {
    const answer = await again(() => call("POST", `${LIST}/${encodeURIComponent(state.saleId)}/${name}`, options));
    const sale = answer.sale ?? answer;
    if (sale.phase) take(sale);
    if (name === "draw") take({ ...state.sale, draw: answer });
    report(name === "restock" ? restocked(options.body.units, answer.promoted_orders) : name === "draw" ? drawText(answer, "closed") : "Done.");
  } catch (error) {
    complain(error);
  }
}

function restocked(added, promoted) {
  const orders = promoted === 1 ? "1 waiting order got them" : `${promoted.toLocaleString()} waiting orders got them`;
  return `${units(added)} added; ${promoted ? orders : "nobody waited"}.`;
}

/** Every action is safe to repeat: through a short outage it is, with the same key. */
async function again(work) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 3 || (error.status && !error.isPassing)) throw error;
      await pause(backOffMs(tries));
    }
  }
}

function complain(error) {
  say(byId("trouble"), error ? problemText(error) : "");
  show(byId("trouble"), Boolean(error));
  show(byId("done"), false);
  if (error?.status === 401) session.renew();
}

function report(text) {
  complain(null);
  say(byId("done"), text);
  show(byId("done"), true);
}

byId("find-form").addEventListener("submit", (event) => {
  event.preventDefault();
  find(state.saleId, byId("find-by").value, byId("find-what").value, session.token).then(() => complain(null), complain);
});
byId("export").addEventListener("click", async () => {
  byId("export").disabled = true;
  await exportOrders(state.saleId, session.token).catch(complain);
  byId("export").disabled = false;
});
byId("more-sales").addEventListener("click", () => listSales(state.nextPage));
byId("sign-out").addEventListener("click", () => session.use(null));
addEventListener("hashchange", choose);
createHere(
  () => session.token,
  (sale) => {
    listSales();
    location.hash = sale.sale_id;
  },
);
if (isLocal) signInHere(byId("sign-in-form"), byId("subject"), (token) => session.use({ token }), true);
start();
