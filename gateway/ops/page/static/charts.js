// Lines over the last five minutes, drawn as SVG. Whatever stands in one also stands in its legend.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 420, HEIGHT = 130, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 18;
const SPAN_SECONDS = 300;
const SERIES = 6;

const drawn = (name, attributes = {}, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

/** The next of 1, 2, 5, 10, ... that is not below a value. */
export const ceiling = value => {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value * 0.999);
};

/** `values` gives a point's values by name, null where there is none; `shown` makes one text. */
export class Chart {
  constructor(title, values, shown) {
    this.title = title;
    this.values = values;
    this.shown = shown;
    this.names = [];
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    this.svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.figure.append(caption, this.svg, this.legend);
  }

  draw(points) {
    const all = points.map(point => [point.at, this.values(point)]);
    // A series keeps its colour while the page is open; what comes late and is seldom has none.
    for (const [, values] of all) {
      for (const name of Object.keys(values)) {
        if (!this.names.includes(name) && this.names.length < SERIES) this.names.push(name);
      }
    }
    const end = all.length ? all[all.length - 1][0] : 0;
    const highest = Math.max(0, ...all.flatMap(([, values]) => this.names.map(n => values[n] ?? 0)));
    const top = ceiling(highest);
    const x = at => LEFT + (WIDTH - LEFT - RIGHT) * (1 - (end - at) / SPAN_SECONDS);
    const y = value => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const at = y(top * share);
      parts.push(drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
      const place = { x: LEFT - 6, y: at + 4, "text-anchor": "end" };
      parts.push(drawn("text", place, this.shown(top * share)));
    }
    parts.push(drawn("text", { x: LEFT, y: HEIGHT - 4 }, "5 min ago"));
    parts.push(drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, "now"));
    this.names.forEach((name, number) => {
      let path = "", isDown = false;
      for (const [at, values] of all) {
        const value = values[name] ?? this.absent(name);
        if (value === null || at < end - SPAN_SECONDS) { isDown = false; continue; }
        path += `${isDown ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
        // A value between two gaps is a dot.
        if (!isDown) path += "h0.1";
        isDown = true;
      }
      if (path) parts.push(drawn("path", { class: `series s${number}`, d: path }));
    });
    this.svg.replaceChildren(...parts);
    this.tell(all.length ? all[all.length - 1][1] : {});
  }

  /** Whatever is counted and has not happened is zero. */
  absent() {
    return 0;
  }

  tell(last) {
    const told = this.names.map(name => {
      const value = last[name] ?? this.absent(name);
      return `${name} ${value === null ? "–" : this.shown(value)}`;
    });
    this.svg.setAttribute("aria-label", `${this.title}: ${told.join(", ") || "nothing yet"}`);
    while (this.legend.children.length > this.names.length) this.legend.lastChild.remove();
    this.names.forEach((name, number) => {
      let item = this.legend.children[number];
      if (!item) {
        item = document.createElement("li");
        const swatch = drawn("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
        swatch.append(drawn("path", { class: `series s${number}`, d: "M0 4H22" }));
        item.append(swatch, document.createElement("span"));
        this.legend.append(item);
      }
      if (item.lastChild.textContent !== told[number]) item.lastChild.textContent = told[number];
    });
  }
}

/** Of durations there are none where nothing happened. */
export class DurationChart extends Chart {
  absent() {
    return null;
  }
}
