/** The page of all cameras: the status of each, with a still picture. */

import { CameraCard } from "./camera_card.js";
import { byId, setText, showStatus } from "./elements.js";
import * as formatting from "./formatting.js";
import { loadPreference, storePreference } from "./preferences.js";
import { takeToken } from "./token_link.js";

const POLL_MS = 2000;
const TIMEOUT_MS = 10000;
const cards = new Map();
let timer = 0;

takeToken();
byId("log-out").hidden = !loadPreference("loggedIn", false);
byId("log-out").addEventListener("click", logOut);
document.addEventListener("visibilitychange", poll);
poll();

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return; // polls again when the page becomes visible
  try {
    const response = await fetch("/cameras", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status === 401) {
      location.reload();
      return;
    }
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch {
    showStatus(byId("broker"), "unknown");
    showNotice("edgepub does not respond. Retrying …");
    document.body.classList.add("stale");
    for (const card of cards.values()) card.showUnknown();
  }
  clearTimeout(timer);
  timer = setTimeout(poll, POLL_MS);
}

function show({ node, version, broker, limits, entities, cameras }) {
  document.title = `${node} · edgepub`;
  document.body.classList.remove("stale");
  setText(byId("node"), node);
  setText(byId("version"), `edgepub ${version}${entities ? ` · ${formatting.formatEntities(entities)}` : ""}`);
  showStatus(byId("broker"), broker.status);
  if (!cameras.length) showNotice("No cameras are configured.");
  else showNotice(broker.fault ? `Broker: ${broker.fault}` : formatting.formatLimits(limits));
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

function showNotice(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = !text;
}

async function logOut() {
  try {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch("/logout", { method: "POST", headers, body: "{}" });
    if (response.status === 503) alert((await response.text()).trim()); // the reload would remove a notice
  } catch {
    showNotice("Not logged out: edgepub does not respond.");
    return;
  }
  storePreference("loggedIn", false);
  location.reload();
}
