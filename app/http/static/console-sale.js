/* Drawing one sale as the stream tells it. What comes once a second only changes text, widths and lines. */

import { LineChart } from "./charts.js";
import { span } from "./clock.js";
import { byId, el, say, show } from "./dom.js";
import { dateTime, drawText, money, status } from "./words.js";

const PHASES = { scheduled: ["Scheduled", "info"], open: ["Open", "good"], paused: ["Paused", "wait"], closed: ["Closed", "quiet"] };
const STATES = ["ENTERED", "PENDING", "AUTHORIZED", "PLACED", "WAITLISTED", "PAYMENT_FAILED", "EXPIRED", "CANCELLED", "LAPSED"];
const LATE_EVENTS_SECONDS = 10;
const SETTLED_SECONDS = 2; // the newest seconds are not whole yet: a look is a second old, and shards are read one after another
const WINDOW_SECONDS = 120;

let charts = null;

const count = (number) => number.toLocaleString();
const more = (number) => (number >= 1_000 ? "1,000 or more" : count(number));

/** The sale's head: its name, terms and phase. */
export function drawHead(sale) {
  say(byId("name"), sale.name);
  const [word, tone] = PHASES[sale.phase] ?? [sale.phase, "quiet"];
  say(byId("phase"), word);
  byId("phase").dataset.tone = tone;
  const policy = sale.policy === "lottery" ? "by lottery" : "first come, first served";
  const limit = sale.limit_per_customer === 1 ? "one a customer" : `at most ${sale.limit_per_customer} a customer`;
  say(byId("terms"), `${sale.sale_id} · ${money(sale.unit_price_minor, sale.currency)} · ${policy} · ${limit} · ${dateTime(sale.opens_at)} to ${dateTime(sale.closes_at)}`);
  show(byId("draw-text"), Boolean(sale.draw));
  say(byId("draw-text"), sale.draw ? drawText(sale.draw, sale.phase) : "");
  say(byId("after-commands"), commands(sale).join("\n"));
}

function commands(sale) {
  const audit = `fairdrop audit ${sale.sale_id}`;
  if (sale.phase !== "closed") return [audit];
  const record = sale.draw ? [`fairdrop draw ${sale.sale_id} --export draw.jsonl`, `fairdrop verify-draw draw.jsonl --commitment ${sale.draw.commitment}`] : [];
  return [...record, `fairdrop fairness ${sale.sale_id} --html fairness.html`, audit];
}

/** Everything below the head. */
export function drawLive(sale) {
  drawHead(sale);
  drawStock(sale);
  drawTiles(sale);
  drawCharts(sale);
  drawStates(sale);
  drawMoney(sale);
  drawShards(sale.shards);
}

function drawStock(sale) {
  const placed = sale.counts.by_status?.PLACED ?? 0;
  const taken = sale.stock - sale.available;
  // Units, while the states count orders: a sale with orders of several units shows its held units as all that is not final.
  const share = sale.counts.orders ? Math.min(1, placed / Math.max(1, liveHolds(sale) + placed)) : 0;
  const sold = Math.round(taken * share);
  say(byId("stock-text"), `${count(taken)} of ${count(sale.stock)} taken, ${count(sale.available)} left`);
  const bar = byId("stock-bar");
  if (!bar.children.length) bar.append(el("i.placed"), el("i.held"), el("i.free"));
  [sold, taken - sold, sale.available].forEach((units, index) => {
    bar.children[index].style.flexGrow = units;
  });
  bar.setAttribute("aria-label", byId("stock-text").textContent);
}

const liveHolds = (sale) => (sale.counts.by_status?.PENDING ?? 0) + (sale.counts.by_status?.AUTHORIZED ?? 0);

function drawTiles(sale) {
  const { counts } = sale;
  const latest = sale.server.at(-1);
  const rate = ratePerSecond(sale);
  const lag = sale.oldest_unpublished_at ? (Date.parse(sale.as_of) - Date.parse(sale.oldest_unpublished_at)) / 1_000 : 0;
  tiles([
    ["Orders taken", count(counts.orders), `${count(rate)} a second`],
    ["In line", count(sale.waiting), `of ${count(sale.waitlist_limit)}`],
    ["Refused a second", latest ? count(Math.round(latest.refused)) : "–", "this server, all sales"],
    ["99 % answered in", latest?.p99_ms ? `${Math.round(latest.p99_ms)} ms` : "–", latest?.p50_ms ? `half in ${Math.round(latest.p50_ms)} ms` : "nothing asked just now"],
    ["Orders a commit", counts.commits ? (counts.orders / counts.commits).toFixed(1) : "–", `${count(counts.commits)} commits`],
    ["Waiting for a commit", count(sale.lane_depth), "this server"],
    ["Events to publish", more(sale.unpublished_events), lag > 0 ? `oldest ${span(lag)} old` : "outbox is empty", lag > LATE_EVENTS_SECONDS ? "bad" : null],
    ["Deadlines overdue", more(sale.overdue_orders), sale.overdue_orders ? "is a deadlines worker running?" : "all dealt with", sale.overdue_orders >= 100 ? "bad" : null],
  ]);
}

