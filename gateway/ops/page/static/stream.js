// The event stream, read by fetch: an EventSource would not tell why there is none.

const AGAIN_MILLISECONDS = 2000;

/** What an error's body says, as JSON or plainly. */
const message = body => {
  try {
    return String(JSON.parse(body).message).slice(0, 300);
  } catch {
    return body.slice(0, 300);
  }
};

/** `told` is given the events by name, `became` what the stream is: "connecting", "live",
 *  "disconnected", "token", "forbidden" or "full", with the words of the answer if any. */
export class Stream {
  constructor(told, became) {
    this.told = told;
    this.became = became;
    this.ending = null;
    this.timer = 0;
  }

  get isOpen() {
    return this.ending !== null;
  }

  open() {
    if (this.isOpen) return;
    clearTimeout(this.timer);
    this.ending = new AbortController();
    this.follow(this.ending);
  }

  close() {
    clearTimeout(this.timer);
    this.ending?.abort();
    this.ending = null;
  }

  async follow(ending) {
    let state = "disconnected", words = "";
    try {
      const answer = await fetch("events", { signal: ending.signal, cache: "no-store" });
      if (answer.ok) {
        this.became("live", "");
        await this.read(answer.body);
      } else {
        state = { 401: "token", 403: "forbidden", 503: "full" }[answer.status] ?? state;
        words = message(await answer.text());
      }
    } catch (failure) {
      words = failure instanceof SyntaxError ? "what came was no event" : "";
    }
    if (this.ending !== ending) return;
    this.ending = null;
    this.became(state, words);
    if (state !== "token" && state !== "forbidden") {
      this.timer = setTimeout(() => this.open(), AGAIN_MILLISECONDS);
    }
  }

  async read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
        if (name) this.told(name, JSON.parse(data));
      }
    }
  }
}
