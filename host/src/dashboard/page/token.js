// The token: asked for once, kept for this tab, forgotten on demand.

import { byId } from "./dom.js";

const PLACE = "patchbay-token";
let asking = null;

export const storedToken = () => sessionStorage.getItem(PLACE);

/** Whoever needs one waits here; all of them for the same answer. `refused` is what was tried already. */
export function askForToken(refused, wrong) {
  // Somebody else was given another one meanwhile.
  if (storedToken() !== refused) return Promise.resolve();
  asking ??= show(wrong).finally(() => (asking = null));
  return asking;
}

function show(wrong) {
  const [dialog, form, input] = ["token-dialog", "token-form", "token-input"].map(byId);
  byId("token-wrong").textContent = wrong;
  input.setAttribute("aria-invalid", wrong ? "true" : "false");
  input.value = "";
  sessionStorage.removeItem(PLACE);
  dialog.showModal();
  return new Promise((resolve) => {
    // There is nothing behind it to go back to.
    dialog.oncancel = (event) => event.preventDefault();
    // A browser may close it all the same.
    dialog.onclose = () => storedToken() || dialog.showModal();
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(PLACE, input.value.trim());
      input.value = "";
      dialog.close();
      byId("sign-out").hidden = false;
      resolve();
    };
  });
}

/** Shows the way out when there is one. */
export function startToken() {
  const button = byId("sign-out");
  button.hidden = !storedToken();
  button.addEventListener("click", () => {
    sessionStorage.removeItem(PLACE);
    // What is on the page was for whoever had the token.
    location.reload();
  });
}
