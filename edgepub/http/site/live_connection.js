/** The live connection: the page requests, the server responds once. So a slow page never has a backlog. */

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15000;
const TIMEOUT_MS = 15000; // the server responds at least every second
const CONNECTION_LOST = "Connection lost.";
const CAMERA_REMOVED = "This camera was removed.";

/**
 * Keeps the connection of one camera as long as the page is open.
 *
 * @param {string} path of the WebSocket.
 * @param {object} page
 * @param {() => number} page.rate returns the number of pictures per second that the user wants.
 * @param {(update: object, picture: ?Blob, isFirst: boolean) => Promise<void>} page.onUpdate shows an update, the
 *   first of a connection or a later one. The next one is requested when its promise resolves.
 * @param {(reason: string) => void} page.onLost the connection is lost; it is retried.
 * @param {() => void} page.onUnauthorized the server asks for the token.
 * @param {(status: object) => boolean} page.hasCamera returns whether the status of all cameras contains the page's.
 */
export class LiveConnection {
  #url;
  #page;
  #socket = null;
  #update = null;
  #isFirst = true;
  #reason = CONNECTION_LOST;
  #retry_ms = FIRST_RETRY_MS;
  #retryTimer = 0;
  #timeoutTimer = 0;

  constructor(path, page) {
    this.#url = new URL(path, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#page = page;
  }

  /** Connect, and reconnect whenever the connection is lost. */
  start() {
    const retryNow = () => {
      if (this.#retryTimer && !document.hidden) this.#connect();
    };
    document.addEventListener("visibilitychange", retryNow);
    window.addEventListener("online", retryNow);
    this.#connect();
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#update = null;
    this.#isFirst = true;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#request(socket));
    socket.addEventListener("message", ({ data }) => this.#onMessage(socket, data));
    socket.addEventListener("close", ({ reason }) => this.#onClose(socket, reason));
    this.#startTimeout(socket);
  }

  #request(socket) {
    if (socket !== this.#socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(String(document.hidden ? 0 : this.#page.rate()));
    this.#startTimeout(socket);
  }

  /** Close the connection if it stays silent: a half-open connection raises no event. */
  #startTimeout(socket) {
    clearTimeout(this.#timeoutTimer);
    this.#timeoutTimer = setTimeout(() => {
      socket.close();
      this.#onClose(socket, "");
    }, TIMEOUT_MS);
  }

  async #onMessage(socket, data) {
    if (socket !== this.#socket) return;
    let picture = null;
    if (typeof data === "string") {
      this.#update = JSON.parse(data);
      if (this.#update.frame?.has_picture) return; // it follows
    } else {
      picture = data;
    }
    const [update, isFirst] = [this.#update, this.#isFirst];
    // Only after the second update: a connection that breaks after each first one must be retried more and more slowly.
    if (!isFirst) this.#retry_ms = FIRST_RETRY_MS;
    this.#isFirst = false;
    try {
      await this.#page.onUpdate(update, picture, isFirst);
    } finally {
      this.#request(socket);
    }
  }

  #onClose(socket, reason) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#timeoutTimer);
    this.#page.onLost(reason ? toSentence(reason) : this.#reason);
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retry_ms * (0.75 + Math.random() / 2));
    this.#retry_ms = Math.min(2 * this.#retry_ms, MAX_RETRY_MS);
    if (!reason) this.#findReason();
  }

  /** Find out why the connection failed: browsers do not say why a WebSocket's handshake was refused. */
  async #findReason() {
    try {
      const response = await fetch("/cameras", { signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.status === 401) this.#page.onUnauthorized();
      else if (response.ok) {
        this.#reason = this.#page.hasCamera(await response.json()) ? CONNECTION_LOST : CAMERA_REMOVED;
        if (!this.#socket) this.#page.onLost(this.#reason);
      }
    } catch {
      // The server does not respond: the next attempt will tell.
    }
  }
}

function toSentence(text) {
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
