/** The page of all cameras: how each is, with a still of it. */

import { CameraCard } from "./camera_card.js";
import { byId, say, showStatus } from "./elements.js";
import { recall, remember } from "./remembered.js";
import { takeToken } from "./token_link.js";

const POLL_MS = 2000;
const PATIENCE_MS = 10000;
const cards = new Map();
let timer = 0;

takeToken();
byId("log-out").hidden = !recall("loggedIn", false);
byId("log-out").addEventListener("click", logOut);
document.addEventListener("visibilitychange", poll);
poll();

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return; // asks anew when it is shown
  try {
    const response = await fetch("/cameras", { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 401) {
      location.reload();
      return;
    }
    if (!response.ok) throw new Error(`The daemon answers ${response.status}`);
    show(await response.json());
  } catch {
    showStatus(byId("broker"), "unknown");
    notice("The daemon does not answer. Trying again …");
    document.body.classList.add("stale");
    for (const card of cards.values()) card.lose();
  }
  clearTimeout(timer);
  timer = setTimeout(poll, POLL_MS);
}

function show({ node, version, broker, cameras }) {
  document.title = `${node} · edgepub`;
  document.body.classList.remove("stale");
  say(byId("node"), node);
  say(byId("version"), `edgepub ${version}`);
  showStatus(byId("broker"), broker.status);
  if (!cameras.length) notice("No camera is configured.");
  else notice(broker.fault ? `Broker: ${broker.fault}` : "");
  const names = new Set(cameras.map(({ name }) => name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.remove();
    cards.delete(name);
  }
  for (const camera of cameras) {
    if (!cards.has(camera.name)) cards.set(camera.name, new CameraCard(byId("cameras"), camera.name));
    cards.get(camera.name).show(camera);
  }
}

function notice(text) {
  say(byId("notice"), text);
  byId("notice").hidden = !text;
}

async function logOut() {
  try {
    await fetch("/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  } catch {
    notice("Not logged out: the daemon does not answer.");
    return;
  }
  remember("loggedIn", false);
  location.reload();
}
