/** The page of one camera: what the server answers is shared out among the parts that show it. */

import { Editor } from "./editor.js";
import { byId, say, showStatus } from "./elements.js";
import { Live } from "./live.js";
import { Message } from "./message.js";
import { Overlay } from "./overlay.js";
import { Picture } from "./picture.js";
import { Plot } from "./plot.js";
import { Settings } from "./settings.js";
import { showDetections, showEvents } from "./tables.js";
import { takeToken } from "./token_link.js";
import { Rate, Shows } from "./view.js";
import * as words from "./words.js";

const MOST_LABELS = 100; // to choose from; a model that reads texts has no end of them
takeToken();
const camera = decodeURIComponent(location.pathname.split("/").pop());
const stage = byId("stage");
const overlayRoot = byId("overlay");
const message = new Message(byId("message"));
const tell = (text, isError) => message.show(text, isError);
const picture = new Picture(stage, byId("picture"), camera);
const overlay = new Overlay(overlayRoot);
const plot = new Plot(byId("plot"), byId("plot-caption"));
const settings = new Settings(byId("settings"), camera, tell);
const rate = new Rate(byId("rate"));
const shows = new Shows(overlayRoot, document.querySelectorAll("[data-shows]"));
const editor = new Editor({ svg: overlayRoot, group: byId("areas"), panel: byId("editor"), say: tell });
const knownLabels = new Set();

document.title = `${camera} · edgepub`;
say(byId("name"), camera);
byId("picture").setAttribute("aria-label", `Live picture of ${camera}`);
veil("Connecting …");
new ResizeObserver(() => {
  const { width, height } = overlayRoot.getBoundingClientRect();
  if (!width || !height) return;
  overlay.resize(width, height);
  editor.resize(width, height);
}).observe(overlayRoot);
byId("editor").addEventListener("click", ({ target }) => {
  if (target.closest("#new-zone, #new-line")) shows.turnOn("areas"); // what is drawn is to be seen
});
const knows = ({ cameras }) => cameras.some(({ name }) => name === camera);
new Live(`/cameras/${camera}/live`, { rate: () => rate.wanted, answered, broken, refused, knows }).start();

async function answered(answer, jpeg, first) {
  if (answer.camera) introduce(answer.camera);
  if (jpeg) await picture.show(jpeg);
  if (answer.frame) {
    overlay.show(answer.frame);
    showDetections(byId("detections"), answer.frame.detections);
    learn(answer.frame.detections);
  }
  showCondition(answer.status, answer.fault);
  settings.follow(answer.settings);
  if (answer.events) {
    showEvents(byId("events"), answer.events, first);
    learn(answer.events);
  }
  if (answer.figures) showFigures(answer.figures);
  if (answer.history) plot.add(answer.history, first);
  if (answer.areas) editor.setAreas({ zones: answer.areas.zones, lines: answer.areas.lines }, answer.areas.saved);
}

function introduce(its) {
  document.title = `${its.name} · ${its.node} · edgepub`;
  say(byId("node"), its.node);
  shows.offer("tracks", its.tracking);
  byId("no-events").hidden = its.tracking;
  say(byId("no-events"), "There are no events without tracking: `tracking: true` in the configuration.");
  editor.setCamera(its);
  learn((its.labels ?? []).map((label) => ({ label })));
}

/** Tell the editor the labels that there are, as they are seen. */
function learn(labelled) {
  const before = knownLabels.size;
  for (const { label } of labelled) if (knownLabels.size < MOST_LABELS) knownLabels.add(label);
  if (knownLabels.size > before) editor.setKnownLabels(Array.from(knownLabels).sort());
}

function showCondition(status, fault) {
  showStatus(byId("status"), status);
  veil(words.absence(status, fault));
}

function showFigures(figures) {
  say(byId("fps-in"), words.rate(figures.fps_in));
  say(byId("fps-inferred"), words.rate(figures.fps_inferred));
  say(byId("fps-published"), words.rate(figures.fps_published));
  say(byId("dropped"), String(Object.values(figures.dropped).reduce((sum, count) => sum + count, 0)));
  say(byId("dropped-why"), `Frames per second over 5 s. ${words.sampled(figures.sampled)}${words.dropped(figures.dropped)}`);
}

function broken(why) {
  showStatus(byId("status"), "not connected");
  veil(`${why} Trying again …`);
}

/** The token is another one now: the page that comes in its place asks for it. */
function refused() {
  if (editor.isChanged) veil("edgepub wants its token anew: log in in another tab, then go on here.");
  else location.reload();
}

/** Say why the picture is not a live one, over it; an empty text where it is. */
function veil(text) {
  say(byId("veil"), text);
  byId("veil").hidden = !text;
  stage.classList.toggle("stale", Boolean(text));
  document.body.classList.toggle("stale", Boolean(text)); // what is told beside the picture is of before
}
