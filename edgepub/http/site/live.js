/** The live connection: this side asks, the server answers once, so that a slow page never has a backlog. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;
const SILENCE_MS = 15000; // the server has something to say every second
const LOST = "The connection is lost.";

/**
 * Keeps one camera's connection, for as long as the page is open.
 *
 * @param {string} path of the WebSocket.
 * @param {object} page
 * @param {() => number} page.rate how many pictures a second are wanted now.
 * @param {(answer: object, picture: ?Blob) => Promise<void>} page.answered shows an answer; the next is asked for when it has.
 * @param {(why: string) => void} page.broken the connection broke, and is tried again.
 */
export class Live {
  #url;
  #page;
  #socket = null;
  #answer = null;
  #pause_ms = FIRST_PAUSE_MS;
  #again = 0;
  #silence = 0;

  constructor(path, page) {
    this.#url = new URL(path, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#page = page;
  }

  /** Connect, now and whenever the connection breaks. */
  start() {
    const hurry = () => {
      if (this.#again && !document.hidden) this.#connect();
    };
    document.addEventListener("visibilitychange", hurry);
    window.addEventListener("online", hurry);
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#again);
    this.#again = 0;
    this.#answer = null;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#ask(socket));
    socket.addEventListener("message", ({ data }) => this.#received(socket, data));
    socket.addEventListener("close", ({ reason }) => this.#closed(socket, reason));
    this.#expect(socket);
  }

  #ask(socket) {
    if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(String(document.hidden ? 0 : this.#page.rate()));
    this.#expect(socket);
  }

  /** A connection that is half open says nothing of it: it is given up when it is silent. */
  #expect(socket) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      socket.close();
      this.#closed(socket, "");
    }, SILENCE_MS);
  }

  async #received(socket, data) {
    if (socket !== this.#socket) return;
    let picture = null;
    if (typeof data === "string") {
      this.#answer = JSON.parse(data);
      if (this.#answer.frame) return; // its picture follows
    } else {
      picture = data;
    }
    const answer = this.#answer;
    this.#pause_ms = FIRST_PAUSE_MS;
    try {
      await this.#page.answered(answer, picture);
    } finally {
      this.#ask(socket);
    }
  }

  #closed(socket, reason) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    this.#page.broken(reason ? sentence(reason) : LOST);
    this.#again = setTimeout(() => this.#connect(), this.#pause_ms * (0.75 + Math.random() / 2));
    this.#pause_ms = Math.min(2 * this.#pause_ms, LONGEST_PAUSE_MS);
    reloadWhereRefused();
  }
}

/** A handshake that is refused does not say why: where it is for want of a token, the page is the login's. */
async function reloadWhereRefused() {
  try {
    const signal = AbortSignal.timeout(SILENCE_MS);
    if ((await fetch("/cameras", { signal })).status === 401) location.reload();
  } catch {
    // Nobody answers: the next try will tell.
  }
}

function sentence(text) {
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
