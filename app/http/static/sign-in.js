/* The sign-in of a development service: a token of its local issuer, for any name. A production service has no such address. */

import { call } from "./http.js";
import { problemText } from "./words.js";

/** Make a form sign people in. `isSeller` asks for the seller's role too. */
export function signInHere(form, subjectInput, onToken, isSeller = false) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    subjectInput.setCustomValidity("");
    try {
      const answer = await call("POST", "/v1/development/token", { body: { subject: subjectInput.value.trim(), seller: isSeller } });
      onToken(answer.token);
    } catch (error) {
      subjectInput.setCustomValidity(problemText(error));
      subjectInput.reportValidity();
    }
  });
  subjectInput.addEventListener("input", () => subjectInput.setCustomValidity(""));
}
