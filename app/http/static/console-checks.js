/* What was found by those who checked: the audit's last verdict and the fairness report of a sale, and the dead letters of all. */

import { byId, el, say, show } from "./dom.js";
import { call, problemOf, send } from "./http.js";
import { dateTime, problemText } from "./words.js";

const MAKING_MS = 120_000; // a report of the largest sale that is made here takes some seconds; a busy database more
const LETTERS_AT_MOST = 100;

const count = (number) => number.toLocaleString();

/** The two cards. `token` gives the session's. */
export class Checks {
  constructor(token) {
    this.token = token;
    this.saleId = null;
    this.phase = null;
    this.reports = null;
    byId("checks-again").addEventListener("click", () => this.look());
    byId("fairness-show").addEventListener("click", () => this.busy("Opening the report.", () => this.open()));
    byId("fairness-make").addEventListener("click", () => this.busy("Making the report.", () => this.make()));
    byId("letters-again").addEventListener("click", () => this.lookAtLetters());
  }

  /** Another sale is looked at. */
  choose(saleId) {
    Object.assign(this, { saleId, phase: null, reports: null });
    this.told("");
    this.draw();
    if (saleId) this.look();
  }

  /** The sale as it now is. */
  take(sale) {
    const isOver = this.phase !== null && this.phase !== sale.phase && sale.phase === "closed";
    if (this.phase === sale.phase) return;
    this.phase = sale.phase;
    this.draw();
    if (isOver) this.look();
  }

  path(what) {
    return `/v1/admin/sales/${encodeURIComponent(this.saleId)}/${what}`;
  }

  async look() {
    const { saleId } = this;
    try {
      this.got(saleId, await call("GET", this.path("reports"), { token: this.token() }));
    } catch (error) {
      if (this.saleId === saleId) this.told(problemText(error));
    }
  }

  got(saleId, reports) {
    if (this.saleId !== saleId) return;
    this.reports = reports;
    this.draw();
  }

  async make() {
    const { saleId } = this;
    this.got(saleId, await call("POST", this.path("fairness"), { token: this.token(), timeoutMs: MAKING_MS }));
  }

  /** In a page of its own, which inherits this one's policy: the report is data like any other, and comes only with the token. */
  async open() {
    const response = await send("GET", this.path("fairness"), { token: this.token() });
    if (!response.ok) throw await problemOf(response);
    const address = URL.createObjectURL(new Blob([await response.text()], { type: "text/html" }));
    el("a", { href: address, target: "_blank", rel: "noopener" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  async busy(text, work) {
    const { saleId } = this;
    const buttons = [byId("fairness-show"), byId("fairness-make")];
    for (const button of buttons) button.disabled = true;
    this.told(text);
    try {
      await work();
      if (this.saleId === saleId) this.told("");
    } catch (error) {
      if (this.saleId === saleId) this.told(error.kind === "too-many-waiting" ? "Another report is being made here: try again in a moment." : problemText(error));
    }
    for (const button of buttons) button.disabled = false;
  }

  told(text) {
    say(byId("checks-told"), text);
    show(byId("checks-told"), Boolean(text));
  }

  draw() {
    const { audit = null, fairness = null } = this.reports ?? {};
    say(byId("audit-verdict"), audit ? audit.verdict : this.reports ? "No audit of this sale is kept." : "–");
    byId("audit-verdict").dataset.tone = !audit ? "quiet" : audit.clean ? "good" : "bad";
    say(byId("audit-told"), audit ? `${ofWhen(audit)}; ${compared(audit)}.` : "");
    say(byId("fairness-verdict"), fairness ? fairness.verdict : this.reports ? none(this.phase, this.reports) : "–");
    say(byId("fairness-told"), fairness ? `${ofWhen(fairness)}${fairness.with_answers ? "; with a rush's answers" : ""}.` : "");
    show(byId("fairness-show"), Boolean(fairness));
    show(byId("fairness-make"), this.phase === "closed");
    say(byId("fairness-make"), fairness ? "Make it anew" : "Make the report");
  }

  async lookAtLetters() {
    const button = byId("letters-again");
    button.disabled = true;
    say(byId("letters-told"), "Looking takes some seconds.");
    try {
      this.drawLetters(await call("GET", "/v1/admin/dead-letters", { token: this.token() }));
    } catch (error) {
      say(byId("letters-told"), problemText(error));
    }
    button.disabled = false;
  }

  drawLetters({ looked_at: lookedAt, topics }) {
    const all = topics.reduce((sum, topic) => sum + topic.count, 0);
    say(byId("letters-told"), `${all ? "Each needs a person" : "None: every message could be dealt with"}. Looked at ${new Date(lookedAt).toLocaleTimeString()}; fairdrop dead-letters shows what they say.`);
    byId("letters-count").replaceChildren(
      ...topics.map(({ topic, count: number }) => el("span.chip", { "data-tone": number ? "bad" : "good" }, `${topic}: ${number >= LETTERS_AT_MOST ? "100 or more" : count(number)}`)),
    );
    const newest = topics.flatMap(({ topic, newest: letters }) => letters.map((letter) => ({ ...letter, topic })));
    newest.sort((one, other) => Date.parse(other.published_at) - Date.parse(one.published_at));
    byId("letters").replaceChildren(
      ...newest.map((letter) => el("tr", {}, el("td.mono", {}, letter.published_at.replace("T", " ").replace(/(\.\d+)?Z$/, "")), el("td", {}, letter.topic), el("td", {}, letter.event_type || "–"), el("td", {}, letter.reason))),
    );
    show(byId("letters-table"), newest.length > 0);
  }
}

function ofWhen({ as_of: asOf, orders, made_by: by, command }) {
  const where = command === "console" ? "here" : `with ${command}`;
  return `${count(orders)} ${orders === 1 ? "order" : "orders"} as of ${dateTime(asOf)}, made by ${by} ${where}`;
}

function compared(audit) {
  const what = [
    [audit.with_answers, "the answers"],
    [audit.with_payments, "the payments"],
    [audit.with_book, "the gateway's book"],
  ];
  const names = what.filter(([is]) => is).map(([, name]) => name);
  const beside = names.length ? `with ${names.join(", ")}` : "the orders' database alone";
  return `${beside}; ${audit.at_rest ? "all at rest" : "what was under way was allowed"}`;
}

function none(phase, { fairness_orders_at_most: most }) {
  return phase === "closed" ? `No report is kept. One of at most ${count(most)} orders can be made here.` : "A report is made when the sale is over.";
}
