/* Who is here: a bearer token, and in an app the payment method, handed over by whoever shows this page (docs/buyer-page.md).
 *
 * Kept in this tab's sessionStorage, never in an address and never in a cookie. */

const PLACE = "fairdrop.session";
const HANDED_OVER = "fairdrop:session";
const NEEDED = "fairdrop:session-needed";

/** Calls `onChange` with the session, or null, now and whenever it changes. */
export class Session {
  #current = null;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    addEventListener(HANDED_OVER, (event) => this.use(event.detail));
    try {
      this.#current = checked(JSON.parse(sessionStorage.getItem(PLACE)));
    } catch {
      // Not ours, or no storage: as if nobody was here.
    }
  }

  get current() {
    return this.#current;
  }

  get token() {
    return this.#current?.token;
  }

  /** Whose token it is; the service alone judges whether it holds. */
  get subject() {
    return this.#current ? claims(this.#current.token).sub : undefined;
  }

  /** Whether the token claims a role. */
  hasRole(role) {
    return Boolean(this.#current && claims(this.#current.token).roles?.includes(role));
  }

  use(session) {
    this.#current = checked(session);
    try {
      if (this.#current) sessionStorage.setItem(PLACE, JSON.stringify(this.#current));
      else sessionStorage.removeItem(PLACE);
    } catch {
      // It then lasts as long as the page.
    }
    this.#onChange(this.#current);
  }

  /** The service did not take the token: ask the host for another. */
  renew() {
    this.use(null);
    dispatchEvent(new CustomEvent(NEEDED));
  }
}

function checked(session) {
  return typeof session?.token === "string" && claims(session.token).sub ? session : null;
}

function claims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0))));
  } catch {
    return {};
  }
}
