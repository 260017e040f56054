/** The login page: it asks for the token, and is served at any address while the browser has not given it. */

import { byId } from "./elements.js";
import { storePreference } from "./preferences.js";
import { takeToken } from "./token_link.js";

const form = byId("login");
const field = byId("token");
const button = form.querySelector("button");
const message = byId("message");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(field.value.trim());
});
window.addEventListener("hashchange", useTokenLink);
useTokenLink();

function useTokenLink() {
  const token = takeToken();
  if (token) logIn(token);
}

async function logIn(token) {
  button.disabled = true;
  message.textContent = "";
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (response.ok) {
      storePreference("loggedIn", true);
      location.reload();
      return;
    }
    message.textContent = (await response.text()).trim() || `Refused (${response.status}).`;
  } catch {
    message.textContent = "edgepub does not respond.";
  }
  button.disabled = false;
  field.select();
}
