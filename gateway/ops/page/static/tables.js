// Tables that are filled again and again. All text is set as text: clients have written some of it.

/** `columns`: the heading, the class of its cells, and a row's text. */
export class Table {
  constructor(table, columns) {
    this.columns = columns;
    this.caption = table.createCaption();
    const row = table.createTHead().insertRow();
    for (const [heading, kind] of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      if (kind === "number") cell.className = kind;
      cell.textContent = heading;
      row.append(cell);
    }
    this.body = table.createTBody();
  }

  /** What has not changed is left alone, so that a selection stays. */
  fill(rows, caption, ...more) {
    set(this.caption, caption);
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1);
    rows.forEach((given, number) => {
      const row = this.body.rows[number] ?? this.add();
      this.columns.forEach(([, , text], at) => set(row.cells[at], text(given, ...more)));
    });
  }

  add() {
    const row = this.body.insertRow();
    for (const [, kind] of this.columns) row.insertCell().className = kind;
    return row;
  }
}

export const set = (element, text) => {
  text = String(text ?? "");
  if (element.textContent !== text) element.textContent = text;
};
