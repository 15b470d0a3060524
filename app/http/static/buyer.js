/* The buyer's page: a sale, its countdown, one button, and what becomes of the orders. Holds the page's state and draws it; how
 * requests, retries and streams work is in the modules beside it. */

import { AttemptBox, place } from "./attempt.js";
import { ServerClock, span, spokenSpan } from "./clock.js";
import { byId, say, show } from "./dom.js";
import { follow } from "./follow.js";
import { NoAnswer, backOffMs, call } from "./http.js";
import { Session } from "./session.js";
import { signInHere } from "./sign-in.js";
import { drawOrders } from "./tickets.js";
import { dateTime, drawText, money, problemText, units } from "./words.js";

const saleId = decodeURIComponent(location.pathname.split("/").filter(Boolean).pop());
const salePath = `/v1/sales/${encodeURIComponent(saleId)}`;
const FOLLOWED_ORDERS = 3; // a browser has six connections to a host for everything
const TEST_CARDS = [
  { value: "tok_visa", label: "Test card that is accepted" },
  { value: "tok_declined", label: "Test card that is declined" },
];
const CALM_MS = 20_000;
const LIVELY_MS = 3_000;
const NEAR_SECONDS = 120;
const SPOKEN_SECONDS = [3_600, 600, 60, 30, 10];

const isLocal = document.body.dataset.signIn === "local";
const clock = new ServerClock();
const state = { sale: null, gone: false, orders: new Map(), attempt: null, trying: null, trouble: "", isOffline: false, wantsMore: false };
const followers = new Map();
let refreshTimer;
let refreshTries = 0;
let spoken = Infinity;

const session = new Session(() => {
  for (const stop of followers.values()) stop.abort();
  followers.clear();
  state.orders = new Map();
  state.trying = null;
  offerPayment();
  draw();
  loadOrders();
});

/* The sale: asked again and again, calmly while nothing can happen. */
async function refresh() {
  clearTimeout(refreshTimer);
  try {
    state.sale = await call("GET", salePath);
    clock.observe(state.sale.server_time);
    state.gone = false;
    state.isOffline = false;
    refreshTries = 0;
  } catch (error) {
    if (error.status === 404) state.gone = true;
    else if (error instanceof NoAnswer) state.isOffline = true;
    refreshTries += 1;
  }
  draw();
  if (!document.hidden && !state.gone) refreshTimer = setTimeout(refresh, refreshTries ? backOffMs(refreshTries) : calm());
}

function calm() {
  const sale = state.sale;
  const left = clock.secondsUntil(sale.opens_at);
  const isToBeDrawn = sale.draw && sale.draw.state !== "DRAWN";
  const pause = (phase() === "closed" && !isToBeDrawn) || (phase() === "scheduled" && left > NEAR_SECONDS) ? CALM_MS : LIVELY_MS;
  return pause * (0.8 + Math.random() * 0.4);
}

/** The phase by the server's clock: the sale opens on this page when its time has come, without asking. */
function phase() {
  const { sale } = state;
  if (sale.phase === "scheduled" && clock.secondsUntil(sale.opens_at) <= 0) return "open";
  return sale.phase !== "closed" && clock.secondsUntil(sale.closes_at) <= 0 ? "closed" : sale.phase;
}

/* The customer's orders: listed once, then followed. */
async function loadOrders() {
  if (!session.token) return;
  const { subject } = session;
  try {
    const page = await call("GET", `/v1/orders?page_size=100&sale_id=${encodeURIComponent(saleId)}`, { token: session.token });
    if (subject !== session.subject) return;
    for (const order of page.orders) keep(order);
    const attempt = new AttemptBox(saleId, subject).find();
    if (attempt && !state.trying) run(attempt);
  } catch (error) {
    if (error.status === 401) session.renew();
    else setTimeout(loadOrders, backOffMs(2));
  }
  draw();
}

function keep(order) {
  const before = state.orders.get(order.order_id);
  if (before && before.event_seq > order.event_seq) return;
  state.orders.set(order.order_id, order);
  followNewest();
}

