/** The page in place of any other for whom the daemon does not know: it asks for the token. */

import { byId } from "./elements.js";
import { remember } from "./remembered.js";
import { takeToken } from "./token_link.js";

const form = byId("login");
const field = byId("token");
const button = form.querySelector("button");
const message = byId("message");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(field.value.trim());
});
window.addEventListener("hashchange", followLink);
followLink();

function followLink() {
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
      remember("loggedIn", true);
      location.reload();
      return;
    }
    message.textContent = (await response.text()).trim() || `Refused (${response.status}).`;
  } catch {
    message.textContent = "The daemon does not answer.";
  }
  button.disabled = false;
  field.select();
}
