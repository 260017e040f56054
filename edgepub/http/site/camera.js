/** The page of one camera: it passes each update from the server to the parts that show it. */

import { DetectionOverlay } from "./detection_overlay.js";
import { LayerSwitches, RateSelect } from "./display_options.js";
import { Editor } from "./editor.js";
import { byId, setText, showStatus } from "./elements.js";
import * as formatting from "./formatting.js";
import { LiveConnection } from "./live_connection.js";
import { Message } from "./message.js";
import { Picture } from "./picture.js";
import { Plot } from "./plot.js";
import { Settings } from "./settings.js";
import { showDetections, showEvents } from "./tables.js";
import { takeToken } from "./token_link.js";

const MAX_LABELS = 100; // to choose from; a model that reads text has no end of labels
takeToken();
const camera = decodeURIComponent(location.pathname.split("/").pop());
const stage = byId("stage");
const overlayRoot = byId("overlay");
const message = new Message(byId("message"));
const showMessage = (text, isError) => message.show(text, isError);
const picture = new Picture(stage, byId("picture"), camera);
const overlay = new DetectionOverlay(overlayRoot);
const plot = new Plot(byId("plot"), byId("plot-caption"));
const settings = new Settings(byId("settings"), camera, showMessage);
const rate = new RateSelect(byId("rate"));
const layers = new LayerSwitches(overlayRoot, document.querySelectorAll("[data-layer]"));
const editor = new Editor({ svg: overlayRoot, group: byId("areas"), panel: byId("editor"), showMessage });
const knownLabels = new Set();

document.title = `${camera} · edgepub`;
setText(byId("name"), camera);
byId("picture").setAttribute("aria-label", `Live picture of ${camera}`);
showPictureMessage("Connecting …");
new ResizeObserver(() => {
  const { width, height } = overlayRoot.getBoundingClientRect();
  if (!width || !height) return;
  overlay.resize(width, height);
  editor.resize(width, height);
}).observe(overlayRoot);
byId("editor").addEventListener("click", ({ target }) => {
  if (target.closest("#new-zone, #new-line, #new-ignore")) layers.turnOn("areas"); // so that the new one is visible
});
const hasCamera = ({ cameras }) => cameras.some(({ name }) => name === camera);
const page = { rate: () => rate.value, onUpdate, onLost, onUnauthorized, hasCamera };
new LiveConnection(`/cameras/${camera}/live`, page).start();

async function onUpdate(update, jpeg, isFirst) {
  if (update.camera) showCamera(update.camera);
  if (jpeg) await picture.show(jpeg);
  if (update.frame) {
    if (!update.frame.has_picture) picture.hide(update.frame.width, update.frame.height);
    overlay.show(update.frame);
    showDetections(byId("detections"), update.frame.detections);
    addLabels(update.frame.detections);
  }
  showCameraStatus(update.status, update.fault);
  byId("no-picture").hidden = update.settings.snapshot_enabled;
  settings.show(update.settings);
  if (update.events) {
    showEvents(byId("events"), update.events, isFirst);
    addLabels(update.events);
  }
  if (update.figures) showFigures(update.figures);
  if (update.limits) showLimits(update.limits);
  if (update.history) plot.add(update.history, isFirst);
  if (update.areas) editor.setAreas(update.areas, update.areas.saved);
}

function showCamera(description) {
  document.title = `${description.name} · ${description.node} · edgepub`;
  setText(byId("node"), description.node);
  layers.setEnabled("tracks", description.tracking);
  byId("no-events").hidden = description.tracking;
  setText(byId("no-events"), "Events need tracking: set `tracking: true` in the configuration.");
  editor.setCamera(description);
  addLabels((description.labels ?? []).map((label) => ({ label })));
}

/** Offer new labels in the editor as they are detected. */
function addLabels(labelled) {
  const before = knownLabels.size;
  for (const { label } of labelled) if (knownLabels.size < MAX_LABELS) knownLabels.add(label);
  if (knownLabels.size > before) editor.setKnownLabels(Array.from(knownLabels).sort());
}

function showCameraStatus(status, fault) {
  showStatus(byId("status"), status);
  showPictureMessage(formatting.statusMessage(status, fault));
}

function showFigures({ fps_in, fps_inferred, fps_published, dropped, sampled }) {
  setText(byId("fps-in"), formatting.formatRate(fps_in));
  setText(byId("fps-inferred"), formatting.formatRate(fps_inferred));
  setText(byId("fps-published"), formatting.formatRate(fps_published));
  setText(byId("dropped"), String(Object.values(dropped).reduce((sum, count) => sum + count, 0)));
  const reasons = formatting.formatSampled(sampled) + formatting.formatDropped(dropped);
  setText(byId("dropped-reasons"), `Frames per second over 5 s. ${reasons}`);
}

function showLimits(limits) {
  setText(byId("limits"), formatting.formatLimits(limits));
  byId("limits").hidden = !limits.length;
}

function onLost(reason) {
  showStatus(byId("status"), "not connected");
  showPictureMessage(`${reason} Retrying …`);
}

/** The token has changed. Reload to get the login page, unless unsaved changes would be lost. */
function onUnauthorized() {
  if (editor.isChanged) showPictureMessage("Log in again: do so in another tab, then continue here.");
  else location.reload();
}

/** Show over the picture why it is not live; an empty text shows that it is. */
function showPictureMessage(text) {
  setText(byId("picture-message"), text);
  byId("picture-message").hidden = !text;
  stage.classList.toggle("stale", Boolean(text));
  document.body.classList.toggle("stale", Boolean(text)); // the values beside the picture are old, too
}