function followNewest() {
  const open = [...state.orders.values()].filter((order) => !order.is_final);
  open.sort((a, b) => b.position.placed_at.localeCompare(a.position.placed_at));
  for (const order of open.slice(0, FOLLOWED_ORDERS)) {
    if (followers.has(order.order_id)) continue;
    const stop = new AbortController();
    followers.set(order.order_id, stop);
    follow(order, () => session.token, {
      signal: stop.signal,
      onOrder: (fresh) => {
        keep(fresh);
        draw();
      },
      onRefused: (error) => {
        if (error.status === 401) session.renew();
      },
    }).finally(() => followers.delete(order.order_id));
  }
}

/* One press of the button, to its answer. */
async function run(attempt) {
  const { subject } = session;
  const box = new AttemptBox(saleId, subject);
  state.attempt = attempt;
  state.trying = { reason: "sending" };
  state.trouble = "";
  state.wantsMore = false;
  draw();
  try {
    const order = await place(saleId, attempt, session.token, (reason, seconds) => {
      state.trying = { reason, seconds };
      draw();
    });
    box.close();
    keep(order);
  } catch (error) {
    if (error.status === 401) {
      // The key is kept: after the sign-in the same order goes on.
      session.renew();
    } else {
      box.close();
      state.trouble = problemText(error);
      refresh();
    }
  }
  state.attempt = null;
  state.trying = null;
  draw();
  if (!byId("orders").hidden) byId("orders").querySelector("h2")?.focus();
}

const TRYING = {
  sending: () => "Sending your order …",
  lost: () => "The connection is lost. Your order is sent again until there is an answer, and never counted twice.",
  busy: () => "Very many people are here. Your order is sent again by itself, and never counted twice.",
  early: () => "It opens this very moment …",
};

function paymentMethod() {
  if (!state.sale.unit_price_minor) return null;
  return isLocal ? byId("payment").value : (session.current?.payment_method ?? null);
}

function wanted() {
  const number = Number(byId("units").value);
  return Number.isInteger(number) ? Math.min(Math.max(number, 1), Math.max(room(), 1)) : 1;
}

/** Units that this customer may still order. */
function room() {
  const live = ["ENTERED", "PENDING", "AUTHORIZED", "PLACED", "WAITLISTED"];
  const taken = [...state.orders.values()].filter((order) => live.includes(order.status)).reduce((sum, order) => sum + order.units, 0);
  return state.sale.limit_per_customer - taken;
}

function offerPayment() {
  const cards = isLocal ? TEST_CARDS : [{ value: "handed-over", label: session.current?.payment_label ?? "The card on file in the app" }];
  byId("payment").replaceChildren(...cards.map((card) => new Option(card.label, card.value)));
}

/* Drawing: the page follows from the state, whatever happened. */
const PHASES = { scheduled: ["Opens soon", "info"], open: ["Open", "good"], paused: ["Paused", "wait"], closed: ["Over", "quiet"] };
const LEFT = { plenty: "Plenty left", some: "More than half gone", few: "Nearly gone", none: "All taken" };

function draw() {
  const { sale } = state;
  if (state.gone) {
    say(byId("name"), "There is no such sale");
    say(byId("phase"), "Not found");
    byId("phase").dataset.tone = "bad";
    return;
  }
  if (!sale) {
    if (state.isOffline) say(byId("name"), "No connection yet. Trying again …");
    return;
  }
  const now = phase();
  document.title = `${sale.name} · Fairdrop`;
  const isGone = now === "open" && sale.stock_left === "none";
  const [word, tone] = isGone ? [sale.waitlist_open ? "All taken, line open" : "Sold out", sale.waitlist_open ? "wait" : "bad"] : (PHASES[now] ?? [now, "quiet"]);
  say(byId("phase"), state.isOffline ? "No connection" : word);
  byId("phase").dataset.tone = state.isOffline ? "bad" : tone;
  say(byId("name"), sale.name);
  say(byId("price"), money(sale.unit_price_minor, sale.currency));
  show(byId("price"), true);
  say(byId("facts"), facts(sale, now).join(" · "));
  drawWho();
  drawOrders(byId("orders"), [...state.orders.values()], clock, cancel);
  drawCounter(now);
  drawDraw();
  say(byId("trouble"), state.trouble);
  show(byId("trouble"), Boolean(state.trouble));
  tick();
}

