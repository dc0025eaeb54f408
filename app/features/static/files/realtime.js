// The browser's end of /ws: one connection that comes back by itself, and says where something may have been missed.
//
//   import { connect } from "/static/realtime.js";
//
//   const realtime = connect({ onState: (state) => show(state) });
//   const leave = realtime.subscribe("orders:7", { ready: load, event: change, resync: load });
//
// `ready` is called once, when the server has confirmed: what is loaded from then on misses nothing that is pushed.

const FIRST_WAIT = 500; // ms; doubled with each failure, and a random part of it is waited
const LONGEST_WAIT = 30_000; // ms
const PATIENCE = 10_000; // ms for the server to welcome, or to answer a ping
const LIVED = 10_000; // ms; a connection that lasted so long was no failure
const MOST_UNSENT = 262_144; // bytes that may wait in the browser
const NORMAL = 1000;
const ABNORMAL = 1006;
const REFUSED = 1008; // signed out, expired, too many messages
const RESTART = 1012;
const PASSING = ["RATE_LIMITED", "REQUEST_TIMEOUT", "SERVICE_UNAVAILABLE"]; // refusals that another try may not meet

/**
 * Connect, and stay connected until `close()`, or until the server closes with 1000 or 1008.
 *
 * @param {object} [options]
 * @param {string|URL} [options.url] another address than this origin's /ws
 * @param {() => Promise<string|null>} [options.ticket] fetches a one-use ticket before each connection; null stops
 * @param {(topic: string, data: any, seq: number) => void} [options.onEvent] every event of every topic
 * @param {(state: string, detail: object) => void} [options.onState] "connecting"; "open" {connectionId, userId};
 *   "waiting" {code, reason, delay in ms, opened}; "closed" {code, reason}, which is the end
 * @param {(topic: string) => void} [options.onResync] something of this topic may have been missed: load it again
 * @param {(error: {code: string, error: string, topic?: string}) => void} [options.onError] what the server refused
 * @param {number} [options.resyncSpread] ms over which clients spread their resyncs, not to load all at once
 */
