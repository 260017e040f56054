/** The live connection: this side asks, the server answers once, so that a slow page never has a backlog. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;
const SILENCE_MS = 15000; // the server has something to say every second
const LOST = "The connection is lost.";
const GONE = "There is no such camera any more.";

/**
 * Keeps one camera's connection, for as long as the page is open.
 *
 * @param {string} path of the WebSocket.
 * @param {object} page
 * @param {() => number} page.rate how many pictures a second are wanted now.
 * @param {(answer: object, picture: ?Blob, isFirst: boolean) => Promise<void>} page.answered shows an answer, perhaps a connection's
 *   first; the next is asked for when it has.
 * @param {(why: string) => void} page.broken the connection broke, and is tried again.
 * @param {() => void} page.refused there is none for want of the token.
 * @param {(all: object) => boolean} page.knows whether its camera is among those that there are.
 */
export class Live {
  #url;
  #page;
  #socket = null;
  #answer = null;
  #isFirst = true;
  #why = LOST;
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
    this.#isFirst = true;
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
    const [answer, isFirst] = [this.#answer, this.#isFirst];
    if (!isFirst) this.#pause_ms = FIRST_PAUSE_MS; // one that breaks after its first answer would be tried without an end
    this.#isFirst = false;
    try {
      await this.#page.answered(answer, picture, isFirst);
    } finally {
      this.#ask(socket);
    }
  }

  #closed(socket, reason) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    this.#page.broken(reason ? sentence(reason) : this.#why);
    this.#again = setTimeout(() => this.#connect(), this.#pause_ms * (0.75 + Math.random() / 2));
    this.#pause_ms = Math.min(2 * this.#pause_ms, LONGEST_PAUSE_MS);
    if (!reason) this.#askWhy();
  }

  /** A handshake that is refused does not say why. */
  async #askWhy() {
    try {
      const response = await fetch("/cameras", { signal: AbortSignal.timeout(SILENCE_MS) });
      if (response.status === 401) this.#page.refused();
      else if (response.ok) {
        this.#why = this.#page.knows(await response.json()) ? LOST : GONE;
        if (!this.#socket) this.#page.broken(this.#why);
      }
    } catch {
      // Nobody answers: the next try will tell.
    }
  }
}

function sentence(text) {
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