function facts(sale, now) {
  const limit = sale.limit_per_customer === 1 ? "One a customer" : `At most ${sale.limit_per_customer} a customer`;
  const isLottery = sale.policy === "lottery";
  return [
    limit,
    isLottery ? "By draw" : "First come, first served",
    now === "open" && !isLottery ? LEFT[sale.stock_left] : null,
    now === "closed" ? `Closed ${dateTime(sale.closes_at)}` : `Until ${dateTime(sale.closes_at)}`,
  ].filter(Boolean);
}

function drawWho() {
  say(byId("who"), session.subject ?? "");
  show(byId("sign-out"), Boolean(session.token) && isLocal);
  show(byId("sign-in"), !session.token && phase() !== "closed");
}

function drawCounter(now) {
  const { sale, trying } = state;
  const left = room();
  const hasRoom = left > 0 || Boolean(trying);
  show(byId("counter"), Boolean(session.token || now !== "open") && (hasRoom || now === "scheduled"));
  show(byId("countdown"), now === "scheduled");
  const notes = { paused: "The seller has paused the sale. Stay here: the button comes back when it goes on.", closed: "The sale is over and takes no more orders." };
  say(byId("closed-note"), notes[now] ?? "");
  byId("closed-note").dataset.tone = now === "paused" ? "wait" : "quiet";
  show(byId("closed-note"), Boolean(notes[now]) && !trying);
  // Who has an order is shown that; another is a press away, and never made by pressing where the first was.
  const isMore = now === "open" && !trying && !state.wantsMore && [...state.orders.values()].some((order) => !order.is_final || order.status === "PLACED");
  show(byId("more-orders"), isMore);
  show(byId("order-form"), Boolean(session.token) && !isMore && (now !== "closed" || Boolean(trying)));
  show(byId("units-field"), left > 1 && !trying);
  byId("units").max = Math.max(left, 1);
  show(byId("payment-field"), sale.unit_price_minor > 0 && !trying);
  byId("payment").disabled = !isLocal;
  const count = trying ? state.attempt.body.units : wanted();
  show(byId("total"), sale.unit_price_minor > 0);
  say(byId("total-amount"), money(sale.unit_price_minor * count, sale.currency));
  const [text, isOpen] = buttonOf(now);
  const button = byId("order-button");
  say(button, text);
  button.disabled = !isOpen || Boolean(trying);
  const busy = byId("progress");
  if (trying) {
    if (busy.dataset.reason !== trying.reason) {
      const spinner = document.createElement("span");
      spinner.className = "spinner";
      spinner.setAttribute("aria-hidden", "true");
      busy.replaceChildren(spinner, TRYING[trying.reason]());
      busy.dataset.reason = trying.reason;
    }
  } else delete busy.dataset.reason;
  show(busy, Boolean(trying));
  const hint = hintOf(now, isOpen);
  say(byId("hint"), hint);
  show(byId("hint"), Boolean(hint) && !trying);
}

function buttonOf(now) {
  const { sale } = state;
  const isLottery = sale.policy === "lottery";
  if (now === "scheduled") return ["Not open yet", false];
  if (now === "paused") return ["Paused", false];
  if (now === "closed") return ["Over", false];
  if (isLottery) return ["Enter the draw", true];
  if (sale.stock_left === "none") return sale.waitlist_open ? ["Join the line", true] : ["Sold out", false];
  return [sale.unit_price_minor ? "Order and pay" : "Get it free", true];
}

function hintOf(now, isOpen) {
  const { sale } = state;
  if (now !== "open") return "";
  if (!isOpen) return "Every unit is taken and the line is full. This page keeps looking: should anything come free, the button comes back.";
  if (sale.policy === "lottery") return "Everybody who enters in time has the same chance.";
  if (sale.stock_left === "none") return "Every unit is taken. If one comes free, it goes to the first in line; you pay only then.";
  return sale.unit_price_minor ? "Your card is authorized now, and charged only when you can no longer cancel." : "";
}

