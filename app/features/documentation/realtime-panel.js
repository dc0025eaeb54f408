// The panel beside the document: one connection, made on request, and the latest of what arrives over it.
const panel = document.getElementById("realtime");
const { connect } = await import(new URL(panel.dataset.client, document.baseURI));

const shown = document.getElementById("realtime-state");
const events = document.getElementById("realtime-events");
const topics = document.getElementById("realtime-topics");
const connectForm = document.getElementById("realtime-connect");
const subscribeForm = document.getElementById("realtime-subscribe");

const MOST_LINES = 100;
const MOST_CHARACTERS = 2000; // of one line's data
const PATIENCE = 8; // attempts in a row that do not open; the first connection has one
let client; // while there is one

panel.querySelector("details").open = matchMedia("(min-width: 1100px)").matches;

connectForm.addEventListener("submit", (event) => {
  event.preventDefault();
  if (client) client.close();
  else start(connectForm.elements.token.value.trim());
});

subscribeForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = subscribeForm.elements.topic;
  subscribe(field.value.trim());
  field.value = "";
});

// Not before: a form without its script is sent by the browser, with the token in the address.
connectForm.querySelector("button").disabled = false;

function start(token) {
  let attempts = 0;
  let patience = 1;
  const mine = connect({
    url: new URL("ws", document.baseURI),
    ticket: token ? () => ticketFor(token) : undefined,
    onEvent: (topic, data, seq) => tell(`${topic} #${seq}`, data),
    onResync: (topic) => tell(`${topic}: something may have been missed; a page would load it again now`),
    onError: ({ code, error, topic }) => refused(code, error, topic),
    onState(state, detail) {
      if (state === "connecting") show(state, "connecting…");
      if (state === "open") {
        [attempts, patience] = [0, PATIENCE];
        show(state, detail.userId === null ? "connected, not signed in" : `connected as ${detail.userId}`);
      }
      if (state === "waiting") {
        attempts += 1;
        show(state, `lost; trying again in ${(detail.delay / 1000).toFixed(1)} s`);
        if (attempts >= patience) giveUp(mine);
      }
      if (state === "closed") ended(detail);
    },
  });
  client = mine;
  connectForm.querySelector("button").textContent = "Disconnect";
  subscribeForm.querySelector("button").disabled = false;
}

// A browser does not tell a refused handshake from a lost one, so the page asks whether the server is there at all.
async function giveUp(mine) {
  mine.close();
  show("connecting", "asking why…");
  const alive = await fetch("health/live", { cache: "no-store" }).then(
    (answer) => answer.ok,
    () => false,
  );
  if (client) return; // somebody has pressed the button meanwhile
  if (alive) show("failed", "refused: without a token only where websocket.anonymous is on, as in development");
  else show("failed", "the server does not answer");
}

function ended({ code, reason }) {
  client = undefined;
  topics.replaceChildren();
  connectForm.querySelector("button").textContent = "Connect";
  subscribeForm.querySelector("button").disabled = true;
  if (code === 1000) show("closed", "not connected");
  else if (reason !== "no ticket") show("failed", `closed by the server: ${reason || code}`);
}

// A token goes into a header, never into an address; the ticket that it is exchanged for opens one socket.
async function ticketFor(token) {
  const answer = await fetch("api/v1/realtime/tickets", {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  const body = await answer.json();
  if (answer.ok) return body.ticket;
  if (answer.status >= 500 || answer.status === 429) throw new Error(body.error);
  show("failed", `the token is not taken: ${body.error}`);
  return null;
}

function subscribe(topic) {
  if (!topic || !client || listed(topic)) return;
  const leave = client.subscribe(topic, { ready: () => tell(`${topic}: subscribed`) });
  const line = element("li", topic);
  const button = element("button", "×");
  button.type = "button";
  button.setAttribute("aria-label", `Unsubscribe from ${topic}`);
  button.addEventListener("click", () => {
    leave();
    line.remove();
  });
  line.dataset.topic = topic;
  line.append(button);
  topics.append(line);
}

function listed(topic) {
  return [...topics.children].find((line) => line.dataset.topic === topic);
}

function refused(code, error, topic) {
  tell(`${topic ? `${topic}: ` : ""}${error} (${code})`).classList.add("error");
  if (topic) listed(topic)?.querySelector("button").click();
}

function show(state, text) {
  shown.dataset.state = state;
  shown.textContent = text;
}

function tell(text, data) {
  const line = element("li", "");
  line.append(element("time", new Date().toLocaleTimeString()), text);
  if (data !== undefined) line.append(element("pre", JSON.stringify(data).slice(0, MOST_CHARACTERS)));
  events.prepend(line);
  while (events.children.length > MOST_LINES) events.lastChild.remove();
  return line;
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