export function connect({ url = "/ws", ticket, onEvent, onState, onResync, onError, resyncSpread = 2000 } = {}) {
  const topics = new Map(); // name -> {callbacks, live, position, missed, timer}
  const ended = new AbortController();
  let state = "connecting";
  let turn = 0; // of the attempt; what belongs to an earlier one is ignored
  let failures = 0;
  let socket, timer, repeat, ownTopic, quiet, heard, openedAt, asked;

  // One timer for the connection: it waits for a welcome, watches the silence, or waits to try again.
  function later(action, delay) {
    clearTimeout(timer);
    timer = setTimeout(action, delay);
  }

  function become(next, detail = {}) {
    state = next;
    call(onState, next, detail);
  }

  async function open() {
    const mine = (turn += 1);
    later(() => lost(ABNORMAL, "no answer"), PATIENCE);
    become("connecting");
    try {
      const address = new URL(url, location.href);
      address.protocol = address.protocol.replace("http", "ws");
      const once = mine === turn && (await ticket?.());
      if (mine !== turn) return;
      if (once === null) return end(REFUSED, "no ticket");
      if (once) address.searchParams.set("ticket", once);
      socket = new WebSocket(address);
    } catch (error) {
      if (mine === turn) lost(ABNORMAL, String(error));
      return;
    }
    socket.onmessage = ({ data }) => mine === turn && take(JSON.parse(data));
    socket.onclose = ({ code, reason }) => mine === turn && lost(code, reason);
  }

  function drop() {
    turn += 1;
    clearTimeout(timer);
    clearTimeout(repeat);
    for (const topic of topics.values()) {
      clearTimeout(topic.timer); // it stays missed, and is announced after the return
      topic.timer = undefined;
      topic.live = false;
    }
    socket?.close(NORMAL);
    socket = repeat = asked = undefined;
  }

  function lost(code, reason) {
    const opened = state === "open";
    drop();
    if (code === NORMAL || code === REFUSED) return end(code, reason);
    if (opened && performance.now() - openedAt > LIVED) failures = 0;
    const advice = code === RESTART && /reconnect_after=(\d+(?:\.\d+)?)/.exec(reason);
    const delay = advice ? advice[1] * 1000 : Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
    failures += 1;
    later(open, delay);
    become("waiting", { code, reason, delay, opened });
  }

  function end(code, reason) {
    drop();
    ended.abort();
    become("closed", { code, reason });
  }

  // A browser answers the server's pings by itself and tells nobody: after a long silence the page has to ask.
  function watch() {
    const silent = performance.now() - heard;
    if (silent < quiet) later(watch, quiet - silent);
    else ask();
  }

  function ask() {
    asked = true;
    later(() => lost(ABNORMAL, "the server is silent"), PATIENCE);
    say({ type: "ping" });
  }

  // The network is back, or the page is looked at again, perhaps after the machine has slept.
  function wake() {
    if (state === "waiting") open();
    else if (state === "open" && !asked) ask();
  }

  function say(frame) {
    if (state === "open") socket.send(JSON.stringify(frame));
  }

  function take(frame) {
    heard = performance.now();
    if (asked) {
      asked = false;
      watch();
    }
    const { type, code, error, topic: name } = frame;
    if (type === "welcome") return welcome(frame);
    if (type === "error") return refused({ code, error, topic: name });
    const topic = topics.get(name) ?? (type === "subscribed" && isGiven(name) && added(name));
    if (!topic) return; // left again meanwhile
    if (type === "subscribed") confirmed(frame, topic);
    else if (type === "event") happened(frame, topic);
    else if (type === "resync") {
      moveTo(frame, topic);
      missed(name, topic);
    }
  }

  function welcome(frame) {
    openedAt = performance.now();
    quiet = 2000 * frame.heartbeat_interval;
    ownTopic = `user:${frame.user_id}`;
    state = "open";
    watch();
    askForTopics();
    become("open", { connectionId: frame.connection_id, userId: frame.user_id });
  }

  function askForTopics() {
    repeat = undefined;
    for (const [name, { callbacks, live }] of topics) {
      if (callbacks.size && !live && !isGiven(name)) say({ type: "subscribe", topic: name });
    }
  }

  function refused(frame) {
    if (PASSING.includes(frame.code)) repeat ??= setTimeout(askForTopics, (PATIENCE * (1 + Math.random())) / 2);
    call(onError, frame);
  }

  // Topics that every socket of a user hears without asking.
  function isGiven(name) {
    return name === "everyone" || name === ownTopic;
  }

  function added(name) {
    const topic = { callbacks: new Set(), live: false, missed: false };
    topics.set(name, topic);
    return topic;
  }

  function confirmed(frame, topic) {
    const before = topic.position;
    topic.live = true;
    moveTo(frame, topic);
    for (const each of topic.callbacks) ready(frame.topic, each);
    const moved = before && frame.epoch && (before.epoch !== frame.epoch || before.seq !== frame.seq);
    if (moved || topic.missed) missed(frame.topic, topic);
  }

  // Without an epoch the server does not know yet, and will send a resync.
  function moveTo({ epoch, seq }, topic) {
    if (epoch) topic.position = { epoch, seq };
  }

  function happened({ topic: name, seq, data }, topic) {
    if (topic.position) {
      if (seq > topic.position.seq + 1) missed(name, topic);
      topic.position.seq = Math.max(topic.position.seq, seq);
    }
    for (const { event } of topic.callbacks) call(event, data, seq);
    call(onEvent, name, data, seq);
  }

  function missed(name, topic) {
    topic.missed = true;
    if (state !== "open") return; // a callback has closed meanwhile
    topic.timer ??= setTimeout(() => {
      topic.timer = undefined;
      topic.missed = false;
      for (const { resync } of topic.callbacks) call(resync, name);
      call(onResync, name);
    }, Math.random() * resyncSpread);
  }

  function ready(name, callbacks) {
    const once = callbacks.ready;
    callbacks.ready = undefined;
    call(once, name);
  }

  /** Listen to a topic; returns the function that ends it. Asked for again after each return of the connection. */
  function subscribe(name, { ready: onReady, event, resync } = {}) {
    const topic = topics.get(name) ?? added(name);
    const mine = { ready: onReady, event, resync };
    if (!topic.callbacks.size && !isGiven(name)) say({ type: "subscribe", topic: name });
    topic.callbacks.add(mine);
    if (topic.live) queueMicrotask(() => topic.live && topic.callbacks.has(mine) && ready(name, mine));
    return () => {
      if (!topic.callbacks.delete(mine) || topic.callbacks.size || isGiven(name)) return;
      clearTimeout(topic.timer);
      topics.delete(name);
      say({ type: "unsubscribe", topic: name });
    };
  }

  /** Send to a topic whose rules allow it. Nothing is kept for later: rejects while there is no connection. */
  async function publish(topic, data) {
    if (state !== "open" || socket.readyState !== WebSocket.OPEN) throw new Error("There is no connection.");
    if (socket.bufferedAmount > MOST_UNSENT) throw new Error("The connection is too slow for what is sent.");
    say({ type: "publish", topic, data });
  }

  function close() {
    if (state !== "closed") end(NORMAL, "closed by the page");
  }

  addEventListener("online", wake, { signal: ended.signal });
  globalThis.document?.addEventListener("visibilitychange", () => document.hidden || wake(), { signal: ended.signal });
  later(open, 0); // after the caller has what is returned
  return { subscribe, publish, close };
}

// A callback that fails is the page's fault, and stops nothing here.
function call(callback, ...given) {
  try {
    callback?.(...given);
  } catch (error) {
    reportError(error);
  }
}