function drawDraw() {
  const { draw: lot } = state.sale;
  show(byId("draw"), Boolean(lot));
  show(byId("promise-fcfs"), !lot);
  show(byId("promise-lottery"), Boolean(lot));
  if (!lot) return;
  say(byId("draw-state"), drawText(lot, phase()));
  say(byId("commitment"), lot.commitment);
  for (const [id, value] of [["seed", lot.seed], ["digest", lot.digest]]) {
    say(byId(id), value ?? "");
    show(byId(id).parentElement, Boolean(value));
    show(byId(`${id}-name`), Boolean(value));
  }
  byId("draw-link").href = salePath;
  const own = [...state.orders.values()].find((order) => order.draw_place !== null);
  show(byId("verify"), lot.state === "DRAWN");
  say(byId("verify-command"), `fairdrop verify-draw RECORD --commitment ${lot.commitment}${own ? ` --order ${own.order_id}` : ""}`);
}

/* Every second, on the second. */
function tick() {
  const { sale } = state;
  if (!sale || !clock.isSet) return;
  const left = clock.secondsUntil(sale.opens_at);
  if (sale.phase === "scheduled") {
    say(byId("countdown-time"), span(left));
    say(byId("countdown-at"), dateTime(sale.opens_at));
    const next = SPOKEN_SECONDS.find((seconds) => left <= seconds && seconds < spoken && left > seconds - 2);
    if (next) {
      spoken = next;
      say(byId("announcer"), `${spokenSpan(next)} until the sale opens`);
    }
  }
  for (const timer of document.querySelectorAll("[data-until]")) say(timer, span(clock.secondsUntil(timer.dataset.until)));
}

let lastPhase;
function everySecond() {
  if (state.sale && clock.isSet) {
    const now = phase();
    if (lastPhase && now !== lastPhase) {
      draw();
      if (now === "open") say(byId("announcer"), "The sale is open");
      clearTimeout(refreshTimer);
      refreshTimer = setTimeout(refresh, Math.random() * 1_500);
    } else tick();
    lastPhase = now;
  }
  const fraction = clock.isSet ? clock.now() % 1_000 : 0;
  setTimeout(everySecond, 1_005 - fraction);
}

async function cancel(order) {
  const dialog = byId("confirm");
  const isEntry = order.status === "ENTERED";
  say(byId("confirm-title"), isEntry ? "Withdraw this entry?" : "Cancel this order?");
  say(byId("confirm-yes"), isEntry ? "Withdraw the entry" : "Cancel the order");
  say(
    byId("confirm-text"),
    isEntry
      ? `Your entry for ${units(order.units)} is not drawn. Until the entries close you may enter again.`
      : order.status === "WAITLISTED"
        ? `You give up your place in line for ${units(order.units)}.${order.draw_place === null ? " A new order would stand at the end." : ""}`
        : `${units(order.units)} go to the next in line, and nothing is charged. A new order would stand at the end of the line.`,
  );
  dialog.returnValue = "keep";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "cancel") return;
  try {
    keep(await call("POST", `${salePath}/orders/${order.order_id}/cancel`, { token: session.token }));
    state.trouble = "";
  } catch (error) {
    if (error.status === 401) session.renew();
    else state.trouble = error instanceof NoAnswer ? "There is no connection: whether the order was cancelled is not known yet. Please try again." : problemText(error);
  }
  draw();
}

byId("order-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.trying || byId("order-button").disabled) return;
  run(new AttemptBox(saleId, session.subject).open(wanted(), paymentMethod()));
});
byId("more-orders").addEventListener("click", () => {
  state.wantsMore = true;
  draw();
  byId("order-button").focus();
});
byId("fewer").addEventListener("click", () => step(-1));
byId("more").addEventListener("click", () => step(1));
byId("units").addEventListener("change", () => step(0));
byId("sign-out").addEventListener("click", () => session.use(null));

function step(by) {
  byId("units").value = wanted() + by;
  byId("units").value = wanted();
  draw();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  // The browser's counter may have stood still meanwhile.
  clock.reset();
  refresh();
});

if (isLocal) signInHere(byId("sign-in-form"), byId("subject"), (token) => session.use({ token }));
offerPayment();
refresh();
loadOrders();
everySecond();