function ratePerSecond(sale) {
  const now = Math.floor(Date.parse(sale.as_of) / 1_000);
  return sale.seconds.find((second) => second.at === now - SETTLED_SECONDS)?.taken ?? 0;
}

function tiles(rows) {
  const list = byId("tiles");
  if (!list.children.length) for (const [name] of rows) list.append(el("dl.card.tile", {}, el("dt", {}, name), el("dd"), el("dd.small")));
  rows.forEach(([, value, note, tone], index) => {
    const tile = list.children[index];
    say(tile.children[1], value);
    say(tile.children[2], note);
    if (tone) tile.dataset.tone = tone;
    else delete tile.dataset.tone;
  });
}

function drawCharts(sale) {
  charts ??= {
    rate: new LineChart(byId("chart-rate"), [
      { colour: "--good", isFilled: true },
      { colour: "--bad" },
    ]),
    latency: new LineChart(byId("chart-latency"), [
      { colour: "--info" },
      { colour: "--wait" },
    ]),
    commits: new LineChart(byId("chart-commits"), [{ colour: "--good", isFilled: true }]),
  };
  const end = Math.floor(Date.parse(sale.as_of) / 1_000) - SETTLED_SECONDS;
  const at = Array.from({ length: WINDOW_SECONDS }, (_, index) => end - WINDOW_SECONDS + 1 + index);
  const seconds = new Map(sale.seconds.map((second) => [second.at, second]));
  const server = new Map(sale.server.map((second) => [second.at, second]));
  charts.rate.show([at, at.map((t) => seconds.get(t)?.taken ?? 0), at.map((t) => server.get(t)?.refused ?? null)]);
  charts.latency.show([at, at.map((t) => server.get(t)?.p50_ms ?? null), at.map((t) => server.get(t)?.p99_ms ?? null)]);
  charts.commits.show([at, at.map((t) => (seconds.get(t)?.commits ? seconds.get(t).taken / seconds.get(t).commits : null))]);
}

function drawStates(sale) {
  const { counts } = sale;
  show(byId("counting"), !counts.is_complete || !counts.by_status);
  say(byId("counting"), counts.by_status ? `Reading the sale's past: ${count(counts.orders)} orders so far.` : "Too many orders are open to tell them by state.");
  const states = STATES.filter((name) => counts.by_status?.[name]);
  bars(byId("states"), states.map((name) => [status(name).name, counts.by_status[name], status(name).tone]), counts.orders, "No orders yet.");
}

function drawMoney(sale) {
  const { counts, unit_price_minor: price, currency } = sale;
  const rows = price
    ? [
        ["Authorized", counts.events["order.authorized"] ?? 0, "wait"],
        ["Captured", counts.events["order.placed"] ?? 0, "good"],
        ["Failed", counts.payments_failed, "bad"],
        ["Not in time", counts.expired, "bad"],
      ]
    : [];
  bars(byId("money"), rows, Math.max(1, counts.events["order.reserved"] ?? 0), price ? "" : "A giveaway: there is nothing to pay.");
  say(byId("worth"), price ? `${count(counts.events["order.reserved"] ?? 0)} payments asked for; all ${count(sale.stock)} units are worth ${money(sale.stock * price, currency)}.` : "");
}

function bars(body, rows, whole, nothing) {
  if (!rows.length) {
    body.replaceChildren(nothing ? el("tr", {}, el("td.quiet", { colspan: 3 }, nothing)) : "");
    return;
  }
  const names = rows.map(([name]) => name).join();
  if (body.dataset.names !== names || body.children.length !== rows.length) {
    body.replaceChildren(...rows.map(([name, , tone]) => el("tr", { "data-tone": tone }, el("th", { scope: "row" }, name), el("td", {}, el("meter", { min: 0, max: 1, "aria-label": `${name}, share` })), el("td"))));
    body.dataset.names = names;
  }
  rows.forEach(([, number], index) => {
    const row = body.children[index];
    row.querySelector("meter").value = number / Math.max(1, whole);
    say(row.lastChild, count(number));
  });
}

function drawShards(shards) {
  const body = byId("shards");
  if (body.children.length !== shards.length) {
    body.replaceChildren(...shards.map((shard) => el("tr", {}, el("th", { scope: "row" }, shard.shard_id), el("td"), el("td"), el("td"))));
  }
  shards.forEach((shard, index) => {
    const cells = body.children[index].children;
    say(cells[1], count(shard.allocated));
    say(cells[2], count(shard.available));
    say(cells[3], count(shard.waiting));
  });
}
