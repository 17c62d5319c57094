"use strict";
(() => {
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const showTheme = () => {
    toggle.setAttribute("aria-pressed", String(isDark()));
  };
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  system.addEventListener("change", showTheme);
  showTheme();

  // Folded parts are printed too.
  const folded = document.querySelectorAll("details:not([open])");
  window.addEventListener("beforeprint", () => folded.forEach((part) => (part.open = true)));

  // The table by class sorts by the column of the header that is selected; equal rows keep their order.
  const table = document.getElementById("class-table");
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return column === 0 ? cell.textContent : Number(cell.dataset.value ?? cell.textContent);
  };
  for (const button of table ? table.querySelectorAll("thead button") : []) {
    button.addEventListener("click", () => {
      const header = button.parentElement;
      const column = header.cellIndex;
      const first = column === 0 ? "ascending" : "descending";
      const other = column === 0 ? "descending" : "ascending";
      const order = header.getAttribute("aria-sort") === first ? other : first;
      for (const cell of header.parentElement.cells) cell.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const [left, right] = [valueOf(a, column), valueOf(b, column)];
        return sign * (column === 0 ? left.localeCompare(right) : left - right);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  }

  // Cells of the confusion matrix: one of them is in the tab order, arrow keys move between them.
  const heat = document.getElementById("heat");
  const panel = document.getElementById("cell");
  if (!heat) return;
  const examples = JSON.parse(document.getElementById("examples").textContent);
  const buttons = [...heat.querySelectorAll("button")];
  const add = (parent, name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.append(element);
    return element;
  };
  const makeCurrent = (button) => {
    for (const other of buttons) other.tabIndex = -1;
    button.tabIndex = 0;
  };
  const close = () => {
    const opened = heat.querySelector('[aria-expanded="true"]');
    panel.hidden = true;
    if (opened) {
      opened.setAttribute("aria-expanded", "false");
      opened.focus();
    }
  };
  const addExample = (list, [before, wrong, after, gold, predicted, score, sentence, isUnknown]) => {
    const item = add(list, "li");
    const text = add(item, "div");
    text.dir = "auto";
    text.append(before ? before + " " : "");
    add(text, "mark", wrong);
    text.append(after ? " " + after : "");
    const parts = [`gold ${gold}`, `predicted ${predicted}`, `sentence ${sentence}`];
    if (score !== null) parts.splice(2, 0, `score ${score.toFixed(4)}`);
    if (isUnknown) parts.push("unknown word");
    add(item, "div", parts.join(" · "), "meta").style.whiteSpace = "normal";
  };
  const open = (button) => {
    for (const other of buttons) other.setAttribute("aria-expanded", String(other === button));
    const found = examples[button.dataset.cell] || [];
    panel.replaceChildren();
    const header = add(panel, "header");
    const title = button.getAttribute("aria-label");
    add(header, "h3", found.length < Number(button.dataset.errors) ? `${found.length} of ${title}` : title);
    add(header, "button", "Close", "close").addEventListener("click", close);
    const list = add(panel, "ul");
    for (const example of found) addExample(list, example);
    if (!found.length) add(panel, "p", "The errors of this cell are left out to keep the file small; see the table of predictions.");
    panel.hidden = false;
    panel.focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  };
  const moveFrom = (button, rowStep, columnStep) => {
    const cell = button.parentElement;
    const rows = [...heat.tBodies[0].rows];
    let row = rows.indexOf(cell.parentElement);
    let column = cell.cellIndex;
    for (;;) {
      row += rowStep;
      column += columnStep;
      const next = rows[row] && rows[row].cells[column];
      if (!next) return;
      const target = next.querySelector("button");
      if (target) {
        makeCurrent(target);
        target.focus();
        return;
      }
    }
  };
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  for (const button of buttons) {
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", "cell");
    button.addEventListener("click", () => {
      makeCurrent(button);
      if (button.getAttribute("aria-expanded") === "true") close();
      else open(button);
    });
    button.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      moveFrom(button, ...step);
    });
  }
  if (buttons.length) makeCurrent(buttons[0]);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) close();
  });
})();
